"""Stage 4: who synthesizes. Pure: the decision is recorded by the next stage."""

from flows.job import Job
from flows.results import Assessed, Choice, Judged
from gan.evaluation.promotion import Comparison, Contender, compare


def gate(job: Job, assessed: Assessed) -> Choice:
    """Return whether the candidate takes over, the champion goes on, or nobody synthesizes."""
    if assessed.is_reigning:
        return _reigning(assessed.challenger)
    comparison = _compare(job, assessed)
    if comparison.promote:
        return Choice(kind="promoted", judged=assessed.challenger, reason=comparison.reason)
    return _without_promotion(job, assessed, comparison.reason)


def _reigning(judged: Judged) -> Choice:
    if judged.judgement.verdict == "block":
        reason = f"{judged.version} is champion, but today's verdict on it is block"
        return Choice(kind="blocked", judged=judged, reason=reason)
    reason = f"{judged.version} is the champion already"
    return Choice(kind="champion", judged=judged, reason=reason)


def _compare(job: Job, assessed: Assessed) -> Comparison:
    version, standing = assessed.challenger.version, assessed.standing
    if standing.was_promoted(version):
        reason = f"{version} was champion before: promoting it again is up to a person"
        return Comparison(promote=False, reason=reason)
    champion = assessed.champion
    if champion is None and standing.champion is not None:
        reason = (
            f"the champion {standing.champion.version} cannot be judged on today's "
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


def _without_promotion(job: Job, assessed: Assessed, reason: str) -> Choice:
    champion = assessed.champion
    if job.recipe.gate.on_reject == "stop" or champion is None:
        return Choice(kind="blocked", judged=assessed.challenger, reason=reason)
    if champion.judgement.verdict == "block":
        reason = f"{reason}; the champion {champion.version} is blocked today too"
        return Choice(kind="blocked", judged=assessed.challenger, reason=reason)
    return Choice(kind="kept", judged=champion, reason=reason)
