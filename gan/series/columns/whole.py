"""What is known of whole entities, as a table: key, statics, number of steps and first moment.

Its codec is that of tables, so vocabularies, classes, conditions and keys are theirs.

Shapes: N entities, E modelled columns.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from gan.series.columns.clock import Clock
from gan.tables.codec import TableCodec
from gan.tables.columns.derived import Constant
from gan.tables.columns.fit import fit_columns, label_classes
from gan.tables.columns.levels import Presence
from gan.tables.columns.partners import closest_columns
from storage.records.schema import Column
from storage.records.series import SeriesMetadata
from storage.records.table_metadata import TableMetadata, with_table_metadata

Array = np.ndarray[Any, Any]

SPAN: Final = 2
"""Columns that say how many steps there are and where the first one lies: the last two."""


class SpanNames(NamedTuple):
    """What is called so that no column of the records has the name."""

    steps: str
    start: str
    gap: str
    """Of irregular series, the ticks since the step before."""


def free_names(metadata: SeriesMetadata) -> SpanNames:
    """Return what number of steps, first moment and gap are called."""
    found = []
    for wanted in SpanNames._fields:
        name = wanted
        while name in metadata.nested_names:
            name += "_"
        found.append(name)
    return SpanNames(*found)


class FirstSteps(NamedTuple):
    """How long entities are, and when they begin."""

    lengths_N: Array
    ticks_N: Array


def whole_table(
    records: pa.Table,
    metadata: SeriesMetadata,
    names: SpanNames,
    clock: Clock,
    first: FirstSteps,
    grids: Mapping[Column, Any],
) -> pa.Table:
    """Return what is known of whole entities, described as a table."""
    lengths_N, ticks_N = first
    start = clock.moments_of(ticks_N) if clock.step is None else pa.array(clock.index_of(ticks_N))
    kind = metadata.time.kind if clock.step is None else "integer"
    columns = (
        metadata.entity,
        *metadata.statics,
        *grids,
        Column(name=names.steps, kind="integer", why="number of steps"),
        Column(name=names.start, kind=kind, why="first moment"),
    )
    arrays = {each.name: records[each.name] for each in (metadata.entity, *metadata.statics)}
    arrays |= {each.name: values for each, values in grids.items()}
    table = pa.table({**arrays, names.steps: pa.array(lengths_N), names.start: start})
    described = TableMetadata(columns=columns, min_group=metadata.min_group)
    return table.replace_schema_metadata(
        with_table_metadata(table.schema.remove_metadata(), described).metadata
    )


def fit_whole(table: pa.Table, label: str | None, names: SpanNames) -> TableCodec:
    """Return the codec of what is known of whole entities.

    Raises:
        DataError: a static column or a label that cannot be learnt.
    """
    columns, derived = fit_columns(table, label, fewest=0)
    columns = columns or (Presence.of(names.steps),)
    cells_NE = np.stack([column.encode(table) for column in columns], axis=1)
    return TableCodec(
        schema=table.schema,
        columns=columns,
        derived=derived,
        closest=closest_columns(columns, cells_NE),
        label=label,
        classes=label_classes(columns, label),
    )


def spans_of(
    whole: TableCodec, cells_NE: Array, names: SpanNames, clock: Clock
) -> tuple[Array, Array]:
    """Return numbers of steps and the ticks of first moments, of cells."""
    found = whole.modelled_values(cells_NE, set(names[:SPAN]))
    for maker in whole.derived:
        if maker.name in names[:SPAN]:
            found[maker.name] = maker.make(len(cells_NE), 0, found)
    return found[names.steps].to_numpy(), _ticks(found[names.start], clock)


def _ticks(starts: Any, clock: Clock) -> Array:
    """Return the ticks of first moments as the table of whole entities holds them."""
    if clock.step is None:
        return clock.ticks_of(starts)
    return clock.ticks_at(starts.to_numpy())


def ends_of(whole: TableCodec, names: SpanNames, clock: Clock) -> tuple[int, int, int]:
    """Return the most steps, and the earliest and latest index of a first one, that are shown."""
    found = {field: c.vocabulary(field) for c in whole.columns for field in c.fields}
    found |= {each.name: each.value for each in whole.derived if isinstance(each, Constant)}
    index = clock.aligned(clock.index_of(_ticks(found[names.start].drop_null(), clock)))
    return int(max(found[names.steps].to_numpy())), int(index.min()), int(index.max())
