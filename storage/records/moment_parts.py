"""Parts of a moment as whole numbers: its year, the day of its week, the hour.

Days and hours are those of the wall clock where a column has a time zone. Weeks are those of
ISO 8601, the days of the week count from Monday as 0.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

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
]
"""`moment` is all of it, `day` its date: both are moments themselves."""

MOMENTS: Final = ("moment", "day")

LEVELS: Final[Mapping[Part, tuple[int, int]]] = {
    "quarter": (1, 4),
    "month": (1, 12),
    "day of the week": (0, 7),
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
DAY_S: Final = 86_400
PER_SECOND: Final[Mapping[str, int]] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
"""Arrow's unit of a timestamp → how many are a second."""
OF_TIMES: Final = frozenset({"hour", "minute"})
"""Parts that dates have not."""


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


def part_values(
    moments: Any, part: Part, kind: Any, *, offset: float = 0.0, levels: Any = None
) -> Any:
    """Return a part of moments as an Arrow array of a type, null where there is none.

    Args:
        moments: Arrow dates or timestamps.
        part: of them.
        kind: Arrow type of the result.
        offset: what is added; to a moment so many seconds.
        levels: Arrow, of that type: what stands for the first number, the second and so on; None:
            the numbers.

    Raises:
        ArrowException: the type cannot hold it.
    """
    if (part in MOMENTS) != pa.types.is_temporal(kind):
        msg = f"a {part} is no {kind}"
        raise pa.ArrowInvalid(msg)
    if part in MOMENTS:
        return _moved(days(moments) if part == "day" else moments, offset, kind)
    numbers_N = part_numbers(moments, part) + offset
    known_N = ~np.isnan(numbers_N)
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
