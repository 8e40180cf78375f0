"""What nearest neighbours say: precision, recall, density, coverage, in one pool of distances.

Precision and recall: Kynkäänniemi et al. 2019 (arXiv:1904.06991), equations 1 and 2, k = 3.
Density and coverage: Naeem et al. 2020 (arXiv:2002.09797), equations 4 and 5, k = 5. Balls are
closed; a record is not its own neighbour: distances within a side are infinite on the diagonal. All
of it works on squared distances, which a pool computes once, so that any two index sets can be
compared in it.

Shapes: P records of the pool, N reals, M fakes, F features.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from gan.metrics.direction import Direction
from gan.metrics.distances import squared_distances
from gan.metrics.distribution import frechet_distance, kernel_distance, moments

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


class Kind(NamedTuple):
    """Which way of a metric is better, and what values it can take."""

    direction: Direction
    lower: float = -math.inf
    upper: float = math.inf


KINDS: Mapping[str, Kind] = {
    "fd": Kind("lower", lower=0.0),
    "kid": Kind("lower"),
    "precision": Kind("higher", 0.0, 1.0),
    "recall": Kind("higher", 0.0, 1.0),
    "density": Kind("target", lower=0.0),
    "coverage": Kind("higher", 0.0, 1.0),
}
"""Every metric of `measure`."""


class FeaturePool(NamedTuple):
    """Features of some records and the squared distances between all of them."""

    features_PF: Array
    distances_PP: Array
    """Squared; infinite on the diagonal, so that no record is its own neighbour."""


def make_pool(features_PF: Array) -> FeaturePool:
    """Compute all distances once."""
    distances_PP = squared_distances(features_PF, features_PF)
    np.fill_diagonal(distances_PP, np.inf)
    return FeaturePool(features_PF, distances_PP)


def measure(pool: FeaturePool, reals_N: Array, fakes_M: Array) -> dict[str, float]:
    """Return every metric of the records at `fakes_M` against those at `reals_N`."""
    of_reals, of_fakes = pool.distances_PP[reals_N], pool.distances_PP[fakes_M]
    within_reals, across = of_reals.take(reals_N, axis=1), of_reals.take(fakes_M, axis=1)
    within_fakes = of_fakes.take(fakes_M, axis=1)
    near, wide = radii(within_reals, K_PRECISION, K_COVERAGE)
    (fake_near,) = radii(within_fakes, K_PRECISION)
    reals, fakes = pool.features_PF[reals_N], pool.features_PF[fakes_M]
    return {
        "fd": frechet_distance(moments(reals), moments(fakes)),
        "kid": kernel_distance(reals, fakes),
        "precision": precision(near, across),
        "recall": recall(fake_near, across),
        "density": density(wide, across, K_COVERAGE),
        "coverage": coverage(wide, across),
    }


def measure_neighbours(pool: FeaturePool, reals_N: Array, fakes_M: Array) -> dict[str, float]:
    """Return coverage and density: what needs no more than the reals' own neighbours."""
    of_reals = pool.distances_PP[reals_N]
    (wide,) = radii(of_reals.take(reals_N, axis=1), K_COVERAGE)
    across = of_reals.take(fakes_M, axis=1)
    return {
        "coverage": coverage(wide, across),
        "density": density(wide, across, K_COVERAGE),
    }


def measure_closeness(pool: FeaturePool, reals_N: Array, fakes_M: Array) -> dict[str, float]:
    """Return coverage, density and Fréchet distance: what a tick of training looks at."""
    reals, fakes = pool.features_PF[reals_N], pool.features_PF[fakes_M]
    return {
        **measure_neighbours(pool, reals_N, fakes_M),
        "fd": frechet_distance(moments(reals), moments(fakes)),
    }


def measure_coverage(pool: FeaturePool, reals_N: Array, fakes_M: Array) -> dict[str, float]:
    """Return coverage alone: what a class is judged on."""
    of_reals = pool.distances_PP[reals_N]
    (wide,) = radii(of_reals.take(reals_N, axis=1), K_COVERAGE)
    return {"coverage": coverage(wide, of_reals.take(fakes_M, axis=1))}
