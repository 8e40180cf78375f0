"""What feature nets say: a candidate's images against the holdout's, in one feature space each.

Ceilings are what real records reach against real records that neither generator nor net has seen.
Validation and holdout are pooled and cut in two at random, again and again; each cut is one draw of
"real data as the candidate" at equal n. The mean of the draws is the ceiling, their spread its
interval, and the draws themselves tell the gate how reliably real data would pass.

Shapes: N reals, M fakes, P records of a pool, F features.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gan.codecs import Encoded
from gan.evaluation.resampling import (
    Calibration,
    Real,
    RealSides,
    Trial,
    compare_sets,
    measure_copies,
    summarise,
)
from gan.images.evaluation.compared import judged_classes
from gan.images.evaluation.facts import thin
from gan.images.evaluation.features import Extractor, predicted_classes
from gan.images.evaluation.members import over_members
from gan.metrics.copies import nominal_share
from gan.metrics.intervals import spread_interval, wilson
from gan.metrics.neighbours import nearest_distances
from gan.metrics.pool import KINDS, FeaturePool, make_pool, measure, measure_coverage
from gan.randomness import numpy_stream
from gan.report import Measured, Metric
from storage.records.schema import Label

Array = np.ndarray[Any, Any]

TRAIN_ROWS = 50_000
"""Most training records among which copies are looked for by features; exact copies in all."""


class NetReference:
    """What one feature net says about the real records."""

    def __init__(
        self,
        net: Extractor,
        train: Encoded,
        unseen: tuple[Encoded, Encoded],
        halves: int,
        seed: int,
    ) -> None:
        """Measure real records in one feature space; `unseen` is holdout, validation."""
        holdout, validation = unseen
        self.net, self.train_NF = net, net(thin(train.values, TRAIN_ROWS))
        self.seen = net.see(np.concatenate([holdout.values, validation.values]))
        """What the net makes of the unseen records."""
        pool = make_pool(self.seen.features_NF)
        classes_P = np.concatenate([holdout.labels_N, validation.labels_N])
        n = len(holdout.values)
        self.holdout_NF = pool.features_PF[:n]
        self.unseen_N = nearest_distances(pool.features_PF, self.train_NF)
        """Distance to train of every validation and holdout record."""
        self.sides = RealSides(self.train_NF, pool.features_PF, seed)
        self.ceilings = pool_ceilings(pool, classes_P, halves, seed)
        self.class_ceilings = {
            index: class_ceiling(pool, np.flatnonzero(classes_P == index), halves, seed)
            for index in judged_classes(holdout.labels_N)
        }
        """Class index → ceiling of coverage within the class."""


def pool_ceilings(
    pool: FeaturePool, classes_P: Array, halves: int, seed: int
) -> Mapping[str, Real]:
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


def class_ceiling(pool: FeaturePool, members: Array, halves: int, seed: int) -> Real:
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


class CandidateSets(NamedTuple):
    """How a candidate's records are compared: as several sets of the holdout's size."""

    whole: tuple[Array, ...]
    by_class: dict[int, tuple[Array, ...]]
    """Class index → sets with the holdout's number of records of that class."""


@dataclass(frozen=True, kw_only=True, eq=False)
class HoldoutComparison:
    """One candidate, cut into sets, and the holdout that it is compared with."""

    candidate: Encoded
    sets: CandidateSets
    classes: Sequence[Label]
    holdout_classes_N: Array
    """Class indexes of the holdout records that are compared."""
    holdout_rows: int
    """All records of the holdout."""
    replicates: int
    seed: int


class NetsReference:
    """What all feature nets say about the real records."""

    def __init__(
        self,
        nets: Sequence[Extractor],
        train: Encoded,
        unseen: tuple[Encoded, Encoded],
        halves: int,
        seed: int,
    ) -> None:
        """Measure real records in every feature space; `unseen` is holdout, validation."""
        self.nets = tuple(NetReference(net, train, unseen, halves, seed) for net in nets)
        self.accuracy: Real | None = None
        """Ceiling of label accuracy, None where no net knows classes."""
        predicted_P = predicted_classes([net.seen for net in self.nets])
        if predicted_P is not None:
            hits_P = predicted_P == np.concatenate([part.labels_N for part in unseen])
            self.accuracy = accuracy_ceiling(hits_P, len(unseen[0].values), halves, seed)

    def measure(self, comparison: HoldoutComparison) -> Iterator[Measured]:
        """Yield every metric on every net, and label accuracy where a net knows classes."""
        candidate = comparison.candidate
        seen = [net.net.see(candidate.values) for net in self.nets]
        found: list[Measured] = []
        for net, one in zip(self.nets, seen, strict=True):
            found += _measure(net, one.features_NF, comparison)
        yield from over_members(found)
        predicted_M = predicted_classes(seen)
        if predicted_M is not None and self.accuracy is not None:
            yield _label_accuracy(predicted_M == candidate.labels_N, self.accuracy)


def _measure(
    net: NetReference, fakes_MF: Array, comparison: HoldoutComparison
) -> Iterator[Measured]:
    """Yield every metric in one feature space."""
    sets = comparison.sets
    name, seed, count = net.net.name, comparison.seed, comparison.replicates
    parts = [fakes_MF[part] for part in sets.whole]
    whole = compare_sets(net.holdout_NF, parts, measure, count, seed)
    yield from _against_ceilings(name, whole, net.ceilings)
    for index, ceiling in net.class_ceilings.items():
        reals_NF = net.holdout_NF[comparison.holdout_classes_N == index]
        parts = [fakes_MF[part] for part in sets.by_class.get(index, ())]
        trial = compare_sets(reals_NF, parts, measure_coverage, count, seed)
        scope = f"{name}/{comparison.classes[index]}"
        yield from _against_ceilings(scope, trial, {"coverage": ceiling})
    calibration = Calibration(
        unseen_N=net.unseen_N,
        nominal=nominal_share(comparison.holdout_rows),
        replicates=count,
        seed=seed,
    )
    to_train_M = nearest_distances(fakes_MF, net.train_NF)
    yield measure_copies(to_train_M, net.sides.hits(fakes_MF), calibration, name)


def _against_ceilings(scope: str, trial: Trial, ceilings: Mapping[str, Real]) -> Iterator[Measured]:
    """Yield the metrics of a trial, each beside its ceiling."""
    for name, value in trial.points.items():
        kind, real, replicates = KINDS[name], ceilings[name], trial.replicates[name]
        low, high = spread_interval(value, replicates, kind.lower, kind.upper)
        metric = Metric(
            name=name,
            scope=scope,
            value=value,
            low=low,
            high=high,
            n=trial.n,
            ceiling=real.ceiling,
            direction=kind.direction,
        )
        yield Measured(metric=metric, reals=real.draws, replicates=replicates)


def _label_accuracy(correct_M: Array, real: Real) -> Measured:
    """Return how often the classifiers agree with the label that a record was made for."""
    value = float(correct_M.mean())
    low, high = wilson(value, len(correct_M))
    metric = Metric(
        name="label_accuracy",
        scope="classifier",
        value=value,
        low=low,
        high=high,
        n=len(correct_M),
        ceiling=real.ceiling,
    )
    return Measured(metric=metric, reals=real.draws)
