"""Coverage and density of a candidate's points, and what halves of real points cover.

Shapes: N real records, M fakes, P real records of both sides, F coordinates.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gan.evaluation.resampling import Real, compare_sets, summarise
from gan.metrics.intervals import spread_interval
from gan.metrics.pool import KINDS, make_pool, measure_neighbours
from gan.randomness import numpy_stream
from gan.report import Measured, Metric

Array = np.ndarray[Any, Any]


def coverage_ceiling(points_PF: Array, halves: int, seed: int) -> Real:
    """Return what random halves of real points cover of each other."""
    pool = make_pool(points_PF)
    n = len(points_PF) // 2
    rng, draws = numpy_stream(seed, "ceiling-neighbours"), []
    for _ in range(halves):
        order = rng.permutation(2 * n)
        draws.append(measure_neighbours(pool, order[:n], order[n:])["coverage"])
    return summarise(draws)


def measure_coverage(
    reals_NF: Array, sets: Sequence[Array], ceiling: Real, replicates: int, seed: int
) -> Iterator[Measured]:
    """Yield `coverage`, beside its ceiling, and `density`.

    Args:
        reals_NF: real points.
        sets: points of fakes, as many as reals in each set.
        ceiling: from `coverage_ceiling`.
        replicates: resamples behind the intervals.
        seed: of the resamples.
    """
    trial = compare_sets(reals_NF, sets, measure_neighbours, replicates, seed)
    for name, value in trial.points.items():
        kind, values = KINDS[name], trial.replicates[name]
        low, high = spread_interval(value, values, kind.lower, kind.upper)
        judged = name == "coverage"
        metric = Metric(
            name=name,
            scope="all",
            value=value,
            low=low,
            high=high,
            n=trial.n,
            ceiling=ceiling.ceiling if judged else None,
            direction=kind.direction,
        )
        yield Measured(metric=metric, reals=ceiling.draws if judged else (), replicates=values)
