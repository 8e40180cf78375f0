"""What nearest neighbours say: precision, recall, density, coverage.

Precision and recall: Kynkäänniemi et al. 2019 (arXiv:1904.06991), equations 1 and 2, k = 3.
Density and coverage: Naeem et al. 2020 (arXiv:2002.09797), equations 4 and 5, k = 5.
Balls are closed; a record is not its own neighbour: distances within a side are infinite on the
diagonal. All of it works on squared distances.

Shapes: N reals, M fakes.
"""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

K_PRECISION = 3
K_COVERAGE = 5


def radii(within_NN: Array, *ks: int) -> tuple[Array, ...]:
    """Return for every k, for every record, the squared distance to its k-th nearest other record.

    With fewer than k others, the farthest of them. The distances are reordered in place.

    Raises:
        ValueError: there is no other record.
    """
    n = len(within_NN)
    if n < 2:
        msg = f"neighbours need at least two records, got {n}: bring more"
        raise ValueError(msg)
    positions = [min(k, n - 1) - 1 for k in ks]
    within_NN.partition(positions, axis=1)
    return tuple(within_NN[:, position].copy() for position in positions)


def precision(real_radii_N: Array, across_NM: Array) -> float:
    """Return the share of fakes inside the ball of any real (equation 2, reals as manifold)."""
    return float((across_NM <= real_radii_N[:, None]).any(axis=0).mean())


def recall(fake_radii_M: Array, across_NM: Array) -> float:
    """Return the share of reals inside the ball of any fake (equation 2, fakes as manifold)."""
    return float((across_NM <= fake_radii_M[None, :]).any(axis=1).mean())


def density(real_radii_N: Array, across_NM: Array, k: int) -> float:
    """Return how many balls of reals the average fake is in, over k (equation 4)."""
    inside = np.count_nonzero(across_NM <= real_radii_N[:, None])
    return float(inside / (k * across_NM.shape[1]))


def coverage(real_radii_N: Array, across_NM: Array) -> float:
    """Return the share of reals whose ball holds a fake (equation 5)."""
    return float((across_NM.min(axis=1) <= real_radii_N).mean())
