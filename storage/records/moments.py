"""Moments as whole numbers, and the moments of regular series from their starts.

A regular series has the moments start, start + step, start + 2 steps, … in whole numbers of days,
microseconds, calendar months or ones. Where the series have a time zone in whose wall-clock time
the step is constant, days there have 23 or 25 hours when clocks are changed: moments are counted in
wall-clock time; a time that clocks skip becomes the next one, a time that they show twice the
first.

A step of months keeps the day of the month, at most the last of a shorter month; where the start is
the last day of its month all moments are.

Shapes: N entities, T steps of all entities together.
"""

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.records.series import Step, StepUnit

_DAY_US: Final = 86_400_000_000


def counted(moments: pa.Array, unit: StepUnit, zone: str | None = None) -> NDArray[np.int64]:
    """Return moments as whole numbers of a unit, counted from a beginning that all share.

    Args:
        moments: dates, timestamps, times or whole numbers, none of them null.
        unit: `months` for dates and timestamps, `days` for dates, `microseconds` for timestamps
            and times, `ones` for whole numbers.
        zone: the time zone in whose wall-clock time is counted; None = instants.
    """
    if unit == "ones":
        return _whole(moments.cast(pa.int64()))
    if unit == "days":
        return _whole(moments.cast(pa.date32()).cast(pa.int32()))
    if unit == "months":
        months = _dates(moments, zone).astype("datetime64[M]")
        return np.asarray(months.astype(np.int64))
    return _microseconds(moments, zone)


def unit_of(kind: pa.DataType) -> StepUnit:
    """Return the finest unit in which moments of a type are counted."""
    if pa.types.is_date(kind):
        return "days"
    return "ones" if pa.types.is_integer(kind) else "microseconds"


def regular_moments(
    starts: pa.Array, lengths_N: NDArray[np.int64], step: Step, zone: str | None = None
) -> pa.Array:
    """Return the T moments of regular series, entity after entity, of the type of their starts.

    Args:
        starts: the first moment of every entity, (N,), none of them null.
        lengths_N: steps of every entity.
        step: how far apart they are.
        zone: as in `SeriesMetadata`.
    """
    entity_T = np.repeat(np.arange(len(lengths_N)), lengths_N)
    first_T = np.repeat(np.cumsum(lengths_N) - lengths_N, lengths_N)
    number_T = np.arange(int(lengths_N.sum())) - first_T
    return later(starts.take(pa.array(entity_T)), number_T, step, zone)


def later(
    moments: pa.Array, steps_T: NDArray[np.int64], step: Step, zone: str | None = None
) -> pa.Array:
    """Return every moment so many steps later, of the same type."""
    kind, amount_T = moments.type, steps_T.astype(np.int64) * step.count
    if step.unit == "ones":
        return pa.array(counted(moments, "ones") + amount_T).cast(kind)
    if step.unit == "days":
        return pa.array(counted(moments, "days") + amount_T).cast(pa.int32()).cast(kind)
    if step.unit == "months":
        return _months_later(moments, amount_T, zone)
    return _from_microseconds(_microseconds(moments, zone) + amount_T, kind, zone)


def on_one_grid(moments: pa.Array, step: Step, zone: str | None = None) -> bool:
    """Return whether all moments are whole steps apart, whatever entity they are of.

    Those of months are on one day of the month, or all on its last, and at one time of day.
    """
    numbers = counted(moments, step.unit, zone)
    if ((numbers - numbers[:1]) % step.count).any():
        return False
    if step.unit != "months":
        return True
    dates = _dates(moments, zone)
    months, days = dates.astype("datetime64[M]"), dates.astype("datetime64[D]")
    since, last = days - months.astype("datetime64[D]"), days == _last_days(months)
    if pa.types.is_timestamp(moments.type):
        in_day = _microseconds(moments, zone) % _DAY_US
        if (in_day != in_day[:1]).any():
            return False
    return bool((since == since[:1]).all() or last.all())


def _months_later(moments: pa.Array, months_T: NDArray[np.int64], zone: str | None) -> pa.Array:
    dates = _dates(moments, zone)
    month, day = dates.astype("datetime64[M]"), dates.astype("datetime64[D]")
    ends = _last_days(month)
    wanted = month + months_T.astype("timedelta64[M]")
    at_end = day == ends
    days = np.minimum(wanted.astype("datetime64[D]") + (day - month), _last_days(wanted))
    days = np.where(at_end, _last_days(wanted), days)
    if pa.types.is_date(moments.type):
        return pa.array(days.astype(np.int64).astype(np.int32)).cast(pa.date32()).cast(moments.type)
    in_day = _microseconds(moments, zone) - day.astype(np.int64) * _DAY_US
    return _from_microseconds(days.astype(np.int64) * _DAY_US + in_day, moments.type, zone)


def _last_days(months: NDArray[Any]) -> NDArray[Any]:
    return np.asarray((months + 1).astype("datetime64[D]") - 1)


def _dates(moments: pa.Array, zone: str | None) -> NDArray[Any]:
    """Return the days as NumPy has them."""
    if pa.types.is_date(moments.type):
        return counted(moments, "days").astype("datetime64[D]")
    return np.asarray(_microseconds(moments, zone).astype("datetime64[us]").astype("datetime64[D]"))


def _microseconds(moments: pa.Array, zone: str | None) -> NDArray[np.int64]:
    kind = moments.type
    if pa.types.is_time(kind):
        return _whole(moments.cast(pa.time64("us"), safe=False).cast(pa.int64()))
    plain = moments.cast(pa.timestamp("us", kind.tz), safe=False)
    if zone is not None:
        plain = pc.local_timestamp(plain.cast(pa.timestamp("us", zone)))
    return _whole(plain.cast(pa.int64()))


def _from_microseconds(
    numbers_T: NDArray[np.int64], kind: pa.DataType, zone: str | None
) -> pa.Array:
    numbers = pa.array(numbers_T)
    if pa.types.is_time(kind):
        return numbers.cast(pa.time64("us")).cast(kind, safe=False)
    if zone is None:
        return numbers.cast(pa.timestamp("us", kind.tz)).cast(kind, safe=False)
    local = numbers.cast(pa.timestamp("us"))
    instants = pc.assume_timezone(local, zone, ambiguous="earliest", nonexistent="latest")
    return instants.cast(pa.timestamp("us", kind.tz)).cast(kind, safe=False)


def _whole(values: pa.Array) -> NDArray[np.int64]:
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.int64)
