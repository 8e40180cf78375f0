"""Cells of a column of numbers: points of its quantile function, rounded as its values are.

Cells are made from what a codec stores, when it is fitted and again when it is loaded: equally
likely places of each bin, the values there, and the rounding that is usual in that range. Rounding
never reaches a value that many rows hold, which has cells of its own, nor another bin.

Shapes: N values, P pieces, C cells.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from gan.tables.columns.curve import Pieces, ProducibleRange, spread
from gan.tables.columns.habits import Habit, day_units, learn_habits, round_to_habits
from gan.tables.columns.values import EXACT, LARGEST, MONTHS, per_second

Array = np.ndarray[Any, Any]

RANGE_ROWS, MOST_RANGES = 500, 16
"""Habits are learnt in ranges of about so many rows, and in so many at most."""
MOST_POINTS = 10**7
CLUMPED = 0.8
"""Values of a range are clumped if so much fewer are seen than were all its points alike."""
GOLDEN = 0.6180339887498949
"""Multiples of it, less whole numbers, fill [0, 1) evenly however many there are."""


def producible(
    units: Array,
    base: float,
    g: int,
    ends: tuple[float | None, float | None],
    kind: Any,
    decimals: int | None,
) -> ProducibleRange:
    """Return what may be produced: what the type holds, constraints allow, and the sign says.

    Args:
        units: sorted values.
        base: what the pieces of the curve are counted from.
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
    amounts = not pa.types.is_temporal(kind)
    unit = 1.0 if whole else 0.0
    return ProducibleRange(low - base, high - base, unit, base if amounts else None)


def _type_ends(kind: Any, decimals: int | None) -> tuple[float, float]:
    """Return the smallest and the largest unit of a type."""
    types = pa.types
    if decimals == MONTHS:
        return 0.0, 9999 * 12 + 11.0
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


def with_units(
    pieces: Pieces, base: Any, held: Array, ends: tuple[float | None, float | None]
) -> Pieces:
    """Return pieces whose values are units, and whose rows are shares of the column's.

    Args:
        pieces: values as differences to the base.
        base: in units; whole, or a float.
        held: the real values among those shown, sorted.
        ends: of a range constraint, in units; sums of floats may miss them by a hair.
    """
    shares_P = np.round(pieces.rows_P / pieces.rows_P.sum(), 12)
    if held.dtype.kind == "f":
        low_P, high_P = (
            (float(base) + each).astype(held.dtype) for each in (pieces.low_P, pieces.high_P)
        )
        low_P, high_P = (_clipped(each, ends) for each in (low_P, high_P))
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


def _clipped(values_P: Array, ends: tuple[float | None, float | None]) -> Array:
    """Return floats within a range."""
    return values_P if ends == (None, None) else np.clip(values_P, *ends)


class Range(NamedTuple):
    """What is known of the values of one range that are not held."""

    points: int
    """How many different ones there are to draw from, all equally often."""
    habits: tuple[Habit, ...]


def learn_in_ranges(
    units: Array, pieces: Pieces, sizes: Sequence[int], g: int, kind: Any
) -> tuple[Range, ...]:
    """Return the habits of each range of the values that are not held; extremes say nothing.

    Args:
        units: sorted.
        pieces: in units.
        sizes: cells of each bin.
        g: a habit of fewer rows is none.
        kind: the column's type.
    """
    depth = min(g, len(units) // 4)
    inner = units[depth : len(units) - depth]
    loose = inner[~np.isin(inner, pieces.low_P[pieces.held_P])]
    count = int(np.clip(len(loose) // RANGE_ROWS, 1, MOST_RANGES))
    parts = [part for part in np.array_split(loose, count) if len(part)]
    found = [Range(MOST_POINTS, learn_habits(part, g, kind)) for part in parts]
    cells_C, loose_C, range_C = _rounded(pieces, sizes, found, kind)
    for number, part in enumerate(parts):
        _, counts = np.unique(cells_C[loose_C[range_C == number]], return_counts=True)
        shares = counts / max(counts.sum(), 1)
        expected = float(-np.expm1(len(part) * np.log1p(-np.minimum(shares, 0.999))).sum())
        seen = len(np.unique(part))
        if g <= seen < CLUMPED * expected:
            found[number] = found[number]._replace(points=_points(len(part), seen))
    return tuple(found)


def _points(rows: int, seen: int) -> int:
    """Return of how many equally common values so many rows show so many different ones.

    Of K values n rows show K (1 - (1 - 1/K)^n), and K is sought.
    """
    low, high = float(seen), float(MOST_POINTS)
    while high - low > 0.5:
        middle = (low + high) / 2
        shown = -middle * np.expm1(rows * np.log1p(-1 / max(middle, 1.001)))
        low, high = (middle, high) if shown < seen else (low, middle)
    return round(high)


def make_cells(pieces: Pieces, sizes: Sequence[int], ranges: Sequence[Range], kind: Any) -> Array:
    """Return the units of all cells, rising within each bin.

    Args:
        pieces: in units.
        sizes: cells of each bin.
        ranges: of the values that are not held; none for numbers without a step.
        kind: the column's type.
    """
    cells_C, _, _ = _rounded(pieces, sizes, ranges, kind)
    codes_C = np.repeat(np.arange(len(sizes)), sizes)
    found: Array = cells_C[np.lexsort((cells_C, codes_C))]
    return found


def _rounded(
    pieces: Pieces, sizes: Sequence[int], ranges: Sequence[Range], kind: Any
) -> tuple[Array, Array, Array]:
    """Return the units of all cells, which of them are not held, and the range of each of these."""
    which_C, inside_C = spread(pieces, sizes)
    low_P, high_P = pieces.low_P, pieces.high_P
    if low_P.dtype.kind == "f":
        low_P, high_P = low_P.astype(np.float64), high_P.astype(np.float64)
    start_C = low_P[which_C]
    rise_C = inside_C * (high_P - low_P)[which_C]
    loose_C = np.flatnonzero(~pieces.held_P[which_C])
    if low_P.dtype.kind == "f":
        cells_C = np.minimum(start_C + rise_C, high_P[which_C])
    else:
        cells_C = start_C + np.rint(rise_C).astype(np.int64)
    range_C = _ranges(pieces, len(ranges))[which_C[loose_C]]
    if ranges and len(loose_C):
        lowest_P, highest_P = _room(pieces)
        turns_C = (np.arange(len(loose_C)) + 1) * GOLDEN % 1
        for number, each in enumerate(ranges):
            mine = range_C == number
            own = loose_C[mine]
            rows = _thinned(own, pieces.bin_P[which_C[own]], each.points)
            bounds = lowest_P[which_C[rows]], highest_P[which_C[rows]]
            values = start_C[rows] + rise_C[rows]
            turns = turns_C[np.searchsorted(loose_C, rows)]
            day = day_units(kind)
            cells_C[own] = round_to_habits(values, *bounds, turns, each.habits, day)
    return cells_C, loose_C, range_C


def _thinned(cells: Array, bins: Array, points: int) -> Array:
    """Return for each cell the one whose value it takes, so that there are so many of them.

    Args:
        cells: of one range, rising.
        bins: of each; none takes its value from another bin.
        points: at least one for each bin.
    """
    sizes = np.diff(np.append(np.flatnonzero(np.diff(bins, prepend=-1)), len(bins)))
    inside = np.arange(len(cells)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    many = np.maximum(np.rint(points * sizes / max(len(cells), 1)), 1)
    block = inside * np.repeat(many, sizes) // np.repeat(sizes, sizes)
    first = np.flatnonzero((np.diff(block, prepend=-1) != 0) | (inside == 0))
    last = np.append(first[1:], len(cells)) - 1
    found: Array = cells[np.repeat((first + last) // 2, last - first + 1)]
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
