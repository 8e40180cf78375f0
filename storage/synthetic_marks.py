"""The marks by which synthetic data say that they are: written into what is published, and read.

Parquet and Arrow files carry `synthetic: true` in their metadata, PNG files a tEXt chunk, versions
the digital source type of IPTC in their manifest. Other tools write the same term into images, as
XMP or as a C2PA manifest, so it is looked for in all of them.
"""

import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any, Final

TERM: Final = "trainedAlgorithmicMedia"
DIGITAL_SOURCE_TYPE: Final = f"http://cv.iptc.org/newscodes/digitalsourcetype/{TERM}"
"""IPTC's term for media made by a trained algorithm."""

SYNTHETIC_KEY: Final = "synthetic"
"""In the metadata of a shard and in a manifest."""
_TRUE: Final = frozenset({"true", "1", "yes"})

_TEXT: Final = b"tEXtDigitalSourceType\0" + TERM.encode()
PNG_MARK: Final = struct.pack(">I", len(_TEXT) - 4) + _TEXT + struct.pack(">I", zlib.crc32(_TEXT))
"""The chunk that follows the header of a PNG file (PNG, Third Edition, section 11.3.3.3)."""

_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_PNG_HEAD_BYTES: Final = len(_PNG_SIGNATURE) + 25
"""Signature and header chunk."""


def marked_png(data: bytes) -> bytes:
    """Return a PNG file that says that it is synthetic; other bytes stay as they are."""
    if not data.startswith(_PNG_SIGNATURE) or is_marked_image(data):
        return data
    return data[:_PNG_HEAD_BYTES] + PNG_MARK + data[_PNG_HEAD_BYTES:]


def is_marked_image(data: bytes) -> bool:
    """Say whether an encoded image says that an algorithm made it."""
    return TERM.encode() in data


def is_marked_metadata(metadata: Mapping[Any, Any] | None) -> bool:
    """Say whether the key-value metadata of a file says that it is synthetic."""
    texts = {_text(key).lower(): _text(value) for key, value in (metadata or {}).items()}
    said = texts.get(SYNTHETIC_KEY, "").strip().lower() in _TRUE
    return said or TERM in texts.get("digital_source_type", "")


def marked_files(sidecar: bytes) -> frozenset[tuple[str, int | None]]:
    """Return (file name, bytes) of the synthetic files that a manifest or `shards.json` lists.

    Empty where the document is neither; the size is None where it does not say it.
    """
    try:
        raw = json.loads(sidecar)
    except (ValueError, RecursionError):
        return frozenset()
    if not isinstance(raw, dict):
        return frozenset()
    if is_marked_metadata({key: raw[key] for key in raw.keys() & {SYNTHETIC_KEY}}):
        files = raw.get("files")
        entries = [one for one in files if isinstance(one, dict)] if isinstance(files, list) else []
        return frozenset((_name(one.get("path")), one.get("bytes")) for one in entries)
    shards = {key: one for key, one in raw.items() if isinstance(one, dict)}
    return frozenset((_name(key), None) for key, one in shards.items() if is_marked_metadata(one))


def _name(path: object) -> str:
    return str(path).rpartition("/")[2]


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
