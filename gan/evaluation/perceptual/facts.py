"""Hard facts: what holds or does not, decided on the point.

Records that do not have the type and shape of the training records never get here: encoding them
raises `DataError`.
"""

import math
from collections import Counter

import numpy as np

from gan.evaluation.measured import Fact
from gan.evaluation.perceptual.reference import PerceptualReference
from gan.metrics.copies import record_digests
from gan.protocols import Encoded

EXPECTED_OF_A_CLASS = math.log(1000)
"""A class is missing when it has no record although so many were expected: by chance that happens
once in a thousand."""


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
