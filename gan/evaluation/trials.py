"""One comparison of reals with several sets of fakes: points and paired resamples.

Shapes: N reals, M fakes of a set, F features.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gan.metrics.intervals import random_half
from gan.metrics.pool import Pool, make_pool
from gan.randomness import numpy_stream

Array = np.ndarray[Any, Any]
MeasureFn = Callable[[Pool, Array, Array], dict[str, float]]


class Trial(NamedTuple):
    """What a comparison found."""

    n: int
    """Number of reals."""
    points: Mapping[str, float]
    """Metric → mean over the sets."""
    replicates: Mapping[str, tuple[float, ...]]
    """Metric → its values on random halves; entry r takes the same reals for any candidate."""


def compare_sets(
    reals_NF: Array, fakes: Sequence[Array], metric: MeasureFn, count: int, seed: int
) -> Trial:
    """Measure every set of fakes against the reals, and resample `count` times.

    Resamples take the sets in turn, so their spread is that of a single set: wider than that of
    the mean. A set without fakes covers nothing.
    """
    n = len(reals_NF)
    pools = [make_pool(np.concatenate([reals_NF, part])) for part in fakes if len(part)]
    if not pools:
        return Trial(n, {"coverage": 0.0}, {"coverage": (0.0,) * count})
    points = [metric(pool, np.arange(n), np.arange(n, len(pool.features_PF))) for pool in pools]
    replicates = []
    for r in range(count):
        pool = pools[r % len(pools)]
        reals_N = random_half(n, numpy_stream(seed, "holdout-half", r))
        rng = numpy_stream(seed, "candidate-half", r)
        fakes_M = n + random_half(len(pool.features_PF) - n, rng)
        replicates.append(metric(pool, reals_N, fakes_M))
    return Trial(
        n,
        {name: float(np.mean([point[name] for point in points])) for name in points[0]},
        {name: tuple(one[name] for one in replicates) for name in points[0]},
    )
