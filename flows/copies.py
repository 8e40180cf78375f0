"""Copies of training records, counted over all records of a version before it becomes visible.

The real records are those of today's source; how records are counted says `flows.copy_tally`.
"""

from typing import TYPE_CHECKING

from flows.copy_tally import CopyTally
from flows.errors import BlockedError
from flows.evaluate import splits_of
from flows.job import Choice, Job
from storage.lake.plan import Plan
from storage.lake.publish import Publisher
from storage.records.modalities import words_of
from storage.sources.prepared import Prepared

if TYPE_CHECKING:
    from gan.evaluation.published_copies import PublishedCopies


def begin_copies(prepared: Prepared, plan: Plan) -> CopyTally:
    """Return what counts the copies of a version that is about to be made."""
    from gan.modalities import load_modality

    counter = load_modality(prepared.modality).count_copies(splits_of(prepared), plan.rows)
    return CopyTally(counter, words_of(prepared.modality).records, len(plan.shards))


def count_copies(
    job: Job, choice: Choice, tally: CopyTally, publisher: Publisher
) -> "PublishedCopies":
    """Return how many of a version's records equal training records, beside unseen ones.

    Raises:
        BlockedError: more than unseen records and chance explain, and no person overrode the gate.
        AbandonedError, IntegrityError, LakeError: see `CopyTally.finish`.
    """
    found = tally.finish(job.reporter, publisher)
    if not found.holds and choice.override is None:
        msg = (
            f"{found.text}; nothing was published: train again with less budget or more records, "
            "or choose another generator"
        )
        raise BlockedError(msg)
    return found
