"""Points with paired resamples, and ceilings with the draws behind them, whatever the modality.

`compare_sets` compares reals with several sets of fakes, `summarise` makes a ceiling of what real
data reaches, and `measure_copies` is the calibrated share of copies of one candidate.

Shapes: N reals, M fakes, F features, P records of a pool.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gan.metrics.copies import (
    Hit,
    beyond_baseline,
    copies,
    copies_share,
    excess,
    record_digests,
    threshold,
)
from gan.metrics.intervals import LEVELS, random_half
from gan.metrics.neighbours import nearest
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
    to train: a share is linear in its records, so this bootstrap is unbiased. Real records are
    granted no baseline of their own, so they are not said to pass more often than they do.
    """
    rng = numpy_stream(seed, "ceiling-copies")
    draws = []
    for _ in range(COPIES_DRAWS):
        limit = threshold(rng.choice(unseen_N, len(unseen_N)), nominal)
        draws.append(copies_share(rng.choice(unseen_N, rows), limit))
    return summarise(draws, value=nominal)


class RealSides:
    """Distinct real records, trained on or unseen, in random order: ties favour no side."""

    def __init__(self, train_NF: Array, unseen_NF: Array, seed: int) -> None:
        """Mix both; what is in both counts as trained on."""
        both_PF = np.concatenate([train_NF, unseen_NF])
        first = np.unique(np.array(record_digests(both_PF)), return_index=True)[1]
        order = numpy_stream(seed, "copies-sides").permutation(first)
        self.points_PF, self.trained_P = both_PF[order], order < len(train_NF)

    def hits(self, fakes_MF: Array) -> Hit | None:
        """Return the nearest real record of every fake; None where none of them is unseen."""
        if self.trained_P.all():
            return None
        found = nearest(fakes_MF, self.points_PF)
        return Hit(np.sqrt(found.squared_N), found.index_N, self.trained_P)


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """What makes a share of copies mean the same on every data set."""

    unseen_N: Array
    """Distance to train of real records that training did not see."""
    nominal: float
    """Share of them that counts as a copy, see `gan.metrics.copies.nominal_share`."""
    replicates: int
    seed: int


def measure_copies(
    fakes_M: Array, hits: Hit | None, calibration: Calibration, scope: str
) -> Measured:
    """Return the metric `copies`; resamples resample both the calibration and the fakes.

    Args:
        fakes_M: distance to train of every fake.
        hits: the nearest real record of every fake, trained on or not, see `RealSides`.
        calibration: the real side.
        scope: where distances were measured.
    """
    unseen_N, nominal, seed = calibration.unseen_N, calibration.nominal, calibration.seed
    found = copies(fakes_M, unseen_N, nominal)
    if hits is not None:
        found = beyond_baseline(found, hits, threshold(unseen_N, nominal), nominal)
    real = copies_ceiling(unseen_N, len(fakes_M), nominal, seed)
    replicates = []
    for r in range(calibration.replicates):
        calibration_N = numpy_stream(seed, "calibration", r).choice(unseen_N, len(unseen_N))
        drawn_M = numpy_stream(seed, "candidate-copies", r).integers(
            len(fakes_M), size=len(fakes_M)
        )
        limit = threshold(calibration_N, nominal)
        share = copies_share(fakes_M[drawn_M], limit)
        if hits is not None:
            again = Hit(hits.distance_M[drawn_M], hits.owner_M[drawn_M], hits.trained_P)
            share = max(0.0, min(share, nominal + excess(again, limit)))
        replicates.append(share)
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
