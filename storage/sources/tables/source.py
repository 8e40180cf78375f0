"""Sources of rows: what each offers, Parquet files as one, and the checks of their columns.

A table must have the columns that the recipe names, and values that can be learned from.
"""

import re
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from storage.errors import SourceError
from storage.sources.builder import ParquetSource, Source, listed, missing_column
from storage.sources.config import SourceConfig
from storage.sources.files import ParquetFiles
from storage.sources.tables.types import plain_table, unified

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


class TableSource(Source):
    """Rows that fit into memory."""

    modality = "tables"

    def path_parts(self) -> frozenset[str]:
        """Return the columns that are parts of paths and divide the rows, and are not kept."""
        return frozenset()

    @abstractmethod
    def schema(self) -> pa.Schema:
        """Return names and types as the source holds them; CSV files are read for it."""

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
    return frozenset(
        column.name for column in config.columns if column.kind == "text" and column.text == "drop"
    )


def unread_columns(config: SourceConfig) -> frozenset[str]:
    """Return the dropped columns that do not decide the split either: they need not be read."""
    return dropped_columns(config) - {config.split.column, config.split.group_by}


class ParquetTable(TableSource, ParquetSource):
    """The rows of one or more Parquet files with equal columns."""

    def __init__(self, config: SourceConfig, files: ParquetFiles) -> None:
        super().__init__(config, files)
        self._dropped = unread_columns(config)
        self._of_paths = self._paths.columns(config.split, files.schema.names)
        for footer in files.footers.values():
            check_distinct_names(self.uri, footer.schema.names)

    def path_parts(self) -> frozenset[str]:
        """Return what `split` names of the paths and no column or partition is called."""
        return frozenset(self._of_paths) - {*self._paths.names}

    def schema(self) -> pa.Schema:
        """Return the first file's, and the columns that the paths say."""
        schema = self._files.schema
        for name in self._of_paths:
            schema = schema.append(pa.field(name, self._paths.type(name)))
        return schema

    def read(self) -> TableRead:
        """Return the rows of all files, with plain types."""
        schema = self._files.schema
        index = [name for name in schema.names if _INDEX.fullmatch(name)]
        names = [name for name in schema.names if name not in {*self._dropped, *index}]
        notes = [f"Left out as the index that pandas stored: {name!r}." for name in index]
        tables, places = [], []
        for key, footer in self._files.footers.items():
            if footer.rows:
                table, more = plain_table(self._read(key, names), self.uri)
                tables.append(table)
                places.append(repr(key))
                notes += more
        table, more = unified(tables, places, self.uri)
        return TableRead(table=table, notes=tuple(dict.fromkeys([*notes, *more])))

    def _read(self, key: str, names: list[str]) -> pa.Table:
        have = set(self._files.footers[key].schema.names)
        for name in names:
            if name not in have:
                raise self._files.lacks(key, name)
        with self._files.reading(key) as file:
            table = file.read(columns=names).select(names)
        for name in self._of_paths:
            if name not in self._dropped:
                value = self._paths.value(name, key)
                table = table.append_column(name, pa.repeat(value, len(table)))
        return table


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
    empty = [
        name
        for name, column in zip(table.column_names, table.columns, strict=True)
        if column.null_count == len(column)
    ]
    if empty:
        msg = (
            f"The source {config.uri!r} has no value in {listed(empty)}, where all rows are "
            f"null; leave it out with source.columns: [{{name: {empty[0]}, kind: text, "
            "text: drop}]."
        )
        raise SourceError(msg)
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_floating(column.type):
            _check_finite(config.uri, name, column)


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
        raise SourceError(msg)
    values = pc.unique(column.drop_null())
    if len(values) < 2:
        msg = (
            f"The label column {config.label!r} of the source {config.uri!r} has one value in all "
            "rows, so there is nothing to tell apart; name another column or set source.label to "
            "null."
        )
        raise SourceError(msg)


def _check_finite(uri: str, name: str, column: pa.ChunkedArray) -> None:
    count = pc.sum(pc.is_inf(column)).as_py() or 0
    if count:
        msg = (
            f"The column {name!r} of the source {uri!r} has {count} infinite values; replace them "
            "by numbers or leave them empty."
        )
        raise SourceError(msg)
