"""What series are: entities that live in time, one record each, nested or in long form.

A record is an entity: its key, its static columns, the moments of its steps and, as lists of the
same length, what was observed at them. Prepared records are nested, one row per entity:

    key, static columns…, time: list<moment>, variables…: list<value>

In long form there is one row per step, the key and the static columns repeated, the columns in the
order of the source. The columns are described in the metadata of the nested Arrow schema, under the
key `ganmill-series`.

Shapes: N entities, T steps of all entities together.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.records.schema import Column

KEY: Final = b"ganmill-series"
SCHEMA: Final = "ganmill-series/1"

StepUnit = Literal["microseconds", "days", "months", "ones"]
"""What steps are counted in; `months` are of the calendar, `ones` are whole numbers."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """How far apart the moments of regular series are."""

    count: int
    unit: StepUnit


@dataclass(frozen=True, kw_only=True)
class SeriesMetadata:
    """What is known of series besides their values."""

    entity: Column
    """The key, of kind `key`: a name of the entity that is made afresh."""
    time: Column
    """Of kind date, timestamp, time or integer."""
    statics: tuple[Column, ...] = ()
    """Columns with one value per entity."""
    variables: tuple[Column, ...] = ()
    """Columns with one value per step."""
    order: tuple[str, ...] = ()
    """All columns in long form, as the source orders them."""
    step: Step | None = None
    """None where the moments are irregular."""
    zone: str | None = None
    """Time zone in whose wall-clock time the step is constant; None where there is none."""
    min_group: int = 10
    """A value that fewer entities hold is not shown."""

    @property
    def nested_names(self) -> tuple[str, ...]:
        """The columns of the nested form, in order."""
        per_entity = (self.entity, *self.statics)
        return tuple(one.name for one in (*per_entity, self.time, *self.variables))


def with_series_metadata(schema: pa.Schema, metadata: SeriesMetadata) -> pa.Schema:
    """Return the nested schema with the description of its columns; other metadata stays."""
    described = {"schema": SCHEMA, **asdict(metadata)}
    text = json.dumps(described, ensure_ascii=False, sort_keys=True).encode()
    return schema.with_metadata({**(schema.metadata or {}), KEY: text})


def read_series_metadata(schema: pa.Schema) -> SeriesMetadata | None:
    """Return the description of the columns; None for records without one.

    Raises:
        ValueError: it is of another version, or not of exactly these columns.
    """
    text = (schema.metadata or {}).get(KEY)
    if text is None:
        return None
    raw = json.loads(text)
    version = raw.pop("schema")
    metadata = SeriesMetadata(
        entity=Column(**raw.pop("entity")),
        time=Column(**raw.pop("time")),
        statics=_columns(raw.pop("statics")),
        variables=_columns(raw.pop("variables")),
        order=tuple(raw.pop("order")),
        step=None if (step := raw.pop("step")) is None else Step(**step),
        **raw,
    )
    if version != SCHEMA or list(metadata.nested_names) != schema.names:
        msg = (
            f"the description of the series ({version}) does not fit the columns "
            f"{', '.join(schema.names)}: prepare the records again"
        )
        raise ValueError(msg)
    return metadata


def _columns(raw: Sequence[dict[str, Any]]) -> tuple[Column, ...]:
    return tuple(Column(**one) for one in raw)


def lengths_of(records: pa.Table, metadata: SeriesMetadata) -> NDArray[np.int64]:
    """Return the number of steps of every entity, (N,)."""
    found = pc.list_value_length(records.column(metadata.time.name)).to_numpy()
    return np.asarray(found, dtype=np.int64)


def steps_of(records: pa.Table, metadata: SeriesMetadata) -> pa.Table:
    """Return time and variables of all steps, T rows, entity after entity."""
    names = [metadata.time.name, *(one.name for one in metadata.variables)]
    columns = [pc.list_flatten(records.column(name)) for name in names]
    return pa.table(dict(zip(names, columns, strict=True)))


def to_long(records: pa.Table, metadata: SeriesMetadata) -> pa.Table:
    """Return nested records in long form, T rows, columns in the order of the source."""
    entity_T = np.repeat(np.arange(len(records)), lengths_of(records, metadata))
    steps = steps_of(records, metadata)
    repeated = (metadata.entity, *metadata.statics)
    found = {one.name: records.column(one.name).take(pa.array(entity_T)) for one in repeated}
    found |= dict(zip(steps.column_names, steps.columns, strict=True))
    return pa.table({name: found[name] for name in metadata.order})


def to_nested(
    entities: pa.Table, steps: pa.Table, lengths_N: NDArray[np.int64], metadata: SeriesMetadata
) -> pa.Table:
    """Return nested records, their columns described.

    Args:
        entities: key and static columns, N rows.
        steps: time and variables, T rows, entity after entity.
        lengths_N: steps of every entity; their sum is T.
        metadata: of the columns.
    """
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths_N)]).astype(np.int32))
    found = dict(zip(entities.column_names, entities.columns, strict=True))
    for name, column in zip(steps.column_names, steps.columns, strict=True):
        values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        found[name] = pa.ListArray.from_arrays(offsets, values)
    table = pa.table({name: found[name] for name in metadata.nested_names})
    schema = with_series_metadata(table.schema, metadata)
    return table.replace_schema_metadata(schema.metadata)
