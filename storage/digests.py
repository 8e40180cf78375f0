"""Content digests and the one way to write JSON that is hashed."""

import hashlib
import json
from pathlib import Path
from typing import Any


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of `data` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(value: Any) -> bytes:
    """Return `value` as UTF-8 JSON that depends on its content only.

    Keys are sorted, there is no white space, and tuples are written as lists.

    Raises:
        ValueError: `value` holds NaN or an infinity, which JSON cannot carry.
        TypeError: `value` holds something that is not JSON.
    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def digest_json(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of `value`."""
    return sha256_hex(canonical_json(value))
