"""The calendar of series: their moments on the wall clock, and the periods that can recur in them.

Shapes: N entities, T steps of all of them.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.tables.columns.values import STORED, plain
from storage.records.series import SeriesMetadata

Array = np.ndarray[Any, Any]
PeriodName = Literal["hour", "weekday", "month"]

HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000
LEAST_SPAN_US: dict[PeriodName, int] = {
    "hour": DAY_US,
    "weekday": 7 * DAY_US,
    "month": 180 * DAY_US,
}
"""Median time from the first to the last step of an entity from which a period can show."""
MOST_STEP_US: dict[PeriodName, int] = {
    "hour": 12 * HOUR_US,
    "weekday": 3 * DAY_US,
    "month": 92 * DAY_US,
}
"""Longest step of regular series in which a period can show."""
MONTH_US = 30 * DAY_US
MOST_SEASON = 400
"""Steps of a season that is still one."""
MONDAY = 3
"""Days from a Monday to 1970-01-01."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StepMoments:
    """The moments of all steps, entity after entity."""

    wall_T: Array
    """int64: microseconds of the wall clock since 1970, or whole numbers where time is counted."""
    exact_T: Array
    """The same without a time zone's clock changes."""
    is_calendar: bool
    """Whether they are dates or times, not plain numbers."""
    has_days: bool
    """Whether they are more than a time of day."""

    def phases(self, name: PeriodName) -> Array:
        """Return the phase of every step in a period; int64 (T,)."""
        if name == "hour":
            return (self.wall_T // HOUR_US) % 24
        days_T = self.wall_T // DAY_US
        if name == "weekday":
            return (days_T + MONDAY) % 7
        return months_of(days_T) % 12


def months_of(days_T: Array) -> Array:
    """Return months since 1970 of days since 1970; int64."""
    months: Array = days_T.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    return months


def moments_of(steps: pa.Table, metadata: SeriesMetadata) -> StepMoments:
    """Return the moments of steps; a null is the smallest number.

    Args:
        steps: of all entities, see `storage.records.series.steps_of`.
        metadata: of their records.
    """
    column = plain(steps[metadata.time.name])
    kind = column.type
    if pa.types.is_date(kind):
        days = pc.cast(pc.cast(column, pa.date32()), pa.int32())
        wall = _integers(days) * DAY_US
        return StepMoments(wall_T=wall, exact_T=wall, is_calendar=True, has_days=True)
    if pa.types.is_timestamp(kind):
        exact = pc.cast(column, pa.timestamp("us", kind.tz), safe=False)
        zone = metadata.zone or kind.tz
        local = exact if zone is None or kind.tz is None else _local(exact, zone)
        return StepMoments(
            wall_T=_integers(local), exact_T=_integers(exact), is_calendar=True, has_days=True
        )
    if pa.types.is_time(kind):
        wall = _integers(pc.cast(column, pa.time64("us"), safe=False))
        return StepMoments(wall_T=wall, exact_T=wall, is_calendar=True, has_days=False)
    wall = _integers(column)
    return StepMoments(wall_T=wall, exact_T=wall, is_calendar=False, has_days=False)


def _local(exact: Any, zone: str) -> Any:
    return pc.local_timestamp(pc.cast(exact, pa.timestamp("us", zone)))


def _integers(values: Any) -> Array:
    """Return int64 of what is stored."""
    if pa.types.is_temporal(values.type):
        values = values.view(STORED[values.type.bit_width])
    filled = pc.fill_null(pc.cast(values, pa.int64(), safe=False), 0)
    found: Array = filled.to_numpy(zero_copy_only=False)
    return found


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """The periods that the judge looks at."""

    periods: tuple[PeriodName, ...] = ()
    seasons: tuple[int, ...] = ()
    """Steps in each period that is a whole number of them, the shortest first."""

    @property
    def season(self) -> int:
        """Steps after which a seasonal forecast repeats itself; 1 where nothing recurs."""
        return self.seasons[0] if self.seasons else 1


def fit_calendar(moments: StepMoments, lengths_N: Array, metadata: SeriesMetadata) -> Calendar:
    """Return the periods that entities of train are long enough for."""
    if not moments.is_calendar or not len(moments.wall_T):
        return Calendar()
    last_N = np.cumsum(lengths_N) - 1
    first_N = last_N - lengths_N + 1
    span = float(np.median(moments.wall_T[last_N] - moments.wall_T[first_N]))
    names: tuple[PeriodName, ...] = ("hour", "weekday", "month") if moments.has_days else ("hour",)
    periods = tuple(
        name
        for name in names
        if (span >= LEAST_SPAN_US[name] or not moments.has_days)
        and _step_us(metadata) <= MOST_STEP_US[name]
        and len(np.unique(moments.phases(name))) > 1
    )
    seasons = (_season(name, metadata) for name in periods)
    fitting = {one for one in seasons if one is not None and 2 * one < np.median(lengths_N)}
    return Calendar(periods=periods, seasons=tuple(sorted(fitting)))


def _step_us(metadata: SeriesMetadata) -> int:
    """Return how long a step is, roughly; 0 where it is not regular."""
    step = metadata.step
    if step is None:
        return 0
    return step.count * {"days": DAY_US, "months": MONTH_US}.get(step.unit, 1)


def _season(name: PeriodName, metadata: SeriesMetadata) -> int | None:
    """Return how many steps one period takes, where that is a whole number."""
    step = metadata.step
    if step is None or step.unit == "ones":
        return None
    if step.unit == "months":
        found = divmod(12, step.count)
        return found[0] if name == "month" and found[1] == 0 and found[0] > 1 else None
    length_us = step.count * (DAY_US if step.unit == "days" else 1)
    whole_us = {"hour": DAY_US, "weekday": 7 * DAY_US}.get(name)
    if whole_us is None:
        return None
    count, rest = divmod(whole_us, length_us)
    return count if rest == 0 and 1 < count <= MOST_SEASON else None
