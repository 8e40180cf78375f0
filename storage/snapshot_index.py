"""snapshot.json: the list of a snapshot's files and their digests."""

import json
import re
from typing import Any

from storage.digests import sha256_hex
from storage.errors import IntegrityError

_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def read_index(data: bytes, where: str) -> dict[str, Any]:
    """Return snapshot.json with at least one file, every one a plain name.

    Args:
        data: the bytes of snapshot.json.
        where: its place, for the message.

    Raises:
        IntegrityError: it is none.
    """
    try:
        index: dict[str, Any] = json.loads(data)
        names = list(index["files"])
        if not names or not all(_FILE.fullmatch(name) for name in names):
            raise ValueError(names)  # noqa: TRY301 - one sentence for every defect
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{where} does not name a snapshot's files ({error!r}); train the generator again"
        raise IntegrityError(msg) from error
    return index


def checked(data: bytes, digest: str, where: str) -> bytes:
    """Return `data` if it has the sha256 `digest`.

    Raises:
        IntegrityError: it has another.
    """
    if sha256_hex(data) != digest:
        msg = (
            f"{where} is not the file its snapshot.json names (sha256 {sha256_hex(data)}, not "
            f"{digest}); restore it from a backup or train the generator again"
        )
        raise IntegrityError(msg)
    return data
