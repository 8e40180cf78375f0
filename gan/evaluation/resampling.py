"""Points with paired resamples, and ceilings with the draws behind them, whatever the modality.

`compare_sets` compares reals with several sets of fakes, `summarise` makes a ceiling of what real
data reaches, and `measure_copies` is the calibrated share of copies of one candidate.

Shapes: N reals, M fakes, F features, P records of a pool.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gan.metrics.copies import copies, copies_share, threshold
from gan.metrics.intervals import LEVELS, random_half
from gan.metrics.pool import FeaturePool, make_pool
from gan.randomness import numpy_stream
from gan.report import Ceiling, Measured, Metric

Array = np.ndarray[Any, Any]
MeasureFn = Callable[[FeaturePool, Array, Array], dict[str, float]]


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


COPIES_DRAWS = 400


class Real(NamedTuple):
    """A ceiling and the draws behind it."""

    ceiling: Ceiling
    draws: tuple[float, ...]


def summarise(draws: Sequence[float], value: float | None = None) -> Real:
    """Return mean (or the given value) and 95 % interval of some draws."""
    low, high = np.quantile(draws, LEVELS)
    middle = float(np.mean(draws)) if value is None else value
    return Real(
        Ceiling(value=middle, low=min(middle, float(low)), high=max(middle, float(high))),
        tuple(draws),
    )


def copies_ceiling(unseen_N: Array, rows: int, nominal: float, seed: int) -> Real:
    """Return nominal, with the shares that `rows` real records would show.

    Calibration and candidate are both drawn with replacement from the unseen records' distances
    to train: a share is linear in its records, so this bootstrap is unbiased.
    """
    rng = numpy_stream(seed, "ceiling-copies")
    draws = []
    for _ in range(COPIES_DRAWS):
        limit = threshold(rng.choice(unseen_N, len(unseen_N)), nominal)
        draws.append(copies_share(rng.choice(unseen_N, rows), limit))
    return summarise(draws, value=nominal)


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """What makes a share of copies mean the same on every data set."""

    unseen_N: Array
    """Distance to train of real records that training did not see."""
    nominal: float
    """Share of them that counts as a copy, see `gan.metrics.copies.nominal_share`."""
    replicates: int
    seed: int


def measure_copies(fakes_M: Array, calibration: Calibration, scope: str) -> Measured:
    """Return the metric `copies`; resamples resample both the calibration and the fakes.

    Args:
        fakes_M: distance to train of every fake.
        calibration: the real side.
        scope: where distances were measured.
    """
    unseen_N, nominal, seed = calibration.unseen_N, calibration.nominal, calibration.seed
    found = copies(fakes_M, unseen_N, nominal)
    real = copies_ceiling(unseen_N, len(fakes_M), nominal, seed)
    replicates = []
    for r in range(calibration.replicates):
        calibration_N = numpy_stream(seed, "calibration", r).choice(unseen_N, len(unseen_N))
        redrawn_M = numpy_stream(seed, "candidate-copies", r).choice(fakes_M, len(fakes_M))
        replicates.append(copies_share(redrawn_M, threshold(calibration_N, nominal)))
    metric = Metric(
        name="copies",
        scope=scope,
        value=found.share,
        low=found.low,
        high=found.high,
        n=len(fakes_M),
        ceiling=real.ceiling,
        direction="lower",
    )
    return Measured(metric=metric, reals=real.draws, replicates=tuple(replicates))
