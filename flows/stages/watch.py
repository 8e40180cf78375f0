"""In place of stage 2: the champion, too young for a successor, on today's records."""

from flows.approval import override_of
from flows.freshness import due_tonight
from flows.job import Job
from flows.results import Candidate
from flows.stages.evaluate import Desk
from flows.story import read_story
from gan.errors import DataError, OutdatedError
from storage.lake import promotions
from storage.sources.prepare import Prepared


def watch(job: Job, prepared: Prepared) -> Candidate | None:
    """Return the champion when it goes on without a training; None when it is time to train.

    Only `training.when: interval` spares a training. The champion is measured on today's records
    all the same: when the verdict on it is block and no person overrode it, or when it cannot be
    judged, it is time.

    Raises:
        LakeError: the lake failed.
    """
    young = young_champion(job, prepared)
    if young is None:
        return None
    named = f"champion {young.version}"
    try:
        judged = Desk(job=job, prepared=prepared).judged(young.version, young.snapshot_digest)
    except (DataError, OutdatedError) as error:
        job.reporter.say(f"The {named} cannot be judged today ({error}): training")
        return None
    standing = promotions.standing(job.lake, job.name)
    is_overridden = override_of(standing, judged.report_digest) is not None
    if judged.judgement.verdict == "block" and not is_overridden:
        job.reporter.say(f"Today's verdict on {named} is block: training")
        return None
    return young


def young_champion(job: Job, prepared: Prepared) -> Candidate | None:
    """Return the champion when its age alone would spare a training.

    Raises:
        LakeError: the lake failed.
    """
    champion = promotions.champion(job.lake, job.name)
    if job.recipe.training.when != "interval" or champion is None:
        return None
    due = due_tonight(job, prepared)
    if due.is_due:
        return None
    job.reporter.say(due.why)
    return Candidate(
        version=champion.version,
        snapshot_digest=champion.snapshot_digest,
        train_key=read_story(job.lake, job.name, champion.version).train_key,
        trained=False,
    )
