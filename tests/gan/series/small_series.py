"""Small series for tests."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from storage.records.schema import Column
from storage.records.series import SeriesMetadata, Step, to_nested

KINDS = {"i": "integer", "f": "float", "U": "category", "b": "boolean"}
DAILY = Step(count=1, unit="days")


def kind_of(values: Any) -> str:
    """Return the kind of a column's values."""
    kind = pa.array(values).type
    if pa.types.is_floating(kind):
        return "float"
    if pa.types.is_boolean(kind):
        return "boolean"
    return "integer" if pa.types.is_integer(kind) else "category"


def make_series(
    variables: Mapping[str, Any],
    lengths: Sequence[int],
    moments: Any = None,
    *,
    statics: Mapping[str, Any] | None = None,
    step: Step | None = DAILY,
    zone: str | None = None,
    min_group: int = 2,
) -> pa.Table:
    """Return nested records; without moments they are days from one day on."""
    lengths_N = np.asarray(lengths)
    statics = {} if statics is None else statics
    if moments is None:
        place = np.arange(lengths_N.sum()) - np.repeat(lengths_N.cumsum() - lengths_N, lengths_N)
        moments = pa.array(np.datetime64("2026-01-05") + place)
    moments = pa.array(moments)
    number = pa.types.is_integer(moments.type)
    time = "integer" if number else "date" if pa.types.is_date(moments.type) else "timestamp"
    metadata = SeriesMetadata(
        entity=Column(name="who", kind="key", form="A9999"),
        time=Column(name="when", kind=time),
        statics=tuple(Column(name=name, kind=kind_of(v)) for name, v in statics.items()),
        variables=tuple(Column(name=name, kind=kind_of(v)) for name, v in variables.items()),
        order=("who", *statics, "when", *variables),
        step=step,
        zone=zone,
        min_group=min_group,
    )
    keys = [f"Q{7000 + row}" for row in range(len(lengths_N))]
    entities = pa.table({"who": keys, **{name: pa.array(v) for name, v in statics.items()}})
    steps = pa.table({"when": moments, **{name: pa.array(v) for name, v in variables.items()}})
    return to_nested(entities, steps, lengths_N, metadata)


def sticky(numbers: np.random.Generator, entities: int, steps: int) -> np.ndarray[Any, Any]:
    """Return prices that mostly stay, (entities, steps)."""
    moves = numbers.random((entities, steps)) < 0.1
    moves[:, 0] = True
    levels = np.round(np.exp(numbers.normal(2.0, 0.5, (entities, steps))), 2)
    newest = np.maximum.accumulate(np.where(moves, np.arange(steps), 0), axis=1)
    return np.take_along_axis(levels, newest, axis=1)


def autoregression(
    numbers: np.random.Generator, entities: int, steps: int, share: float
) -> np.ndarray[Any, Any]:
    """Return x_t = share x_{t-1} + noise, with variance 1, (entities, steps)."""
    values = numbers.normal(size=(entities, steps))
    for step in range(1, steps):
        values[:, step] = share * values[:, step - 1] + np.sqrt(1 - share**2) * values[:, step]
    return values
