"""Parts of a moment as whole numbers: its year, the day of its week, the hour.

Days and hours are those of the wall clock where a column has a time zone. Weeks are those of
ISO 8601, the days of the week count from Monday as 0.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Part = Literal[
    "moment",
    "day",
    "year",
    "year and month",
    "year, month and day",
    "quarter",
    "month",
    "week",
    "day of the year",
    "day of the month",
    "day of the week",
    "hour",
    "minute",
    "text",
    "years until",
    "months until",
    "days until",
    "years of 365.25 days until",
    "years of 365 days until",
]
"""`moment` is all of it, `day` its date: both are moments themselves. `text` is a date as a pattern
writes it, see `PIECES`; the last are what has passed on a certain day: whole numbers, or years that
are all of one length, rounded."""

Unit = Literal[
    "days",
    "hours",
    "minutes",
    "seconds",
    "weeks",
    "months",
    "years",
    "years of 365.25 days",
    "years of 365 days",
]
"""Of the time between two moments."""

MOMENTS: Final = ("moment", "day")

LEVELS: Final[Mapping[Part, tuple[int, int]]] = {
    "quarter": (1, 4),
    "month": (1, 12),
    "day of the week": (0, 7),
    "hour": (0, 24),
}
"""Part that levels may name → its first number, and how many there are."""

NUMBERS: Final[Mapping[Part, Callable[[Any], Any]]] = {
    "year": pc.year,
    "year and month": lambda moments: _digits(moments, pc.year, pc.month),
    "year, month and day": lambda moments: _digits(moments, pc.year, pc.month, pc.day),
    "quarter": pc.quarter,
    "month": pc.month,
    "week": pc.iso_week,
    "day of the year": pc.day_of_year,
    "day of the month": pc.day,
    "day of the week": pc.day_of_week,
    "hour": pc.hour,
    "minute": pc.minute,
}
"""Part that is a number → from Arrow moments to it."""
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
_WEEKDAYS: Final = (
    *("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
)
PIECES: Final[Mapping[str, Callable[[date], str]]] = {
    "year": lambda day: str(day.year),
    "quarter": lambda day: str((day.month + 2) // 3),
    "month": lambda day: f"{day.month:02}",
    "day": lambda day: f"{day.day:02}",
    "week": lambda day: f"{day.isocalendar().week:02}",
    "short year": lambda day: f"{day.year % 100:02}",
    "month number": lambda day: str(day.month),
    "day number": lambda day: str(day.day),
    "month name": lambda day: _MONTHS[day.month - 1],
    "short month name": lambda day: _MONTHS[day.month - 1][:3],
    "weekday": lambda day: _WEEKDAYS[day.weekday()],
}
"""What a pattern may hold in braces, such as `{year}-Q{quarter}` → from a date to its text."""

_PIECE: Final = re.compile(r"\{([a-z ]+)\}")
DAY_S: Final = 86_400
WHOLE_UNITS: Final[Mapping[str, int]] = {"months": 1, "years": 12}
"""Unit that is whole months → how many."""
UNTIL: Final[Mapping[Part, int]] = {"years until": 12, "months until": 1, "days until": 0}
"""Part that says what has passed on a day → in how many months, or 0 for days."""
YEAR_DAYS: Final[Mapping[Part, float]] = {
    "years of 365.25 days until": 365.25,
    "years of 365 days until": 365.0,
}
"""Part that says how many years have passed on a day, with decimals → the days of a year."""
UNIT_SECONDS: Final[Mapping[Unit, int]] = {
    "days": DAY_S,
    "hours": 3600,
    "minutes": 60,
    "seconds": 1,
    "weeks": 7 * DAY_S,
    "years of 365.25 days": 365 * DAY_S + DAY_S // 4,
    "years of 365 days": 365 * DAY_S,
}
"""Unit of a difference that is always as long → its seconds."""
PER_SECOND: Final[Mapping[str, int]] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
"""Arrow's unit of a timestamp → how many are a second."""
OF_TIMES: Final = frozenset({"hour", "minute"})
"""Parts that dates have not."""


class Until(NamedTuple):
    """The day on which something has passed, and with how many decimals it is said."""

    day: date
    decimals: int


def days(moments: Any) -> Any:
    """Return Arrow dates and timestamps as dates, in the column's own zone."""
    if pa.types.is_timestamp(moments.type) and moments.type.tz:
        moments = pc.local_timestamp(moments)
    if pa.types.is_timestamp(moments.type):
        moments = pc.floor_temporal(moments, unit="day")
    return moments.cast(pa.date32(), safe=False)


def part_numbers(moments: Any, part: Part) -> NDArray[np.float64]:
    """Return a part of moments as floats, NaN where there is none.

    Args:
        moments: Arrow dates or timestamps.
        part: one of NUMBERS.
    """
    kind = moments.type
    if pa.types.is_date(kind) and part in OF_TIMES:
        return np.where(moments.is_valid().to_numpy(zero_copy_only=False), 0.0, np.nan)
    moments = moments.cast(pa.date32(), safe=False) if pa.types.is_date(kind) else moments
    taken = NUMBERS[part](moments)
    numbers = pc.cast(taken, pa.float64()).to_numpy(zero_copy_only=False)
    return np.asarray(numbers, dtype=np.float64)


def unknown_pieces(pattern: str) -> tuple[str, ...]:
    """Return what a pattern holds in braces that is no piece of a date."""
    return tuple(name for name in _PIECE.findall(pattern) if name not in PIECES)


def written(moments: Any, pattern: str) -> Any:
    """Return Arrow moments as texts, null where there is none; see `PIECES`."""
    coded = days(moments).dictionary_encode()
    texts = [
        None if day is None else _PIECE.sub(partial(_piece, day), pattern)
        for day in coded.dictionary.to_pylist()
    ]
    return pa.array(texts, pa.string()).take(coded.indices)


def _piece(day: date, found: re.Match[str]) -> str:
    return PIECES[found[1]](day)


def whole_months(later: Any, earlier: Any) -> NDArray[np.float64]:
    """Return how many whole months are between days, NaN where one is missing.

    A month is whole on the day of the same number; twelve are a year.
    """
    apart_N = months_and_days(later) - months_and_days(earlier)
    return np.asarray(np.floor(apart_N / 32), dtype=np.float64)


def months_and_days(moments: Any) -> NDArray[np.float64]:
    """Return numbers of days of which 32 are a month: that many apart, whole months are apart."""
    years_N, months_N, days_N = _year_month_day(moments)
    return np.asarray((12 * years_N + months_N) * 32 + days_N, dtype=np.float64)


def passed(moments: Any, part: Part, until: date) -> NDArray[np.float64]:
    """Return how many days, months or years after moments a day is, NaN where there is none.

    Args:
        moments: Arrow dates or timestamps.
        part: one of UNTIL or YEAR_DAYS.
        until: the day.
    """
    if not UNTIL.get(part):
        numbers_N = days(moments).cast(pa.int32()).cast(pa.float64())
        end = float(pa.scalar(until, pa.date32()).value)
        days_N = end - np.asarray(numbers_N.to_numpy(zero_copy_only=False), dtype=np.float64)
        return days_N / YEAR_DAYS.get(part, 1.0)
    apart_N = (12 * until.year + until.month) * 32 + until.day - months_and_days(moments)
    return np.asarray(np.floor(apart_N / (32 * UNTIL[part])), dtype=np.float64)


def _year_month_day(moments: Any) -> list[NDArray[np.float64]]:
    """Return year, month and day as floats, NaN where there is no moment."""
    return [part_numbers(moments, part) for part in ("year", "month", "day of the month")]


def part_values(
    moments: Any,
    part: Part,
    kind: Any,
    *,
    offset: float = 0.0,
    levels: Any = None,
    detail: str | Until | None = None,
) -> Any:
    """Return a part of moments as an Arrow array of a type, null where there is none.

    Args:
        moments: Arrow dates or timestamps.
        part: of them.
        kind: Arrow type of the result.
        offset: what is added; to a moment so many seconds.
        levels: Arrow, of that type: what stands for the first number, the second and so on; None:
            the numbers.
        detail: of a text its pattern; of what has passed the day on which.

    Raises:
        ArrowException: the type cannot hold it.
    """
    if (part in MOMENTS) != pa.types.is_temporal(kind):
        msg = f"a {part} is no {kind}"
        raise pa.ArrowInvalid(msg)
    if part in MOMENTS:
        return _moved(days(moments) if part == "day" else moments, offset, kind)
    if part == "text":
        return written(moments, str(detail)).cast(kind)
    if isinstance(detail, Until):
        numbers_N = passed(moments, part, detail.day) + offset
    else:
        numbers_N = part_numbers(moments, part) + offset
    known_N = ~np.isnan(numbers_N)
    if isinstance(detail, Until) and part in YEAR_DAYS:
        rounded_N = np.round(np.where(known_N, numbers_N, 0), detail.decimals)
        return pa.array(rounded_N, mask=~known_N).cast(kind)
    whole_N = np.where(known_N, numbers_N, 0).astype(np.int64)
    if levels is None:
        return pa.array(whole_N, mask=~known_N).cast(kind)
    first, _ = LEVELS[part]
    return levels.take(pa.array(whole_N - first, mask=~known_N))


def _moved(moments: Any, seconds: float, kind: Any) -> Any:
    """Return moments so many seconds later, as dates or timestamps; what is finer is cut."""
    if pa.types.is_date(kind):
        numbers = days(moments).cast(pa.int32())
        moved = pa.scalar(round(seconds / DAY_S), pa.int32())
        return pc.add(numbers, moved).cast(pa.date32()).cast(kind)
    numbers = moments.cast(kind, safe=False).cast(pa.int64())
    return pc.add(numbers, pa.scalar(round(seconds * PER_SECOND[kind.unit]), pa.int64())).cast(kind)


def _digits(moments: Any, *takes: Callable[[Any], Any]) -> Any:
    """Return parts one after another, two digits for each but the first."""
    first, *others = (pc.cast(take(moments), pa.int64()) for take in takes)
    for each in others:
        first = pc.add(pc.multiply(first, 100), each)
    return first
