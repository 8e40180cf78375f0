"""Tables in files with types besides Parquet: JSON lines, Arrow, ORC. Each file is read whole."""

import io
import json
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.feather as pa_feather
import pyarrow.json as pa_json
import pyarrow.orc as pa_orc

from storage.errors import SourceError
from storage.sources.builder import FileSource, SourceDescription
from storage.sources.checks import listed
from storage.sources.config import SourceConfig
from storage.sources.files import ARROW_FILES, JSON_FILES, ORC_FILES, FileKind, SourceFiles
from storage.sources.synthetic import check_metadata
from storage.sources.tables.csv_encoding import unpack
from storage.sources.tables.lists import (
    NumberList,
    check_same_lists,
    cut_lists,
    list_notes,
    lists_metadata,
    whole_lists,
)
from storage.sources.tables.source import TableRead, TableSource, unread_columns
from storage.sources.tables.types import add_stored, flat_table, plain_table, unified

_FEWEST_BLOCK_BYTES: Final = 1 << 20


def _read_json(data: bytes) -> pa.Table:
    """Read one object per line, or a list of objects."""
    if data.lstrip()[:1] == b"[":
        rows: Any = json.loads(data)
        if not all(isinstance(row, dict) for row in rows):
            msg = "a list of values, not of objects with names"
            raise ValueError(msg)
        data = "\n".join(map(json.dumps, rows)).encode()
    block = max(_FEWEST_BLOCK_BYTES, min(len(data) + 1, 2**31 - 1))
    return pa_json.read_json(io.BytesIO(data), pa_json.ReadOptions(block_size=block))


def _read_arrow(data: bytes) -> pa.Table:
    """Read a file or a stream of Arrow, or the first version of Feather."""
    buffer = pa.BufferReader(data)
    if data.startswith((b"ARROW1", b"FEA1")):
        return pa_feather.read_table(buffer)
    return pa.ipc.open_stream(buffer).read_all()


def _read_orc(data: bytes) -> pa.Table:
    return pa_orc.ORCFile(pa.BufferReader(data)).read()


READERS: Final[Mapping[FileKind, Callable[[bytes], pa.Table]]] = {
    JSON_FILES: _read_json,
    ARROW_FILES: _read_arrow,
    ORC_FILES: _read_orc,
}
"""Kind of files → what makes a table of one."""


class TypedTable(FileSource, TableSource):
    """The rows of one or more files of one kind with equal columns; read once, on first use."""

    readers: Mapping[FileKind, Callable[[bytes], pa.Table]] = READERS

    def __init__(self, config: SourceConfig, found: SourceFiles) -> None:
        super().__init__(found)
        self._dropped = unread_columns(config)
        self._split = config.split
        self._allow_synthetic = config.allow_synthetic

    def path_parts(self) -> frozenset[str]:
        """Return what `split` names of the paths and no column or partition is called."""
        return self._of_paths - {*self._paths.names}

    @property
    def _of_paths(self) -> frozenset[str]:
        """The columns that no file has and the paths say."""
        first = next(iter(self._plain.tables.values())).column_names
        return frozenset(self._paths.columns(self._split, first))

    @cached_property
    def description(self) -> SourceDescription:
        """Counts of the rows; the files are read for it."""
        tables = self._tables
        rows = sum(len(table) for table in tables.values())
        return self._described(self._found.kind.name.lower(), rows, self.schema().names)

    def schema(self) -> pa.Schema:
        """Return the first file's, with fields of structs and places of lists as columns."""
        return next(iter(self._tables.values())).schema

    def read(self) -> TableRead:
        """Return the rows of all files, with plain types."""
        first = self.schema().names
        kept = [name for name in first if name not in self._dropped]
        lists = whole_lists(self._plain.lists, kept)
        tables, notes, stored = [], list_notes(lists), dict[str, str]()
        for key, table in self._tables.items():
            lacking = [name for name in kept if name not in table.column_names]
            if lacking:
                msg = (
                    f"The file {key!r} of the source {self.uri!r} lacks {listed(lacking)}, which "
                    "the first file has; leave it out with source.exclude."
                )
                raise SourceError(msg)
            chosen = table.select(kept)
            add_stored(stored, chosen.schema, repr(key), self.uri)
            plain, more = plain_table(chosen, self.uri)
            tables.append(plain)
            notes += more
        table, more = unified(tables, [repr(key) for key in self._tables], self.uri)
        notes = list(dict.fromkeys([*notes, *more]))
        return TableRead(
            table=table, notes=tuple(notes), metadata=lists_metadata(lists), stored=stored
        )

    @cached_property
    def _tables(self) -> Mapping[str, pa.Table]:
        """The files with rows, with what their paths say."""
        tables: dict[str, pa.Table] = {}
        for key, table in self._plain.tables.items():
            for name in sorted(self._of_paths):
                said = pa.repeat(self._paths.value(name, key), len(table))
                tables[key] = tables.get(key, table).append_column(name, said)
            tables.setdefault(key, table)
        return tables

    def _content(self, key: str) -> bytes:
        """Return the bytes of a file, unpacked."""
        return unpack(self._found.store.get(key), repr(key))

    def stored_schema(self) -> pa.Schema:
        """Return the schema of the first file with rows, lists as they are."""
        return next(iter(self._flat.values())).schema

    @cached_property
    def _plain(self) -> "PlainFiles":
        """The files with rows, places of lists as columns."""
        tables, lists = dict[str, pa.Table](), dict[str, NumberList]()
        for key, table in self._flat.items():
            flat, cut = cut_lists(table, self.uri, leave=self._dropped)
            lists = lists or cut
            check_same_lists(lists, cut, (repr(next(iter(tables), key)), repr(key)))
            tables[key] = flat
        return PlainFiles(tables, lists)

    @cached_property
    def _flat(self) -> Mapping[str, pa.Table]:
        """The files with rows, fields of structs as columns."""
        read = self.readers[self._found.kind]
        tables = dict[str, pa.Table]()
        for info in self._found.files:
            try:
                table = read(self._content(info.key))
            except (pa.ArrowException, ValueError, OSError, RecursionError) as error:
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                msg = (
                    f"The file {info.key!r} of the source {self.uri!r} is no readable "
                    f"{self._found.kind.name} file ({reason}); replace it or leave it out with "
                    "source.exclude."
                )
                raise SourceError(msg) from error
            if not self._allow_synthetic:
                check_metadata(self.uri, info.key, table.schema.metadata)
            if len(table):
                tables[info.key] = flat_table(table)[0]
        if not tables:
            msg = f"The source {self.uri!r} is empty: its files hold no row; fill them."
            raise SourceError(msg)
        return tables


class PlainFiles(NamedTuple):
    """What the files hold."""

    tables: Mapping[str, pa.Table]
    """Of every file with rows."""
    lists: Mapping[str, NumberList]
    """The columns of lists that were cut."""
