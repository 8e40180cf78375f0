"""The splits of all records of a stream, by the rule that holds for records in memory.

A record gets the split that it would have if all were in memory: its own digest decides, how many
are distinct decides whether equal ones are kept together, and a class that the hash starves has
fractions of its own. All of that is counted over the files of a spill, one at a time.

Shape legend: N records of a file, K of the sample, C classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from storage.records.schema import ClassCounts
from storage.sources.split import (
    SPLITS,
    SplitConfig,
    assign,
    distinct_rows,
    split_rule,
    units,
    with_occurrence,
)
from storage.sources.split_assignment import (
    SplitAssignment,
    check_filled,
    copies_note,
    own_note,
    own_rule,
)
from storage.sources.split_classes import (
    ClassNeeds,
    Fractions,
    counts_of,
    moved_fractions,
    possible_needs,
    shared_codes,
    spread_by_code,
)
from storage.sources.streams.sample import DIGEST_WORDS
from storage.sources.streams.spill import Spill, Words

DIVIDE_WORDS: Final = 4
"""Of a record for `divide`: both halves of its digest, its place, its class and one (0: none)."""

MOST_OF_CLASS: Final = 1 << 17
"""A class of more records than this is never starved by a hash."""


@dataclass(frozen=True, kw_only=True)
class StreamClasses:
    """The classes of all records."""

    values: tuple[Any, ...]
    """C labels, sorted by their text."""
    places_C: NDArray[np.int64]
    """Their places by the codes of the spill."""
    counts_C: NDArray[np.int64]
    """Records of each."""
    needs: ClassNeeds


@dataclass(frozen=True, kw_only=True)
class Divided:
    """The splits of all records."""

    assignment: SplitAssignment
    """Of the sample's K records, in the order of the sample."""
    rows: dict[str, int]
    """Split → records in all."""
    class_counts: dict[str, ClassCounts]
    """Split → records of each class in all."""


@dataclass
class _Found:
    """What the files say of the classes."""

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(3, np.int64))
    """All records of train, validation and holdout by the recipe's fractions."""
    numbers: dict[int, list[NDArray[np.float64]]] = field(default_factory=dict)
    """Class code → the numbers `u` of its records, where they are few."""


def divide(
    spill: Spill,
    sample_K: NDArray[np.int64],
    config: SplitConfig,
    classes: StreamClasses | None,
) -> Divided:
    """Return the splits of the sample, and of how many records each split consists in all.

    Args:
        spill: of all records, `DIVIDE_WORDS` each.
        sample_K: places of the sample's records.
        config: the recipe's `source.split`, with neither column, group nor other source.
        classes: of the label; None where it has none.

    Raises:
        SourceError: a split of the sample is empty.
    """
    base = Fractions(config.validation, config.holdout)
    distinct = sum(distinct_rows(_digests(words)) for words in spill.parts())
    by_occurrence = 2 * distinct < spill.rows
    own, notes = dict[int, Fractions](), list[str]()
    if by_occurrence:
        notes.append(copies_note(distinct, spill.rows))
    rule = split_rule(config, by_occurrence=by_occurrence)
    if classes is not None:
        own = _own_fractions(spill, classes, base, by_occurrence=by_occurrence)
        if own:
            notes.append(own_note(classes.values, own, base))
            rule["classes"] = own_rule(classes.values, own)
    count = 0 if classes is None else len(classes.values)
    totals, splits_K = np.zeros((len(SPLITS), count + 1), np.int64), np.zeros(len(sample_K), "u1")
    order = np.argsort(sample_K)
    for keys, words in _keyed(spill, by_occurrence=by_occurrence):
        codes_N = _codes(words, classes)
        fractions: tuple[Any, Any] = base
        if own and classes is not None:
            shared_N = shared_codes(keys, codes_N, classes.counts_C)
            fractions = spread_by_code(shared_N, count, own, base)
        splits_N = assign(keys, validation=fractions[0], holdout=fractions[1])
        np.add.at(totals, (splits_N, codes_N), 1)
        places_N = words[:, DIGEST_WORDS].astype(np.int64)
        at_N = np.searchsorted(sample_K[order], places_N).clip(max=len(order) - 1)
        found_N = sample_K[order][at_N] == places_N
        splits_K[order[at_N[found_N]]] = splits_N[found_N]
    check_filled(config, splits_K)
    return Divided(
        assignment=SplitAssignment(splits_N=splits_K, rule=rule, notes=tuple(notes)),
        rows={name: int(totals[number].sum()) for number, name in enumerate(SPLITS)},
        class_counts={
            name: () if classes is None else _counted(classes.values, totals[number])
            for number, name in enumerate(SPLITS)
        },
    )


def _own_fractions(
    spill: Spill, classes: StreamClasses, base: Fractions, *, by_occurrence: bool
) -> dict[int, Fractions]:
    """Return the classes with fractions of their own."""
    found = _Found()
    few = np.flatnonzero(classes.counts_C <= MOST_OF_CLASS).tolist()
    for keys, words in _keyed(spill, by_occurrence=by_occurrence):
        u_N, codes_N = units(keys), _codes(words, classes)
        found.counts += np.array(counts_of(u_N, base))
        if not few:
            continue
        shared_N = shared_codes(keys, codes_N, classes.counts_C)
        for code in few:
            mine_N = (shared_N == code) & (codes_N == code)
            found.numbers.setdefault(code, []).append(u_N[mine_N])
    counts = [int(number) for number in found.counts]
    needs = possible_needs(counts, classes.needs, len(classes.values), base)
    numbers = {code: np.concatenate(parts) for code, parts in found.numbers.items()}
    return moved_fractions(numbers, needs, base)


def _keyed(spill: Spill, *, by_occurrence: bool) -> Iterator[tuple[NDArray[np.uint8], Words]]:
    """Yield what decides the split of the records of every file: (N, 16), and their numbers."""
    for words in spill.parts():
        digests = _digests(words)
        yield (with_occurrence(digests) if by_occurrence else digests), words


def _digests(words: Words) -> NDArray[np.uint8]:
    return np.ascontiguousarray(words[:, :DIGEST_WORDS]).view(np.uint8)


def _codes(words: Words, classes: StreamClasses | None) -> NDArray[np.int64]:
    """Return the class of every record, -1 where there is none."""
    if classes is None:
        return np.full(len(words), -1)
    codes_N = words[:, DIGEST_WORDS + 1].astype(np.int64)
    return np.append(-1, classes.places_C)[codes_N]


def _counted(values: tuple[Any, ...], totals_C: NDArray[np.int64]) -> ClassCounts:
    pairs = zip(values, totals_C.tolist(), strict=False)
    return tuple(sorted((value, count) for value, count in pairs if count))
