"""The quantile function of a column between the values that it may show, and its tails.

What is shown of a column (`groups`) are values that `g` rows hold, and means of groups of at least
`g` neighbouring rows. A mean stands in the middle of its group's rows, and between the means of
neighbouring groups the quantile function is a straight line; so the mean of all rows stays. Values
that `g` rows hold are flat parts, and no line passes one of them or a gap.

Tails. The outermost group holds the `g` rows at the end, which count as the next one, and no more
than 2 g others. There the function follows a generalised Pareto distribution (Pickands 1975, Annals
of Statistics 3:119-131), fitted to the distances between the means of the outer groups, each of
which is about a sum of exponential spacings (Renyi 1953). So the tail is the one that the rows
before the last `g` lead to, whoever lies at the end.

Shapes: V distinct shown values, P pieces of the function in the order of the values, C cells.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

TAIL_SHARE, TAIL_ROWS = 0.1, 400
"""A tail is fitted to so much of the rows, and to so many rows at most."""
FEWEST_GROUPS = 4
"""It takes so many groups beside the outermost one."""
SHAPES = np.arange(-20, 13) / 20
"""Shapes of the tail that are tried; from 1 on it would have no mean."""
LONGER, SHORTER = 0.3, 1.0
"""Spreads of what is believed of the shape beforehand, around zero: of tails without an end, whose
few rows say little and reach far, and of tails that end, as those of an even spread do."""
OUTER_GROUPS, SURPRISED = 10, 3.0
"""Where the distances of so many groups at the end are so many nats likelier by a tail of their
own, that one is taken: further inside lie rows of another kind."""
LAST = 0.25
"""The function ends where so many rows lie beyond."""
SHRINK = 0.6
"""A tail is drawn as lines between ranks each of which is so much of the one before."""
ROUND_ENDS = np.array([d * 10.0**power for power in range(-6, 15) for d in (1, 2, 5)])
NEAR_END = 0.9
"""A tail that ends does not pass a round value of which its rows come so near: 100 percent."""
MOST_PIECES, MOST_HELD = 64, 512
"""Of one bin; of one whose values are all held by rows enough."""
USUAL_TIMES = 4.0
"""A gap between common values that is so many times as long as most are is no such gap."""


class ShownValues(NamedTuple):
    """The distinct values that a column shows, sorted."""

    values_V: Array
    """float64, less a base."""
    counts_V: Array
    """Rows of each."""
    held_V: Array
    """Whether it is a real value, not a mean."""
    gap_V: Array
    """Whether a wide gap lies before it."""
    bin_V: Array
    """Number of its bin, from 0."""


class ProducibleRange(NamedTuple):
    """What a column may take, less the base."""

    low: float
    high: float
    unit: float
    """The smallest step; 0 for numbers without one."""
    base: float | None
    """Of amounts; None for moments, whose numbers are no rounder than others."""


class Pieces(NamedTuple):
    """Straight parts of a quantile function."""

    rows_P: Array
    """float64: rows of each piece, or their share of all rows."""
    low_P: Array
    high_P: Array
    """The values at its ends."""
    held_P: Array
    """Whether it is one value that may be shown as it is."""
    bin_P: Array
    """Number of its bin."""

    def of_bins(self) -> list["Pieces"]:
        """Return the pieces of each bin."""
        cuts = np.flatnonzero(np.diff(self.bin_P)) + 1
        parts = zip(*(np.split(each, cuts) for each in self), strict=True)
        return [Pieces(*each) for each in parts]


def join(parts: Sequence[Pieces]) -> Pieces:
    """Return pieces one after another."""
    return Pieces(*(np.concatenate(each) for each in zip(*parts, strict=True)))


class Tail(NamedTuple):
    """Values as a function of how many rows lie beyond, from a known point outwards."""

    rank: float
    value: float
    scale: float
    shape: float
    """Of the generalised Pareto distribution; below 0 it ends."""
    upper: bool

    def at(self, ranks: Array, bounds: ProducibleRange) -> Array:
        """Return the values at these ranks."""
        beyond = self.scale * (_pareto(ranks, self.shape) - _pareto(self.rank, self.shape))
        values: Array = self.value + (beyond if self.upper else -self._downwards(beyond, bounds))
        values = np.clip(values, bounds.low, bounds.high)
        if self.upper and self.shape < 0 and bounds.base is not None:
            known = self.value + bounds.base
            index = int(np.searchsorted(ROUND_ENDS, known))
            end = float(ROUND_ENDS[min(index, len(ROUND_ENDS) - 1)])
            if known >= NEAR_END * end:
                values = np.minimum(values, end - bounds.base)
        return values

    def _downwards(self, beyond: Array, bounds: ProducibleRange) -> Array:
        """Return how far below the known point: amounts above zero come near it, never to it."""
        known = self.value + (bounds.base or 0.0)
        if bounds.base is None or known <= 0 or bounds.low + bounds.base < 0:
            return beyond
        near: Array = -known * np.expm1(-np.maximum(beyond, 0) / known)
        return np.where(beyond > 0, near, beyond)


def fill_between(
    shown: ShownValues, values: Array, offsets: Array, atom: Array, g: int
) -> ShownValues:
    """Return what is shown, with the rare values that lie among common ones.

    Where fewer than g rows lie between two values that g rows hold each, they took one of these.
    So many such intervals side by side that g rows lie in them share those rows by their lengths,
    whichever of them the rows lie in.

    Args:
        shown: whole numbers.
        values: the shown ones, exactly.
        offsets: the sorted values, less the same base.
        atom: which of the shown values are atoms.
        g: rows of the smallest group.
    """
    real, rows = np.unique(offsets, return_counts=True)
    step = int(np.gcd.reduce(np.diff(real[rows < g]), initial=0)) or 1
    starts = np.searchsorted(offsets, values, side="right")
    ends = np.searchsorted(offsets, values[1:])
    lengths = np.diff(values) // step - 1
    both = shown.held_V[:-1] & shown.held_V[1:] & ~(atom[:-1] & atom[1:]) & (lengths > 0)
    usual = float(np.median(lengths[both])) if both.any() else 0.0
    between = np.flatnonzero(both & (lengths <= USUAL_TIMES * usual))
    inside = (ends - starts[:-1])[between].astype(np.float64)
    if inside.sum() < g:
        return shown
    zone = _zones(inside.tolist(), g)
    total, whole = (np.bincount(zone, weights=w) for w in (inside, lengths[between]))
    shared = total[zone] * lengths[between] / whole[zone]
    counts = shown.counts_V.astype(np.float64)
    counts[shown.held_V] = rows[np.searchsorted(real, values[shown.held_V])]
    where = between + 1
    middle = (shown.values_V[between] + shown.values_V[where]) / 2
    bins = np.where(atom[between], shown.bin_V[where], shown.bin_V[between])
    return ShownValues(
        np.insert(shown.values_V, where, middle),
        np.insert(counts, where, shared),
        np.insert(shown.held_V, where, False),
        np.insert(shown.gap_V, where, False),
        np.insert(shown.bin_V, where, bins),
    )


def _zones(rows: list[float], g: int) -> Array:
    """Return a number for each interval: neighbours share it until g rows lie in them."""
    zone, number, reached = np.empty(len(rows), dtype=np.int64), 0, 0.0
    for index, count in enumerate(rows):
        zone[index] = number
        reached += count
        if reached >= g:
            number, reached = number + 1, 0.0
    if reached:
        zone[zone == number] = number - 1
    return np.minimum(zone, number - 1)


def draw_pieces(shown: ShownValues, g: int, bounds: ProducibleRange) -> Pieces:
    """Return the pieces of what is shown.

    Args:
        shown: of a column.
        g: rows of the smallest group.
        bounds: what may be produced.
    """
    low_V, high_V = _ends(shown, bounds.unit)
    tails = {0: _tail(shown, g, upper=False), len(shown.values_V) - 1: _tail(shown, g, upper=True)}
    for at, tail in tails.items():
        if tail is not None:
            start = tail.at(shown.counts_V[at], bounds)
            (high_V if tail.upper else low_V)[at + (-1 if tail.upper else 1)] = start
    parts: list[Pieces] = []
    rows_V = shown.counts_V.astype(np.float64)
    for index, value in enumerate(shown.values_V):
        tail = tails.get(index)
        if shown.held_V[index]:
            rows, ends = rows_V[index : index + 1], np.array([value, value])
        elif tail is not None:
            rows, ends = _outermost(tail, rows_V[index], bounds)
        else:
            rows = np.repeat(rows_V[index] / 2, 2)
            ends = np.clip([low_V[index], value, high_V[index]], bounds.low, bounds.high)
        held = np.full(len(rows), shown.held_V[index])
        numbers = np.full(len(rows), shown.bin_V[index])
        parts.append(Pieces(rows, ends[:-1], ends[1:], held, numbers))
    return join(parts)


def _ends(shown: ShownValues, unit: float) -> tuple[Array, Array]:
    """Return where the piece of each value begins and ends.

    It ends between two means where their lines meet; beside a gap or a held value as far from the
    mean as on the other side.
    """
    values, counts = shown.values_V, shown.counts_V.astype(np.float64)
    held, gap = shown.held_V, shown.gap_V[1:]
    middle = (values[:-1] * counts[1:] + values[1:] * counts[:-1]) / (counts[:-1] + counts[1:])
    down, up = np.full((2, len(values)), np.inf)
    down[1:] = np.where(gap, np.inf, values[1:] - np.where(held[:-1], values[:-1] + unit, middle))
    up[:-1] = np.where(gap, np.inf, np.where(held[1:], values[1:] - unit, middle) - values[:-1])
    joined = ~held[:-1] & ~held[1:] & ~gap
    left, right = np.append(False, joined), np.append(joined, False)
    width = np.where(left & ~right, down, np.where(right & ~left, up, np.minimum(down, up)))
    width = np.where(np.isfinite(width), width, 0)
    low = values - np.maximum(np.where(left, down, np.minimum(width, down)), 0)
    high = values + np.maximum(np.where(right, up, np.minimum(width, up)), 0)
    return low, high


def _tail(shown: ShownValues, g: int, *, upper: bool) -> Tail | None:
    """Return the tail beyond the last mean; None where it cannot be told."""
    way = slice(None, None, -1) if upper else slice(None)
    values, counts = shown.values_V[way], shown.counts_V[way]
    if g <= 1 or shown.held_V[way][0] or len(values) <= FEWEST_GROUPS:
        return None
    gaps = np.flatnonzero(shown.gap_V[1:][way]) + 1
    reached = np.cumsum(counts)
    rows = min(TAIL_SHARE * reached[-1], float(TAIL_ROWS))
    end = max(int(np.searchsorted(reached, rows)) + 1, FEWEST_GROUPS + 1)
    end = min(end, int(gaps[0])) if len(gaps) else end
    large = np.flatnonzero(counts[1:] > reached[:-1]) + 1
    end = min(end, int(large[0])) if len(large) else end
    if end <= FEWEST_GROUPS or reached[end - 1] > reached[-1] / 2:
        return None
    ranks = (reached - counts / 2)[:end]
    inner = np.maximum(np.arange(counts[0]) + 0.5, g)
    ranks[0] = np.exp(np.log(inner).mean())
    apart = np.abs(np.diff(values[:end]))
    weights = counts[: end - 1].astype(np.float64)
    scale, shape = _fit(apart, ranks, weights)
    if len(apart) > OUTER_GROUPS:
        outer = apart[:OUTER_GROUPS], ranks[: OUTER_GROUPS + 1], weights[:OUTER_GROUPS]
        own = _fit(*outer)
        if _misfit(scale, shape, *outer) - _misfit(*own, *outer) > SURPRISED:
            scale, shape = own
    return Tail(float(ranks[0]), float(values[0]), scale, shape, upper)


def _pareto(ranks: Any, shape: float) -> Any:
    """Return the generalised Pareto quantile where so many rows lie beyond; 0 for one, scale 1."""
    return -np.log(ranks) if shape == 0 else (np.power(ranks, -shape) - 1) / shape


def _fit(apart: Array, ranks: Array, weights: Array) -> tuple[float, float]:
    """Return scale and shape under which the distances between means of groups are likeliest.

    Each is about gamma distributed, its shape being the rows between.
    """
    best = (np.inf, 0.0, 0.0)
    for shape in SHAPES.tolist():
        unit = -np.diff(_pareto(ranks, shape))
        scale = float(np.sum(weights * apart / unit) / weights.sum())
        if scale <= 0:
            return 0.0, 0.0
        believed = shape / (SHORTER if shape < 0 else LONGER)
        loss = float(np.sum(weights * np.log(scale * unit))) + believed**2 / 2
        best = min(best, (loss, scale, shape))
    return best[1], best[2]


def _misfit(scale: float, shape: float, apart: Array, ranks: Array, weights: Array) -> float:
    """Return how unlikely distances are, in nats and up to what does not depend on the tail."""
    wanted = np.maximum(-scale * np.diff(_pareto(ranks, shape)), 1e-300)
    return float(np.sum(weights * (np.log(wanted) + apart / wanted)))


def _outermost(tail: Tail, rows: float, bounds: ProducibleRange) -> tuple[Array, Array]:
    """Return rows of the outermost group's pieces and the values between them, rising."""
    steps = int(np.log(LAST / rows) / np.log(SHRINK))
    ranks = np.append(rows * SHRINK ** np.arange(steps + 1), LAST)
    values = tail.at(ranks, bounds)
    ends, rows_P = np.append(values, values[-1]), np.append(-np.diff(ranks), LAST)
    return (rows_P, ends) if tail.upper else (rows_P[::-1], ends[::-1])


def thin(pieces: Pieces, most: int = MOST_PIECES) -> Pieces:
    """Return at most so many pieces per bin: neighbours are joined to about equal rows.

    Where all of them are held, the joined ones are shown as one of them.
    """
    found: list[Pieces] = []
    for part in pieces.of_bins():
        rows_P = part.rows_P
        flat = bool(part.held_P.all())
        many = MOST_HELD if flat else most
        middle = (np.cumsum(rows_P) - rows_P / 2) / rows_P.sum()
        group = np.floor(middle * many)
        cuts = np.flatnonzero(np.diff(group, prepend=-1))
        if len(rows_P) <= many or len(cuts) == len(rows_P):
            found.append(part)
            continue
        ends = np.append(cuts[1:], len(rows_P)) - 1
        low = part.low_P[(cuts + ends) // 2 if flat else cuts]
        found.append(
            Pieces(
                np.add.reduceat(rows_P, cuts),
                low,
                low if flat else part.high_P[ends],
                part.held_P[cuts] & (flat | (cuts == ends)),
                part.bin_P[cuts],
            )
        )
    return join(found)


def spread(pieces: Pieces, sizes: Sequence[int]) -> tuple[Array, Array]:
    """Return the piece of every cell, and where in it the cell lies, in [0, 1].

    Args:
        pieces: of all bins.
        sizes: cells of each bin; they are equally likely.
    """
    which, inside, start = [], [], 0
    for part, many in zip(pieces.of_bins(), sizes, strict=True):
        ends = np.cumsum(part.rows_P)
        places = (np.arange(many) + 0.5) / many * ends[-1]
        index = np.minimum(np.searchsorted(ends, places, side="right"), len(ends) - 1)
        inside.append((places - (ends - part.rows_P)[index]) / part.rows_P[index])
        which.append(index + start)
        start += len(ends)
    return np.concatenate(which), np.concatenate(inside).clip(0, 1)
