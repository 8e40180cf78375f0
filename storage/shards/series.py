"""Shards of series: `nested`, one row per entity with lists, and `long`, one row per step.

Both hold whole entities, in Parquet, with the source's own types. `nested` is what the records are:
key, static columns, the list of moments and a list per variable. `long` has the columns of the
source in its order, the key and the static columns repeated, as `groupby` takes them.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from storage.errors import IntegrityError
from storage.records.series import (
    SeriesMetadata,
    read_series_metadata,
    to_long,
    to_nested,
)
from storage.shards.format import ParquetFormat, read_metadata
from storage.shards.tables import PARQUET
from storage.sources.tables.text_columns import records_of, stored_schema, stored_table

ENTITY = "entity_column"
"""In the metadata of long shards: which column names the entity."""

_STEPS = 10
"""Plain values that a list takes, for planning: steps repeat each other and are compressed."""


class NestedSeries(ParquetFormat):
    """One row per entity."""

    sample_ids = False

    def file_schema(self, schema: pa.Schema) -> pa.Schema:
        """Return lists of the types of the source, without metadata."""
        flat = stored_schema(_flat(schema))
        fields = [
            pa.field(field.name, pa.list_(stored.type) if _is_list(field) else stored.type)
            for field, stored in zip(schema, flat, strict=True)
        ]
        return pa.schema(fields)

    def encode(self, records: pa.Table, metadata: Mapping[str, str]) -> bytes:
        """Write the lists as the source stores their values."""
        return super().encode(_by_part(records, stored_table), metadata)

    def decode(self, data: bytes, schema: pa.Schema | None = None) -> pa.Table:
        """Read every page; as the source stores the values without a schema."""
        table = super().decode(data, schema)
        if not any(_is_list(field) for field in table.schema):
            msg = "the shard has no list, so it holds no nested series; it is of another format"
            raise IntegrityError(msg)
        if schema is None:
            return table
        try:
            known = _flat(schema)
            records = _by_part(table, lambda one: records_of(one, _chosen(known, one.column_names)))
            return records.select(schema.names).cast(schema.remove_metadata())
        except ValueError as error:
            msg = f"the shard's columns are not those of the source ({error}); it is damaged"
            raise IntegrityError(msg) from error

    def how_to_read(self, folder: str, shards: int, schema: pa.Schema) -> tuple[str, ...]:  # noqa: ARG002
        """Return lines for either form."""
        lists = [field.name for field in schema if _is_list(field)]
        return (
            f'nested = pandas.read_parquet("{folder}")',
            f"long = nested.explode({lists!r})  # one row per step",
        )

    def remarks(self, schema: pa.Schema) -> tuple[str, ...]:  # noqa: ARG002
        """Say what a row is."""
        return (
            "A row is an entity; its lists are of one length, in the order of the steps. "
            "output.format: long has one row per step",
        )

    def bytes_per_row(self, schema: pa.Schema) -> int:
        """Guess from the types, as lists of steps compress."""
        sizes = [
            PARQUET.bytes_per_row(pa.schema([plain])) * (_STEPS if _is_list(field) else 1)
            for field, plain in zip(schema, _flat(schema), strict=True)
        ]
        return max(1, sum(sizes))


class LongSeries(ParquetFormat):
    """One row per step; all steps of an entity together, in order."""

    sample_ids = False

    def file_schema(self, schema: pa.Schema) -> pa.Schema:
        """Return the columns of the source in its order, and in the metadata which is the key."""
        described = _described(schema)
        stored = stored_schema(_chosen(_flat(schema), described.order))
        return stored.with_metadata({ENTITY: described.entity.name})

    def encode(self, records: pa.Table, metadata: Mapping[str, str]) -> bytes:
        """Write the rows as the source stores them."""
        described = _described(records.schema)
        long = to_long(records, described).replace_schema_metadata(records.schema.metadata)
        return super().encode(stored_table(long), {**metadata, ENTITY: described.entity.name})

    def decode(self, data: bytes, schema: pa.Schema | None = None) -> pa.Table:
        """Read every page; nested records again with a schema, else the rows as they are."""
        long = super().decode(data, schema)
        if schema is None:
            return long
        described = _described(schema)
        known = _chosen(_flat(schema), described.order)
        try:
            rows = records_of(long.select(known.names), known).cast(known.remove_metadata())
            return _from_long(rows, described).cast(schema.remove_metadata())
        except (ValueError, KeyError) as error:
            msg = f"the shard's columns are not those of the source ({error}); it is damaged"
            raise IntegrityError(msg) from error

    def inspect(self, data: bytes, schema: pa.Schema | None = None) -> tuple[int, pa.Schema]:
        """Count the entities: the key is read, nothing else."""
        _, found = super().inspect(data, schema)
        entity = read_metadata(data).get(ENTITY)
        if entity is None or entity not in found.names:
            msg = "the shard does not say whose its rows are; it is of another format"
            raise IntegrityError(msg)
        try:
            keys = pq.read_table(pa.BufferReader(data), columns=[entity]).column(entity)
        except (pa.ArrowException, OSError) as error:
            msg = f"the shard's key cannot be read ({error}); it is damaged"
            raise IntegrityError(msg) from error
        return len(_starts(keys)), found

    def how_to_read(self, folder: str, shards: int, schema: pa.Schema) -> tuple[str, ...]:  # noqa: ARG002
        """Return lines for either form."""
        entity = (schema.metadata or {}).get(ENTITY.encode(), schema.names[0].encode()).decode()
        return (
            f'long = pandas.read_parquet("{folder}")',
            f'nested = long.groupby("{entity}", sort=False).agg(list)  # one row per entity',
        )

    def remarks(self, schema: pa.Schema) -> tuple[str, ...]:  # noqa: ARG002
        """Say what a row is."""
        return (
            "A row is a step; the steps of an entity stand together, in order, and no entity is in "
            "two files. output.format: nested has one row per entity",
        )

    def bytes_per_row(self, schema: pa.Schema) -> int:
        """Guess from the types, as lists of steps compress."""
        return NESTED.bytes_per_row(schema)


NESTED = NestedSeries()
LONG = LongSeries()


def _is_list(field: pa.Field) -> bool:
    return bool(pa.types.is_list(field.type) or pa.types.is_large_list(field.type))


def _flat(schema: pa.Schema) -> pa.Schema:
    """Return the schema with the values' types in place of lists; metadata stays."""
    fields = [
        pa.field(field.name, field.type.value_type if _is_list(field) else field.type)
        for field in schema
    ]
    return pa.schema(fields, metadata=schema.metadata)


def _chosen(schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    """Return some fields of a schema, in this order; metadata stays."""
    return pa.schema([schema.field(name) for name in names], schema.metadata)


def _described(schema: pa.Schema) -> SeriesMetadata:
    """Return what the columns are.

    Raises:
        IntegrityError: the schema does not say it.
    """
    found = read_series_metadata(schema)
    if found is None:
        msg = "the records do not say which of their columns is the key; they are no series"
        raise IntegrityError(msg)
    return found


def _by_part(nested: pa.Table, convert: Callable[[pa.Table], pa.Table]) -> pa.Table:
    """Return nested records of which the columns per entity and the values of lists are converted.

    Raises:
        ValueError: lists are of different lengths, or a value cannot be converted.
    """
    lists = [field.name for field in nested.schema if _is_list(field)]
    plain = [name for name in nested.column_names if name not in lists]
    whole = nested.combine_chunks()
    flat = {name: pc.list_flatten(whole.column(name)) for name in lists}
    steps = convert(pa.table(flat).replace_schema_metadata(nested.schema.metadata))
    entities = convert(whole.select(plain))
    lengths = pc.list_value_length(whole.column(lists[0])).to_numpy()
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    found = {name: entities.column(name) for name in plain}
    for name in lists:
        values = steps.column(name).combine_chunks()
        found[name] = pa.ListArray.from_arrays(offsets, values)
    table = pa.table({name: found[name] for name in nested.column_names})
    return table.replace_schema_metadata(nested.schema.metadata)


def _from_long(rows: pa.Table, described: SeriesMetadata) -> pa.Table:
    """Return rows whose entities stand together as nested records."""
    starts = _starts(rows.column(described.entity.name))
    lengths_N = np.diff(np.append(starts, len(rows)))
    per_entity = [one.name for one in (described.entity, *described.statics)]
    per_step = [one.name for one in (described.time, *described.variables)]
    entities = rows.select(per_entity).take(pa.array(starts))
    nested = to_nested(entities, rows.select(per_step), lengths_N, described)
    return nested.replace_schema_metadata(None)


def _starts(keys: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return the rows at which another entity begins."""
    codes = keys.combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
    return np.flatnonzero(np.append(True, codes[1:] != codes[:-1])[: len(codes)])
