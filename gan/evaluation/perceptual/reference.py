"""The real side of an evaluation: feature nets, features of the splits, ceilings.

Built once a night; every candidate and the champion are measured against the same one, so their
numbers are paired. Shapes: N records, F features.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from gan.device import one_thread
from gan.evaluation.ceilings import Real
from gan.evaluation.judges import Options, Splits, comparable_rows
from gan.evaluation.perceptual.ceilings import accuracy_ceiling, class_ceiling, pool_ceilings
from gan.images.codec import ImageCodec
from gan.images.features import Extractor, fit_extractors
from gan.metrics.copies import record_digests
from gan.metrics.distances import nearest_distances
from gan.metrics.pool import make_pool
from gan.protocols import Codec, Encoded
from gan.randomness import derive, numpy_stream
from storage.records.schema import ClassCounts

Array = np.ndarray[Any, Any]

MIN_CLASS = 20
"""Holdout records of a class below which its coverage is not judged."""
TRAIN_ROWS = 50_000
"""Most training records among which copies are looked for by features; exact copies in all."""
LARGE = 1000
"""From this n on, fewer halves and resamples are drawn."""
FEW = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class NetReference:
    """What one feature net says about the real records."""

    net: Extractor
    train_NF: Array
    holdout_NF: Array
    unseen_N: Array
    """Distance to train of every validation and holdout record."""
    ceilings: Mapping[str, Real]
    class_ceilings: Mapping[int, Real]
    """Class index → ceiling of coverage within the class."""
    accuracy: Real | None
    """Ceiling of label accuracy, None where the net knows no classes."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RealFacts:
    """What the hard facts need of the real records."""

    train_digests: frozenset[bytes]
    holdout_copies: float
    """Share of the holdout that equals a training record byte for byte."""
    overlaps: int
    """Records that two splits share."""
    spread: float
    """Mean over all values of the spread of train."""
    class_share: Mapping[int, float]
    """Class index → share of train."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PerceptualReference:
    """Everything about the real records that evaluating a candidate needs."""

    options: Options
    codec: Codec
    nets: tuple[NetReference, ...]
    facts: RealFacts
    n: int
    """Records on each side of a comparison."""
    sets: int
    replicates: int
    holdout_classes_N: Array
    holdout_rows: int
    """All records of the holdout."""
    notes: tuple[str, ...]

    @property
    def wanted(self) -> ClassCounts | int:
        """What to synthesize for a candidate: rows per class, or rows when unconditional."""
        if not self.codec.classes:
            return self.n * self.sets
        counts = Counter(self.holdout_classes_N.tolist())
        return tuple(
            (label, self.sets * max(1, counts[index]))
            for index, label in enumerate(self.codec.classes)
        )


@one_thread()
def build_reference(splits: Splits, options: Options) -> PerceptualReference:
    """Train the feature nets on train and measure what real data reaches.

    Raises:
        DataError: validation or holdout is too small to compare anything, or does not fit train.
        ConfigError: there is no such modality.
    """
    codec = ImageCodec.fit(splits.train, splits.label)
    n = comparable_rows(splits, options.cap)
    train = codec.encode(splits.train)
    holdout = _subset(codec, splits.holdout, n, options.seed, "holdout")
    validation = _subset(codec, splits.validation, n, options.seed, "validation")
    classes_N = train.labels_N if codec.classes else None
    nets = fit_extractors(train.values, classes_N, derive(options.seed, "judging-features"))
    halves = options.halves if n < LARGE else min(options.halves, FEW)
    references = tuple(
        _net_reference(net, train, (holdout, validation), halves, options.seed) for net in nets
    )
    return PerceptualReference(
        options=options,
        codec=codec,
        nets=references,
        facts=_real_facts(codec, splits, train),
        n=n,
        sets=max(1, min(options.sets, options.cap // n)),
        replicates=options.replicates if n < LARGE else min(options.replicates, FEW),
        holdout_classes_N=holdout.labels_N,
        holdout_rows=splits.holdout.num_rows,
        notes=_notes(splits, n),
    )


def _subset(codec: Codec, records: pa.Table, n: int, seed: int, purpose: str) -> Encoded:
    """Return n records, drawn at random where there are more."""
    encoded = codec.encode(records)
    if records.num_rows == n:
        return encoded
    chosen = np.sort(numpy_stream(seed, f"subset-{purpose}").permutation(records.num_rows)[:n])
    return Encoded(encoded.values[chosen], encoded.labels_N[chosen])


def _net_reference(
    net: Extractor, train: Encoded, unseen: tuple[Encoded, Encoded], halves: int, seed: int
) -> NetReference:
    """Measure real records in one feature space; `unseen` is holdout, validation."""
    holdout, validation = unseen
    train_NF = net(thin(train.values, TRAIN_ROWS))
    pool = make_pool(np.concatenate([net(holdout.values), net(validation.values)]))
    classes_P = np.concatenate([holdout.labels_N, validation.labels_N])
    n = len(holdout.values)
    correct = [net.predict(part.values) for part in unseen]
    accuracy = None
    if correct[0] is not None and correct[1] is not None:
        hits_P = np.concatenate([correct[0], correct[1]]) == classes_P
        accuracy = accuracy_ceiling(hits_P, n, halves, seed)
    return NetReference(
        net=net,
        train_NF=train_NF,
        holdout_NF=pool.features_PF[:n],
        unseen_N=nearest_distances(pool.features_PF, train_NF),
        ceilings=pool_ceilings(pool, classes_P, halves, seed),
        class_ceilings={
            index: class_ceiling(pool, np.flatnonzero(classes_P == index), halves, seed)
            for index in judged_classes(holdout.labels_N)
        },
        accuracy=accuracy,
    )


def judged_classes(holdout_classes_N: Array) -> list[int]:
    """Return the classes with enough holdout records; one class alone is `all`."""
    counts = Counter(holdout_classes_N.tolist())
    if len(counts) < 2:
        return []
    return sorted(index for index, count in counts.items() if count >= MIN_CLASS)


def _real_facts(codec: Codec, splits: Splits, train: Encoded) -> RealFacts:
    digests = [
        record_digests(codec.encode(records).values)
        for records in (splits.train, splits.validation, splits.holdout)
    ]
    seen, validation, holdout = (frozenset(part) for part in digests)
    overlaps = len(seen & validation) + len(seen & holdout) + len(validation & holdout)
    shares = Counter(train.labels_N.tolist())
    return RealFacts(
        train_digests=seen,
        holdout_copies=sum(digest in seen for digest in digests[2]) / len(digests[2]),
        overlaps=overlaps,
        spread=value_spread(thin(train.values, TRAIN_ROWS)),
        class_share={index: count / len(train.values) for index, count in shares.items()},
    )


def thin(values: Array, rows: int) -> Array:
    """Return every k-th record, so that at most `rows` remain; a view."""
    return values[:: max(1, -(-len(values) // rows))]


def value_spread(values: Array) -> float:
    """Return the mean over all values (pixels) of their standard deviation over records."""
    flat = values.reshape(len(values), -1)
    parts = [flat[:, start : start + 256].std(axis=0) for start in range(0, flat.shape[1], 256)]
    return float(np.concatenate(parts).mean())


def _notes(splits: Splits, n: int) -> tuple[str, ...]:
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
