"""Sources of rows: what each offers, Parquet files as one, and the checks of their columns.

A table must have the columns that the recipe names, and values that can be learned from.
"""

import re
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from storage.errors import SourceError
from storage.records.proposal import Proposal, left_out
from storage.sources.builder import ParquetSource, Source
from storage.sources.checks import listed, missing_column
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
from storage.sources.tables.types import (
    add_stored,
    flat_schema,
    flat_table,
    plain_table,
    unified,
)

BLOCK_ROWS: Final = 1 << 16
"""Rows that are read at once where not all are kept."""

_INDEX: Final = re.compile(r"__index_level_\d+__")
"""How pandas calls an index without a name that it stores."""


@dataclass(frozen=True, kw_only=True)
class TableRead:
    """The rows of a source."""

    table: pa.Table
    """In the order of the files, without `unread_columns`."""
    notes: tuple[str, ...] = ()
    """Sentences about what was decided."""
    metadata: Mapping[bytes, bytes] = field(default_factory=dict)
    """What goes along in the schema of the records, such as the dialect of CSV."""
    path_parts: frozenset[str] = frozenset()
    """Columns that are parts of paths and divide the rows, nothing more."""
    stored: Mapping[str, str] = field(default_factory=dict)
    """Columns whose type in the source is another than in the table → that type."""
    evidence: int = 0
    """How many rows at the end are there for their types alone, and are no records."""


class TableSource(Source):
    """Rows that fit into memory."""

    modality = "tables"

    def path_parts(self) -> frozenset[str]:
        """Return the columns that are parts of paths and divide the rows, and are not kept."""
        return frozenset()

    @abstractmethod
    def schema(self) -> pa.Schema:
        """Return names and types as the source holds them; CSV files are read for it."""

    def names(self) -> list[str]:
        """Return what a recipe may call a column of the source."""
        return list(self.schema().names)

    @abstractmethod
    def read(self) -> TableRead:
        """Return every row."""

    def check(self, config: SourceConfig) -> None:
        """Check that the label is there; everything else is checked when the rows are read."""
        if config.label is not None:
            self.column_type(config.label)

    def column_type(self, name: str) -> pa.DataType:
        """Return the type as the source holds it."""
        schema = self.schema()
        if name not in schema.names:
            raise missing_column(self.uri, name, schema.names)
        return schema.types[schema.names.index(name)]


def dropped_columns(config: SourceConfig) -> frozenset[str]:
    """Return the columns that the recipe leaves out whatever they hold."""
    return frozenset(column.name for column in config.columns if column.text == "drop")


def unread_columns(config: SourceConfig) -> frozenset[str]:
    """Return the dropped columns that do not decide the split either: they need not be read."""
    return dropped_columns(config) - {config.split.column, config.split.group_by}


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


def check_distinct_names(uri: str, names: Sequence[str]) -> None:
    """Check that no two columns have one name.

    Raises:
        SourceError: two have.
    """
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        msg = (
            f"The source {uri!r} has more than one column of the name {listed(twice)}; give "
            "every column a name of its own."
        )
        raise SourceError(msg)


def check_named(config: SourceConfig, names: Sequence[str]) -> None:
    """Check that every column is there that the recipe names.

    Raises:
        SourceError: one is not; the message says where the recipe names it and lists the columns.
    """
    if config.label is not None and config.label not in names:
        raise missing_column(config.uri, config.label, names)
    wanted = [
        ("source.split.column", config.split.column),
        ("source.split.group_by", config.split.group_by),
        *(("source.columns", column.name) for column in config.columns),
        *(("source.constraints", name) for one in config.constraints for name in one.columns),
    ]
    for place, name in wanted:
        if name is not None and name not in names:
            raise missing_column(config.uri, name, names, place=place)


def check_kept(config: SourceConfig, names: Sequence[str]) -> None:
    """Check that what the recipe drops is needed nowhere.

    Args:
        config: the recipe's `source`.
        names: the columns that stay.

    Raises:
        SourceError: the label or a constraint needs a column that is left out.
    """
    needed = [
        ("source.label", config.label),
        *(("source.constraints", name) for one in config.constraints for name in one.columns),
    ]
    for place, name in needed:
        if name is not None and name not in names:
            msg = (
                f"The column {name!r} of the source {config.uri!r} is needed by {place} and left "
                "out by source.columns or source.split.column; keep it, or take it out of "
                f"{place}."
            )
            raise SourceError(msg)


def check_values(config: SourceConfig, table: pa.Table) -> None:
    """Check that there is something to learn from in every column.

    Raises:
        SourceError: there is one column only, a column without a value, or an infinite value.
    """
    if table.num_columns < 2:
        msg = (
            f"The source {config.uri!r} has one column only, {listed(table.column_names)}, and a "
            "table needs at least two; name another source, or for CSV set source.csv.delimiter."
        )
        raise SourceError(msg)
    columns = dict(zip(table.column_names, table.columns, strict=True))
    empty = [name for name, column in columns.items() if column.null_count == len(column)]
    infinite = infinite_values(table)
    sentences = []
    if empty:
        entries = ", ".join(f"{{name: {name}, kind: text, text: drop}}" for name in empty)
        sentences.append(
            f"The source {config.uri!r} has no value in {listed(empty)}, where all rows are "
            f"null; leave it out with source.columns: [{entries}]."
        )
    sentences += _infinite_sentences(config.uri, infinite)
    if sentences:
        proposals = [left_out(name, "no value in any row") for name in empty]
        raise SourceError(" ".join(sentences), proposals=[*proposals, *_without(infinite)])


def check_finite(uri: str, infinite: Mapping[str, int]) -> None:
    """Check that no column holds infinite values.

    Args:
        uri: of the source.
        infinite: column → how many.

    Raises:
        SourceError: one does.
    """
    if infinite:
        sentences = _infinite_sentences(uri, infinite)
        raise SourceError(" ".join(sentences), proposals=_without(infinite))


def _infinite_sentences(uri: str, infinite: Mapping[str, int]) -> list[str]:
    return [
        f"The column {name!r} of the source {uri!r} has {count} infinite values; "
        "replace them by numbers, leave them empty, or leave it out with text: drop."
        for name, count in infinite.items()
    ]


def _without(infinite: Mapping[str, int]) -> list[Proposal]:
    return [left_out(name, f"{count} infinite values") for name, count in infinite.items()]


def infinite_values(table: pa.Table) -> dict[str, int]:
    """Return the columns of floats that hold infinite values, and how many."""
    counts = {
        name: pc.sum(pc.is_inf(column)).as_py() or 0
        for name, column in zip(table.column_names, table.columns, strict=True)
        if pa.types.is_floating(column.type)
    }
    return {name: count for name, count in counts.items() if count}


def check_label(config: SourceConfig, table: pa.Table) -> None:
    """Check that the label is of a type that can be predicted, and has more than one value.

    Raises:
        SourceError: it is a date or a time, or the same in every row.
    """
    if config.label is None:
        return
    column = table.column(config.label)
    if pa.types.is_temporal(column.type):
        msg = (
            f"The label column {config.label!r} of the source {config.uri!r} is of type "
            f"{column.type}; store classes as text, whole numbers or booleans, quantities as "
            "numbers, or set source.label to null."
        )
        raise SourceError(msg, proposals=[no_label(f"{config.label} is {column.type}")])
    values = pc.unique(column.drop_null())
    if len(values) < 2:
        msg = (
            f"The label column {config.label!r} of the source {config.uri!r} has one value in all "
            "rows, so there is nothing to tell apart; name another column or set source.label to "
            "null."
        )
        raise SourceError(msg, proposals=[no_label(f"{config.label} has one value in all rows")])


def no_label(why: str) -> Proposal:
    """Return the proposal to do without a label."""
    return Proposal(setting="source.label", value=None, why=why)
