"""Ceilings: what real records reach against real records that neither generator nor net has seen.

Validation and holdout are pooled and cut in two at random, again and again; each cut is one draw
of "real data as the candidate" at equal n. The mean of the draws is the ceiling, their spread its
interval, and the draws themselves tell the gate how reliably real data would pass.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gan.evaluation.ceilings import Real, summarise
from gan.metrics.pool import KINDS, Pool, measure, measure_coverage
from gan.randomness import numpy_stream

Array = np.ndarray[Any, Any]


def pool_ceilings(pool: Pool, classes_P: Array, halves: int, seed: int) -> Mapping[str, Real]:
    """Return the ceiling of every metric of `measure`; the pool holds 2 n real records.

    A generator is asked for the holdout's number of records of each class, so both halves hold
    every class equally often, too: a difference in class counts is no part of the ceiling.
    """
    rng = numpy_stream(seed, "ceiling")
    n = len(pool.features_PF) // 2
    draws: dict[str, list[float]] = {name: [] for name in KINDS}
    for _ in range(halves):
        shuffled = rng.permutation(len(classes_P))
        order = shuffled[np.argsort(classes_P[shuffled], kind="stable")]
        for name, value in measure(pool, order[0 : 2 * n : 2], order[1 : 2 * n : 2]).items():
            draws[name].append(value)
    return {name: summarise(values) for name, values in draws.items()}


def class_ceiling(pool: Pool, members: Array, halves: int, seed: int) -> Real:
    """Return the ceiling of coverage within one class; `members` index the pool."""
    rng = numpy_stream(seed, "ceiling-class")
    n = len(members) // 2
    draws = []
    for _ in range(halves):
        order = rng.permutation(members)
        draws.append(measure_coverage(pool, order[:n], order[n : 2 * n])["coverage"])
    return summarise(draws)


def accuracy_ceiling(correct_N: Array, n: int, halves: int, seed: int) -> Real:
    """Return the ceiling of label accuracy from the hits on unseen real records."""
    rng = numpy_stream(seed, "ceiling-accuracy")
    draws = [float(rng.permutation(correct_N)[:n].mean()) for _ in range(halves)]
    return summarise(draws, value=float(correct_N.mean()))
