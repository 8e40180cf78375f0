"""Fractions of its own for a class that the hash gives too few records of some split. Pure.

A hash gives a small class more or fewer records of a split than its fraction, by chance. Where that
leaves a class fewer than the judge needs although it has enough in all, its fractions are moved, in
steps, as little as will do. Within the class the hash decides as ever: a record is held out when
its number `u` is below the class's fraction, so that the order of the records does not matter and
equal records stay together. The fractions are part of the split rule: as long as they stay, so does
every record, and where new data moves them the rule is another one.

Shape legend: N records, C classes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.sources.split import units

STEPS: Final = (1.0, 1.2, 1.4, 1.7, 2.0, 2.5, 0.8, 0.6, 0.5)
"""What a fraction may be multiplied with."""
LEAST_TRAIN: Final = 0.5
"""A class keeps this share of its records for training, or what the recipe leaves if that is
less."""


class Fractions(NamedTuple):
    """Of the records of a class."""

    validation: float
    holdout: float


@dataclass(frozen=True, kw_only=True)
class ClassNeeds:
    """How many records of every class a split should hold."""

    train: int = 1
    validation: int = 0
    holdout: int = 0
    in_proportion: bool = False
    """Whether the holdout must hold no class beyond its share, because it stands for the source as
    a whole; else the judge compares class by class."""

    def __iter__(self) -> Iterator[int]:
        """Yield the numbers in the order of the splits."""
        return iter((self.train, self.validation, self.holdout))


@dataclass(frozen=True, kw_only=True, eq=False)
class Classes:
    """The classes of N records."""

    values: tuple[Any, ...]
    """C labels, sorted by their text."""
    codes_N: NDArray[np.int64]
    """Place of each record's label among them; -1 where there is none."""
    needs: ClassNeeds

    def take(self, rows_N: NDArray[Any]) -> "Classes":
        """Return those of some records."""
        return Classes(values=self.values, codes_N=self.codes_N[rows_N], needs=self.needs)


def code_classes(labels: pa.Array | pa.ChunkedArray, needs: ClassNeeds) -> Classes:
    """Return the classes of a label column."""
    values = sorted(pc.unique(labels.drop_null()).to_pylist(), key=str)
    known = pa.array(values, labels.type)
    codes = pc.fill_null(pc.index_in(labels, value_set=known), -1)
    if isinstance(codes, pa.ChunkedArray):
        codes = codes.combine_chunks()
    return Classes(
        values=tuple(values),
        codes_N=codes.to_numpy(zero_copy_only=False).astype(np.int64),
        needs=needs,
    )


def own_fractions(
    digests: NDArray[np.uint8], classes: Classes, base: Fractions
) -> dict[int, Fractions]:
    """Return class code → fractions, for the classes that the hash starves of some split.

    Args:
        digests: (N, 16), what decides the split.
        classes: of the same records.
        base: what the recipe says.
    """
    shared_N = shared_codes(digests, classes.codes_N)
    codes_N = np.where(shared_N == classes.codes_N, shared_N, -1)
    u_N, count = units(digests), len(classes.values)
    numbers = {code: u_N[codes_N == code] for code in range(count)}
    needs = possible_needs(counts_of(u_N, base), classes.needs, count, base)
    return moved_fractions(numbers, needs, base)


def moved_fractions(
    numbers: Mapping[int, NDArray[np.float64]], needs: ClassNeeds, base: Fractions
) -> dict[int, Fractions]:
    """Return class code → fractions, for the classes that the hash starves of some split.

    Args:
        numbers: class code → the numbers `u` of its records.
        needs: of every class.
        base: what the recipe says.
    """
    moved = {code: _moved(u_K, needs, base) for code, u_K in numbers.items()}
    return {code: fractions for code, fractions in moved.items() if fractions != base}


def possible_needs(
    counts: Sequence[int], needs: ClassNeeds, classes: int, base: Fractions
) -> ClassNeeds:
    """Return the needs; beyond its share no class can help where all together have no room.

    As many records of the holdout are judged as validation has, so with few records of many classes
    a larger holdout of each would show nothing more.

    Args:
        counts: all records of train, validation and holdout.
        needs: of every class.
        classes: how many there are.
        base: what the recipe says.
    """
    _, validation, holdout = counts
    room = min(validation, holdout) if base.holdout else validation
    return needs if classes * needs.holdout <= room else replace(needs, in_proportion=True)


def shared_codes(
    digests: NDArray[np.uint8],
    codes_N: NDArray[np.int64],
    counts_C: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Return one class for all equal records: where labels differ, the rarest, then the first.

    `counts_C` are the records of each class in all, where these are a part of them.
    """
    words = np.ascontiguousarray(digests).view(np.uint64)
    _, group_N = np.unique(words, axis=0, return_inverse=True)
    group_N = group_N.reshape(-1)
    if counts_C is None:
        counts_C = np.bincount(codes_N[codes_N >= 0], minlength=1)
    order = np.argsort(counts_C, kind="stable")
    place_C = np.empty(len(order), np.int64)
    place_C[order] = np.arange(len(order))
    place_N = np.where(codes_N < 0, len(order), place_C[codes_N])
    first = np.full(int(group_N.max(initial=-1)) + 1, len(order))
    np.minimum.at(first, group_N, place_N)
    shared_N: NDArray[np.int64] = np.append(order, -1)[first[group_N]].astype(np.int64)
    return shared_N


def spread(
    digests: NDArray[np.uint8], classes: Classes, own: dict[int, Fractions], base: Fractions
) -> Fractions:
    """Return the fractions of every record: arrays `validation_N` and `holdout_N`."""
    codes_N = shared_codes(digests, classes.codes_N)
    return spread_by_code(codes_N, len(classes.values), own, base)


def spread_by_code(
    codes_N: NDArray[np.int64], classes: int, own: dict[int, Fractions], base: Fractions
) -> Fractions:
    """Return the fractions of every record by its shared class, see `spread`."""
    table = np.array([own.get(code, base) for code in range(classes)] + [base])
    return Fractions(*table[codes_N].T)


def _moved(u_K: NDArray[np.float64], needs: ClassNeeds, base: Fractions) -> Fractions:
    """Return the fractions nearest to the base with which a class of these numbers has enough.

    What a class of this size cannot have is not asked for: first validation is given up, on which
    only choices are made, then the holdout.
    """
    shares = (1 - sum(base), base.validation, base.holdout)
    reachable = [
        need if not needs.in_proportion or round(share * len(u_K)) >= need else 0
        for need, share in zip(needs, shares, strict=True)
    ]
    train, validation, holdout = (
        need if share else 0 for need, share in zip(reachable, shares, strict=True)
    )
    for wanted in ((train, validation, holdout), (train, 0, holdout), (train, 0, 0)):
        for fractions in _candidates(base):
            if all(
                have >= need for have, need in zip(counts_of(u_K, fractions), wanted, strict=True)
            ):
                return fractions
    return base


def counts_of(u_K: NDArray[np.float64], fractions: Fractions) -> Sequence[int]:
    """Return the records of train, validation and holdout."""
    held = int((u_K < fractions.holdout).sum())
    unseen = int((u_K < fractions.holdout + fractions.validation).sum())
    return len(u_K) - unseen, unseen - held, held


def _candidates(base: Fractions) -> list[Fractions]:
    """Return the fractions that a class may have, the nearest to the base first."""
    most = max(sum(base), 1 - LEAST_TRAIN)
    steps = [(v, h) for v in STEPS for h in STEPS]
    steps.sort(key=lambda pair: (abs(log(pair[0])) + abs(log(pair[1])), pair))
    found = [Fractions(round(base.validation * v, 6), round(base.holdout * h, 6)) for v, h in steps]
    return [base, *(each for each in found if sum(each) <= most + 1e-9)]
