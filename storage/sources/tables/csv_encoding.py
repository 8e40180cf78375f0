"""The text of a CSV file: unpacked, and brought to UTF-8."""

import bz2
import codecs
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import pyarrow as pa

from storage.errors import SourceError
from storage.sources.memory import read_bounded

_DECODE_BLOCK_BYTES: Final = 8 << 20
_LONGEST_MARK: Final = 8
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, kw_only=True)
class Text:
    """A file as UTF-8 without a byte order mark."""

    data: bytes
    encoding: str
    bom: bool
    note: str | None = None


def unpack(data: bytes, name: str) -> bytes:
    """Return what is in a packed file, known by its first bytes, or the bytes themselves.

    Raises:
        SourceError: the packed file is broken or too large when it is unpacked, or a zip holds more
            than one file.
    """
    for start, kind, opened in _PACKERS:
        if data.startswith(start):
            try:
                with opened(io.BytesIO(data)) as file:
                    return read_bounded(file.read, len(data), name)
            except (OSError, EOFError, ValueError, *PACKING_ERRORS) as error:
                msg = f"The file {name} is a broken {kind} file ({error}); copy it again."
                raise SourceError(msg) from error
    return _unzip(data, name) if data.startswith(b"PK\x03\x04") else data


def unpacking(file: BinaryIO, name: str) -> BinaryIO:
    """Return what reads a packed file piece by piece, known by its first bytes, or the file itself.

    Raises:
        SourceError: it is a zip, which is read as a whole.
    """
    start = file.read(_LONGEST_MARK)
    file.seek(0)
    if start.startswith(b"PK\x03\x04"):
        msg = (
            f"The file {name} is a zip, which is read as a whole, and too large for that; pack it "
            "with gzip or zstd, or unpack it."
        )
        raise SourceError(msg)
    for mark, _, opened in _PACKERS:
        if start.startswith(mark):
            stream: BinaryIO = opened(file)
            return stream
    return file


def _unzip(data: bytes, name: str) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = [one for one in archive.namelist() if not one.endswith("/")]
            files = [one for one in files if not one.startswith("__MACOSX/")]
            if len(files) != 1:
                msg = (
                    f"The file {name} is a zip of {len(files)} files, and one is read; unpack it "
                    "and name the folder or the file in source.uri."
                )
                raise SourceError(msg)
            with archive.open(files[0]) as file:
                return read_bounded(file.read, len(data), name)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error) as error:
        msg = f"The file {name} is a zip that cannot be unpacked ({error}); unpack it by hand."
        raise SourceError(msg) from error


PACKING_ERRORS: Final = (zlib.error, lzma.LZMAError, pa.ArrowException)
_PACKERS: Final[tuple[tuple[bytes, str, Callable[[BinaryIO], Any]], ...]] = (
    (b"\x1f\x8b", "gzip", lambda file: gzip.GzipFile(fileobj=file)),
    (b"\x28\xb5\x2f\xfd", "zstd", lambda file: pa.CompressedInputStream(file, "zstd")),
    (b"BZh", "bzip2", bz2.BZ2File),
    (b"\xfd7zXZ\x00", "xz", lzma.LZMAFile),
)
"""How each begins, its name, and what unpacks it."""


def to_utf8(data: bytes, given: str | None, name: str) -> Text:
    """Return the file as UTF-8: by its byte order mark, as the recipe says, or as detected.

    Raises:
        SourceError: it is empty, holds NUL bytes, or is not in the encoding.
    """
    bom, encoding = next(((mark, code) for mark, code in _BOMS if data.startswith(mark)), (b"", ""))
    body = data[len(bom) :]
    if not body.strip():
        msg = f"The file {name} is empty; write a header and rows, or leave it out."
        raise SourceError(msg)
    note = None
    guessed = not encoding and given is None
    if not encoding:
        encoding, note = _guess(body, name) if given is None else (_known(given), None)
    text = body if encoding == "utf-8" else _decoded(body, encoding, name).encode()
    bad = _first_invalid(body) if encoding == "utf-8" and not guessed else None
    if bad is not None:
        raise _wrong_encoding(body, bad, name, "utf-8", "cp1252")
    check_nul(text, name)
    return Text(data=text, encoding=encoding, bom=bool(bom), note=note)


def _known(encoding: str) -> str:
    try:
        return codecs.lookup(encoding).name
    except LookupError as error:
        msg = (
            f"source.csv.encoding {encoding!r} is no encoding that Python knows; write for "
            "example utf-8, cp1252 or utf-16."
        )
        raise SourceError(msg) from error


def _guess(body: bytes, name: str) -> tuple[str, str | None]:
    if body[:200].count(0) * 3 > len(body[:200]):
        msg = (
            f"The file {name} is full of NUL bytes, as UTF-16 without a byte order mark is; "
            "set source.csv.encoding to utf-16-le or utf-16-be."
        )
        raise SourceError(msg)
    bad = _first_invalid(body)
    if bad is None:
        return "utf-8", None
    if re.search(rb"[\xc3-\xf4][\x80-\xbf]{1,3}", body):  # letters that only UTF-8 writes so
        raise _wrong_encoding(body, bad, name, "utf-8", "cp1252")
    encoding = "cp1252" if _decodes(body, "cp1252") else "latin-1"
    line = body.count(b"\n", 0, bad) + 1
    return encoding, (
        f"{name} is not UTF-8 (line {line}) and is read as {encoding}; "
        "set source.csv.encoding if it is another"
    )


def _first_invalid(body: bytes) -> int | None:
    """Return where the first byte is that is not UTF-8."""
    decoder, view = codecs.getincrementaldecoder("utf-8")(), memoryview(body)
    for start in range(0, len(body), _DECODE_BLOCK_BYTES):
        held = len(decoder.getstate()[0])
        block = view[start : start + _DECODE_BLOCK_BYTES]
        try:
            decoder.decode(bytes(block), final=start + _DECODE_BLOCK_BYTES >= len(body))
        except UnicodeDecodeError as error:
            return start - held + error.start
    return None


def _decodes(body: bytes, encoding: str) -> bool:
    try:
        body.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _decoded(body: bytes, encoding: str, name: str) -> str:
    try:
        return body.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        other = "utf-8" if _first_invalid(body) is None else "latin-1"
        raise _wrong_encoding(body, error.start, name, encoding, other) from error


def _wrong_encoding(body: bytes, at: int, name: str, encoding: str, other: str) -> SourceError:
    line = body.count(b"\n", 0, at) + 1
    return SourceError(
        f"The file {name} is not {encoding}: byte {at} (0x{body[at]:02x}) in line {line} does not "
        f"fit; try source.csv.encoding: {other}, or correct that line."
    )


def check_nul(text: bytes, name: str) -> None:
    """Check that a text holds no NUL byte.

    Raises:
        SourceError: it does, so that it is no text or one of UTF-16.
    """
    at = text.find(b"\0")
    if at >= 0:
        line = text.count(b"\n", 0, at) + 1
        msg = (
            f"The file {name} holds a NUL byte in line {line}, so it is no plain text; write it "
            "again, or set source.csv.encoding if it is UTF-16."
        )
        raise SourceError(msg)
