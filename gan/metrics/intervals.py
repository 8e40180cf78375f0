"""Intervals by random halves, and Wilson's for a plain share.

A metric such as FD or coverage is biased by drawing with replacement (a record twice is its own
nearest neighbour), so resamples are halves without replacement. The spread of a statistic over
random halves of n equals that of the statistic itself at n, to first order: Politis & Romano 1994
(Annals of Statistics 22, 2031) with b = n / 2, where the factor (b / n) / (1 - b / n) is one. The
halves' own mean is not used, because FD depends on n.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

LEVELS = (0.025, 0.975)
Z_95 = 1.959963984540054
"""Normal quantile of a two-sided 95 % interval."""


class Interval(NamedTuple):
    """A 95 % interval."""

    low: float
    high: float


def random_half(n: int, rng: np.random.Generator) -> Array:
    """Return a random half of 0 … n-1, without replacement."""
    half: Array = rng.permutation(n)[: max(2, n // 2)]
    return half


def spread_interval(
    point: float, replicates: Sequence[float], lower: float = -math.inf, upper: float = math.inf
) -> Interval:
    """Return the point plus the spread of its replicates, kept within what is possible."""
    if len(replicates) < 2:
        return Interval(point, point)
    values = np.asarray(replicates, dtype=np.float64)
    low, high = np.quantile(values - values.mean(), LEVELS)
    return Interval(
        min(point, max(lower, point + float(low))), max(point, min(upper, point + float(high)))
    )


def wilson(share: float, n: float) -> Interval:
    """Return the 95 % interval of a share of n: Wilson 1927 (JASA 22, 209)."""
    square = Z_95 * Z_95
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = Z_95 / (1 + square / n) * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    return Interval(min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half)))
