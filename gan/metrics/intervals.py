"""Intervals by random halves, and of shares: Wilson's, Fisher's test, differences of shares.

A metric such as FD or coverage is biased by drawing with replacement (a record twice is its own
nearest neighbour), so resamples are halves without replacement. The spread of a statistic over
random halves of n equals that of the statistic itself at n, to first order: Politis & Romano 1994
(Annals of Statistics 22, 2031) with b = n / 2, where the factor (b / n) / (1 - b / n) is one. The
halves' own mean is not used, because FD depends on n.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist
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


def wilson(share: float, n: float, z: float = Z_95) -> Interval:
    """Return the interval of a share of n, of 95 % by default: Wilson 1927 (JASA 22, 209)."""
    square = z * z
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = z / (1 + square / n) * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    return Interval(min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half)))


NORMAL_DRAWS = 200


def normal_draws(mean: float, spread: float) -> list[float]:
    """Return evenly spaced quantiles of a normal distribution, as draws of real data."""
    normal = NormalDist(mean, max(spread, 1e-12))
    return [normal.inv_cdf((i + 0.5) / NORMAL_DRAWS) for i in range(NORMAL_DRAWS)]


CHANCE = 0.001
"""Probability at which what is seen is no longer put down to chance."""


def more_often(hits: int, rows: int, own_hits: int, own_rows: int, chance: float = CHANCE) -> bool:
    """Return whether a share lies above the real one by more than chance (one-sided).

    Fisher's exact test (Fisher 1935, Journal of the Royal Statistical Society 98, 39): given all
    hits, how probable are so many among these rows.

    Args:
        hits: rows of a candidate in which it happens, of `rows`.
        rows: of the candidate.
        own_hits: real rows in which it happens, of `own_rows`.
        own_rows: real rows that were not trained on.
        chance: probability below which it is no longer put down to chance.
    """
    from scipy.stats import hypergeom

    as_many = hypergeom.sf(hits - 1, rows + own_rows, hits + own_hits, rows)
    return bool(as_many < chance)


def difference_half_width(
    share: float, rows: int, other: float, other_rows: int, z: float
) -> float:
    """Return half of the interval of a difference of shares, `z` standard deviations wide.

    Agresti & Caffo 2000 (American Statistician 54, 280): one success and one failure added to
    each side.
    """
    variance = 0.0
    for part, count in ((share, rows), (other, other_rows)):
        middle = (part * count + 1) / (count + 2)
        variance += middle * (1 - middle) / (count + 2)
    return z * math.sqrt(variance)
