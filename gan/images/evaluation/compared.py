"""Which images a comparison is made of and which classes are judged: by numbers and labels alone.

Shapes: N images.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from gan.modalities import Options, Splits, comparable_rows
from gan.randomness import numpy_stream
from gan.report import TooFew
from storage.records.modalities import MODALITIES
from storage.records.schema import ClassCounts, Label

Array = np.ndarray[Any, Any]

MIN_CLASS = MODALITIES["images"].judged_class.holdout
"""Holdout records of a class below which its coverage is not judged."""


MOST = 2500
"""Most images compared on each side: the cost of neighbours grows with their square, and a share of
so many is known to two points."""


def compared_rows(splits: Splits, options: Options) -> int:
    """Return how many images are compared on each side.

    Raises:
        DataError: validation or holdout is too small to compare anything.
    """
    return comparable_rows(splits, min(options.cap, MOST))


def candidate_sets(options: Options, n: int) -> int:
    """Return how many times n records a candidate is asked for."""
    return max(1, min(options.sets, options.cap // n))


def wanted_rows(
    classes: Sequence[Label], holdout_classes_N: Array, n: int, sets: int
) -> ClassCounts | int:
    """Return what to synthesize for a candidate: so many times the holdout, of every class one."""
    if not classes:
        return n * sets
    counts = Counter(holdout_classes_N.tolist())
    return tuple((label, sets * max(1, counts[index])) for index, label in enumerate(classes))


def subset_rows(classes_N: Array, n: int, seed: int, purpose: str) -> Array:
    """Return n rows in order, drawn at random.

    A class with enough records to be judged keeps as many, in the place of the last of classes
    that have more.
    """
    order = numpy_stream(seed, f"subset-{purpose}").permutation(len(classes_N))
    chosen, rest = order[:n], order[n:]
    spare = Counter(classes_N[chosen].tolist())
    taken: list[int] = []
    for index, count in sorted(Counter(classes_N.tolist()).items()):
        lacking = MIN_CLASS - spare[index] if count >= MIN_CLASS else 0
        taken += rest[classes_N[rest] == index][: max(lacking, 0)].tolist()
    kept = list(chosen)
    for place in range(n - 1, -1, -1):
        index = int(classes_N[chosen[place]])
        if len(kept) + len(taken) > n and spare[index] > MIN_CLASS:
            spare[index] -= 1
            del kept[place]
    return np.sort([*kept, *taken][:n]).astype(np.int64)


def judged_classes(holdout_classes_N: Array) -> list[int]:
    """Return the classes with enough holdout records; one class alone is `all`."""
    counts = Counter(holdout_classes_N.tolist())
    if len(counts) < 2:
        return []
    return sorted(index for index, count in counts.items() if count >= MIN_CLASS)


def too_few_classes(classes: Sequence[Label], holdout_classes_N: Array) -> tuple[TooFew, ...]:
    """Return the classes that the holdout is too small to judge."""
    counts = Counter(holdout_classes_N.tolist())
    return tuple(
        TooFew(label=str(label), n=counts[index], needed=MIN_CLASS)
        for index, label in enumerate(classes)
        if len(classes) > 1 and counts[index] < MIN_CLASS
    )
