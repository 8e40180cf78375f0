"""Evaluate a candidate on feature nets: its records against the holdout.

Shapes: N reals, M fakes, F features.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from gan.device import one_thread
from gan.evaluation.ceilings import Real
from gan.evaluation.copy_check import Calibration, measure_copies
from gan.evaluation.judges import check_candidate
from gan.evaluation.measured import Evaluation, Measured, TooFew
from gan.evaluation.perceptual.facts import find_facts
from gan.evaluation.perceptual.reference import (
    MIN_CLASS,
    NetReference,
    PerceptualReference,
    value_spread,
)
from gan.evaluation.trials import Trial, compare_sets
from gan.metrics.copies import nominal_share
from gan.metrics.distances import nearest_distances
from gan.metrics.intervals import spread_interval, wilson
from gan.metrics.pool import KINDS, measure, measure_coverage
from gan.protocols import Encoded
from gan.randomness import numpy_stream
from gan.report import Ceiling, Metric

Array = np.ndarray[Any, Any]


class Sets(NamedTuple):
    """How a candidate's records are compared: as several sets of the holdout's size."""

    whole: tuple[Array, ...]
    by_class: dict[int, tuple[Array, ...]]
    """Class index → sets with the holdout's number of records of that class."""


@one_thread()
def evaluate(candidate: pa.Table, reference: PerceptualReference) -> Evaluation:
    """Measure a candidate's records against the holdout.

    Args:
        candidate: at least `reference.n` records, best `reference.wanted` of the generator.
        reference: the real side, from `build_reference`.

    Raises:
        DataError: too few records, or of another shape or type than the training records.
    """
    started = time.perf_counter()
    encoded = reference.codec.encode(candidate)
    rows = len(encoded.values)
    check_candidate(rows, reference.n)
    sets = arrange(encoded.labels_N, reference)
    measured = [_spread(encoded, reference)]
    for net in reference.nets:
        measured += _measure_net(encoded, net, sets, reference)
    counts = Counter(encoded.labels_N.tolist())
    return Evaluation(
        measured=tuple(measured),
        facts=find_facts(encoded, reference),
        too_few=_too_few(reference),
        n=reference.n,
        holdout_rows=reference.holdout_rows,
        candidate_rows=rows,
        candidate_class_counts=tuple(
            (label, counts[index]) for index, label in enumerate(reference.codec.classes)
        ),
        seed=reference.options.seed,
        notes=reference.notes,
        seconds=time.perf_counter() - started,
    )


def arrange(labels_M: Array, reference: PerceptualReference) -> Sets:
    """Cut a candidate into sets; each holds every class in the candidate's own proportion."""
    rng = numpy_stream(reference.options.seed, "candidate-sets")
    shuffled = rng.permutation(len(labels_M))
    position_M = np.empty(len(labels_M))
    by_class = {}
    wanted = Counter(reference.holdout_classes_N.tolist())
    for index in np.unique(labels_M).tolist():
        members = shuffled[labels_M[shuffled] == index]
        position_M[members] = (np.arange(len(members)) + 0.5) / len(members)
        by_class[index] = _cut(members, wanted[index], reference.sets)
    spread = shuffled[np.argsort(position_M[shuffled], kind="stable")]
    count = max(1, min(reference.sets, len(labels_M) // reference.n))
    whole = tuple(
        spread[start : start + reference.n] for start in range(0, count * reference.n, reference.n)
    )
    return Sets(whole, by_class)


def _cut(members: Array, size: int, most: int) -> tuple[Array, ...]:
    """Return up to `most` sets of `size` records, or all of them where they are fewer."""
    if size == 0 or len(members) <= size:
        return (members,)
    count = min(most, len(members) // size)
    return tuple(members[start * size : (start + 1) * size] for start in range(count))


def _measure_net(
    encoded: Encoded, net: NetReference, sets: Sets, reference: PerceptualReference
) -> Iterator[Measured]:
    """Yield every metric in one feature space."""
    fakes_MF = net.net(encoded.values)
    name, seed, count = net.net.name, reference.options.seed, reference.replicates
    parts = [fakes_MF[part] for part in sets.whole]
    whole = compare_sets(net.holdout_NF, parts, measure, count, seed)
    yield from _against_ceilings(name, whole, net.ceilings)
    for index, ceiling in net.class_ceilings.items():
        reals_NF = net.holdout_NF[reference.holdout_classes_N == index]
        parts = [fakes_MF[part] for part in sets.by_class.get(index, ())]
        trial = compare_sets(reals_NF, parts, measure_coverage, count, seed)
        scope = f"{name}/{reference.codec.classes[index]}"
        yield from _against_ceilings(scope, trial, {"coverage": ceiling})
    calibration = Calibration(
        unseen_N=net.unseen_N,
        nominal=nominal_share(reference.holdout_rows),
        replicates=count,
        seed=seed,
    )
    yield measure_copies(nearest_distances(fakes_MF, net.train_NF), calibration, name)
    predicted_M = net.net.predict(encoded.values)
    if predicted_M is not None and net.accuracy is not None:
        yield _label_accuracy(predicted_M == encoded.labels_N, net.accuracy, name)


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


def _label_accuracy(correct_M: Array, real: Real, scope: str) -> Measured:
    """Return how often the classifier agrees with the label that a record was made for."""
    value = float(correct_M.mean())
    low, high = wilson(value, len(correct_M))
    metric = Metric(
        name="label_accuracy",
        scope=scope,
        value=value,
        low=low,
        high=high,
        n=len(correct_M),
        ceiling=real.ceiling,
    )
    return Measured(metric=metric, reals=real.draws)


def _spread(encoded: Encoded, reference: PerceptualReference) -> Measured:
    """Return the spread of values (pixels) as a share of train's."""
    real = reference.facts.spread
    value = value_spread(encoded.values) / real if real > 0 else 1.0
    metric = Metric(
        name="spread",
        scope="all",
        value=value,
        low=value,
        high=value,
        n=len(encoded.values),
        ceiling=Ceiling(value=1.0, low=1.0, high=1.0),
        direction="target",
    )
    return Measured(metric=metric)


def _too_few(reference: PerceptualReference) -> tuple[TooFew, ...]:
    """Return the classes that the holdout is too small to judge."""
    counts = Counter(reference.holdout_classes_N.tolist())
    return tuple(
        TooFew(label=str(label), n=counts[index], needed=MIN_CLASS)
        for index, label in enumerate(reference.codec.classes)
        if len(reference.codec.classes) > 1 and counts[index] < MIN_CLASS
    )
