"""Area under the ROC curve: how well scores tell two groups apart; .5 is not at all.

Mann-Whitney form with ties counted half: Hanley & McNeil 1982 (Radiology 143, 29). Interval: DeLong
et al. 1988 (Biometrics 44, 837), equations 1 to 3, from midranks as Sun & Xu 2014 (IEEE Signal
Processing Letters 21, 1389) compute it.

Shapes: P scores of positives, N of negatives, R rows with weights, B resamples.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from gan.metrics.intervals import Z_95

Array = np.ndarray[Any, Any]


class Area(NamedTuple):
    """An area with its 95 % interval."""

    value: float
    low: float
    high: float


def midranks(values_N: Array) -> Array:
    """Return ranks from 1, equal values sharing their mean rank; float64 (N,)."""
    _, inverse_N, counts = np.unique(values_N, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks_N: Array = (last - (counts - 1) / 2)[inverse_N]
    return ranks_N


def auc(positives_P: Array, negatives_N: Array) -> float:
    """Return the probability that a positive scores higher than a negative, ties counted half."""
    p, n = len(positives_P), len(negatives_N)
    ranks = midranks(np.concatenate([positives_P, negatives_N]))[:p]
    return float((ranks.sum() - p * (p + 1) / 2) / (p * n))


def delong(positives_P: Array, negatives_N: Array) -> Area:
    """Return the area with DeLong's interval; each side needs two scores."""
    p, n = len(positives_P), len(negatives_N)
    together = midranks(np.concatenate([positives_P, negatives_N]))
    above_P = (together[:p] - midranks(positives_P)) / n
    above_N = 1 - (together[p:] - midranks(negatives_N)) / p
    value = float(above_P.mean())
    spread = math.sqrt(above_P.var(ddof=1) / p + above_N.var(ddof=1) / n)
    half = Z_95 * spread
    return Area(value, max(0.0, value - half), min(1.0, value + half))


def null_spread(p: int, n: int) -> float:
    """Return the standard deviation of the area of P and N scores of one distribution.

    Mann & Whitney 1947 (Annals of Mathematical Statistics 18, 50), the variance of U over (PN)².
    """
    return math.sqrt((p + n + 1) / (12 * p * n))


def weighted_auc(scores_R: Array, positive_R: Array, weights_BR: Array) -> Array:
    """Return the area under each set of weights, such as counts of a bootstrap; float64 (B,).

    NaN where one side weighs nothing.

    Args:
        scores_R: one score per row.
        positive_R: bool.
        weights_BR: at least 0.
    """
    order = np.argsort(scores_R, kind="stable")
    ordered = scores_R[order]
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    positive = positive_R[order].astype(np.float64)
    weights = weights_BR[:, order]
    up_BG = sum_groups(weights * positive, first)
    down_BG = sum_groups(weights * (1 - positive), first)
    below_BG = np.cumsum(down_BG, axis=1) - 0.5 * down_BG
    sides_B = up_BG.sum(axis=1) * down_BG.sum(axis=1)
    areas_B: Array = np.divide(
        (up_BG * below_BG).sum(axis=1),
        sides_B,
        out=np.full(len(weights), np.nan),
        where=sides_B > 0,
    )
    return areas_B


def sum_groups(values_BR: Array, first_G: Array) -> Array:
    """Return the sums of runs of columns, given where each begins; the same where all are alone."""
    if len(first_G) == values_BR.shape[1]:
        return values_BR
    sums_BG: Array = np.add.reduceat(values_BR, first_G, axis=1)
    return sums_BG
