"""The shards of a version as a list: inside the manifest, or in parts of bounded size beside it.

From 100,000 shards on a manifest names parts, each with its digest, and each a JSON object of at
most 10,000 entries (`ganmill-files/1`) that is put before the manifest. Reading such a manifest
reads no part; whoever goes through the files has one part at a time in memory.
"""

import json
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Any, overload

from storage.digests import canonical_json, sha256_hex
from storage.errors import IntegrityError, ObjectNotFoundError
from storage.records.schema import ClassCounts, read_class_counts
from storage.stores.interface import ObjectStore, read_checked
from storage.synthetic_marks import DIGITAL_SOURCE_TYPE

FORMAT = "ganmill-files/1"
PART_FILES = 10_000
"""Most entries of a part: about 4 MB."""


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """One stored object: where it is, and what it must be."""

    path: str
    """Key relative to the lake."""
    bytes: int
    sha256: str
    rows: int = 0
    """Records, for shards."""
    class_counts: ClassCounts = ()


@dataclass(frozen=True, kw_only=True)
class FilePart:
    """A part of the list: where it is, what it must be, and what its files add up to."""

    path: str
    """Key relative to the lake."""
    bytes: int
    sha256: str
    files: int
    rows: int
    file_bytes: int


ReadPart = Callable[[FilePart], Sequence[FileEntry]]
"""Fetches the entries of a part and checks them against its digest."""


class PartedFiles(Sequence[FileEntry]):
    """The shards of a manifest whose list lies in parts; the last one that was read is kept."""

    def __init__(self, parts: Sequence[FilePart], read: ReadPart) -> None:
        """Read nothing yet."""
        self.parts = tuple(parts)
        self._read = read
        self._starts = list(accumulate((part.files for part in parts), initial=0))
        self._held: tuple[int, Sequence[FileEntry]] = (-1, ())

    def __len__(self) -> int:
        """Return the number of shards; reads nothing."""
        return self._starts[-1]

    @overload
    def __getitem__(self, index: int) -> FileEntry: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[FileEntry, ...]: ...
    def __getitem__(self, index: int | slice) -> FileEntry | tuple[FileEntry, ...]:
        """Return one entry, or some.

        Raises:
            IntegrityError: its part is missing, or not the one that the manifest names.
        """
        if isinstance(index, slice):
            return tuple(self[each] for each in range(*index.indices(len(self))))
        place = range(len(self))[index]
        number = bisect_right(self._starts, place) - 1
        return self._entries(number)[place - self._starts[number]]

    def __iter__(self) -> Iterator[FileEntry]:
        """Yield every entry, in order; IntegrityError as for one."""
        for number in range(len(self.parts)):
            yield from self._entries(number)

    def _entries(self, number: int) -> Sequence[FileEntry]:
        if self._held[0] != number:
            self._held = (number, self._read(self.parts[number]))
        return self._held[1]


def total_bytes(files: Sequence[FileEntry]) -> int:
    """Return the bytes of all shards; reads no part."""
    if isinstance(files, PartedFiles):
        return sum(part.file_bytes for part in files.parts)
    return sum(entry.bytes for entry in files)


def total_rows(files: Sequence[FileEntry]) -> int:
    """Return the records of all shards; reads no part."""
    if isinstance(files, PartedFiles):
        return sum(part.rows for part in files.parts)
    return sum(entry.rows for entry in files)


def not_read(part: FilePart) -> Sequence[FileEntry]:
    """Refuse to read a part: the manifest was read without its lake.

    Raises:
        IntegrityError: always.
    """
    msg = f"{part.path} lists files of this version; read the manifest from its lake"
    raise IntegrityError(msg)


def parts_of(
    files: Sequence[FileEntry], key: Callable[[int], str]
) -> Iterator[tuple[FilePart, bytes]]:
    """Yield the parts of a list, each with the bytes that are to be put.

    Args:
        files: all shards, in order.
        key: number of a part → where it lies in the lake.
    """
    for number, start in enumerate(range(0, len(files), PART_FILES)):
        entries = files[start : start + PART_FILES]
        data = canonical_json(
            {
                "format": FORMAT,
                "synthetic": True,
                "digital_source_type": DIGITAL_SOURCE_TYPE,
                "files": [entry_json(entry) for entry in entries],
            }
        )
        part = FilePart(
            path=key(number),
            bytes=len(data),
            sha256=sha256_hex(data),
            files=len(entries),
            rows=sum(entry.rows for entry in entries),
            file_bytes=sum(entry.bytes for entry in entries),
        )
        yield part, data


def part_reader(lake: ObjectStore) -> ReadPart:
    """Return what reads the parts of the manifests of a lake."""
    return partial(read_part, lake)


def read_part(lake: ObjectStore, part: FilePart) -> Sequence[FileEntry]:
    """Return the entries of a part.

    Raises:
        IntegrityError: it is missing or not the one that the manifest names.
    """
    where = f"{lake.uri}/{part.path}"

    def check(data: bytes) -> Sequence[FileEntry]:
        if sha256_hex(data) != part.sha256:
            msg = (
                f"{where} is not the part that the manifest names (sha256 {sha256_hex(data)}, not "
                f"{part.sha256}); restore it from a backup"
            )
            raise IntegrityError(msg)
        return _read_entries(data, part)

    try:
        return read_checked(lake, part.path, check)
    except ObjectNotFoundError as error:
        msg = f"{where} is named by the manifest and is missing; restore it from a backup"
        raise IntegrityError(msg) from error


def _read_entries(data: bytes, part: FilePart) -> Sequence[FileEntry]:
    try:
        raw = json.loads(data)
        entries = tuple(read_entry(item) for item in raw["files"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        msg = f"{part.path} is no {FORMAT} ({error!r}); read it with a newer ganmill"
        raise IntegrityError(msg) from error
    if raw.get("format") != FORMAT or len(entries) != part.files:
        msg = (
            f"{part.path} lists {len(entries)} files as {raw.get('format')!r}, and the manifest "
            f"says {part.files} as {FORMAT!r}; retract the version"
        )
        raise IntegrityError(msg)
    return entries


def entry_json(entry: FileEntry) -> dict[str, Any]:
    """Return an entry as plain JSON."""
    plain = {"path": entry.path, "bytes": entry.bytes, "sha256": entry.sha256}
    if not entry.rows:
        return plain
    return plain | {"rows": entry.rows, "stats": {"class_counts": entry.class_counts}}


def read_entry(raw: Mapping[str, Any]) -> FileEntry:
    """Read what `entry_json` returned.

    Raises:
        KeyError, TypeError, ValueError: it is something else.
    """
    stats = raw.get("stats", {})
    return FileEntry(
        path=raw["path"],
        bytes=raw["bytes"],
        sha256=raw["sha256"],
        rows=raw.get("rows", 0),
        class_counts=read_class_counts(stats.get("class_counts", ())),
    )
