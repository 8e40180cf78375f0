"""The step of series: found in their moments, and steps that are missing put in. Pure.

Shape legend: N entities, T steps of all entities together, U with those that were missing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.records.moments import counted, later, on_one_grid, unit_of
from storage.records.series import Step, StepUnit
from storage.sources.series.panel import Panel

MOST_MISSING: Final = 0.1
"""Series of which a larger share of the steps is missing are irregular."""

_UNITS: Final = (
    (86_400_000_000, "day"),
    (3_600_000_000, "hour"),
    (60_000_000, "minute"),
    (1_000_000, "second"),
    (1_000, "millisecond"),
    (1, "microsecond"),
)


@dataclass(frozen=True, kw_only=True)
class Rhythm:
    """How the moments of series follow each other."""

    step: Step | None = None
    """None where they are irregular."""
    zone: str | None = None
    """In whose wall-clock time the step is constant; None where there is none."""
    gaps_T: NDArray[np.int64]
    """Whole steps since the step before, 1 where none is missing; empty where irregular."""


def find_rhythm(panel: Panel, time: str) -> Rhythm:
    """Return the step that all moments are apart, some of them several times.

    Entities that have the same step and different places in it, such as weeks that begin on
    different days, have no grid in common: they are irregular, and their gaps are all alike.
    """
    moments = panel.steps.column(time).combine_chunks()
    within_T = np.ones(len(moments), np.bool_)
    within_T[panel.starts_N] = False
    for unit, zone in _candidates(moments.type):
        gaps_T = np.diff(counted(moments, unit, zone), prepend=0)
        inner = gaps_T[within_T]
        if not len(inner) or inner.min() < 1:
            continue
        count = int(np.gcd.reduce(inner))
        gaps_T = np.where(within_T, gaps_T // count, 1)
        missing = int((gaps_T - 1).sum())
        if missing > MOST_MISSING * (len(moments) + missing):
            continue
        step = Step(count=count, unit=unit)
        if not on_one_grid(moments, step, zone):
            continue
        return Rhythm(step=step, zone=zone, gaps_T=gaps_T)
    return Rhythm(gaps_T=np.zeros(0, np.int64))


def _candidates(kind: pa.DataType) -> Iterator[tuple[StepUnit, str | None]]:
    """Yield units to count in, and the time zone in whose wall-clock time."""
    zones = [None, kind.tz] if pa.types.is_timestamp(kind) and kind.tz else [None]
    for zone in zones:
        if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
            yield "months", zone
        yield unit_of(kind), zone


def _numbers(gaps_T: NDArray[np.int64], panel: Panel) -> NDArray[np.int64]:
    """Return the number of every step in its entity, those that are missing counted."""
    total_T = np.cumsum(gaps_T)
    return np.asarray(total_T - total_T[panel.starts_N][panel.entity_T])


def completed(panel: Panel, time: str, rhythm: Rhythm, static: frozenset[str]) -> Panel:
    """Return the panel with a step, whose variables are null, wherever a regular one is missing."""
    missing = int((rhythm.gaps_T - 1).sum())
    if rhythm.step is None or not missing:
        return panel
    number_T = _numbers(rhythm.gaps_T, panel)
    ends_N = panel.starts_N + panel.lengths_N - 1
    lengths_N = number_T[ends_N] + 1
    firsts_N = np.cumsum(lengths_N) - lengths_N
    row_U = np.full(int(lengths_N.sum()), -1, np.int64)
    row_U[firsts_N[panel.entity_T] + number_T] = np.arange(len(number_T))
    whole = replace(panel, lengths_N=lengths_N)
    number_U = np.arange(len(row_U)) - firsts_N[whole.entity_T]
    start_U = panel.starts_N[whole.entity_T]
    known, there = pa.array(row_U, mask=row_U < 0), pa.array(start_U)
    columns = {}
    for name, column in zip(panel.steps.column_names, panel.steps.columns, strict=True):
        values = column.combine_chunks()
        if name == time:
            columns[name] = later(values.take(there), number_U, rhythm.step, rhythm.zone)
        else:
            columns[name] = values.take(there if name in static else known)
    steps = pa.table(columns, schema=panel.steps.schema)
    row_T = np.where(row_U < 0, -1, panel.row_T[np.maximum(row_U, 0)])
    note = (
        f"{missing:,} steps that are missing between others are put in, without values "
        f"({missing / len(row_U):.1%} of all)."
    )
    notes = (*panel.notes, note)
    return replace(panel, steps=steps, lengths_N=lengths_N, row_T=row_T, notes=notes)


def in_words(step: Step | None) -> str:
    """Return a step for a person: `1 day`, `15 minutes`, `irregular`."""
    if step is None:
        return "irregular"
    count, unit = step.count, step.unit.removesuffix("s")
    if step.unit == "ones":
        return f"{count}"
    if step.unit == "microseconds":
        size, unit = next(one for one in _UNITS if count % one[0] == 0)
        count //= size
    if step.unit == "months" and count % 12 == 0:
        count, unit = count // 12, "year"
    return f"{count} {unit}{'s' if count > 1 else ''}"
