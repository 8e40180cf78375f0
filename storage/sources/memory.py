"""How much memory a table takes, said and compared with what there is before it is read."""

import resource
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import pyarrow as pa

from storage.errors import SourceError

ANNOUNCED_BYTES: Final = 1 << 30
"""A table that takes more is announced before it is read."""
COPIES: Final = 5
"""How often the values of a table lie in memory at the peak: measured on 2,000,000 rows of numbers
and words, read, split and written."""
TEXT_COPIES: Final = 4
"""The same for the text of CSV files, at the least."""

_STRING_BYTES: Final = 24
_NESTED_BYTES: Final = 64
_BLOCK_BYTES: Final = 16 << 20
LIMIT_FILES: Final = (
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
)
_NO_LIMIT: Final = 1 << 60


def available_bytes() -> int:
    """Return how much memory this process may still take, as far as the system says it."""
    found = [_NO_LIMIT]
    with suppress(OSError, ValueError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(line for line in lines if line.startswith("MemAvailable:"))
        found.append(int(free.split()[1]) * 1024)
    for limit in LIMIT_FILES:
        with suppress(OSError, ValueError):
            found.append(int(Path(limit).read_text(encoding="ascii")))
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    return min(*found, soft if soft != resource.RLIM_INFINITY else _NO_LIMIT)


def table_bytes(rows: int, types: Sequence[pa.DataType]) -> int:
    """Return about how much memory it takes to make so many rows of these columns ready."""
    return rows * sum(_width(kind) for kind in types) * COPIES


def size_note(uri: str, rows: int, columns: int, stored_bytes: int, needed_bytes: int) -> str:
    """Return what a person should know of a large table before it is read."""
    return (
        f"The source {uri!r} holds {rows:,} rows of {columns} columns in {amount(stored_bytes)}; "
        f"reading them takes about {amount(needed_bytes)} of memory"
    )


def check_fits(note: str, needed_bytes: int) -> None:
    """Check that there is memory for what `note` says.

    Raises:
        SourceError: there is not.
    """
    free = available_bytes()
    if needed_bytes > free:
        msg = (
            f"{note}, and {amount(free)} are free; set source.max_rows to keep a sample, read a "
            "part of it with source.include, leave columns out with source.columns (kind: text, "
            "text: drop), or take a larger machine."
        )
        raise SourceError(msg)


def read_bounded(read: Callable[[int], bytes], packed_bytes: int, name: str) -> bytes:
    """Return everything that a compressed file unpacks to, if there is memory to read it as text.

    Args:
        read: gives up to so many of the next unpacked bytes.
        packed_bytes: of the compressed file.
        name: quoted, for the message.

    Raises:
        SourceError: it unpacks to more.
    """
    most = available_bytes() // TEXT_COPIES
    parts, size = [], 0
    while block := read(_BLOCK_BYTES):
        parts.append(block)
        size += len(block)
        if size > most:
            msg = (
                f"The file {name} of {amount(packed_bytes)} unpacks to more than {amount(most)}, "
                "which is more than can be read here; leave it out, divide it, or take a larger "
                "machine."
            )
            raise SourceError(msg)
    return b"".join(parts)


def amount(size_bytes: int) -> str:
    """Return a size for a person."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size_bytes >= unit:
            return f"{size_bytes / unit:,.1f} {name}"
    return f"{size_bytes:,} bytes"


def _width(kind: pa.DataType) -> int:
    if pa.types.is_dictionary(kind):
        return _width(kind.value_type)
    if pa.types.is_nested(kind):
        return _NESTED_BYTES
    try:
        return max(1, int(kind.bit_width) // 8)
    except ValueError:
        return _STRING_BYTES
