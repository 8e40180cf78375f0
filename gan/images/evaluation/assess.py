"""The assessment while training: the gate's own measures on validation, cheap enough for a tick.

The holdout stays unseen; the feature nets are others than those of the final evaluation, so the
choice of the snapshot cannot flatter it. Every measure is put on one scale, 0 = as real data, 1 =
the gate's pass bound, on the worse of both nets; their sum ranks. A generator that knows how likely
images are is ranked by those of validation: that is known far better than what its samples show.

Shapes: N validation records, M samples, F features.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gan.codecs import Codec, Encoded
from gan.device import one_thread
from gan.evaluation.resampling import compare_sets
from gan.images.codec import ImageCodec
from gan.images.evaluation.c2st import tree_scores
from gan.images.evaluation.compared import MIN_CLASS
from gan.images.evaluation.facts import SPREAD_ROWS, thin, value_spread
from gan.images.evaluation.features import Extractor, fit_extractors, predicted_classes
from gan.images.evaluation.perceptual import TRAIN_ROWS, class_ceiling, pool_ceilings
from gan.images.evaluation.plain_statistics import plain_statistics
from gan.images.evaluation.trained import ASSESSING
from gan.metrics.auc import auc
from gan.metrics.copies import (
    copies_share,
    nominal_share,
    record_digests,
    threshold,
)
from gan.metrics.neighbours import nearest_distances
from gan.metrics.pool import FeaturePool, make_pool, measure_closeness, measure_coverage
from gan.modalities import check_rows
from gan.protocols import Assessment, SampleFn
from gan.randomness import derive, numpy_stream
from storage.records.schema import ClassCounts

Array = np.ndarray[Any, Any]

FULL_COVERAGE = 0.95
"""Coverage ÷ ceiling, on the worse net, from which the trend of copies is watched."""
SAMPLES, SETS = 2000, 4
"""About how many samples a tick takes, and at most how many times the validation's records."""
TOLD = 500
"""Most images of each side that the trees on plain statistics see at a tick."""
CAP = 1000
"""Most validation records compared at a tick."""
HALVES = 20
EXACT_COPIES_RANK = 10.0
"""Added to the rank when samples equal training records more often than validation ones, per record
held: the gate compares the two, and blocks what chance does not explain."""
EXACT_COPIES_NATS = 1e6
"""The same where likelihoods rank: behind all that makes none."""


@dataclass(frozen=True, kw_only=True, eq=False)
class NetAssess:
    """What one feature net knows of the real records."""

    net: Extractor
    train_NF: Array
    validation_NF: Array
    limit: float
    """Distance to train under which a sample counts as a copy."""
    coverage: float
    """Ceiling of coverage, and so on."""
    density: float
    fd: float
    class_coverage: Mapping[int, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class ValidationAssess:
    """An `Assess`: ranks the generator by the worse of both feature nets; see `build_assess`."""

    codec: Codec
    nets: tuple[NetAssess, ...]
    records: pa.Table
    """Validation records that are compared."""
    classes_N: Array
    """Their class indexes."""
    wanted: ClassCounts | int
    """What a tick samples."""
    nominal: float
    spread: float
    plain_NS: Array
    """Plain statistics of TOLD validation records, at most."""
    train_digests: frozenset[bytes]
    validation_digests: frozenset[bytes]
    seed: int
    passes: Mapping[str, float]
    """Name → default pass bound of the gate."""

    @one_thread()
    def __call__(self, sample: SampleFn, samples_seen: int) -> Assessment:  # noqa: ARG002
        """Return the assessment of the generator behind `sample`; the same at any time."""
        fakes = self.codec.encode(sample(self.wanted))
        found = [self._on(net, fakes) for net in self.nets]
        worse = {
            "coverage_ratio": min(one["coverage"] for one in found),
            "worst_class_ratio": min(one["worst_class"] for one in found),
            "fd_ratio": max(one["fd"] for one in found),
            "density_ratio": max((one["density"] for one in found), key=_distance),
            "copies_share": max(one["copies"] for one in found),
            "exact_copies": _exact_copies(fakes, self.train_digests, self.validation_digests),
            "spread": value_spread(fakes.values) / self.spread if self.spread > 0 else 1.0,
            "told_apart": self._told_apart(fakes),
        }
        accuracies = [one["label_accuracy"] for one in found if "label_accuracy" in one]
        if accuracies:
            worse["label_accuracy"] = min(accuracies)
        by_measures = by_likelihood = rank(worse, self.nominal, self.passes)
        if not any(net.class_coverage for net in self.nets):  # no class has enough records
            del worse["worst_class_ratio"]
        likelihood_N = sample.log_likelihood(self.records)
        if likelihood_N is not None:
            worse["validation_nll"] = -float(np.mean(likelihood_N))
            copied = EXACT_COPIES_NATS if worse["exact_copies"] > 0 else 0.0
            usable = math.isfinite(by_measures)
            by_likelihood = worse["validation_nll"] + copied if usable else math.inf
        return Assessment(
            metrics=worse,
            rank=by_likelihood,
            gate_rank=by_measures,
            copies=max(worse["copies_share"], self.nominal),
            full_coverage=worse["coverage_ratio"] >= FULL_COVERAGE,
            copies_noise=math.sqrt(self.nominal * (1 - self.nominal) / len(self.classes_N)),
        )

    def _told_apart(self, fakes: Encoded) -> float:
        """Return the area by which trees tell samples from real images by plain statistics.

        The feature nets do not see what a person sees at once: grain, blur, a wrong histogram.
        """
        scores = tree_scores(self.plain_NS, _plain(fakes, self.seed), self.seed)
        return auc(scores.fakes_M, scores.reals_N)

    def _on(self, net: NetAssess, fakes: Encoded) -> dict[str, float]:
        """Return every measure in one feature space, relative to what real data reaches."""
        seen = net.net.see(fakes.values)
        fakes_MF, n = seen.features_NF, len(net.validation_NF)
        order = numpy_stream(self.seed, "assess-sets").permutation(len(fakes_MF))
        parts = [fakes_MF[order[start : start + n]] for start in range(0, len(order) - n + 1, n)]
        whole = compare_sets(net.validation_NF, parts, measure_closeness, 0, self.seed).points
        classes_M = predicted_classes([seen])
        obeyed = (
            {}
            if classes_M is None
            else {"label_accuracy": float((classes_M == fakes.labels_N)[order[:n]].mean())}
        )
        return {
            **obeyed,
            "coverage": whole["coverage"] / net.coverage,
            "density": whole["density"] / net.density,
            "fd": whole["fd"] / net.fd,
            "worst_class": self._worst_class(net, fakes_MF, fakes.labels_N),
            "copies": copies_share(nearest_distances(fakes_MF, net.train_NF), net.limit),
        }

    def _worst_class(self, net: NetAssess, fakes_MF: Array, labels_M: Array) -> float:
        """Return the lowest coverage ÷ ceiling within a class; 1 where no class is judged."""
        ratios = [1.0]
        for index, ceiling in net.class_coverage.items():
            reals_NF = net.validation_NF[self.classes_N == index]
            members, n = np.flatnonzero(labels_M == index), len(reals_NF)
            parts = [
                fakes_MF[members[start : start + n]]
                for start in range(0, max(1, len(members) - n + 1), n)
            ]
            trial = compare_sets(reals_NF, parts, measure_coverage, 0, self.seed)
            ratios.append(trial.points["coverage"] / ceiling)
        return min(ratios)


def rank(found: Mapping[str, float], nominal: float, passes: Mapping[str, float]) -> float:
    """Return how far a generator is from real data: the sum over the measures, lower is better.

    Each is 0 where real data is and 1 at the gate's pass bound; infinite when the samples have
    collapsed to one image or are not finite numbers.
    """
    if found["spread"] < passes["spread"] or not all(map(math.isfinite, found.values())):
        return math.inf
    room = 1.0 - passes["coverage"]
    density = found["density_ratio"]
    parts = (
        (1.0 - found["coverage_ratio"]) / room,
        (1.0 - found["worst_class_ratio"]) / room,
        math.log(max(1.0, found["fd_ratio"])) / math.log(passes["fd"]),
        (density - 1.0) / (passes["density_high"] - 1.0),
        (1.0 - density) / (1.0 - passes["density_low"]),
        (found["copies_share"] / nominal - 1.0) / (passes["copies"] - 1.0),
        (found["told_apart"] - 0.5) / (passes["c2st/statistics"] - 0.5),
    )
    copied = EXACT_COPIES_RANK if found["exact_copies"] > 0 else 0.0
    return copied + sum(max(0.0, part) for part in parts)


@one_thread()
def build_assess(
    train: pa.Table,
    validation: pa.Table,
    *,
    label: str | None,
    seed: int,
    passes: Mapping[str, float],
    cache: Path | None = None,
) -> ValidationAssess:
    """Train the feature nets on train and keep what is needed of both splits.

    Raises:
        DataError: validation is too small to compare anything, or does not fit train.
    """
    check_rows("validation", validation)
    codec = ImageCodec.fit(train, label)
    seen, unseen = codec.encode(train), codec.encode(validation)
    validation_digests = frozenset(record_digests(unseen.values))
    nominal = nominal_share(validation.num_rows)
    if validation.num_rows > CAP:
        chosen = np.sort(numpy_stream(seed, "assess-subset").permutation(len(unseen.values))[:CAP])
        unseen = Encoded(unseen.values[chosen], unseen.labels_N[chosen])
        validation = validation.take(pa.array(chosen))
    classes_N = seen.labels_N if codec.classes else None
    seed_of_nets = derive(seed, "assessing-features")
    nets = fit_extractors(seen.values, classes_N, seed_of_nets, effort=ASSESSING, cache=cache)
    return ValidationAssess(
        codec=codec,
        nets=tuple(_net_assess(net, seen, unseen, nominal, seed) for net in nets),
        records=validation,
        classes_N=unseen.labels_N,
        wanted=_wanted(codec, unseen),
        nominal=nominal,
        spread=value_spread(thin(seen.values, SPREAD_ROWS)),
        plain_NS=_plain(unseen, seed),
        train_digests=frozenset(record_digests(seen.values)),
        validation_digests=validation_digests,
        seed=seed,
        passes=passes,
    )


def _wanted(codec: Codec, unseen: Encoded) -> ClassCounts | int:
    sets = max(1, min(SETS, SAMPLES // len(unseen.values)))
    if not codec.classes:
        return sets * len(unseen.values)
    counts = Counter(unseen.labels_N.tolist())
    return tuple((label, sets * max(1, counts[i])) for i, label in enumerate(codec.classes))


def _plain(encoded: Encoded, seed: int) -> Array:
    """Return plain statistics of some records."""
    order = numpy_stream(seed, "assess-told").permutation(len(encoded.values))
    return plain_statistics(encoded.values[order[:TOLD]])[1]


def _net_assess(
    net: Extractor, seen: Encoded, unseen: Encoded, nominal: float, seed: int
) -> NetAssess:
    """Measure what validation alone can tell of real data: halves of it against each other.

    Coverage between two samples of one distribution does not depend on n (Naeem et al. 2020,
    section 3.3); the Fréchet distance falls as 1 / n, so that of halves is divided by two.
    """
    train_NF, validation_NF = net(thin(seen.values, TRAIN_ROWS)), net(unseen.values)
    pool = make_pool(validation_NF)
    whole = pool_ceilings(pool, unseen.labels_N, HALVES, seed)
    counts = Counter(unseen.labels_N.tolist())
    judged = sorted(index for index, count in counts.items() if count >= MIN_CLASS)
    return NetAssess(
        net=net,
        train_NF=train_NF,
        validation_NF=validation_NF,
        limit=threshold(nearest_distances(validation_NF, train_NF), nominal),
        coverage=max(whole["coverage"].ceiling.value, 1e-9),
        density=max(whole["density"].ceiling.value, 1e-9),
        fd=max(whole["fd"].ceiling.value / 2, 1e-9),
        class_coverage={
            index: max(_coverage_of(pool, unseen.labels_N == index, seed), 1e-9)
            for index in judged
            if len(counts) > 1
        },
    )


def _distance(ratio: float) -> float:
    """Return how far a ratio is from one, either way."""
    return abs(math.log(max(ratio, 1e-9)))


def _coverage_of(pool: FeaturePool, mask_N: Array, seed: int) -> float:
    return class_ceiling(pool, np.flatnonzero(mask_N), HALVES, seed).ceiling.value


def _exact_copies(fakes: Encoded, seen: frozenset[bytes], unseen: frozenset[bytes]) -> float:
    """Return the share of samples that equal a training record, above what chance explains.

    One that equals one of U validation records stands for T / U that equal one of T training ones.
    """
    digests = record_digests(fakes.values)
    copied = sum(digest in seen for digest in digests)
    fresh = unseen - seen
    chance = sum(digest in fresh for digest in digests) * len(seen) / max(len(fresh), 1)
    return max(0.0, copied - chance) / len(digests)
