"""Dates that are stored as whole numbers, such as 20240131: read as days, written as numbers again.

Between two such numbers lie others that are no dates, so that a column of them is none of
quantities.
"""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.sources.tables.dialect import Style

FORMAT: Final = "%Y%m%d"
FEWEST: Final = 30
"""Different numbers; of eight digits one in 27 is a date, so that so many are none by chance."""

_LEAST, _LARGEST = 10_000_101, 99_991_231


def are_dates(numbers: pa.ChunkedArray, fewest: int = FEWEST) -> bool:
    """Say whether all whole numbers are dates, and enough of them are different to know it."""
    ends = pc.min_max(numbers).as_py()
    if ends["min"] is None or ends["min"] < _LEAST or ends["max"] > _LARGEST:
        return False
    found = pc.unique(numbers.drop_null())
    return len(found) >= fewest and bool(_days(found.cast(pa.int64()).to_numpy())[1].all())


def is_whole_date(style: Style, kind: pa.DataType) -> bool:
    """Say whether the values of a column of days are stored as whole numbers."""
    stored = style.stored is not None and pa.types.is_integer(pa.type_for_alias(style.stored))
    return stored and style.format == FORMAT and pa.types.is_date(kind)


def read_days(numbers: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return whole numbers as days.

    Raises:
        ValueError: one is no date.
    """
    missing = numbers.is_null().to_numpy()
    days_N, valid_N = _days(pc.fill_null(numbers.cast(pa.int64()), 0).to_numpy())
    if not (valid_N | missing).all():
        msg = f"a whole number is no date of the form {FORMAT}"
        raise ValueError(msg)
    days = pa.array(days_N.astype(np.int32), pa.int32(), mask=missing).cast(pa.date32())
    return pa.chunked_array([days])


def write_days(days: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Return days as whole numbers of a type."""
    year, month, day = (part(days) for part in (pc.year, pc.month, pc.day))
    months = pc.add(pc.multiply(year, 100), month)
    return pc.add(pc.multiply(months, 100), day).cast(kind)


def _days(numbers_N: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return days since 1970-01-01, and which of the numbers of eight digits are dates."""
    months_N, day_N = numbers_N // 100 % 100, numbers_N % 100
    start_N = (numbers_N // 10_000 - 1970) * 12 + months_N - 1
    valid_N = (numbers_N >= _LEAST) & (numbers_N <= _LARGEST)
    valid_N &= (months_N >= 1) & (months_N <= 12)
    start_N = np.where(valid_N, start_N, 0)
    first_N, next_N = (
        (start_N + shift).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
        for shift in (0, 1)
    )
    days_N = first_N + day_N - 1
    return days_N, valid_N & (day_N >= 1) & (days_N < next_N)
