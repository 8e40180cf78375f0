"""Copies of training records, counted over all records of a version before it becomes visible.

What is counted is what readers will read: every shard is read back from the lake, one after the
other. The real records are those of today's source.
"""

from typing import TYPE_CHECKING

from flows.errors import BlockedError
from flows.evaluate import splits_of
from flows.job import Choice, Job
from storage.errors import ObjectNotFoundError
from storage.lake.plan import Plan
from storage.records.modalities import words_of
from storage.shards.format import load_format
from storage.sources.prepared import Prepared

if TYPE_CHECKING:
    from gan.evaluation.published_copies import PublishedCopies


def count_copies(
    job: Job, prepared: Prepared, choice: Choice, plan: Plan
) -> "PublishedCopies | None":
    """Return how many of a version's records equal training records, beside unseen ones.

    Returns:
        None where a shard is gone: whoever commits finds out why.

    Raises:
        BlockedError: more than unseen records and chance explain, and no person overrode the gate.
        LakeError: the lake failed.
    """
    from gan.modalities import load_modality

    words = words_of(prepared.modality).records
    shard_format = load_format(plan.format)
    counter = load_modality(prepared.modality).count_copies(splits_of(prepared), plan.rows)
    with job.reporter.meter("Counting copies", words, plan.rows) as meter:
        done = 0
        for shard in plan.shards:
            try:
                data = job.lake.get(plan.shard_key(shard.index))
            except ObjectNotFoundError:
                return None
            counter.add(shard_format.decode(data, plan.record_schema))
            done += shard.rows
            meter.update(done)
    found = counter.result(words)
    if not found.holds and choice.override is None:
        msg = (
            f"{found.text}; nothing was published: train again with less budget or more records, "
            "or choose another generator"
        )
        raise BlockedError(msg)
    return found
