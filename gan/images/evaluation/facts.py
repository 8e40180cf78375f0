"""Hard facts about a candidate's images, and the spread of their values.

A fact holds or does not: exact copies by a comparison, all else on the point. Records that do not
have the type and shape of the training records never get here: encoding them raises `DataError`.

Shapes: N images.
"""

from collections import Counter
from typing import Any

import numpy as np

from gan.codecs import Codec, Encoded
from gan.evaluation.classes import missing_classes
from gan.evaluation.exact_copies import Chance, exact_copies, find_chance
from gan.metrics.copies import record_digests, repeated
from gan.metrics.equality import count_equals
from gan.modalities import Splits
from gan.report import Ceiling, Fact, Measured, Metric

Array = np.ndarray[Any, Any]

SPREAD_ROWS = 50_000
"""Most training records whose spread is measured."""


class RealFacts:
    """What the hard facts need of the real records."""

    def __init__(
        self, codec: Codec, splits: Splits, train: Encoded, *, overlap_expected: bool
    ) -> None:
        """Compare the splits with each other byte for byte."""
        self.overlap_expected = overlap_expected
        """Whether records may be in two splits, because most of the source repeat."""
        self.codec, self.splits = codec, splits
        digests = [
            record_digests(codec.encode(records).values)
            for records in (splits.train, splits.validation, splits.holdout)
        ]
        seen, validation, holdout = (frozenset(part) for part in digests)
        self.train_digests, self.unseen_digests = seen, validation | holdout
        self.repeats = repeated(digests[0])
        """Training records that equal another one."""
        self.overlaps = len(seen & validation) + len(seen & holdout) + len(validation & holdout)
        """Records that two splits share."""
        self.spread = value_spread(thin(train.values, SPREAD_ROWS))
        """Mean over all values of the spread of train."""
        shares = Counter(train.labels_N.tolist())
        self.class_share = {index: n / len(train.values) for index, n in shares.items()}
        """Class index → share of train."""


def thin(values: Array, rows: int) -> Array:
    """Return every k-th record, so that at most `rows` remain; a view."""
    return values[:: max(1, -(-len(values) // rows))]


def value_spread(values: Array) -> float:
    """Return the mean over all values (pixels) of their standard deviation over records."""
    flat = values.reshape(len(values), -1)
    parts = [flat[:, start : start + 256].std(axis=0) for start in range(0, flat.shape[1], 256)]
    return float(np.concatenate(parts).mean())


def measure_spread(candidate: Encoded, facts: RealFacts) -> Measured:
    """Return the spread of values (pixels) as a share of train's."""
    real = facts.spread
    value = value_spread(candidate.values) / real if real > 0 else 1.0
    metric = Metric(
        name="spread",
        scope="all",
        value=value,
        low=value,
        high=value,
        n=len(candidate.values),
        ceiling=Ceiling(value=1.0, low=1.0, high=1.0),
        direction="target",
    )
    return Measured(metric=metric)


def find_facts(candidate: Encoded, codec: Codec, facts: RealFacts) -> tuple[Fact, ...]:
    """Return every hard fact about a candidate and the splits it is measured on."""
    return (
        _finite(candidate),
        _classes(candidate, codec, facts),
        _exact_copies(candidate, facts),
        _overlap(facts),
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


def _classes(candidate: Encoded, codec: Codec, facts: RealFacts) -> Fact:
    counts, classes = Counter(candidate.labels_N.tolist()), tuple(enumerate(codec.classes))
    shares = {value: facts.class_share.get(index, 0.0) for index, value in classes}
    found = {value: counts[index] for index, value in classes}
    return missing_classes(shares, found, len(candidate.values), "record")


def _exact_copies(candidate: Encoded, facts: RealFacts) -> Fact:
    digests = record_digests(candidate.values)
    equals = count_equals(digests, facts.train_digests, facts.unseen_digests)

    def chance() -> Chance:
        train, validation, holdout = (
            facts.codec.encode(records).values
            for records in (facts.splits.train, facts.splits.validation, facts.splits.holdout)
        )
        unseen = np.concatenate([validation, holdout])
        return find_chance(candidate.values, train, unseen, facts.repeats)

    return exact_copies(equals, chance, "records equal a training record exactly")


def _overlap(facts: RealFacts) -> Fact:
    overlaps = facts.overlaps
    expected = facts.overlap_expected
    text = f"{overlaps:,} records are in two splits at once"
    if overlaps and expected:
        text += ", as they must where most records of the source repeat"
    return Fact(
        name="overlap",
        holds=overlaps == 0 or expected,
        value=float(overlaps),
        text=text if overlaps else "no record is in two splits",
    )
