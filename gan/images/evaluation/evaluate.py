"""Evaluation of images: a candidate's records against the holdout; the real side measured once.

Shapes: N reals, M fakes.
"""

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from gan.codecs import Codec, Encoded
from gan.device import one_thread
from gan.images.codec import ImageCodec
from gan.images.evaluation.c2st import c2st, real_side
from gan.images.evaluation.compared import (
    candidate_sets,
    compared_rows,
    subset_rows,
    too_few_classes,
    wanted_rows,
)
from gan.images.evaluation.facts import RealFacts, find_facts, measure_spread
from gan.images.evaluation.features import fit_extractors
from gan.images.evaluation.image_repeats import ImageRepeats
from gan.images.evaluation.near_copies import PixelReference
from gan.images.evaluation.perceptual import (
    TRAIN_ROWS,
    CandidateSets,
    HoldoutComparison,
    NetsReference,
)
from gan.images.evaluation.usefulness import ImageUsefulness
from gan.modalities import Options, Splits, check_candidate
from gan.randomness import derive, numpy_stream
from gan.report import AS_MADE, Evaluation, Measured
from storage.records.schema import ClassCounts

Array = np.ndarray[Any, Any]


class PerceptualReference:
    """Everything about the real records that evaluating a candidate needs.

    Built once a night; every candidate and the champion are measured against the same one, so their
    numbers are paired.
    """

    def __init__(self, splits: Splits, options: Options) -> None:
        """Train the feature nets on train and measure what real data reaches."""
        self.options, seed = options, options.seed
        self.codec: Codec = ImageCodec.fit(splits.train, splits.label)
        self.n = n = compared_rows(splits, options)
        """Records on each side of a comparison."""
        train = self.codec.encode(splits.train)
        holdout = _subset(self.codec, splits.holdout, n, seed, "holdout")
        validation = _subset(self.codec, splits.validation, n, seed, "validation")
        classes_N = train.labels_N if self.codec.classes else None
        nets = fit_extractors(
            train.values, classes_N, derive(seed, "judging-features"), cache=options.cache
        )
        halves = options.halves_for(n)
        self.nets = NetsReference(nets, train, (holdout, validation), halves, seed)
        self.facts = RealFacts(self.codec, splits, train, overlap_expected=options.overlap_expected)
        unseen = np.concatenate([holdout.values, validation.values])
        self.pixels = None
        """Where near copies are sought; nowhere where equal images are in several splits, because
        then chance did not decide which side holds what."""
        if not options.overlap_expected:
            self.pixels = PixelReference(
                train.values,
                unseen,
                seed,
                options.replicates,
                by_chance=options.sides_by_chance,
            )
        self.sets = candidate_sets(options, n)
        self.replicates = options.replicates_for(n)
        self.repeats = ImageRepeats(
            (holdout.values, validation.values),
            0.0 if self.pixels is None else self.pixels.limit,
            draws=halves,
            replicates=self.replicates,
            seed=seed,
        )
        self.told = real_side(holdout.values, self.replicates, seed)
        """The holdout as classifiers take it that tell synthetic from real."""
        many = len(self.codec.classes) > 1
        self.usefulness = (
            ImageUsefulness(
                train, holdout, classes=len(self.codec.classes), rows=self.sets * n, seed=seed
            )
            if many
            else None
        )
        """What real images teach; None without classes."""
        self.holdout_classes_N = holdout.labels_N
        self.holdout_rows: int = splits.holdout.num_rows
        """All records of the holdout."""
        self.notes = _notes(splits, n, options)

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


def _notes(splits: Splits, n: int, options: Options) -> tuple[str, ...]:
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
            f"copies in the features of the nets were looked for among at most {TRAIN_ROWS:,} of "
            f"{splits.train.num_rows:,} training records, exact copies among all"
        )
    if options.overlap_expected:
        notes.append(
            "near copies were not looked for: most images repeat, so equal ones are on both sides"
        )
    return tuple(notes)


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
    comparison = HoldoutComparison(
        candidate=encoded,
        sets=sets,
        classes=reference.codec.classes,
        holdout_classes_N=reference.holdout_classes_N,
        holdout_rows=reference.holdout_rows,
        replicates=reference.replicates,
        seed=reference.options.seed,
    )
    measured = [measure_spread(encoded, reference.facts), *_near_copies(encoded, reference)]
    measured.append(reference.repeats.measure(encoded.values, sets.whole))
    measured += reference.nets.measure(comparison)
    measured += c2st(encoded.values[sets.whole[0]], reference.told)
    if reference.usefulness is not None:
        measured += reference.usefulness.measure(encoded)
    counts = Counter(encoded.labels_N.tolist())
    return Evaluation(
        measured=tuple(measured),
        facts=find_facts(encoded, reference.codec, reference.facts),
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


def _near_copies(candidate: Encoded, reference: PerceptualReference) -> Iterator[Measured]:
    """Yield the share of near copies, where it means something."""
    if reference.pixels is not None:
        yield from reference.pixels.measure(candidate.values)


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
