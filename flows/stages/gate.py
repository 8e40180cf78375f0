"""Stage 4: who synthesizes. Pure: the decision is recorded by the stage after the next."""

from flows.approval import approval_of, hindrance, kept, override_of, with_person
from flows.job import Job
from flows.results import Assessed, Choice, Judged
from gan.evaluation.promotion import Comparison, Contender, compare


def gate(job: Job, assessed: Assessed) -> Choice:
    """Return whether the candidate takes over, the champion goes on, nobody does, or who is asked.

    A question is what the recipe's `gate.on_reject: ask` and `gate.approval: always` want.
    """
    return with_person(assessed, _without_person(job, assessed), job.recipe.gate)


def _without_person(job: Job, assessed: Assessed) -> Choice:
    if assessed.is_reigning:
        return _reigning(assessed)
    comparison = _compare(job, assessed)
    if comparison.promote:
        return Choice(kind="promoted", judged=assessed.challenger, reason=comparison.reason)
    return _without_promotion(job, assessed, comparison.reason)


def _reigning(assessed: Assessed) -> Choice:
    """Return whether the champion goes on: a block stands unless a person overrode this report."""
    judged = assessed.challenger
    override = override_of(assessed.standing, judged.report_digest)
    if override is not None:
        reason = f"{judged.version} is champion by override of {override.by}: {override.reason}"
        return Choice(kind="champion", judged=judged, reason=reason, override=override)
    if judged.judgement.verdict == "block":
        reason = f"{judged.version} is champion, but today's verdict on it is block"
        return Choice(kind="blocked", judged=judged, reason=reason)
    approval = approval_of(assessed.standing)
    reason = f"{judged.version} is the champion already"
    return Choice(kind="champion", judged=judged, reason=reason, approval=approval)


def _compare(job: Job, assessed: Assessed) -> Comparison:
    version, standing = assessed.challenger.version, assessed.standing
    if standing.was_promoted(version):
        reason = f"{version} was champion before: promoting it again is up to a person"
        return Comparison(promote=False, reason=reason)
    champion = assessed.champion
    if assessed.is_outdated and standing.champion is not None:
        comparison = compare(_contender(assessed.challenger), None, job.recipe.gate)
        if not comparison.promote:
            return comparison
        reason = f"the algorithm that made champion {standing.champion.version} is gone"
        return Comparison(promote=True, reason=reason)
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
    config = job.recipe.gate
    if config.on_reject == "stop" or assessed.champion is None:
        return Choice(kind="blocked", judged=assessed.challenger, reason=reason)
    why_not = hindrance(assessed, config)
    if why_not:
        reason = f"{reason}; {why_not}"
        return Choice(kind="blocked", judged=assessed.challenger, reason=reason)
    return kept(assessed, reason)
