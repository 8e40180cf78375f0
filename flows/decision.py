"""Who synthesizes, what a person is asked, and what goes into the log of promotions.

The rules are pure: from what was measured, the log as it was then, and the recipe's `gate`, they
make a `Choice` with the record that it leads to. The functions that read and write the lake are at
the end; a person who moves the champion by hand does it with `flows.by_hand`.

A person's refusal holds for the generator and the report it was given on: another night with the
same report does not ask again, a new report does. A person who overrides the gate or rolls back
chooses a generator, by the digest of its files: that holds until a person chooses again or the gate
promotes a newer one. Only a fact that is broken, and that was not in the report she decided on,
asks for another word of hers.
"""

from dataclasses import replace

from flows.errors import AnswerError
from flows.job import Answer, Assessed, Choice, Job, Judged, Question, now
from gan.evaluation.promotion import Comparison, Contender, compare
from gan.gate import SEVERITY, GateConfig
from gan.report import Verdict
from storage.lake import promotions
from storage.lake.markdown import one_line
from storage.lake.promotions import GATE, Kind, Promotion, PromotionDraft, Standing, Then

REFUSED = ("kept", "blocked")
"""The gate's choices that refuse the candidate."""
LONGEST_NAME = 200
LONGEST_REASON = 2_000
"""Characters of a written reason: it goes into log and manifest."""
_NOT_JUDGED = "cannot be judged on today's records"


def gate(job: Job, assessed: Assessed) -> Choice:
    """Return whether the candidate takes over, the champion goes on, nobody does, or who is asked.

    A question is what the recipe's `gate.on_reject: ask` and `gate.approval: always` want. Nothing
    is recorded yet.
    """
    config = job.recipe.gate
    choice = _by_gate(assessed, config)
    if choice.kind in REFUSED:
        must_ask = config.on_reject == "ask" and not _is_replaced_by_a_person(assessed)
    else:
        must_ask = config.approval == "always" and choice.signed is None
    if not must_ask:
        return choice
    earlier = _refusal_by_a_person(assessed)
    if earlier is None:
        return _asked(assessed, choice, config)
    reason = f"{earlier.by} refused {earlier.version} on {earlier.created[:10]}: {earlier.reason}"
    if earlier.then == "keep champion" and not _blocking_reason(assessed, config):
        return _kept(assessed, reason)
    return Choice(kind="blocked", judged=assessed.challenger, reason=reason)


def _by_gate(assessed: Assessed, config: GateConfig) -> Choice:
    """Return what the gate does if it asks nobody."""
    if assessed.is_champion:
        return _champion_again(assessed)
    challenger = assessed.challenger
    comparison = _compare(assessed, config)
    reason = comparison.reason
    if comparison.promote:
        draft = _draft(challenger, "promote", by=GATE, reason=reason)
        return Choice(kind="promoted", judged=challenger, reason=reason, draft=draft)
    choice = Choice(kind="blocked", judged=challenger, reason=reason)
    may_step_in = config.on_reject != "stop" or _is_replaced_by_a_person(assessed)
    if may_step_in and (assessed.champion is not None or assessed.is_damaged):
        why_not = _blocking_reason(assessed, config)
        blocked = replace(choice, reason=f"{reason}; {why_not}")
        choice = blocked if why_not else _kept(assessed, reason)
    return replace(choice, draft=_refusal(assessed, choice.reason))


def _champion_again(assessed: Assessed) -> Choice:
    """Return whether the champion goes on: a block stands unless a person overrode this report."""
    judged, signed = assessed.challenger, _signed_champion(assessed.standing)
    is_blocked = judged.judgement.verdict == "block"
    if signed is not None and signed.overrides(judged.report_digest):
        reason = f"{judged.version} is champion by override of {signed.by}: {signed.reason}"
    elif not is_blocked:
        reason = f"{judged.version} is the champion already"
    elif signed is not None and stands(signed, judged, assessed.seen):
        reason = (
            f"{judged.version} is champion by {signed.kind} of {signed.by}, which holds although "
            f"today's verdict on it is block: {signed.reason}"
        )
    else:
        why = _why_no_word_holds(signed, judged, assessed.seen)
        reason = f"{judged.version} is champion, but today's verdict on it is block{why}"
        return Choice(kind="blocked", judged=judged, reason=reason)
    return Choice(kind="champion", judged=judged, reason=reason, signed=signed)


def stands(record: Promotion, judged: Judged, seen: frozenset[str]) -> bool:
    """Say whether a champion may publish, by a person's word, although its verdict is block.

    `seen` is what blocked in the report on which she decided.
    """
    if record.overrides(judged.report_digest):
        return True
    return record.outlasts_reports(judged.snapshot_digest) and not _unseen(judged, seen)


def _unseen(judged: Judged, seen: frozenset[str]) -> tuple[str, ...]:
    """Return the facts that are broken today and were not when a person decided."""
    facts = judged.evaluation.facts
    return tuple(fact.text for fact in facts if not fact.holds and fact.name not in seen)


def _why_no_word_holds(signed: Promotion | None, judged: Judged, seen: frozenset[str]) -> str:
    """Return why a person's word does not let a blocked champion publish, as half a sentence."""
    if signed is None:
        return ""
    unseen = _unseen(judged, seen)
    if unseen and signed.outlasts_reports(judged.snapshot_digest):
        what = f"{signed.by} chose it before it was known that {'; '.join(unseen)}"
    else:
        what = f"{signed.by} agreed to a report that did not block"
    return (
        f"; {what}: to publish all the same, ganmill generators promote {judged.report.name} "
        f"{judged.version} --by YOU --reason WHY"
    )


def _compare(assessed: Assessed, config: GateConfig) -> Comparison:
    """Return whether the candidate is to take over from the champion."""
    version, record = assessed.challenger.version, assessed.standing.champion
    if assessed.standing.was_promoted(version):
        reason = f"{version} was champion before: promoting it again is up to a person"
        return Comparison(promote=False, reason=reason)
    if assessed.standing.was_set_aside(version) and record is not None:
        reason = (
            f"{record.by} chose {record.version} after {version} had been judged: promoting "
            f"{version} is up to a person"
        )
        return Comparison(promote=False, reason=reason)
    is_gone = assessed.is_outdated or assessed.is_damaged
    if assessed.champion is None and record is not None and not is_gone:
        reason = (
            f"the champion {record.version} cannot be judged on today's "
            "records: give the recipe another name for other data"
        )
        return Comparison(promote=False, reason=reason)
    champion = None if assessed.champion is None else _contender(assessed.champion)
    comparison = compare(_contender(assessed.challenger), champion, config)
    if comparison.promote and is_gone and record is not None:
        reason = f"the algorithm that made champion {record.version} is gone"
        if assessed.is_damaged:
            reason = f"the files of champion {record.version} are damaged"
        return Comparison(promote=True, reason=reason)
    return comparison


def _contender(judged: Judged) -> Contender:
    return Contender(
        name=judged.version,
        evaluation=judged.evaluation,
        judgement=judged.judgement,
        split_rule=judged.split_digest,
    )


def _blocking_reason(assessed: Assessed, config: GateConfig) -> str:
    """Return why no champion publishes in the candidate's place, as half a sentence; else empty."""
    record, champion = assessed.standing.champion, assessed.champion
    if record is None:
        return "there is no champion yet"
    named = f"the champion {record.version}"
    if assessed.is_champion:
        return f"{record.version} is the champion itself"
    if champion is None:
        return f"{named} {'is damaged' if assessed.is_damaged else _NOT_JUDGED}"
    is_blocked = champion.judgement.verdict == "block"
    if is_blocked and not stands(record, champion, assessed.seen):
        why = _why_no_word_holds(_signed_champion(assessed.standing), champion, assessed.seen)
        return f"{named} is blocked today too{why}"
    if config.approval == "always" and record.by == GATE:
        return f"{named} lacks a person's yes, which gate.approval asks for"
    return ""


def _kept(assessed: Assessed, reason: str) -> Choice:
    """Return that the champion synthesizes although the candidate was refused."""
    if assessed.champion is None:
        msg = f"no champion beside {assessed.challenger.version} was judged today"
        raise ValueError(msg)
    signed = _signed_champion(assessed.standing)
    return Choice(kind="kept", judged=assessed.champion, reason=reason, signed=signed)


def _signed_champion(standing: Standing) -> Promotion | None:
    """Return the champion's record when a person made it champion."""
    record = standing.champion
    return None if record is None or record.by == GATE else record


def _is_replaced_by_a_person(assessed: Assessed) -> bool:
    """Say whether a person has put another generator in the place of this one: no need to ask."""
    if assessed.is_champion or _signed_champion(assessed.standing) is None:
        return False
    standing, version = assessed.standing, assessed.challenger.version
    return standing.was_promoted(version) or standing.was_set_aside(version)


def _refusal_by_a_person(assessed: Assessed) -> Promotion | None:
    """Return the record by which a person refused this report of this generator before."""
    judged, records = assessed.challenger, assessed.standing.records
    by_people = [r for r in records if r.version == judged.version and r.by != GATE]
    last = by_people[-1] if by_people else None
    holds = last and last.kind == "reject" and last.report_digest == judged.report_digest
    return last if holds else None


def _draft(judged: Judged, kind: Kind, *, by: str, reason: str, then: Then = "") -> PromotionDraft:
    return PromotionDraft(
        kind=kind,
        version=judged.version,
        snapshot_digest=judged.snapshot_digest,
        report_digest=judged.report_digest,
        by=by,
        reason=reason,
        then=then,
    )


def _refusal(assessed: Assessed, reason: str) -> PromotionDraft | None:
    """Return the gate's refusal, unless the same report was refused on record."""
    judged = assessed.challenger
    if assessed.standing.was_refused(judged.version, judged.report_digest):
        return None
    return _draft(judged, "reject", by=GATE, reason=reason)


def _asked(assessed: Assessed, choice: Choice, config: GateConfig) -> Choice:
    """Return the question to a person in place of the gate's choice."""
    is_refused, why_not = choice.kind in REFUSED, _blocking_reason(assessed, config)
    record, version = assessed.standing.champion, choice.judged.version
    defaults = {"promoted": f"promote {version} and publish from it", "blocked": "publish nothing"}
    question = Question(
        kind="override" if is_refused else "approval",
        why=choice.reason,
        default=defaults.get(choice.kind, f"publish from the champion {version}"),
        champion=None if why_not or record is None else record.version,
        blocking_reason=why_not,
    )
    return Choice(
        kind="asked",
        judged=assessed.challenger,
        reason=choice.reason,
        draft=_refusal(assessed, choice.reason) if is_refused else None,
        question=question,
    )


def answered(assessed: Assessed, choice: Choice, answer: Answer, *, by: str, reason: str) -> Choice:
    """Return what an answer makes of a choice that asks.

    Raises:
        AnswerError: the name or the reason is missing, or no champion can publish.
        ValueError: the choice asks nothing.
    """
    question, judged = choice.question, assessed.challenger
    if question is None:
        msg = f"the choice {choice.kind!r} asks nothing"
        raise ValueError(msg)
    by, written = checked_signature(by, reason, must_say=answer == "publish")
    if answer == "keep champion" and question.champion is None:
        msg = f"no champion can publish, because {question.blocking_reason}: answer publish or stop"
        raise AnswerError(msg)
    reason = f"{by} decided: {answer}{f' ({written})' if written else ''}; {question.why}"
    if answer == "publish":
        kind: Kind = "override" if question.kind == "override" else "promote"
        draft = _draft(judged, kind, by=by, reason=written)
        return Choice(
            kind="champion" if assessed.is_champion else "promoted",
            judged=judged,
            reason=reason,
            draft=draft,
        )
    written = written or f"answered {answer}"
    draft = _draft(judged, "reject", by=by, reason=written, then=answer)
    if answer == "keep champion":
        return replace(_kept(assessed, reason), draft=draft)
    return Choice(kind="blocked", judged=judged, reason=reason, draft=draft)


def checked_signature(by: str, reason: str, *, must_say: bool) -> tuple[str, str]:
    """Return a person's name and reason, each on one line and without logins.

    Raises:
        AnswerError: the name is missing or too long, or the reason is too long, or missing where
            it `must_say`.
    """
    by, reason = one_line(by), one_line(reason)
    if len(by) > LONGEST_NAME:
        msg = f"the name {by[:LONGEST_NAME]!r}… has {len(by)} characters: write a person's name"
        raise AnswerError(msg)
    if not by or by == GATE:
        msg = f"the decision is signed {by!r}: write the name of the person who decides"
        raise AnswerError(msg)
    if len(reason) > LONGEST_REASON or (must_say and not reason):
        msg = (
            f"the reason has {len(reason)} characters: write {'1 to' if must_say else 'at most'} "
            f"{LONGEST_REASON}, it goes into log and manifest"
        )
        raise AnswerError(msg)
    return by, reason


def worsened(judged: Judged, seen: Verdict) -> str:
    """Return why an answer does not hold: the verdict is worse than the one seen; else empty."""
    verdict = judged.judgement.verdict
    if SEVERITY[verdict] >= SEVERITY[seen]:
        return ""
    return (
        f"the records changed since the answer, and the verdict on {judged.version} is now "
        f"{verdict}, not {seen}: look at the report and answer again"
    )


def ask(job: Job, assessed: Assessed, choice: Choice) -> Choice:  # noqa: ARG001 - a stage's signature
    """Return the choice where nobody can be asked: one that asks says what a person does."""
    if choice.question is None:
        return choice
    version = choice.judged.version
    lead = f"{choice.question.why}; a person may publish it all the same"
    if choice.question.kind == "approval":
        lead = f"{version} waits for a person's yes"
    reason = (
        f"{lead}: ganmill generators promote {job.name} {version} --by YOU --reason WHY, then run "
        "again, which publishes without training again"
    )
    return replace(choice, reason=reason)


def promote(job: Job, assessed: Assessed, choice: Choice) -> Choice:
    """Record what a choice leads to, and return it with the signature of a person who agreed.

    Raises:
        PromotionConflictError: the log moved on since the evaluation; evaluate again.
    """
    draft = choice.draft
    if draft is None:
        return choice
    record = promotions.decide(job.lake, job.name, draft, read=assessed.standing, created=now())
    is_signed = draft.by != GATE and draft.kind != "reject"
    return replace(choice, signed=record) if is_signed else choice
