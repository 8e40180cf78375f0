"""Stage 4: who synthesizes; the decision is recorded in the log of promotions."""

from flows.job import Job, now
from flows.results import Assessed, Candidate, Choice, Judged
from gan.evaluation.promotion import Comparison, Contender, compare
from storage import promotions
from storage.promotions import Decision, Kind


def decide(job: Job, candidate: Candidate, assessed: Assessed) -> Choice:
    """Promote the candidate, keep the champion, or let nobody synthesize.

    Raises:
        PromotionConflictError: the log moved on since the evaluation; evaluate again.
    """
    champion = assessed.standing.champion
    if champion is not None and champion.version == candidate.version:
        return _reigning(assessed.challenger)
    comparison = _compare(job, candidate, assessed)
    _record(job, "promote" if comparison.promote else "reject", assessed, comparison.reason)
    if comparison.promote:
        return Choice(kind="promoted", judged=assessed.challenger, reason=comparison.reason)
    return _without_promotion(job, assessed, comparison.reason)


def _reigning(judged: Judged) -> Choice:
    if judged.judgement.verdict == "block":
        reason = f"{judged.version} is champion, but today's verdict on it is block"
        return Choice(kind="blocked", judged=judged, reason=reason)
    reason = f"{judged.version} is the champion already"
    return Choice(kind="champion", judged=judged, reason=reason)


def _compare(job: Job, candidate: Candidate, assessed: Assessed) -> Comparison:
    if assessed.standing.was_promoted(candidate.version):
        reason = f"{candidate.version} was champion before: promoting it again is up to a person"
        return Comparison(promote=False, reason=reason)
    champion = assessed.champion
    if champion is None and assessed.standing.champion is not None:
        reason = (
            f"the champion {assessed.standing.champion.version} cannot be judged on today's "
            "records: give the recipe another name for other data"
        )
        return Comparison(promote=False, reason=reason)
    rival = None if champion is None else _contender(champion)
    return compare(_contender(assessed.challenger), rival, job.recipe.gate)


def _contender(judged: Judged) -> Contender:
    return Contender(
        name=judged.version,
        evaluation=judged.evaluation,
        judgement=judged.judgement,
        split_rule=judged.split_digest,
    )


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


def _without_promotion(job: Job, assessed: Assessed, reason: str) -> Choice:
    champion = assessed.champion
    if job.recipe.gate.on_reject == "stop" or champion is None:
        return Choice(kind="blocked", judged=assessed.challenger, reason=reason)
    if champion.judgement.verdict == "block":
        reason = f"{reason}; the champion {champion.version} is blocked today too"
        return Choice(kind="blocked", judged=assessed.challenger, reason=reason)
    return Choice(kind="kept", judged=champion, reason=reason)
