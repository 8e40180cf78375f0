"""A uniform sample of records that depends on what they hold, not on where or in which order.

Every record gets a number by a hash of its content and of how many equal ones came before it, and
the records of the k smallest numbers are the sample ("bottom-k sketch", Cohen & Kaplan,
"Summarizing data using bottom-k sketches", PODC 2007). Equal records are interchangeable, so that
numbering them in any order gives the same sample; without the occurrence all copies would be in it,
or none. The number comes from the half of the digest that does not decide the split.

Shape legend: N records, K of the sample.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from storage.sources.split import occurrences
from storage.sources.streams.spill import Spill, Words

SAMPLE_SCHEMA: Final = "ganmill-sample/1"
"""Part of the keys: another way to choose would give other samples."""

DIGEST_WORDS: Final = 2
SAMPLE_WORDS: Final = 3
"""Of a record for `choose_rows`: both halves of its digest, and its place in the source."""


def as_words(digests: NDArray[np.uint8]) -> Words:
    """View digests (N, 16) as their two halves: (N, 2)."""
    return np.ascontiguousarray(digests).view(np.uint64)


def add_digests(spill: Spill, digests: NDArray[np.uint8], first_row: int) -> None:
    """Append the digests (N, 16) of consecutive records, the first of which has a given place."""
    halves = as_words(digests)
    places = np.arange(first_row, first_row + len(halves), dtype=np.uint64)
    spill.add(np.column_stack([halves, places]), halves[:, 1])


def choose_rows(spill: Spill, most: int) -> NDArray[np.int64]:
    """Return the places of the sample's records, in the order of their numbers.

    Args:
        spill: of the digests of all records.
        most: K, or all of fewer.
    """
    numbers, places = np.empty(0, np.uint64), np.empty(0, np.int64)
    for words in spill.parts():
        digests = np.ascontiguousarray(words[:, :DIGEST_WORDS]).view(np.uint8)
        found = _mixed(words[:, 1], occurrences(digests).astype(np.uint64))
        numbers = np.concatenate([numbers, found])
        places = np.concatenate([places, words[:, DIGEST_WORDS].astype(np.int64)])
        if len(numbers) > most:
            least = np.argpartition(numbers, most - 1)[:most]
            numbers, places = numbers[least], places[least]
    return places[np.lexsort((places, numbers))]


def _mixed(halves_N: Words, occurrences_N: Words) -> Words:
    """Return even numbers in [0, 2**64) of digests and occurrences.

    The finaliser of SplitMix64 (Steele, Lea & Flood, "Fast splittable pseudorandom number
    generators", OOPSLA 2014, figure 16).
    """
    mixed = halves_N + (occurrences_N + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), np.uint64)
