"""Stage 5: the decision goes into the log of promotions."""

from flows.job import Job, now
from flows.results import Assessed, Choice
from storage import promotions
from storage.promotions import Decision, Kind


def promote(job: Job, assessed: Assessed, choice: Choice) -> Choice:
    """Record that the candidate takes over or was refused, and return the choice.

    Raises:
        PromotionConflictError: the log moved on since the evaluation; evaluate again.
    """
    if not assessed.is_reigning:
        _record(job, "promote" if choice.kind == "promoted" else "reject", assessed, choice.reason)
    return choice


def _record(job: Job, kind: Kind, assessed: Assessed, reason: str) -> None:
    """Append the decision, unless the same refusal of the same report is on record."""
    challenger = assessed.challenger
    for record in assessed.standing.records:
        same = (record.kind, record.version, record.report_digest)
        if kind == "reject" and same == (kind, challenger.version, challenger.report_digest):
            return
    decision = Decision(
        kind=kind,
        version=challenger.version,
        snapshot_digest=challenger.snapshot_digest,
        report_digest=challenger.report_digest,
        by="gate",
        reason=reason,
    )
    promotions.decide(job.lake, job.name, decision, read=assessed.standing, created=now())
