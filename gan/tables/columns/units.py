"""Numbers of every kind as one array of integers or floats, and back, exactly.

Integers, dates, times and timestamps are themselves; a decimal is its unscaled integer; floats
that are all multiples of 10^-k (k up to 9) are integers in that unit, so that their rounding stays;
other floats stay floats.
"""

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from gan.errors import DataError
from gan.tables.columns.types import STORED, plain

Array = np.ndarray[Any, Any]

MOST_DECIMALS = 9
LARGEST = 2**61
"""Units beyond it are not served, so that differences fit 64 bits."""
EXACT = {2: 2.0**11, 4: 2.0**24, 8: 2.0**53}
"""Bytes of a float → it holds every integer below."""


class NumberError(DataError):
    """Numbers that are not served; the message is the second half of a sentence on a column."""


def is_number(kind: Any) -> bool:
    """Say whether columns of this type can be modelled as numbers."""
    types = pa.types
    served = (types.is_integer, types.is_floating, types.is_decimal, types.is_temporal)
    return any(test(kind) for test in served)


def find_decimals(column: Any) -> int | None:
    """Return the fewest decimals that write every float of the column; None when none do.

    Columns of other types have 0: their integers are the unit.
    """
    if not pa.types.is_floating(column.type):
        return 0
    values = _floats(column)
    kind = column.type.to_pandas_dtype()
    for decimals in range(MOST_DECIMALS + 1):
        scaled = np.rint(values * 10.0**decimals)
        if not np.all(np.abs(scaled) < EXACT[np.dtype(kind).itemsize]):
            return None
        if np.array_equal((scaled / 10.0**decimals).astype(kind).astype(np.float64), values):
            return decimals
    return None


def to_units(column: Any, decimals: int | None) -> tuple[Array, Array]:
    """Return `units_N` (int64, or floats when decimals is None) and `valid_N`; 0 where null.

    Raises:
        NumberError: infinite values, or integers beyond 2^61.
    """
    column = plain(column)
    valid_N = np.ones(len(column), dtype=bool)
    if column.null_count:
        valid_N = column.is_valid().to_numpy(zero_copy_only=False)
        column = column.fill_null(_zero(column.type))
    if pa.types.is_floating(column.type):
        values = _float_units(_floats(column), decimals)
        return values.astype(column.type.to_pandas_dtype()) if decimals is None else values, valid_N
    return _integer_units(column), valid_N


def from_units(units: Array, decimals: int | None, kind: Any) -> Any:
    """Return units as an Arrow array of a column's type without dictionary."""
    if pa.types.is_floating(kind):
        values = units if decimals is None else units / 10.0**decimals
        return pa.array(values.astype(kind.to_pandas_dtype()), type=kind)
    if pa.types.is_decimal(kind):
        words = np.stack([units, units >> 63], axis=1).astype(np.int64)
        wide = pa.decimal128(38, kind.scale)
        buffers = [None, pa.py_buffer(words.tobytes())]
        return pa.Array.from_buffers(wide, len(units), buffers).cast(kind)
    if pa.types.is_temporal(kind):
        return pa.array(units).cast(STORED[kind.bit_width]).view(kind)
    return pa.array(units).cast(kind)


def _floats(column: Any) -> Array:
    """Return float64 values; refuses infinite ones."""
    values: Array = column.drop_null().to_numpy(zero_copy_only=False).astype(np.float64)
    infinite = int(np.isinf(values).sum())
    if infinite:
        msg = f"holds {infinite} infinite values: replace them by nulls or leave those rows out"
        raise NumberError(msg)
    return values


def _float_units(values: Array, decimals: int | None) -> Array:
    """Return floats in units of 10^-decimals."""
    if decimals is None:
        return values
    scaled = np.rint(values * 10.0**decimals)
    return np.clip(scaled, -float(LARGEST), float(LARGEST)).astype(np.int64)


def _integer_units(column: Any) -> Array:
    """Return the integers behind a column without nulls."""
    kind = column.type
    if pa.types.is_decimal(kind):
        wide = column.cast(pa.decimal128(38, kind.scale))
        words = np.frombuffer(wide.buffers()[1], dtype=np.int64).reshape(-1, 2)
        words = words[wide.offset : wide.offset + len(wide)]
        fits = bool(np.all(words[:, 1] == words[:, 0] >> 63))
        units = words[:, 0].copy()
    elif pa.types.is_temporal(kind):
        units, fits = column.view(STORED[kind.bit_width]).to_numpy().astype(np.int64), True
    else:
        values = column.to_numpy()
        fits = not len(values) or int(values.max()) <= LARGEST
        units = values.astype(np.int64)
    if not fits or (len(units) and max(int(units.max()), -int(units.min())) > LARGEST):
        msg = "holds numbers beyond 2^61: declare it as a key or a category, or rescale it"
        raise NumberError(msg)
    return units


def _zero(kind: Any) -> Any:
    """Return the null's stand-in."""
    if pa.types.is_temporal(kind):
        return pa.array([0], type=STORED[kind.bit_width]).view(kind)[0]
    if pa.types.is_decimal(kind):
        return pa.array([Decimal(0)], type=kind)[0]
    return pa.array([0]).cast(kind)[0]
