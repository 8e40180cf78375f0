"""Synthetic records that equal real ones: counted per real record held, and what chance explains.

Which real record was trained on was decided at random. A generator that copies nothing hits records
that it never saw as often, per record held, as those that it was trained on: of the K real records
that are hit, the number of training records is hypergeometric (Fisher's exact test). Every distinct
record counts once, however often it is hit, because it went to one side with all its repeats.

That test is blind where few are hit and most real records are in train. So a second question is
asked: can chance hit a record exactly at all? Whatever hits one by chance comes near many more: if
q_j is the probability that two records agree in part j when they agree in the parts before it, an
exact hit has the probability p = Π q_j, and Σ (1 / q_j - 1) ≥ -ln p times as many pairs differ in
one part alone: at least 16 where one hit is expected among ten million pairs, and hundreds where
one part takes many values. Where records do not even come near one another so often, chance does
not explain the hits.

Shapes: N records, D values of each, G parts, T distinct records.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gan.metrics.intervals import more_often
from gan.randomness import numpy_stream

Array = np.ndarray[Any, Any]

PARTS = 12
"""Most parts of a record, of neighbouring values; what is near differs in at most one of them."""
CHANCE_OF_A_HIT = 0.005
"""Probability at which more hits on train than on unseen records are no longer chance."""
CHUNK_BYTES = 2**24
"""Bytes that are hashed at once; changes memory, not results."""


class Equals(NamedTuple):
    """How many records of a candidate equal real ones, and how many real ones are hit."""

    rows: int
    """Records of the candidate that equal a training record."""
    fakes: int
    seen: int
    """Distinct training records that are hit, of `seen_records`; those that are unseen, too, are
    left out here and in what follows."""
    seen_records: int
    unseen: int
    unseen_records: int

    @property
    def more_of_train(self) -> bool:
        """Whether training records are hit more often, per record held, than chance explains."""
        counts = (self.seen, self.seen_records, self.unseen, self.unseen_records)
        return more_often(*counts, chance=CHANCE_OF_A_HIT)


def count_equals(
    fakes: Sequence[bytes], seen: frozenset[bytes], unseen: frozenset[bytes]
) -> Equals:
    """Count equal records by their digests."""
    both, distinct = seen & unseen, frozenset(fakes)
    return Equals(
        rows=sum(digest in seen for digest in fakes),
        fakes=len(fakes),
        seen=len((distinct & seen) - both),
        seen_records=len(seen) - len(both),
        unseen=len((distinct & unseen) - both),
        unseen_records=len(unseen) - len(both),
    )


def part_hashes(values: Array) -> Array:
    """Return a hash of every part of every record; uint64 (N, G).

    Linear in the bytes, modulo 2⁶⁴, with fixed random weights: the sum over parts is a hash of the
    record, and without some of them one of the rest.
    """
    rows = np.ascontiguousarray(values).reshape(len(values), -1)
    n, width = rows.shape
    size = rows.dtype.itemsize
    bytes_NB = rows.view(np.uint8).reshape(n, width * size)
    weights_B = numpy_stream(0, "part-hashes").integers(2**64, size=width * size, dtype=np.uint64)
    parts = np.array_split(np.arange(width * size).reshape(width, size), min(width, PARTS))
    starts = [int(part[0, 0]) for part in parts]
    hashes_NG = np.empty((n, len(starts)), dtype=np.uint64)
    step = max(1, CHUNK_BYTES // (width * size))
    for start in range(0, n, step):
        weighted = bytes_NB[start : start + step].astype(np.uint64) * weights_B
        hashes_NG[start : start + step] = np.add.reduceat(weighted, starts, axis=1)
    return hashes_NG


def near(a_NG: Array, b_MG: Array) -> Array:
    """Return which records of `a` differ from some of `b` in at most one part; bool (N,).

    Records of one part alone are all near.
    """
    found_N = np.zeros(len(a_NG), dtype=bool)
    whole_N, whole_M = a_NG.sum(axis=1), b_MG.sum(axis=1)
    for part in range(a_NG.shape[1]):
        found_N |= np.isin(whole_N - a_NG[:, part], whole_M - b_MG[:, part])
    return found_N


def near_others(a_NG: Array) -> Array:
    """Return which of the distinct records differ from another in one part; bool (N',)."""
    a_NG = a_NG[np.unique(a_NG.sum(axis=1), return_index=True)[1]]
    found_N = np.zeros(len(a_NG), dtype=bool)
    whole_N = a_NG.sum(axis=1)
    for part in range(a_NG.shape[1]):
        rest = np.unique(whole_N - a_NG[:, part], return_inverse=True, return_counts=True)
        found_N |= rest[2][rest[1]] > 1
    return found_N
