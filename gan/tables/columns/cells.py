"""Cells of a column of numbers: points of its quantile function, rounded as its values are.

Cells are made from what a codec stores, when it is fitted and again when it is loaded: equally
likely places of each bin, the values there, and the rounding that is usual in that range. Rounding
never reaches a value that many rows hold, which has cells of its own, nor another bin.

Shapes: N values, P pieces, C cells.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from gan.tables.columns.curve import Bounds, Pieces, spread
from gan.tables.columns.habits import Habit, day_units, learn_habits, round_to_habits
from gan.tables.columns.values import EXACT, LARGEST, per_second

Array = np.ndarray[Any, Any]

RANGE_ROWS, MOST_RANGES = 500, 16
"""Habits are learnt in ranges of about so many rows, and in so many at most."""
GOLDEN = 0.6180339887498949
"""Multiples of it, less whole numbers, fill [0, 1) evenly however many there are."""


def producible(
    units: Array,
    g: int,
    ends: tuple[float | None, float | None],
    kind: Any,
    decimals: int | None,
) -> Bounds:
    """Return what may be produced: what the type holds, constraints allow, and the sign says.

    Args:
        units: sorted values.
        g: what holds for all but so many rows at an end holds for all that is produced.
        ends: of a range constraint, in units.
        kind: the column's type.
        decimals: see `find_decimals`.
    """
    low, high = _type_ends(kind, decimals)
    whole = units.dtype.kind == "i"
    depth = min(g, len(units) // 4)
    lowest, highest = units[depth], units[len(units) - 1 - depth]
    if lowest >= 0:
        low = max(low, 1.0 if whole and lowest > 0 else 0.0)
    if highest <= 0:
        high = min(high, -1.0 if whole and highest < 0 else 0.0)
    low = low if ends[0] is None else max(low, ends[0])
    high = high if ends[1] is None else min(high, ends[1])
    base = float(units[0])
    amounts = not pa.types.is_temporal(kind)
    unit = 1.0 if whole else 0.0
    return Bounds(low - base, high - base, unit, base if amounts else None)


def _type_ends(kind: Any, decimals: int | None) -> tuple[float, float]:
    """Return the smallest and the largest unit of a type."""
    types = pa.types
    if types.is_integer(kind):
        info = np.iinfo(kind.to_pandas_dtype())
        return max(float(info.min), -float(LARGEST)), min(float(info.max), float(LARGEST))
    if types.is_floating(kind):
        dtype = np.dtype(kind.to_pandas_dtype())
        most = float(np.finfo(dtype).max) if decimals is None else EXACT[dtype.itemsize] - 1
    elif types.is_decimal(kind):
        most = min(10.0**kind.precision - 1, float(LARGEST))
    elif types.is_time(kind):
        return 0.0, float(86_400 * per_second(kind) - 1)
    elif kind.bit_width == 32:
        most = float(2**31 - 1)
    else:
        most = float(LARGEST)
    return -most, most


def with_units(pieces: Pieces, base: Any, held: Array) -> Pieces:
    """Return pieces whose values are units, and whose rows are shares of their bin's.

    Args:
        pieces: values as differences to the base.
        base: in units; whole, or a float.
        held: the real values among those shown, sorted.
    """
    rows = np.bincount(pieces.bin_P, weights=pieces.rows_P)
    shares_P = np.round(pieces.rows_P / rows[pieces.bin_P], 9)
    if held.dtype.kind == "f":
        low_P, high_P = (base + each for each in (pieces.low_P, pieces.high_P))
    else:
        low_P, high_P = (
            base + np.floor(each).astype(np.int64) for each in (pieces.low_P, pieces.high_P)
        )
    if pieces.held_P.any():
        near = low_P[pieces.held_P]
        index = np.searchsorted(held, near).clip(0, len(held) - 1)
        before = (index - 1).clip(0)
        nearer = np.abs(held[before] - near) < np.abs(held[index] - near)
        exact = held[np.where(nearer, before, index)]
        low_P[pieces.held_P] = high_P[pieces.held_P] = exact
    return pieces._replace(rows_P=shares_P, low_P=low_P, high_P=high_P)


def learn_in_ranges(
    units: Array, pieces: Pieces, g: int, kind: Any
) -> tuple[tuple[Habit, ...], ...]:
    """Return the habits of each range of the values that are not held; extremes say nothing.

    Args:
        units: sorted.
        pieces: in units.
        g: a habit of fewer rows is none.
        kind: the column's type.
    """
    depth = min(g, len(units) // 4)
    inner = units[depth : len(units) - depth]
    loose = inner[~np.isin(inner, pieces.low_P[pieces.held_P])]
    count = int(np.clip(len(loose) // RANGE_ROWS, 1, MOST_RANGES))
    parts = [part for part in np.array_split(loose, count) if len(part)]
    return tuple(learn_habits(part, g, kind) for part in parts)


def make_cells(
    pieces: Pieces, sizes: Sequence[int], habits: Sequence[Sequence[Habit]], kind: Any
) -> Array:
    """Return the units of all cells, rising within each bin.

    Args:
        pieces: in units.
        sizes: cells of each bin.
        habits: of each range.
        kind: the column's type.
    """
    which_C, inside_C = spread(pieces, sizes)
    low_P, high_P = pieces.low_P, pieces.high_P
    start_C = low_P[which_C]
    rise_C = inside_C * (high_P - low_P)[which_C]
    loose_C = np.flatnonzero(~pieces.held_P[which_C])
    if low_P.dtype.kind == "f":
        cells_C = start_C + rise_C
    else:
        cells_C = start_C + np.rint(rise_C).astype(np.int64)
    if habits and len(loose_C):
        lowest_P, highest_P = _room(pieces)
        range_P = _ranges(pieces, len(habits))
        turns_C = (np.arange(len(loose_C)) + 1) * GOLDEN % 1
        for number, each in enumerate(habits):
            mine = range_P[which_C[loose_C]] == number
            rows = loose_C[mine]
            bounds = lowest_P[which_C[rows]], highest_P[which_C[rows]]
            values = start_C[rows] + rise_C[rows]
            day = day_units(kind)
            cells_C[rows] = round_to_habits(values, *bounds, turns_C[mine], each, day)
    codes_C = np.repeat(np.arange(len(sizes)), sizes)
    found: Array = cells_C[np.lexsort((cells_C, codes_C))]
    return found


def _room(pieces: Pieces) -> tuple[Array, Array]:
    """Return the smallest and largest unit of each piece: inside its bin, and between held ones."""
    low_P, high_P, held_P = pieces.low_P, pieces.high_P, pieces.held_P
    far = 2 * LARGEST
    before_P = np.maximum.accumulate(np.append(-far, np.where(held_P, low_P + 1, -far)[:-1]))
    after = np.append(np.where(held_P, high_P - 1, far)[1:], far)
    after_P = np.minimum.accumulate(after[::-1])[::-1]
    last = np.flatnonzero(np.diff(pieces.bin_P))
    middle = high_P[last] + (low_P[last + 1] - high_P[last]) // 2
    bottom = np.append(min(low_P[0], high_P[0]), middle + 1)
    top = np.append(middle, high_P[-1])
    return np.maximum(before_P, bottom[pieces.bin_P]), np.minimum(after_P, top[pieces.bin_P])


def _ranges(pieces: Pieces, count: int) -> Array:
    """Return the range of each piece: of about equal shares of what is not held."""
    loose_P = np.where(pieces.held_P, 0.0, pieces.rows_P)
    middle_P = np.cumsum(loose_P) - loose_P / 2
    total = max(float(loose_P.sum()), 1e-300)
    found: Array = np.minimum(middle_P / total * count, count - 1).astype(np.int64)
    return found
