"""Bins for drawing numbers: round edges, open ends, none with few real rows.

Edges are multiples of a round step, or round numbers of two digits on a logarithmic axis; they are
laid out between the k-th smallest and k-th largest real value, so neither an extreme nor a rare
value decides where one is.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gan.tables.figures.columns import Drawn, kth_ends

Array = np.ndarray[Any, Any]

BINS = 20
TAIL = 0.005
"""Share of the rows at each end that lies in the open bin."""
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_WHOLE_STEPS = (1.0, 2.0, 5.0, 10.0)
_CLOCK_S = (60.0, 300.0, 900.0, 3600.0, 7200.0, 21_600.0, 86_400.0)
_SKEWED = 0.25
"""Logarithmic when nine tenths of the values lie in less than this share of the range."""
_LOG_RATIO = 20.0
"""And when the ends differ by more than this factor."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Edges between bins; the first bin has everything below, the last everything above."""

    edges: Array
    log: bool = False

    def counts(self, values: Array) -> Array:
        """Return how many values each bin has, NaN left out."""
        known = values[~np.isnan(values)]
        places = np.searchsorted(self.edges, known, side="right")
        return np.bincount(places, minlength=len(self.edges) + 1)


def lay_out(column: Drawn, values: Array) -> Layout | None:
    """Return bins for a column's real values, or None when too few are known."""
    known = np.sort(values[~np.isnan(values)])
    k = max(column.group, int(TAIL * len(known)))
    ends = kth_ends(known, k)
    if ends is None:
        return None
    low, high = ends
    positive = known[known > 0]
    if low >= 0 and not column.kind.startswith(("date", "time")) and _skewed(known, low, high):
        first = kth_ends(positive, k)
        if first is not None and first[1] > _LOG_RATIO * first[0]:
            return Layout(edges=_log_edges(*first), log=True)
    return Layout(edges=_even_edges(column, low, high))


def pool(counts: Array, group: int) -> list[tuple[int, int]]:
    """Return ranges of bins [start, stop), each with no real row or with at least `group`.

    A range with fewer is joined with the neighbour that has fewer rows, empty ones last.
    """
    ranges = [(index, index + 1) for index in range(len(counts))]
    sums = [int(count) for count in counts]
    while len(ranges) > 1:
        rare = [index for index, count in enumerate(sums) if 0 < count < group]
        if not rare:
            break
        index = min(rare, key=lambda one: sums[one])
        beside = [one for one in (index - 1, index + 1) if 0 <= one < len(sums)]
        other = min(beside, key=lambda one: (sums[one] == 0, sums[one]))
        first, second = min(index, other), max(index, other)
        ranges[first : second + 1] = [(ranges[first][0], ranges[second][1])]
        sums[first : second + 1] = [sums[first] + sums[second]]
    return ranges


def _skewed(known: Array, low: float, high: float) -> bool:
    body = float(np.quantile(known, 0.9)) - low
    return high > low and body < _SKEWED * (high - low)


def _even_edges(column: Drawn, low: float, high: float) -> Array:
    """Return multiples of a round step around [low, high]."""
    if high <= low:
        span = max(abs(high) * 0.1, 1e-9) if not column.whole else 1.0
        low, high = low - span, high + span
    step = _step(column, (high - low) / BINS)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    edges = step * np.arange(first, last + 1 + int(column.whole))
    return np.round(edges, 12) - (0.5 if column.whole else 0.0)


def _step(column: Drawn, raw: float) -> float:
    if column.kind in ("time", "timestamp") and raw <= _CLOCK_S[-1]:
        return next(step for step in _CLOCK_S if step >= raw)
    if column.kind == "timestamp":
        return _CLOCK_S[-1] * _round_up(raw / _CLOCK_S[-1], _WHOLE_STEPS)
    if column.whole:
        return max(1.0, _round_up(raw, _WHOLE_STEPS))
    return _round_up(raw, _STEPS)


def _round_up(raw: float, steps: tuple[float, ...]) -> float:
    power = 10.0 ** math.floor(math.log10(raw))
    return next(step * power for step in steps if step * power >= raw * (1 - 1e-9))


def _log_edges(low: float, high: float) -> Array:
    """Return numbers of two digits that grow by about the same factor."""
    exact = np.geomspace(low, high, BINS)
    power = 10.0 ** (np.floor(np.log10(exact)) - 1)
    edges: Array = np.unique(np.round(np.round(exact / power) * power, 12))
    return edges
