"""Whether a job is done already: asked before a tracked run starts a server for nothing."""

from flows.job import Job
from flows.keys import train_key
from flows.nightly import NOBODY, decide, publish_choice
from flows.outcome import Outcome, blocked_outcome
from flows.results import Candidate
from flows.stages import Stages
from flows.stages.evaluate import Desk
from flows.stages.synthesize import is_published
from flows.stages.train import find_candidate
from flows.stages.watch import young_champion
from storage.lake import promotions


def find_finished(job: Job, stages: Stages) -> Outcome | None:
    """Return the outcome when everything is in the lake; None when there is something to do.

    Reads the source and the lake; what it writes is at most an announcement that was missing.
    """
    prepared = stages.prepare()
    desk = Desk(job=job, prepared=prepared)
    candidate = _candidate(job, stages, desk)
    if candidate is None:
        return None
    standing = promotions.standing(job.lake, job.name)
    if not any(record.version == candidate.version for record in standing.records):
        return None
    rivals = {(candidate.version, candidate.snapshot_digest)}
    if standing.champion is not None:
        rivals.add((standing.champion.version, standing.champion.snapshot_digest))
    if not all(desk.is_measured(version, digest) for version, digest in rivals):
        return None
    assessed = stages.evaluate(prepared, candidate)
    choice = decide(stages, assessed)
    if choice.kind in NOBODY:
        return blocked_outcome(job, choice)
    return publish_choice(stages, prepared, choice) if is_published(job, choice) else None


def _candidate(job: Job, stages: Stages, desk: Desk) -> Candidate | None:
    """Return what `nightly` would judge, if that takes neither training nor measuring."""
    young = young_champion(job, desk.prepared)
    if young is not None and not desk.is_measured(young.version, young.snapshot_digest):
        return None
    watched = None if young is None else stages.watch(desk.prepared)
    return watched or find_candidate(job, train_key(job.recipe, desk.prepared, job.scheduled))
