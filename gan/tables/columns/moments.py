"""Dates and timestamps: their days, and the time between two of them.

Shapes: N rows.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.records.moment_parts import DAY_S, PER_SECOND, days

Array = np.ndarray[Any, Any]


def by_day(one: Any, other: Any) -> bool:
    """Say whether columns of two types are compared by whole days: one of dates, one of moments."""
    types = one, other
    return any(map(pa.types.is_date, types)) and any(map(pa.types.is_timestamp, types))


def finest(*kinds: Any) -> int:
    """Return the parts of a second in which moments of these types are counted together."""
    exact = any(pa.types.is_timestamp(kind) and kind.unit == "ns" for kind in kinds)
    return PER_SECOND["ns" if exact else "us"]


def instants(column: Any, per_second: int) -> tuple[Array, Array]:
    """Return moments as int64 counts since 1970 (UTC where there is a zone), and which are valid.

    Args:
        column: Arrow, dates or timestamps, without dictionary.
        per_second: counts per second.
    """
    valid_N = column.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_date(column.type):
        numbers = column.cast(pa.date32(), safe=False).cast(pa.int32()).cast(pa.int64())
        factor = DAY_S * per_second
    else:
        numbers, factor = column.cast(pa.int64()), per_second // PER_SECOND[column.type.unit]
    counts_N: Array = pc.fill_null(numbers, 0).to_numpy(zero_copy_only=False) * factor
    return counts_N, valid_N


def from_instants(counts_N: Array, per_second: int, kind: Any) -> Any:
    """Return counts as an Arrow array of a type of dates or timestamps; what is finer is cut."""
    if pa.types.is_date(kind):
        return (
            pa.array(counts_N // (DAY_S * per_second)).cast(pa.int32()).view(pa.date32()).cast(kind)
        )
    return pa.array(counts_N // (per_second // PER_SECOND[kind.unit])).view(kind)


def seconds_between(later: Any, earlier: Any) -> tuple[Array, Array]:
    """Return the seconds from one column of moments to another, float64, and which are known.

    Where one column holds dates and the other timestamps, whole days are counted.
    """
    if by_day(later.type, earlier.type):
        later, earlier = days(later), days(earlier)
    per_second = finest(later.type, earlier.type)
    (ends_N, known_N), (starts_N, valid_N) = (
        instants(each, per_second) for each in (later, earlier)
    )
    return (ends_N - starts_N) / per_second, known_N & valid_N


def resolution(kind: Any) -> float:
    """Return the seconds between neighbouring values of a type of dates or timestamps."""
    return DAY_S if pa.types.is_date(kind) else 1 / PER_SECOND[kind.unit]
