"""Copies of training records in a version, counted while its shards are made.

Whoever makes a shard hashes its records while they are in memory, and these hashes are counted here
as they arrive. What nobody hashed is read back before the commit: shards that an earlier run has
put, and those of which another publisher's bytes are stored.
"""

from threading import Lock
from typing import TYPE_CHECKING

from flows.engines.interface import MadeShard
from flows.progress import Reporter
from storage.lake.publish import Publisher

if TYPE_CHECKING:
    from gan.evaluation.published_copies import CopyCounter, PublishedCopies, RecordHasher


class CopyTally:
    """What was counted so far of a version, shard by shard."""

    def __init__(self, counter: "CopyCounter", words: str, shards: int) -> None:
        """Begin with nothing.

        Args:
            counter: holds the real records.
            words: what the records are called, such as `rows`.
            shards: of the version.
        """
        self._counter, self._words = counter, words
        self._left = set(range(shards))
        self._lock = Lock()

    @property
    def hasher(self) -> "RecordHasher":
        """What hashes the records of a shard, here or in another process."""
        return self._counter.hasher

    def take(self, index: int, made: MadeShard) -> None:
        """Count a shard by its hashes, if it has any; from any thread."""
        with self._lock:
            if made.hashes is not None and index in self._left:
                self._counter.count(made.hashes)
                self._left.discard(index)

    def finish(self, reporter: Reporter, publisher: Publisher) -> "PublishedCopies":
        """Have the publisher adopt what is left, count that and return what was found.

        Another try goes on where this one ended.

        Raises:
            AbandonedError, IntegrityError: a shard is gone or is not the planned one.
            LakeError: the lake failed.
        """
        if self._left:
            rows = sum(publisher.plan.shards[index].rows for index in self._left)
            with reporter.meter("Counting copies", self._words, rows) as meter:
                done = 0
                for index in sorted(self._left):
                    records = publisher.adopt(index)
                    self._counter.add(records)
                    self._left.discard(index)
                    done += records.num_rows
                    meter.update(done)
        return self._counter.result(self._words)
