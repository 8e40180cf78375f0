"""A pool of records whose distances are computed once; any two index sets can be compared in it.

Shapes: P records of the pool, N reals, M fakes, F features.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from gan.metrics import neighbours
from gan.metrics.distances import squared_distances
from gan.metrics.frechet import frechet_distance, moments
from gan.metrics.kernel import kernel_distance
from gan.metrics.neighbours import K_COVERAGE, K_PRECISION, radii
from gan.report import Direction

Array = np.ndarray[Any, Any]


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
        "precision": neighbours.precision(near, across),
        "recall": neighbours.recall(fake_near, across),
        "density": neighbours.density(wide, across, K_COVERAGE),
        "coverage": neighbours.coverage(wide, across),
    }


def measure_neighbours(pool: FeaturePool, reals_N: Array, fakes_M: Array) -> dict[str, float]:
    """Return coverage and density: what needs no more than the reals' own neighbours."""
    of_reals = pool.distances_PP[reals_N]
    (wide,) = radii(of_reals.take(reals_N, axis=1), K_COVERAGE)
    across = of_reals.take(fakes_M, axis=1)
    return {
        "coverage": neighbours.coverage(wide, across),
        "density": neighbours.density(wide, across, K_COVERAGE),
    }


def measure_coverage(pool: FeaturePool, reals_N: Array, fakes_M: Array) -> dict[str, float]:
    """Return coverage alone: what a class is judged on."""
    of_reals = pool.distances_PP[reals_N]
    (wide,) = radii(of_reals.take(reals_N, axis=1), K_COVERAGE)
    return {"coverage": neighbours.coverage(wide, of_reals.take(fakes_M, axis=1))}
