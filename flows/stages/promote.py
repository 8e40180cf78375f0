"""Stage 6: the decision goes into the log of promotions."""

from dataclasses import replace

from flows.approval import signature
from flows.job import Job, now
from flows.results import Answer, Assessed, Choice, Question
from storage.lake import promotions
from storage.lake.promotions import GATE, Decision, Kind, Promotion, Then


def promote(job: Job, assessed: Assessed, choice: Choice) -> Choice:
    """Record that the candidate takes over or was refused, and by whom; return the choice.

    A question that is open is recorded as the gate's refusal, unless the gate had nothing against
    the generator.

    Raises:
        PromotionConflictError: the log moved on since the evaluation; evaluate again.
    """
    if choice.answer is not None and choice.question is not None:
        return _record_answer(job, assessed, choice, choice.question, choice.answer)
    if choice.question is not None:
        if choice.question.kind == "override":
            _record_refusal(job, assessed, choice.question.why)
    elif choice.kind == "promoted":
        _record(job, assessed, "promote", by=GATE, reason=choice.reason)
    elif not assessed.is_reigning:
        _record_refusal(job, assessed, choice.reason)
    return choice


def _record_answer(
    job: Job, assessed: Assessed, choice: Choice, question: Question, answer: Answer
) -> Choice:
    """Record what a person decided, and return the choice with her signature."""
    if answer.kind != "publish":
        reason = answer.reason or f"answered {answer.kind}"
        _record(job, assessed, "reject", by=answer.by, reason=reason, then=answer.kind)
        return choice
    kind: Kind = "override" if question.kind == "override" else "promote"
    signed = signature(_record(job, assessed, kind, by=answer.by, reason=answer.reason))
    if kind == "override":
        return replace(choice, override=signed)
    return replace(choice, approval=signed)


def _record_refusal(job: Job, assessed: Assessed, reason: str) -> None:
    """Append the gate's refusal, unless the same report was refused on record."""
    challenger = assessed.challenger
    for record in assessed.standing.records:
        same = (record.kind, record.version, record.report_digest)
        if same == ("reject", challenger.version, challenger.report_digest):
            return
    _record(job, assessed, "reject", by=GATE, reason=reason)


def _record(
    job: Job, assessed: Assessed, kind: Kind, *, by: str, reason: str, then: Then = ""
) -> Promotion:
    challenger = assessed.challenger
    decision = Decision(
        kind=kind,
        version=challenger.version,
        snapshot_digest=challenger.snapshot_digest,
        report_digest=challenger.report_digest,
        by=by,
        reason=reason,
        then=then,
    )
    return promotions.decide(job.lake, job.name, decision, read=assessed.standing, created=now())
