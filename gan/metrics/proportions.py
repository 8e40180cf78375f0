"""Whether something happens more often than it does among real rows, and differences of shares."""

import math

CHANCE = 0.001
"""Probability at which what is seen is no longer put down to chance."""


def more_often(hits: int, rows: int, own_hits: int, own_rows: int) -> bool:
    """Return whether a share lies above the real one by more than chance (one-sided, 0.1 %).

    Fisher's exact test (Fisher 1935, Journal of the Royal Statistical Society 98, 39): given all
    hits, how probable are so many among these rows.

    Args:
        hits: rows of a candidate in which it happens, of `rows`.
        rows: of the candidate.
        own_hits: real rows in which it happens, of `own_rows`.
        own_rows: real rows that were not trained on.
    """
    from scipy.stats import hypergeom

    as_many = hypergeom.sf(hits - 1, rows + own_rows, hits + own_hits, rows)
    return bool(as_many < CHANCE)


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
