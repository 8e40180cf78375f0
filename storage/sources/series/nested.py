"""Nested files as rows of steps: one row per entity, with a list for the moments and each variable.

Lists of one row have one length; a list that is null stands for missing values. Structs in lists
become lists of their fields. Where no column names the entities they are numbered, and so are steps
without moments.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.sources.checks import missing_column
from storage.sources.config import SourceConfig
from storage.sources.files import (
    ARRAY_FILES,
    PARQUET_FILES,
    SERIES_FILES,
    FileKind,
    SourceFiles,
)
from storage.sources.series.case_files import read_arrays, read_ts
from storage.sources.series.source import SeriesSource
from storage.sources.tables.kinds import is_key_name
from storage.sources.tables.source import TableRead
from storage.sources.tables.typed_files import READERS, PlainFiles, TypedTable

NUMBER: Final = "entity"
"""What the number of entities without a name is called."""
STEP: Final = "step"
"""What the number of steps without a moment is called."""
_LISTS: Final = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
    pa.types.is_list_view,
    pa.types.is_large_list_view,
)


def is_list(kind: pa.DataType) -> bool:
    """Return whether a type is of lists."""
    return any(test(kind) for test in _LISTS)


def has_lists_of_moments(schema: pa.Schema, dropped: frozenset[str]) -> bool:
    """Return whether a column, of those that are not dropped, has lists of dates or times."""
    return any(
        is_list(field.type) and pa.types.is_temporal(field.type.value_type)
        for field in schema
        if field.name not in dropped
    )


CASE_READERS: Final[Mapping[FileKind, Callable[[bytes], pa.Table]]] = {
    SERIES_FILES: read_ts,
    ARRAY_FILES: read_arrays,
}
"""Files of nothing but whole series."""


def _read_parquet(data: bytes) -> pa.Table:
    return pq.read_table(io.BytesIO(data))


@dataclass(frozen=True, kw_only=True)
class Unfolded:
    """Nested rows as rows of steps."""

    steps: pa.Table
    names: frozenset[str]
    """The columns that were lists."""
    empty: int
    """Entities without a step, which are left out."""


class NestedRows(TypedTable):
    """The steps of nested files, one row each."""

    readers = MappingProxyType({**READERS, **CASE_READERS, PARQUET_FILES: _read_parquet})

    def __init__(self, config: SourceConfig, found: SourceFiles) -> None:
        super().__init__(config, found)
        self._entity, self._time = config.entity, config.time

    @property
    def entity(self) -> str:
        """The column that names the entity: said, found, or made."""
        return self._known[0]

    @property
    def time(self) -> str:
        """The column of the moments: said, found, or made."""
        return self._known[1]

    @property
    def lists(self) -> frozenset[str]:
        """The columns that are lists."""
        return frozenset().union(*(one.names for one in self._unfolded.values()))

    def read(self) -> TableRead:
        """Return the steps of all files, and what was decided on the way."""
        read, notes = super().read(), list[str]()
        empty = sum(one.empty for one in self._unfolded.values())
        if empty:
            notes.append(f"Left out, as they have no step: {empty:,} entities.")
        if self.entity == NUMBER and NUMBER not in self._nested_names:
            notes.append(f"No column names the entities, so they are numbered in {NUMBER!r}.")
        if self.time == STEP and STEP not in self._nested_names:
            notes.append(f"No list holds moments, so steps are numbered in {STEP!r}.")
        return replace(read, notes=(*read.notes, *notes))

    def _content(self, key: str) -> bytes:
        """Return the bytes of a file; those of arrays are a zip of their own."""
        if self._found.kind is ARRAY_FILES:
            return self._found.store.get(key)
        return super()._content(key)

    @cached_property
    def _nested(self) -> Mapping[str, pa.Table]:
        return self._flat

    @property
    def _nested_names(self) -> list[str]:
        return list(next(iter(self._nested.values())).column_names)

    @property
    def _plain(self) -> PlainFiles:
        steps = {key: one.steps for key, one in self._unfolded.items()}
        return PlainFiles(steps, {})

    @cached_property
    def _known(self) -> tuple[str, str]:
        """The names of entity and time."""
        schema = next(iter(self._nested.values())).schema
        names = _unfolded_names(schema)
        for place, name in (("source.entity", self._entity), ("source.time", self._time)):
            if name is not None and name not in names:
                raise missing_column(self.uri, name, names, place=place)
        return self._entity or self._find_key(schema), self._time or _find_moments(schema)

    def _find_key(self, schema: pa.Schema) -> str:
        """Return a column of names that are all different, rather one that is called so."""
        fit = [
            field.name
            for field in schema
            if pa.types.is_string(field.type) or pa.types.is_integer(field.type)
        ]
        columns = {
            name: pa.chunked_array(
                [chunk for one in self._nested.values() for chunk in one.column(name).chunks],
                schema.field(name).type,
            )
            for name in fit
            if all(name in one.column_names for one in self._nested.values())
        }
        fit = [
            name
            for name, column in columns.items()
            if not column.null_count and pc.count_distinct(column).as_py() == len(column)
        ]
        return min(fit, key=lambda name: not is_key_name(name), default=NUMBER)

    @cached_property
    def _unfolded(self) -> Mapping[str, Unfolded]:
        """The steps by file; entities without a name are numbered over all files."""
        found, seen, entity = {}, 0, self.entity
        for key, table in self._nested.items():
            named = table
            if entity not in table.column_names:
                numbers = pa.array(np.arange(seen, seen + len(table)))
                named = table.add_column(0, entity, numbers)
            seen += len(table)
            found[key] = unfold(named, self.time, f"{key!r} of the source {self.uri!r}")
        self._check_once([one for one in self._nested.values() if entity in one.column_names])
        return found

    def _check_once(self, tables: Sequence[pa.Table]) -> None:
        """Check that every entity is one row.

        Raises:
            SourceError: one is several.
        """
        if not tables:
            return
        keys = pa.chunked_array([c for one in tables for c in one.column(self.entity).chunks])
        again = len(keys) - pc.count_distinct(keys, mode="all").as_py()
        if again:
            msg = (
                f"The column {self.entity!r} names entities in the source {self.uri!r}, and "
                f"{again:,} rows repeat the name of another; give every row of lists a name of "
                "its own, or name another column in source.entity."
            )
            raise SourceError(msg)


def _unfolded_names(schema: pa.Schema) -> list[str]:
    """Return the columns, and in place of lists of structs their fields."""
    names: list[str] = []
    for field in schema:
        inner = field.type.value_type if is_list(field.type) else None
        if inner is not None and pa.types.is_struct(inner):
            fields = (inner.field(number).name for number in range(inner.num_fields))
            names += [f"{field.name}.{name}" for name in fields]
        else:
            names.append(field.name)
    return names


def _find_moments(schema: pa.Schema) -> str:
    """Return the first column with lists of dates or times."""
    for field in schema:
        if is_list(field.type) and pa.types.is_temporal(field.type.value_type):
            return str(field.name)
    return STEP


class NestedSource(SeriesSource):
    """Entities as rows with lists."""

    rows: NestedRows

    def __init__(self, config: SourceConfig, found: SourceFiles) -> None:
        super().__init__(config, NestedRows(config, found))

    @property
    def entity(self) -> str:
        """The column that names the entity: said, found, or made."""
        return self.rows.entity

    @property
    def time(self) -> str:
        """The column of the moments: said, found, or made."""
        return self.rows.time

    @property
    def variables(self) -> frozenset[str]:
        """The columns that are lists, but for the moments."""
        return self.rows.lists - {self.time}


def unfold(table: pa.Table, time: str, place: str) -> Unfolded:
    """Return a row per step; a column `time` of numbers is added where there is none.

    Args:
        table: a row per entity, N rows.
        time: the column of the moments.
        place: of the table, for messages.

    Raises:
        SourceError: there is no list, or those of a row are of different lengths.
    """
    names = [field.name for field in table.schema if is_list(field.type)]
    if not names:
        msg = (
            f"{place[:1].upper()}{place[1:]} has no column of lists; name source.entity and "
            "source.time for rows of steps, or set source.modality to tables."
        )
        raise SourceError(msg)
    lists = {}
    for name in names:
        lengths_N, values = _opened(table.column(name).combine_chunks())
        for part, found in _fields(name, values).items():
            lists[part] = (lengths_N, found)
    steps_N = np.maximum(0, np.max([lengths_N for lengths_N, _ in lists.values()], axis=0))
    columns = {}
    for name, (lengths_N, values) in lists.items():
        wrong = np.flatnonzero((lengths_N != steps_N) & (lengths_N >= 0))
        if len(wrong):
            msg = (
                f"The lists in row {wrong[0]} of {place} are of different lengths: {name!r} has "
                f"{lengths_N[wrong[0]]:,} values where another has {steps_N[wrong[0]]:,}; make "
                "the lists of a row one length, with nulls where nothing was observed."
            )
            raise SourceError(msg)
        columns[name] = values if (lengths_N >= 0).all() else _with_gaps(lengths_N, values, steps_N)
    row_T = pa.array(np.repeat(np.arange(len(table)), steps_N))
    if time not in columns and time == STEP:
        number_T = np.arange(len(row_T)) - np.repeat(np.cumsum(steps_N) - steps_N, steps_N)
        columns = {time: pa.array(number_T), **columns}
    plain = {n: table.column(n).take(row_T) for n in table.column_names if n not in names}
    return Unfolded(
        steps=pa.table({**plain, **columns}),
        names=frozenset(columns),
        empty=int((steps_N == 0).sum()),
    )


def _opened(column: pa.Array) -> tuple[NDArray[np.int64], pa.Array]:
    """Return the length of every list, -1 where it is null, and the values of all."""
    plain = column.cast(pa.list_(column.type.value_type))
    lengths = pc.fill_null(pc.list_value_length(plain), -1)
    return lengths.to_numpy(zero_copy_only=False).astype(np.int64), pc.list_flatten(plain)


def _fields(name: str, values: pa.Array) -> dict[str, pa.Array]:
    """Return the values, or those of every field where they are structs."""
    if not pa.types.is_struct(values.type):
        return {name: values}
    fields = [values.type.field(i).name for i in range(values.type.num_fields)]
    return {f"{name}.{field}": pc.struct_field(values, field) for field in fields}


def _with_gaps(
    lengths_N: NDArray[np.int64], values: pa.Array, steps_N: NDArray[np.int64]
) -> pa.Array:
    """Return values with nulls for lists that are null."""
    there_T = np.repeat(lengths_N >= 0, steps_N)
    place_T = np.cumsum(there_T) - 1
    return values.take(pa.array(np.maximum(place_T, 0), mask=~there_T))
