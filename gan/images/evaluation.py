"""Evaluation of images on feature nets: a candidate's records against the holdout.

Ceilings are what real records reach against real records that neither generator nor net has seen.
Validation and holdout are pooled and cut in two at random, again and again; each cut is one draw of
"real data as the candidate" at equal n. The mean of the draws is the ceiling, their spread its
interval, and the draws themselves tell the gate how reliably real data would pass.

Hard facts hold or do not, decided on the point. Records that do not have the type and shape of the
training records never get here: encoding them raises `DataError`.

Shapes: N reals, M fakes, P records of a pool, F features.
"""

import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from gan.device import one_thread
from gan.evaluation.resampling import (
    Calibration,
    Real,
    Trial,
    compare_sets,
    measure_copies,
    summarise,
)
from gan.images.codec import ImageCodec
from gan.images.compared import (
    candidate_sets,
    judged_classes,
    subset_rows,
    too_few_classes,
    wanted_rows,
)
from gan.images.features import Extractor, fit_extractors
from gan.metrics.copies import nominal_share, record_digests
from gan.metrics.distances import nearest_distances
from gan.metrics.intervals import spread_interval, wilson
from gan.metrics.pool import KINDS, FeaturePool, make_pool, measure, measure_coverage
from gan.modalities import Options, Splits, check_candidate, comparable_rows
from gan.protocols import Codec, Encoded
from gan.randomness import derive, numpy_stream
from gan.report import AS_MADE, Ceiling, Evaluation, Fact, Measured, Metric
from storage.records.schema import ClassCounts

Array = np.ndarray[Any, Any]

TRAIN_ROWS = 50_000
"""Most training records among which copies are looked for by features; exact copies in all."""
LARGE = 1000
"""From this n on, fewer halves and resamples are drawn."""
FEW = 20
EXPECTED_OF_A_CLASS = math.log(1000)
"""A class is missing when it has no record although so many were expected: by chance that happens
once in a thousand."""


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
        pool = make_pool(np.concatenate([net(holdout.values), net(validation.values)]))
        classes_P = np.concatenate([holdout.labels_N, validation.labels_N])
        n = len(holdout.values)
        self.holdout_NF = pool.features_PF[:n]
        self.unseen_N = nearest_distances(pool.features_PF, self.train_NF)
        """Distance to train of every validation and holdout record."""
        self.ceilings = pool_ceilings(pool, classes_P, halves, seed)
        self.class_ceilings = {
            index: class_ceiling(pool, np.flatnonzero(classes_P == index), halves, seed)
            for index in judged_classes(holdout.labels_N)
        }
        """Class index → ceiling of coverage within the class."""
        self.accuracy: Real | None = None
        """Ceiling of label accuracy, None where the net knows no classes."""
        correct = [net.predict(part.values) for part in unseen]
        if correct[0] is not None and correct[1] is not None:
            hits_P = np.concatenate([correct[0], correct[1]]) == classes_P
            self.accuracy = accuracy_ceiling(hits_P, n, halves, seed)


class RealFacts:
    """What the hard facts need of the real records."""

    def __init__(self, codec: Codec, splits: Splits, train: Encoded) -> None:
        """Compare the splits with each other byte for byte."""
        digests = [
            record_digests(codec.encode(records).values)
            for records in (splits.train, splits.validation, splits.holdout)
        ]
        seen, validation, holdout = (frozenset(part) for part in digests)
        self.train_digests = seen
        self.holdout_copies = sum(digest in seen for digest in digests[2]) / len(digests[2])
        """Share of the holdout that equals a training record."""
        self.overlaps = len(seen & validation) + len(seen & holdout) + len(validation & holdout)
        """Records that two splits share."""
        self.spread = value_spread(thin(train.values, TRAIN_ROWS))
        """Mean over all values of the spread of train."""
        shares = Counter(train.labels_N.tolist())
        self.class_share = {index: n / len(train.values) for index, n in shares.items()}
        """Class index → share of train."""


class PerceptualReference:
    """Everything about the real records that evaluating a candidate needs.

    Built once a night; every candidate and the champion are measured against the same one, so their
    numbers are paired.
    """

    def __init__(self, splits: Splits, options: Options) -> None:
        """Train the feature nets on train and measure what real data reaches."""
        self.options, seed = options, options.seed
        self.codec: Codec = ImageCodec.fit(splits.train, splits.label)
        self.n = n = comparable_rows(splits, options.cap)
        """Records on each side of a comparison."""
        train = self.codec.encode(splits.train)
        holdout = _subset(self.codec, splits.holdout, n, seed, "holdout")
        validation = _subset(self.codec, splits.validation, n, seed, "validation")
        classes_N = train.labels_N if self.codec.classes else None
        nets = fit_extractors(train.values, classes_N, derive(seed, "judging-features"))
        halves = options.halves if n < LARGE else min(options.halves, FEW)
        self.nets = tuple(
            NetReference(net, train, (holdout, validation), halves, seed) for net in nets
        )
        self.facts = RealFacts(self.codec, splits, train)
        self.sets = candidate_sets(options, n)
        self.replicates = options.replicates if n < LARGE else min(options.replicates, FEW)
        self.holdout_classes_N = holdout.labels_N
        self.holdout_rows: int = splits.holdout.num_rows
        """All records of the holdout."""
        self.notes = _notes(splits, n)

    @property
    def wanted(self) -> ClassCounts | int:
        """What to synthesize for a candidate: rows per class, or rows when unconditional."""
        return wanted_rows(self.codec.classes, self.holdout_classes_N, self.n, self.sets)


@one_thread()
def build_reference(splits: Splits, options: Options) -> PerceptualReference:
    """Train the feature nets on train and measure what real data reaches.

    Raises:
        DataError: validation or holdout is too small to compare anything, or does not fit train.
        ConfigError: there is no such modality.
    """
    return PerceptualReference(splits, options)


def _subset(codec: Codec, records: pa.Table, n: int, seed: int, purpose: str) -> Encoded:
    """Return n records, drawn at random where there are more."""
    encoded = codec.encode(records)
    if records.num_rows == n:
        return encoded
    chosen = subset_rows(encoded.labels_N, n, seed, purpose)
    return Encoded(encoded.values[chosen], encoded.labels_N[chosen])


def thin(values: Array, rows: int) -> Array:
    """Return every k-th record, so that at most `rows` remain; a view."""
    return values[:: max(1, -(-len(values) // rows))]


def value_spread(values: Array) -> float:
    """Return the mean over all values (pixels) of their standard deviation over records."""
    flat = values.reshape(len(values), -1)
    parts = [flat[:, start : start + 256].std(axis=0) for start in range(0, flat.shape[1], 256)]
    return float(np.concatenate(parts).mean())


def _notes(splits: Splits, n: int) -> tuple[str, ...]:
    """Return what a reader should know of the records that are compared."""
    notes = []
    most = max(splits.holdout.num_rows, splits.validation.num_rows)
    if most > n:
        notes.append(
            f"compared {n:,} records on each side; holdout has {splits.holdout.num_rows:,}, "
            f"validation {splits.validation.num_rows:,}"
        )
    if splits.train.num_rows > TRAIN_ROWS:
        notes.append(
            f"near copies were looked for among {TRAIN_ROWS:,} of "
            f"{splits.train.num_rows:,} training records, exact copies among all"
        )
    return tuple(notes)


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
        too_few=too_few_classes(reference.codec.classes, reference.holdout_classes_N),
        n=reference.n,
        holdout_rows=reference.holdout_rows,
        candidate_rows=rows,
        candidate_class_counts=tuple(
            (label, counts[index]) for index, label in enumerate(reference.codec.classes)
        ),
        seed=reference.options.seed,
        made="with the class shares of the holdout" if reference.codec.classes else AS_MADE,
        notes=reference.notes,
        seconds=time.perf_counter() - started,
    )


def arrange(labels_M: Array, reference: PerceptualReference) -> CandidateSets:
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
    return CandidateSets(whole, by_class)


def _cut(members: Array, size: int, most: int) -> tuple[Array, ...]:
    """Return up to `most` sets of `size` records, or all of them where they are fewer."""
    if size == 0 or len(members) <= size:
        return (members,)
    count = min(most, len(members) // size)
    return tuple(members[start * size : (start + 1) * size] for start in range(count))


def _measure_net(
    encoded: Encoded, net: NetReference, sets: CandidateSets, reference: PerceptualReference
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


def find_facts(candidate: Encoded, reference: PerceptualReference) -> tuple[Fact, ...]:
    """Return every hard fact about a candidate and the splits it is measured on."""
    return (
        _finite(candidate),
        _classes(candidate, reference),
        _exact_copies(candidate, reference),
        _overlap(reference),
    )


def _finite(candidate: Encoded) -> Fact:
    finite = bool(np.isfinite(candidate.values).all())
    return Fact(
        name="finite",
        holds=finite,
        value=float(finite),
        text="every value is finite and in the range of its type"
        if finite
        else "the candidate holds values that are not finite",
    )


def _classes(candidate: Encoded, reference: PerceptualReference) -> Fact:
    counts = Counter(candidate.labels_N.tolist())
    rows = len(candidate.values)
    missing = [
        str(reference.codec.classes[index])
        for index, share in sorted(reference.facts.class_share.items())
        if reference.codec.classes and counts[index] == 0 and share * rows >= EXPECTED_OF_A_CLASS
    ]
    found = f"missing {'class' if len(missing) == 1 else 'classes'} {', '.join(missing)}"
    return Fact(
        name="classes",
        holds=not missing,
        value=float(len(missing)),
        text=f"{found}: no record among {rows:,}" if missing else "no class is missing",
    )


def _exact_copies(candidate: Encoded, reference: PerceptualReference) -> Fact:
    digests = record_digests(candidate.values)
    hits = sum(digest in reference.facts.train_digests for digest in digests)
    share, own = hits / len(digests), reference.facts.holdout_copies
    return Fact(
        name="exact_copies",
        holds=share <= own,
        value=share,
        text=f"{hits:,} of {len(digests):,} records equal a training record exactly "
        f"({share:.2%}; of the holdout {own:.2%} do)",
    )


def _overlap(reference: PerceptualReference) -> Fact:
    overlaps = reference.facts.overlaps
    expected = reference.options.overlap_expected
    text = f"{overlaps:,} records are in two splits at once"
    if overlaps and expected:
        text += ", as they must where most records of the source repeat"
    return Fact(
        name="overlap",
        holds=overlaps == 0 or expected,
        value=float(overlaps),
        text=text if overlaps else "no record is in two splits",
    )
