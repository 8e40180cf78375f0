"""Copies of training records, counted over all records of a version before it becomes visible.

Whoever makes a shard hashes its records while they are in memory, and these hashes are counted here
as they arrive. What nobody hashed is read back before the commit: shards that an earlier run has
put, and those of which another publisher's bytes are stored. The real records are those of today's
source.
"""

from threading import Lock
from typing import TYPE_CHECKING

from flows.engines.interface import MadeShard
from flows.errors import BlockedError
from flows.evaluate import splits_of
from flows.job import Choice, Job
from storage.lake.plan import Plan
from storage.lake.publish import Publisher
from storage.records.modalities import words_of
from storage.sources.prepared import Prepared

if TYPE_CHECKING:
    from gan.evaluation.published_copies import PublishedCopies, RecordHasher


class CopyTally:
    """What was counted so far of a version, shard by shard."""

    def __init__(self, prepared: Prepared, plan: Plan) -> None:
        """Hash the real records."""
        from gan.modalities import load_modality

        modality = load_modality(prepared.modality)
        self._counter = modality.count_copies(splits_of(prepared), plan.rows)
        self._words = words_of(prepared.modality).records
        self._left = set(range(len(plan.shards)))
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

    def finish(self, job: Job, publisher: Publisher) -> "PublishedCopies":
        """Have the publisher adopt what is left, count that and return what was found.

        Another try goes on where this one ended.

        Raises:
            AbandonedError, IntegrityError: a shard is gone or is not the planned one.
            LakeError: the lake failed.
        """
        if self._left:
            rows = sum(publisher.plan.shards[index].rows for index in self._left)
            with job.reporter.meter("Counting copies", self._words, rows) as meter:
                done = 0
                for index in sorted(self._left):
                    records = publisher.adopt(index)
                    self._counter.add(records)
                    self._left.discard(index)
                    done += records.num_rows
                    meter.update(done)
        return self._counter.result(self._words)


def count_copies(
    job: Job, choice: Choice, tally: CopyTally, publisher: Publisher
) -> "PublishedCopies":
    """Return how many of a version's records equal training records, beside unseen ones.

    Raises:
        BlockedError: more than unseen records and chance explain, and no person overrode the gate.
        AbandonedError, IntegrityError, LakeError: see `CopyTally.finish`.
    """
    found = tally.finish(job, publisher)
    if not found.holds and choice.override is None:
        msg = (
            f"{found.text}; nothing was published: train again with less budget or more records, "
            "or choose another generator"
        )
        raise BlockedError(msg)
    return found
