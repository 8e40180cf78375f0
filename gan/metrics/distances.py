"""Euclidean distances between feature vectors, and the share of rows nearer to train.

Distance to the closest record (DCR): the share of synthetic rows that lie nearer to a training row
than to one of the holdout. Platzer & Reutterer 2021 (Frontiers in Big Data 4, 679939), section 3.2:
with as many training as holdout rows a generator that has not memorised lies nearer to either
equally often; ties count half.

Rows that share their nearest real row are one draw of chance, not many: which side that real row
is on decides about all of them. Were the sides exchanged at random, the share would have the
variance of a sample without replacement (Cochran 1977, Sampling Techniques, theorem 2.2): with m_p
fakes whose nearest of all P real rows is p, and their mean m, it is that of
`M_eff = M² (P - 1) / (P Σ_p (m_p - m)²)` independent rows. The interval is Wilson's at M_eff.

Shapes: M fakes, N reals on each side, F features.
"""

from typing import Any, NamedTuple

import numpy as np

from gan.metrics.intervals import Z_95, wilson

Array = np.ndarray[Any, Any]

CHUNK_ROWS = 2048
"""Rows per matrix product; changes memory, not results."""


def squared_distances(a_NF: Array, b_MF: Array, chunk_rows: int = CHUNK_ROWS) -> Array:
    """Return `d_NM = ‖a_n - b_m‖²` as float32, computed in float64."""
    distances_NM = np.empty((len(a_NF), len(b_MF)), dtype=np.float32)
    for start in range(0, len(a_NF), chunk_rows):
        rows = slice(start, start + chunk_rows)
        distances_NM[rows] = squared_block(a_NF[rows], b_MF)
    return distances_NM


class Nearest(NamedTuple):
    """The nearest row of the other side; see `gan.metrics.neighbours.nearest`."""

    squared_N: Array
    index_N: Array


def squared_block(a_NF: Array, b_MF: Array) -> Array:
    """Return `‖a_n - b_m‖²` as float64 by ‖a‖² + ‖b‖² - 2ab, clipped at zero."""
    a = np.asarray(a_NF, dtype=np.float64)
    b = np.asarray(b_MF, dtype=np.float64)
    square_NM: Array = a @ b.T
    square_NM *= -2.0
    square_NM += (a * a).sum(axis=1)[:, None]
    square_NM += (b * b).sum(axis=1)[None, :]
    np.maximum(square_NM, 0.0, out=square_NM)
    return square_NM


SAME = 1e-9
"""Squared distances that differ by less are equal: rounding of the matrix product."""


class Closest(NamedTuple):
    """The share with its interval."""

    share: float
    low: float
    high: float
    effective: float
    """Rows as good as independent."""


def nearer(to_train: Nearest, to_holdout: Nearest) -> Array:
    """Return 1 where train is nearer, 0 where the holdout is, ½ where neither is; (M,)."""
    difference_M = to_holdout.squared_N - to_train.squared_N
    hits_M: Array = np.where(np.abs(difference_M) <= SAME, 0.5, difference_M > 0)
    return hits_M


def owners(to_train: Nearest, to_holdout: Nearest, rows: int) -> Array:
    """Return which real row is the nearest: of train 0 … rows-1, of the holdout from `rows` on."""
    train_M = to_train.squared_N <= to_holdout.squared_N
    owners_M: Array = np.where(train_M, to_train.index_N, rows + to_holdout.index_N)
    return owners_M


def closest_share(hits_M: Array, owners_M: Array, reals: int, z: float = Z_95) -> Closest:
    """Return the share of `hits_M` with its interval, `z` standard deviations wide.

    Args:
        hits_M: 1 where train is nearer.
        owners_M: which real row is nearest.
        reals: rows on both sides together, equally many or not.
        z: normal quantile of the interval.
    """
    share = float(hits_M.mean())
    m = len(hits_M)
    counts_P = np.bincount(owners_M, minlength=reals)
    spread = float(np.square(counts_P - m / reals).sum()) * reals / (reals - 1)
    effective = min(float(m), m * m / max(spread, 1e-12))
    low, high = wilson(share, effective, z)
    return Closest(share, low, high, effective)


def resampled_shares(hits_M: Array, owners_M: Array, weights_BP: Array) -> Array:
    """Return the share under each weighting of the real rows; float64 (B,).

    Two candidates that take the same weights are paired. NaN where nothing has weight.
    """
    reals = weights_BP.shape[1]
    hits_P = np.bincount(owners_M, weights=hits_M, minlength=reals)
    counts_P = np.bincount(owners_M, minlength=reals).astype(np.float64)
    total_B = weights_BP @ counts_P
    shares_B: Array = np.divide(
        weights_BP @ hits_P, total_B, out=np.full(len(total_B), np.nan), where=total_B > 0
    )
    return shares_B
