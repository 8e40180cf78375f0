"""Parquet files as one table: read whole, or block by block."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final

import pyarrow as pa

from storage.sources.builder import ParquetSource
from storage.sources.config import SourceConfig
from storage.sources.files import ParquetFiles
from storage.sources.memory import ANNOUNCED_BYTES, check_fits, size_note, table_bytes
from storage.sources.streams.limits import kept_rows
from storage.sources.tables.lists import (
    NumberList,
    check_same_lists,
    cut_lists,
    cut_schema,
    first_length,
    is_number_list,
    list_notes,
    lists_metadata,
    whole_lists,
)
from storage.sources.tables.source import (
    TableRead,
    TableSource,
    check_distinct_names,
    unread_columns,
)
from storage.sources.tables.types import add_stored, flat_schema, flat_table, plain_table, unified

BLOCK_ROWS: Final = 1 << 16
"""Rows that are read at once where not all are kept."""

_INDEX: Final = re.compile(r"__index_level_\d+__")
"""How pandas calls an index without a name that it stores."""


class PlainParts:
    """Rows of several files or blocks, brought to plain types, and what is said of them."""

    def __init__(self, uri: str, dropped: frozenset[str]) -> None:
        """Begin with nothing.

        Args:
            uri: of the source.
            dropped: columns that are left out.
        """
        self._uri, self._dropped = uri, dropped
        self._lists = dict[str, NumberList]()
        self._stored = dict[str, str]()
        self._first: str | None = None
        self._said = dict[str, None]()

    def plain(self, table: pa.Table, place: str) -> pa.Table:
        """Return rows with plain types.

        Args:
            table: as it is stored.
            place: what it is called in messages.

        Raises:
            SourceError: its types are none of a table, or not those of the parts before.
        """
        flat, more = flat_table(table)
        flat, cut = cut_lists(flat, self._uri, leave=self._dropped)
        self._lists = self._lists or cut
        self._first = self._first or place
        check_same_lists(self._lists, cut, (self._first, place))
        flat = flat.drop_columns([n for n in flat.column_names if n in self._dropped])
        add_stored(self._stored, flat.schema, place, self._uri)
        plain, others = plain_table(flat, self._uri)
        self._said.update(dict.fromkeys([*more, *others]))
        return plain

    def read(
        self,
        tables: Sequence[pa.Table],
        places: Sequence[str],
        notes: Sequence[str] = (),
        evidence: int = 0,
    ) -> TableRead:
        """Return plain tables as one.

        Args:
            tables: some that `plain` returned.
            places: what they are called in messages.
            notes: that come first.
            evidence: how many of the last rows are no records.

        Raises:
            SourceError: a column has types that do not go together.
        """
        table, more = unified(tables, places, self._uri)
        lists = whole_lists(self._lists, table.column_names)
        said = dict.fromkeys([*notes, *self._said, *list_notes(lists), *more])
        return TableRead(
            table=table,
            notes=tuple(said),
            metadata=lists_metadata(lists),
            stored=self._stored,
            evidence=evidence,
        )


class ParquetTable(TableSource, ParquetSource):
    """The rows of one or more Parquet files with equal columns."""

    reads_settings = frozenset({"max_rows"})

    def __init__(self, config: SourceConfig, files: ParquetFiles) -> None:
        super().__init__(config, files)
        self._config = config
        self._dropped = unread_columns(config)
        self._of_paths = self._paths.columns(config.split, files.schema.names)
        for footer in files.footers.values():
            check_distinct_names(self.uri, footer.schema.names)

    def path_parts(self) -> frozenset[str]:
        """Return what `split` names of the paths and no column or partition is called."""
        return frozenset(self._of_paths) - {*self._paths.names}

    def schema(self) -> pa.Schema:
        """Return the first file's, parts of structs and lists as columns, and what paths say."""
        schema = cut_schema(flat_schema(self._files.schema), self._lengths)
        for name in self._of_paths:
            schema = schema.append(pa.field(name, self._paths.type(name)))
        return schema

    @cached_property
    def _lengths(self) -> Mapping[str, int]:
        """Columns of lists of numbers → the length of the first list; only those that are read."""
        lengths = dict[str, int]()
        for one in self._files.schema:
            if one.name in self._dropped or not is_number_list(one.type):
                continue
            for batch in self._files.batches(self._files.first, 1024, [one.name]):
                length = first_length(batch.column(0))
                if length is not None:
                    lengths[one.name] = length
                    break
        return lengths

    def names(self) -> list[str]:
        """Return the columns, and the structs and lists that they are parts of."""
        return list(dict.fromkeys([*self.schema().names, *self._files.schema.names]))

    def column_type(self, name: str) -> pa.DataType:
        """Return the type as the source holds it."""
        return TableSource.column_type(self, name)

    @property
    def announcement(self) -> str | None:
        """Say how large it is, as compressed rows look small."""
        kept = kept_rows(self._config, self.row_bytes)
        if self.rows > kept:
            return (
                f"The source {self.uri!r} holds {self.rows:,} rows; they are read in a stream, "
                "three times, and a uniform sample of them is kept"
            )
        return self._size_note if self._needed_bytes > ANNOUNCED_BYTES else None

    @cached_property
    def _needed_bytes(self) -> int:
        fields = (field for field in self.schema() if field.name not in self._dropped)
        return table_bytes(self._files.rows, [field.type for field in fields])

    @property
    def _size_note(self) -> str:
        stored = sum(info.size_bytes for info in self._files.found.files)
        columns = len(self.schema())
        return size_note(self.uri, self._files.rows, columns, stored, self._needed_bytes)

    def read(self) -> TableRead:
        """Return the rows of all files, with plain types.

        Raises:
            SourceError: there is not enough memory, or a file is damaged.
        """
        check_fits(self._size_note, self._needed_bytes)
        names = self._files.schema.names
        index = [name for name in names if _INDEX.fullmatch(name)]
        names = [name for name in names if name not in {*self._dropped, *index}]
        notes = [f"Left out as the index that pandas stored: {name!r}." for name in index]
        parts, tables, places = PlainParts(self.uri, self._dropped), [], []
        for key, footer in self._files.footers.items():
            if footer.rows:
                self._check_has(key, names)
                with self._files.reading(key) as file:
                    table = file.read(columns=names).select(names)
                tables.append(parts.plain(self._with_paths(table, key), repr(key)))
                places.append(repr(key))
        return parts.read(tables, places, notes)

    def blocks(self, parts: "PlainParts") -> Iterator[pa.Table]:
        """Yield the rows of all files in blocks, with plain types; what they say goes to `parts`.

        Raises:
            SourceError: a file is damaged, or its columns are not those of the others.
        """
        left_out = {name for name in self._files.schema.names if _INDEX.fullmatch(name)}
        names = [n for n in self._files.schema.names if n not in {*self._dropped, *left_out}]
        for key, footer in self._files.footers.items():
            if not footer.rows:
                continue
            self._check_has(key, names)
            for batch in self._files.batches(key, BLOCK_ROWS, names):
                table = pa.Table.from_batches([batch]).select(names)
                yield parts.plain(self._with_paths(table, key), repr(key))

    @property
    def dropped(self) -> frozenset[str]:
        """The columns that are not read."""
        return self._dropped

    @property
    def rows(self) -> int:
        """Rows of all files."""
        return self._files.rows

    @property
    def row_bytes(self) -> int:
        """Return what a row takes at the peak."""
        return max(self._needed_bytes // max(self.rows, 1), 1)

    def _check_has(self, key: str, names: Sequence[str]) -> None:
        have = set(self._files.footers[key].schema.names)
        for name in names:
            if name not in have:
                raise self._files.lacks(key, name)

    def _with_paths(self, table: pa.Table, key: str) -> pa.Table:
        """Append what the path of a file says of its rows."""
        for name in self._of_paths:
            if name not in self._dropped:
                value = self._paths.value(name, key)
                table = table.append_column(name, pa.repeat(value, len(table)))
        return table

    def _known_columns(self) -> list[str]:
        return list(self.schema().names)
