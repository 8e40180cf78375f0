"""Copies of training records, on a scale that real data calibrates.

A fake counts as a copy when it lies nearer to a training record than all but a nominal share of
unseen real records do. Of other real data that share is nominal by construction, whatever the
features, so twice nominal means the same on every data set.

Smooth or typical fakes come near to everything, trained on or not, and copy nothing by that. So
hits on unseen records are the candidate's own baseline: of the fakes within the limit of a real
record, the nearest of all real ones is a training record in as many cases as chance gives, which
decided what was trained on. `excess` is the share above that. A baseline above nominal is taken
off: the share is at most nominal and the excess, and its interval lies below both of theirs (to
block, both must be past the bound: an intersection-union test, Berger 1982, Technometrics 24, 295).

Interval of share ÷ nominal: log of a ratio of two proportions, Katz et al. 1978 (Biometrics 34,
469), each count with one half added, Walter 1975 (Biometrika 62, 371): it holds the noise of the
threshold beside that of the fakes. Two feature nets look and the worse decides, so each looks at
the level 1 - .05 / 2 (Bonferroni), and together they err in at most 5 %.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

NOMINAL = 0.05
NOMINAL_LARGE = 0.01
LARGE_HOLDOUT = 2000
Z_TWO_NETS = 2.241402727604947
"""Normal quantile of a two-sided interval at the level 1 - .05 / 2."""


class Copies(NamedTuple):
    """Share of copies with its interval."""

    share: float
    low: float
    high: float


def nominal_share(holdout_rows: int) -> float:
    """Return the nominal share: .05, and .01 from 2,000 holdout records."""
    return NOMINAL_LARGE if holdout_rows >= LARGE_HOLDOUT else NOMINAL


def order(n: int, nominal: float) -> int:
    """Return the rank, of n, of the threshold.

    A new real record lies below the k-th of n with probability k / (n + 1): the k nearest to the
    nominal share, and at least 1.
    """
    return min(n, max(1, round(nominal * (n + 1))))


def threshold(unseen_N: Array, nominal: float) -> float:
    """Return the distance under which a nominal share of unseen real records lies."""
    k = order(len(unseen_N), nominal)
    return float(np.partition(unseen_N, k - 1)[k - 1])


def copies_share(fakes_M: Array, limit: float) -> float:
    """Return the share of distances to train that are at most the threshold."""
    return float((fakes_M <= limit).mean())


def copies(fakes_M: Array, unseen_N: Array, nominal: float) -> Copies:
    """Return the share of copies among fakes, from both sides' distances to train."""
    share = copies_share(fakes_M, threshold(unseen_N, nominal))
    m, n = len(fakes_M), len(unseen_N)
    hits, k = share * m + 0.5, order(n, nominal) + 0.5
    spread = Z_TWO_NETS * math.sqrt(1 / hits - 1 / (m + 0.5) + 1 / k - 1 / (n + 0.5))
    middle = (hits / (m + 0.5)) / (k / (n + 0.5)) * nominal
    low = min(share, middle * math.exp(-spread))
    high = max(share, min(1.0, middle * math.exp(spread)))
    return Copies(share, low, high)


class Hit(NamedTuple):
    """The nearest of all distinct real records, trained on or not, of every fake."""

    distance_M: Array
    owner_M: Array
    """Its index among the real ones."""
    trained_P: Array
    """Which real ones were trained on."""


def excess(hits: Hit, limit: float) -> float:
    """Return the share of fakes near to training records above what is due to chance.

    A hit on one of U unseen records stands for T / U hits on the T training records.
    """
    near_M = hits.distance_M <= limit
    seen_M = hits.trained_P[hits.owner_M] & near_M
    return float(seen_M.mean() - (near_M & ~seen_M).mean() * _odds(hits))


def excess_spread(hits: Hit, limit: float) -> float:
    """Return the standard deviation of the excess, had chance decided who was trained on.

    It decides for a record, so all fakes near the same one count as a whole.
    """
    counts_P = np.bincount(hits.owner_M[hits.distance_M <= limit], minlength=len(hits.trained_P))
    squares = float(np.square(counts_P, dtype=np.float64).sum())
    return math.sqrt(_odds(hits) * squares) / len(hits.distance_M)


def beyond_baseline(found: Copies, hits: Hit, limit: float, nominal: float) -> Copies:
    """Return the share with the candidate's own baseline taken off where it is above nominal."""
    middle = nominal + excess(hits, limit)
    room = Z_TWO_NETS * excess_spread(hits, limit)
    share = max(0.0, min(found.share, middle))
    return Copies(
        share,
        max(0.0, min(found.low, middle - room)),
        max(share, min(found.high, middle + room)),
    )


def _odds(hits: Hit) -> float:
    """Return how many training records there are per unseen one."""
    trained = float(hits.trained_P.mean())
    return trained / (1.0 - trained)


def record_digests(values: Array) -> list[bytes]:
    """Return a 16-byte digest of every record's bytes."""
    rows = np.ascontiguousarray(values).reshape(len(values), -1)
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows]


def repeated(digests: Sequence[bytes]) -> int:
    """Return how many records have an equal one among them."""
    return sum(count for count in Counter(digests).values() if count > 1)
