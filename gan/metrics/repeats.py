"""How many records of a set repeat another one of it, held against as many real records.

A generator that makes one picture, or the same fifty rows, again and again has records enough near
real ones, and what compares distributions as a whole names something else first. A person sees
repeats at once. How many there are depends on how many records are looked at: so the real share is
that of random real records of equal number. Where equal real records went to one split together,
that split repeats more often, so the real share is at least that of every split.

Shapes: N records.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gan.metrics.intervals import random_half, spread_interval
from gan.randomness import numpy_stream

Array = np.ndarray[Any, Any]

ShareFn = Callable[[Array], float]
"""Rows in, and out the share of them that repeat another one of them."""


class RealRepeats(NamedTuple):
    """The share of real records that repeat another one."""

    value: float
    draws: tuple[float, ...]
    """Of random real records, and of every split."""


class Repeats(NamedTuple):
    """The share of a candidate's records that repeat another one."""

    value: float
    low: float
    high: float
    replicates: tuple[float, ...]


def share_of_codes(codes_N: Array) -> ShareFn:
    """Return the share among records that are equal where their codes are."""
    _, numbers_N = np.unique(codes_N, return_inverse=True)

    def share(rows: Array) -> float:
        return float((np.bincount(numbers_N[rows])[numbers_N[rows]] > 1).mean())

    return share


def share_of_pairs(near_NN: Array) -> ShareFn:
    """Return the share among records of which is known which are alike; no record is so itself."""

    def share(rows: Array) -> float:
        return float(near_NN[np.ix_(rows, rows)].any(axis=1).mean())

    return share


def real_repeats(
    share: ShareFn, splits: Sequence[Array], n: int, draws: int, seed: int
) -> RealRepeats:
    """Return the share among n real records.

    Args:
        share: among real records of all splits.
        splits: the rows of each; those with more than n are looked at in part.
        n: how many records are compared.
        draws: how often n real records are drawn at random from all splits.
        seed: of what is drawn.
    """
    rng, every = numpy_stream(seed, "real-repeats"), np.concatenate(splits)
    found = [share(rng.permutation(every)[:n]) for _ in range(draws)]
    own = [share(rng.permutation(split)[:n]) for split in splits]
    return RealRepeats(max(float(np.mean(found)), *own), (*found, *own))


def candidate_repeats(shares: Sequence[ShareFn], n: int, replicates: int, seed: int) -> Repeats:
    """Return the mean share of a candidate's sets of n records each."""
    value, again = float(np.mean([share(np.arange(n)) for share in shares])), []
    for r in range(replicates):
        half = random_half(n, numpy_stream(seed, "candidate-half", r))
        again.append(shares[r % len(shares)](half))
    low, high = spread_interval(value, again, 0.0, 1.0)
    return Repeats(value, low, high, tuple(again))
