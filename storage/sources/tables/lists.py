"""Columns of lists of numbers, all of one length: a column for every place, and lists in shards.

An embedding or any other plain vector is stored as `list<float>`. Each of its places becomes a
numeric column, `name_0`, `name_1` and so on, so that everything that holds for numbers holds for
it. The schema of the records says under `ganmill-lists` which columns were one, and shards of
Parquet give the list back. A list that is missing is missing in every place.

Shapes: N rows, K places.
"""

import json
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.errors import SourceError
from storage.records.proposal import left_out

LISTS_KEY: Final = b"ganmill-lists"
MOST_PLACES: Final = 256
"""A longer list would make more columns than are compared with each other in a night."""


@dataclass(frozen=True, kw_only=True)
class NumberList:
    """A column of lists that was cut into columns."""

    of: str
    """Arrow type of a value, as `str` writes it."""
    columns: tuple[str, ...]
    """One for each place, in order."""

    @property
    def kind(self) -> Any:
        """Arrow type of the column in shards."""
        return pa.list_(pa.field("element", pa.type_for_alias(self.of)))

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"of": self.of, "columns": list(self.columns)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` returned."""
        return cls(of=data["of"], columns=tuple(data["columns"]))


def is_number_list(kind: pa.DataType) -> bool:
    """Say whether a column of this type holds lists of numbers."""
    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    if not any(test(kind) for test in tests):
        return False
    of = kind.value_type
    return bool(pa.types.is_floating(of) or pa.types.is_integer(of))


def cut_lists(
    table: pa.Table, uri: str, *, leave: AbstractSet[str] = frozenset()
) -> tuple[pa.Table, dict[str, NumberList]]:
    """Return the table with a column for every place of a list, and what was cut.

    Args:
        table: of any types.
        uri: of the source, for messages.
        leave: columns that stay as they are.

    Raises:
        SourceError: lists of one column differ in length, are empty or too long, or a column has
            the name of a place already.
    """
    found = dict[str, NumberList]()
    names = [field.name for field in table.schema if is_number_list(field.type)]
    for name in [name for name in names if name not in leave]:
        at, column = table.column_names.index(name), table.column(name).combine_chunks()
        places = [f"{name}_{place}" for place in range(_length(name, column, uri))]
        taken = sorted(set(places) & set(table.column_names))
        if taken:
            msg = (
                f"The places of the lists in column {name!r} of the source {uri!r} would be called "
                f"{places[0]} to {places[-1]}, and there is a column {taken[0]!r}; rename it."
            )
            raise SourceError(msg)
        values_NK = _values(column, len(places))
        table = table.remove_column(at)
        for place, own in enumerate(places):
            table = table.add_column(at + place, own, values_NK[place :: len(places)])
        found[name] = NumberList(of=str(_value_type(column)), columns=tuple(places))
    return table, found


def cut_schema(schema: pa.Schema, lengths: Mapping[str, int]) -> pa.Schema:
    """Return the schema of `cut_lists`, where the lists of a column are so long."""
    fields: list[pa.Field] = []
    for field in schema:
        if field.name in lengths:
            kind = _plain(field.type.value_type)
            fields += [pa.field(f"{field.name}_{i}", kind) for i in range(lengths[field.name])]
        else:
            fields.append(field)
    return pa.schema(fields, metadata=schema.metadata)


def check_same_lists(
    lists: Mapping[str, NumberList], others: Mapping[str, NumberList], places: tuple[str, str]
) -> None:
    """Check that the lists of two files are of one length.

    Args:
        lists: of the first file.
        others: of another.
        places: what both are called in messages.

    Raises:
        SourceError: they are not.
    """
    for name in lists.keys() & others.keys():
        sizes = len(lists[name].columns), len(others[name].columns)
        if sizes[0] != sizes[1]:
            msg = (
                f"The lists in column {name!r} have {sizes[0]} values in {places[0]} and "
                f"{sizes[1]} in {places[1]}; bring them to one length."
            )
            raise SourceError(msg)


def first_length(column: pa.Array | pa.ChunkedArray) -> int | None:
    """Return the length of a column's first list; None where there is none."""
    lengths = pc.list_value_length(column.slice(0)).drop_null()
    return int(lengths[0].as_py()) if len(lengths) else None


def list_notes(lists: Mapping[str, NumberList]) -> list[str]:
    """Return what to say of columns that were cut."""
    return [
        f"the {len(each.columns)} places of the lists in {name!r} are columns, called "
        f"{each.columns[0]} to {each.columns[-1]}; shards of Parquet hold lists again"
        for name, each in lists.items()
    ]


def lists_metadata(lists: Mapping[str, NumberList]) -> dict[bytes, bytes]:
    """Return what the schema of the records says of columns that were cut."""
    if not lists:
        return {}
    text = json.dumps({name: each.to_json() for name, each in lists.items()}, sort_keys=True)
    return {LISTS_KEY: text.encode()}


def lists_of(schema: pa.Schema) -> dict[str, NumberList]:
    """Return the lists of which every place is a column of these records."""
    text = (schema.metadata or {}).get(LISTS_KEY)
    if text is None:
        return {}
    known = {name: NumberList.from_json(each) for name, each in json.loads(text).items()}
    return whole_lists(known, schema.names)


def whole_lists(lists: Mapping[str, NumberList], names: Iterable[str]) -> dict[str, NumberList]:
    """Return the lists of which every place is among these columns."""
    kept = set(names)
    return {name: each for name, each in lists.items() if set(each.columns) <= kept}


def joined_schema(schema: pa.Schema, lists: Mapping[str, NumberList]) -> pa.Schema:
    """Return the schema of `join_lists`."""
    for name, each in lists.items():
        at = schema.names.index(each.columns[0])
        schema = schema.insert(at, pa.field(name, each.kind))
        for place in each.columns:
            schema = schema.remove(schema.names.index(place))
    return schema


def join_lists(table: pa.Table, lists: Mapping[str, NumberList]) -> pa.Table:
    """Return the table with lists in the place of their columns."""
    for name, each in lists.items():
        at = table.column_names.index(each.columns[0])
        column = _joined([table.column(place) for place in each.columns], each)
        table = table.drop_columns(list(each.columns)).add_column(at, name, column)
    return table


def split_lists(table: pa.Table, lists: Mapping[str, NumberList]) -> pa.Table:
    """Return what `join_lists` made as columns again.

    Raises:
        ValueError: a list is of another length.
    """
    for name, each in lists.items():
        if name not in table.column_names:
            continue
        column, K = table.column(name).combine_chunks(), len(each.columns)
        if set(pc.list_value_length(column).drop_null().unique().to_pylist()) - {K}:
            msg = f"a list of {name!r} has not {K} values"
            raise ValueError(msg)
        at, values_NK = table.column_names.index(name), _values(column, K)
        table = table.remove_column(at)
        for place, own in enumerate(each.columns):
            table = table.add_column(at + place, own, values_NK[place::K])
    return table


def _length(name: str, column: pa.Array, uri: str) -> int:
    """Return the one length of a column's lists.

    Raises:
        SourceError: there is none, or it is too long.
    """
    lengths = sorted(pc.list_value_length(column).drop_null().unique().to_pylist())
    if len(lengths) == 1 and 0 < lengths[0] <= MOST_PLACES:
        return int(lengths[0])
    if not lengths:
        why, remedy = "are missing in every row", "fill them"
    elif len(lengths) == 1:
        why = f"have {lengths[0]} values each, and a vector has 1 to {MOST_PLACES}"
        remedy = "project them to fewer values"
    else:
        why = f"differ in length, from {lengths[0]} to {lengths[-1]} values"
        remedy = "bring them to one length"
    msg = (
        f"The lists in column {name!r} of the source {uri!r} {why}; {remedy}, or leave the column "
        f"out with source.columns: [{{name: {name}, kind: text, text: drop}}]."
    )
    raise SourceError(msg, proposals=[left_out(name, f"its lists {why}")])


def _values(column: pa.Array, places: int) -> pa.Array:
    """Return N x K values of plain type in one array, row after row; nulls for a missing list."""
    values = pc.list_flatten(column).cast(_value_type(column))
    if not column.null_count:
        return values
    there = column.is_valid()
    start_N = np.cumsum(there.to_numpy(zero_copy_only=False)) - 1
    index_NK = start_N[:, None] * places + np.arange(places)
    missing_NK = np.repeat(~there.to_numpy(zero_copy_only=False), places)
    return values.take(pa.array(index_NK.ravel(), mask=missing_NK))


def _value_type(column: pa.Array) -> pa.DataType:
    return _plain(column.type.value_type)


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return half precision as single precision, as everywhere in tables."""
    return pa.float32() if pa.types.is_float16(kind) else kind


def _joined(columns: Iterable[pa.ChunkedArray], each: NumberList) -> pa.Array:
    """Return lists of the values of columns, row by row; none where all of them are null."""
    kind, K = pa.type_for_alias(each.of), len(each.columns)
    parts = [column.combine_chunks().cast(kind) for column in columns]
    N = len(parts[0])
    order_NK = (np.arange(K)[None] * N + np.arange(N)[:, None]).ravel()
    values_NK = pa.concat_arrays(parts).take(pa.array(order_NK))
    missing_N = np.ones(N, dtype=bool)
    for part in parts:
        missing_N &= part.is_null().to_numpy(zero_copy_only=False)
    there_NK = np.repeat(~missing_N, K)
    ends_N = np.concatenate([[0], np.cumsum(np.where(missing_N, 0, K))]).astype(np.int32)
    offsets = pa.array(ends_N, mask=np.append(missing_N, [False]))
    lists = pa.ListArray.from_arrays(offsets, values_NK.filter(pa.array(there_NK)))
    return lists.cast(each.kind)
