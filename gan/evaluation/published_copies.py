"""Copies of training records among all records of a version, counted shard by shard.

The gate sees some thousand records of a generator; a version may hold millions. Each of them is
held against all real records: is it equal to one that was trained on, and is it equal to one that
was not? Rule and words are those of the gate's fact (`gan.evaluation.exact_copies`). Near records,
which differ in one part alone, are counted on `NEAR_ROWS` records evenly from all shards, because
that takes a search for every part.

Whoever makes a shard hashes its records while they are in memory (`RecordHasher`, which holds
nothing of the real ones); the process that commits holds these hashes against those of the real
records. Memory holds the latter, whatever the number of shards.

Shapes: N records of a shard, R real records, G parts.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from gan.evaluation.exact_copies import Chance, exact_copies
from gan.metrics.equality import Equals, near_others

Array = np.ndarray[Any, Any]

NEAR_ROWS: Final = 5_000
"""Records of a version that are looked at for near ones."""

SPARSE_BITS: Final = 5
"""One of 2⁵ records that equal no real one is looked for among them nevertheless."""

Hashes = Callable[[pa.Table], Array]
"""Of a modality: from N records to a hash of every part of each, uint64 (N, G). Equal records have
equal hashes in every process; it can be sent to one, and holds nothing of the real records."""


class ShardHashes(NamedTuple):
    """What is known of the records of a shard."""

    whole_N: Array
    """A hash of every record."""
    near_NG: Array
    """Of the first records, which are looked at for near ones, a hash of every part."""


@dataclass(frozen=True)
class RecordHasher:
    """Hashes the records of a shard, in the process that has them in memory."""

    hashes: Hashes
    near_share: float
    """Of the records of a shard that are looked at for near ones."""

    def __call__(self, records: pa.Table) -> ShardHashes:
        """Return what `CopyCounter.count` takes."""
        parts_NG = self.hashes(records)
        looked_at = int(np.ceil(len(parts_NG) * self.near_share))
        return ShardHashes(parts_NG.sum(axis=1), parts_NG[:looked_at].copy())


@dataclass(frozen=True, kw_only=True)
class PublishedCopies:
    """What was counted, and what it means."""

    records: int
    """Of the version, all of them."""
    equal: int
    """Those that equal a training record."""
    equal_unseen: int
    """Those that equal a record that was not trained on."""
    trained: int
    """Distinct training records; `trained_hit` of them are equalled."""
    trained_hit: int
    unseen: int
    """Distinct records that were not trained on; `unseen_hit` of them are equalled."""
    unseen_hit: int
    near_records: int
    """Looked at for near ones."""
    near: int
    """Those that differ from a training record in one part at most."""
    near_unseen: int
    """Those that differ from a record that was not trained on in one part at most."""
    holds: bool
    """Whether training records are hit no more than unseen ones, and no more than chance does."""
    text: str
    """One sentence."""

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


class _Side:
    """Real records of one side, by their hashes."""

    def __init__(self, parts_RG: Array) -> None:
        self.whole_R = np.unique(parts_RG.sum(axis=1))
        self.rest_GR = np.sort(parts_RG.sum(axis=1) - parts_RG.T, axis=1)
        self.hit_R = np.zeros(len(self.whole_R), dtype=bool)
        self._shift = np.uint64(64 - max(10, len(self.whole_R).bit_length() + SPARSE_BITS))
        self._begins = np.zeros(1 << int(64 - self._shift), dtype=bool)
        """Of the first bits of a hash: whether one of these begins so."""
        self._begins[self.whole_R >> self._shift] = True

    def equal(self, whole_N: Array) -> int:
        """Return how many records equal one of these, and remember which of these are equalled."""
        some_M = whole_N[self._begins[whole_N >> self._shift]]
        found_M, place_M = _found(self.whole_R, some_M)
        self.hit_R[place_M[found_M]] = True
        return int(found_M.sum())

    def near(self, parts_NG: Array) -> Array:
        """Return which records differ from one of these in one part at most."""
        whole_N = parts_NG.sum(axis=1)
        near_N = np.zeros(len(parts_NG), dtype=bool)
        for part_N, rest_R in zip(parts_NG.T, self.rest_GR, strict=True):
            near_N |= _found(rest_R, whole_N - part_N)[0]
        return near_N


class CopyCounter:
    """Counts copies in one shard after the other."""

    def __init__(self, hashes: Hashes, train: pa.Table, unseen: pa.Table, rows: int) -> None:
        """Take the real records.

        Args:
            hashes: of the modality.
            train: what was trained on.
            unseen: validation and holdout.
            rows: of the version.
        """
        self.hasher = RecordHasher(hashes, min(1.0, NEAR_ROWS / max(rows, 1)))
        train_RG, unseen_RG = hashes(train), hashes(unseen)
        self._real_RG = np.concatenate([train_RG, unseen_RG])
        self._train, self._unseen = _Side(train_RG), _Side(unseen_RG)
        _, counts = np.unique(train_RG.sum(axis=1), return_counts=True)
        self._repeats = Chance(int(counts[counts > 1].sum()), len(train_RG))
        self._records = self._equal = self._equal_unseen = 0
        self._near_records = self._near = self._near_unseen = 0

    def add(self, records: pa.Table) -> None:
        """Count the records of a shard."""
        self.count(self.hasher(records))

    def count(self, shard: ShardHashes) -> None:
        """Count the records of a shard by what `hasher` said of them."""
        self._records += len(shard.whole_N)
        self._equal += self._train.equal(shard.whole_N)
        self._equal_unseen += self._unseen.equal(shard.whole_N)
        self._near_records += len(shard.near_NG)
        self._near += int(self._train.near(shard.near_NG).sum())
        self._near_unseen += int(self._unseen.near(shard.near_NG).sum())

    def result(self, words: str) -> PublishedCopies:
        """Return what was counted.

        Args:
            words: what the records are called, such as `rows`.
        """
        seen, unseen = self._train, self._unseen
        alone_R = ~np.isin(seen.whole_R, unseen.whole_R)
        other_R = ~np.isin(unseen.whole_R, seen.whole_R)
        equals = Equals(
            rows=self._equal,
            fakes=max(self._records, 1),
            seen=int((seen.hit_R & alone_R).sum()),
            seen_records=int(alone_R.sum()),
            unseen=int((unseen.hit_R & other_R).sum()),
            unseen_records=int(other_R.sum()),
        )
        found = f"published {words} equal a training record"
        fact = exact_copies(equals, self._chance, found)
        nearness = (
            f"of {self._near_records:,} looked at, {self._near:,} differ from a training record in "
            f"one part at most and {self._near_unseen:,} from one of the "
            f"{len(unseen.whole_R):,} that were not trained on, of which there are "
            f"{len(unseen.whole_R) / max(len(seen.whole_R), 1):.2f} per training record"
        )
        return PublishedCopies(
            records=self._records,
            equal=self._equal,
            equal_unseen=self._equal_unseen,
            trained=len(seen.whole_R),
            trained_hit=int(seen.hit_R.sum()),
            unseen=len(unseen.whole_R),
            unseen_hit=int(unseen.hit_R.sum()),
            near_records=self._near_records,
            near=self._near,
            near_unseen=self._near_unseen,
            holds=fact.holds,
            text=f"{fact.text}; {nearness}",
        )

    def _chance(self) -> Chance:
        """Return the most frequent way in which chance brings records together."""
        reals = near_others(self._real_RG)
        found = (
            Chance(int(reals.sum()), len(reals)),
            Chance(self._near_unseen, self._near_records),
            self._repeats,
        )
        return max(found, key=lambda one: one.share)


def _found(sorted_R: Array, values_N: Array) -> tuple[Array, Array]:
    """Return which values are among sorted ones, and where."""
    if not len(sorted_R):
        return np.zeros(len(values_N), dtype=bool), np.zeros(len(values_N), dtype=np.int64)
    order_N = np.argsort(values_N)  # sought in order, neighbours lie in the processor's cache
    place_N = np.empty(len(values_N), dtype=np.int64)
    place_N[order_N] = np.searchsorted(sorted_R, values_N[order_N])
    place_N = place_N.clip(max=len(sorted_R) - 1)
    found_N: Array = sorted_R[place_N] == values_N
    return found_N, place_N
