"""A person decides: what is asked, and what an answer makes of the gate's choice. Pure.

An answer holds for the generator and the report it was given on. Another night with the same report
does not ask again; a new report does.

Stage 4: who synthesizes. Pure: the decision is recorded by the stage after the next.

Stage 6: the decision goes into the log of promotions.

Stage 5: a person decides, where the recipe wants it. Nobody can be asked outside of Prefect.

A person moves the champion by hand: promotes a generator, or rolls back to a former champion.

Every move is a new record of the log, by name and with a reason; nothing is trained, measured or
published. The next run of the recipe finds the new champion and judges it on its records: a block
keeps it from publishing unless that very report was overridden.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from flows.errors import AnswerError, RecipeError
from flows.job import Answer, Assessed, Choice, Job, Judged, Question, Signature, now
from gan.evaluation.promotion import Comparison, Contender, compare
from gan.gate import GateConfig
from gan.report import Report, Verdict
from storage.digests import sha256_hex
from storage.errors import PromotionConflictError
from storage.lake import promotions, registry
from storage.lake.layout import check_name, generator_key, is_version, snapshot_key
from storage.lake.promotions import GATE, Kind, Promotion, PromotionDraft, Standing, Then
from storage.stores.interface import ObjectStore

SEVERITY: tuple[Verdict, ...] = ("pass", "warn", "block")
"""Verdicts, the mildest first."""
LONGEST_REASON = 2_000
"""Characters of a written reason: it goes into log and manifest."""
MOST_REASONS = 12
"""As many reasons of the gate as the form shows; the report has all of them."""


def with_person(assessed: Assessed, choice: Choice, config: GateConfig) -> Choice:
    """Return the gate's choice, or the question that a person is to answer first.

    Args:
        assessed: what was measured.
        choice: what the gate would do if it did not ask.
        config: when to ask.
    """
    is_refused = choice.kind in ("kept", "blocked")
    if is_refused and (config.on_reject != "ask" or _is_replaced_by_a_person(assessed)):
        return choice
    if not is_refused and (config.approval != "always" or is_signed(choice)):
        return choice
    earlier = given_answer(assessed)
    if earlier is not None:
        return _follow(assessed, earlier, config)
    return _asked(assessed, choice, config)


def is_signed(choice: Choice) -> bool:
    """Say whether a person has let the generator of this choice publish."""
    return choice.override is not None or choice.approval is not None


def _is_replaced_by_a_person(assessed: Assessed) -> bool:
    """Say whether a person has put another generator in the place of this one: no need to ask."""
    standing, version = assessed.standing, assessed.challenger.version
    champion = standing.champion
    if champion is None or assessed.is_reigning:
        return False
    return champion.by != GATE and standing.was_promoted(version)


def _follow(assessed: Assessed, record: Promotion, config: GateConfig) -> Choice:
    """Return what a person wanted when she refused this report before."""
    reason = f"{record.by} refused {record.version} on {record.created[:10]}: {record.reason}"
    if record.then == "keep champion" and not blocking_reason(assessed, config):
        return kept(assessed, reason)
    return Choice(kind="blocked", judged=assessed.challenger, reason=reason)


def kept(assessed: Assessed, reason: str) -> Choice:
    """Return that the champion synthesizes although the candidate was refused.

    Raises:
        ValueError: there is none that was judged today.
    """
    champion = assessed.champion
    if champion is None:
        msg = f"no champion beside {assessed.challenger.version} was judged today"
        raise ValueError(msg)
    override = override_of(assessed.standing, champion.report_digest)
    approval = approval_of(assessed.standing) if override is None else None
    return Choice(kind="kept", judged=champion, reason=reason, override=override, approval=approval)


def blocking_reason(assessed: Assessed, config: GateConfig) -> str:
    """Return why no champion publishes in the candidate's place, as half a sentence; else empty."""
    champion, standing = assessed.standing.champion, assessed.standing
    if champion is None:
        return "there is no champion yet"
    named = f"the champion {champion.version}"
    if assessed.is_reigning:
        return f"{champion.version} is the champion itself"
    if assessed.champion is None:
        return f"{named} cannot be judged on today's records"
    overridden = override_of(standing, assessed.champion.report_digest)
    if assessed.champion.judgement.verdict == "block" and overridden is None:
        return f"{named} is blocked today too"
    if config.approval == "always" and champion.by == GATE:
        return f"{named} lacks a person's yes, which gate.approval asks for"
    return ""


def _asked(assessed: Assessed, choice: Choice, config: GateConfig) -> Choice:
    challenger, why_not = assessed.challenger, blocking_reason(assessed, config)
    champion = assessed.standing.champion
    question = Question(
        kind="override" if choice.kind in ("kept", "blocked") else "approval",
        version=challenger.version,
        verdict=challenger.judgement.verdict,
        reasons=tuple(reason.text for reason in challenger.judgement.reasons),
        why=choice.reason,
        unasked=_unasked(choice),
        champion=None if why_not or champion is None else champion.version,
        hindrance=why_not,
    )
    return Choice(kind="asked", judged=challenger, reason=choice.reason, question=question)


def _unasked(choice: Choice) -> str:
    kinds = {
        "promoted": f"promote {choice.judged.version} and publish from it",
        "champion": f"publish from the champion {choice.judged.version}",
        "kept": f"publish from the champion {choice.judged.version}",
    }
    return kinds.get(choice.kind, "publish nothing")


def override_of(standing: Standing, report_digest: str) -> Signature | None:
    """Return who published the champion although the gate refuses this report of it."""
    champion = standing.champion
    if champion is None or champion.kind != "override":
        return None
    return signature(champion) if champion.report_digest == report_digest else None


def approval_of(standing: Standing) -> Signature | None:
    """Return the person who made the champion champion; None when the gate did."""
    champion = standing.champion
    return None if champion is None or champion.by == GATE else signature(champion)


def signature(record: Promotion) -> Signature:
    """Return who decided what a record says."""
    return Signature(by=record.by, reason=record.reason, at=record.created)


def given_answer(assessed: Assessed) -> Promotion | None:
    """Return the record by which a person refused this report of this generator before."""
    challenger, found = assessed.challenger, None
    for record in assessed.standing.records:
        if record.version == challenger.version and record.by != GATE:
            same = record.report_digest == challenger.report_digest
            found = record if record.kind == "reject" and same else None
    return found


def checked(answer: Answer, question: Question) -> Answer:
    """Return an answer that can be followed, without blanks around its words.

    Raises:
        AnswerError: the name or the reason is missing, or no champion can publish.
    """
    by, reason = answer.by.strip(), answer.reason.strip()
    if not by or by == GATE:
        msg = f"the answer is signed {answer.by!r}: write the name of the person who decides"
        raise AnswerError(msg)
    if answer.kind == "publish" and not reason:
        msg = f"publishing {question.version} needs a written reason: say why it may be published"
        raise AnswerError(msg)
    if len(reason) > LONGEST_REASON:
        msg = f"the reason has {len(reason)} characters: write at most {LONGEST_REASON}"
        raise AnswerError(msg)
    if answer.kind == "keep champion" and question.champion is None:
        msg = f"no champion can publish, because {question.hindrance}: answer publish or stop"
        raise AnswerError(msg)
    return replace(answer, by=by, reason=reason)


def answered(assessed: Assessed, choice: Choice, answer: Answer) -> Choice:
    """Return what an answer makes of a choice that asks; `promote` records it.

    Raises:
        AnswerError: the answer cannot be followed.
        ValueError: the choice asks nothing.
    """
    question = choice.question
    if question is None:
        msg = f"the choice {choice.kind!r} asks nothing"
        raise ValueError(msg)
    answer = checked(answer, question)
    followed = f"{answer.by} decided: {answer.kind}"
    reason = f"{followed} ({answer.reason})" if answer.reason else followed
    reason = f"{reason}; {question.why}"
    made = replace(choice, answer=answer, reason=reason)
    if answer.kind == "publish":
        return replace(made, kind="champion" if assessed.is_reigning else "promoted")
    if answer.kind == "keep champion":
        return replace(kept(assessed, reason), question=question, answer=answer)
    return replace(made, kind="blocked")


def worsened(question: Question, seen: Verdict) -> str:
    """Return why an answer does not hold: the verdict got worse since; empty when it holds.

    Args:
        question: as it is on today's records.
        seen: the verdict that the person saw.
    """
    if SEVERITY.index(question.verdict) <= SEVERITY.index(seen):
        return ""
    return (
        f"the records changed since the answer, and the verdict on {question.version} is now "
        f"{question.verdict}, not {seen}: look at the report and answer again"
    )


def question_markdown(question: Question) -> str:
    """Return the question as the form shows it."""
    heading = "was refused" if question.kind == "override" else "passed and needs a yes"
    keep = (
        f"the champion `{question.champion}` publishes."
        if question.champion
        else f"cannot be chosen: {question.hindrance}."
    )
    lines = [f"- {text}" for text in question.reasons[:MOST_REASONS]]
    if len(question.reasons) > MOST_REASONS:
        lines.append(f"- and {len(question.reasons) - MOST_REASONS} more in the report")
    reasons = "\n".join(lines)
    return (
        f"**{question.verdict.upper()}: generator `{question.version}` {heading}.** "
        f"{question.why}.\n\n{reasons}\n\n"
        "- **publish**: this generator becomes champion and publishes; a written reason is "
        "compulsory and goes into log and manifest.\n"
        f"- **keep champion**: {keep}\n"
        "- **stop**: nothing is published.\n\n"
        f"Without a question the gate would {question.unasked}."
    )


def what_to_do(name: str, question: Question) -> str:
    """Return what a person does where nobody can be asked, as one sentence."""
    command = f"ganmill generators promote {name} {question.version} --by YOU --reason WHY"
    if question.kind == "approval":
        return (
            f"{question.version} waits for a person's yes: {command}, then run again, "
            "which publishes without training again"
        )
    return (
        f"{question.why}; a person may publish it all the same: {command}, then run again, "
        "which publishes without training again"
    )


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
    why_not = blocking_reason(assessed, config)
    if why_not:
        reason = f"{reason}; {why_not}"
        return Choice(kind="blocked", judged=assessed.challenger, reason=reason)
    return kept(assessed, reason)


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
        _record_decision(job, assessed, "promote", by=GATE, reason=choice.reason)
    elif not assessed.is_reigning:
        _record_refusal(job, assessed, choice.reason)
    return choice


def _record_answer(
    job: Job, assessed: Assessed, choice: Choice, question: Question, answer: Answer
) -> Choice:
    """Record what a person decided, and return the choice with her signature."""
    if answer.kind != "publish":
        reason = answer.reason or f"answered {answer.kind}"
        _record_decision(job, assessed, "reject", by=answer.by, reason=reason, then=answer.kind)
        return choice
    kind: Kind = "override" if question.kind == "override" else "promote"
    signed = signature(_record_decision(job, assessed, kind, by=answer.by, reason=answer.reason))
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
    _record_decision(job, assessed, "reject", by=GATE, reason=reason)


def _record_decision(
    job: Job, assessed: Assessed, kind: Kind, *, by: str, reason: str, then: Then = ""
) -> Promotion:
    challenger = assessed.challenger
    decision = PromotionDraft(
        kind=kind,
        version=challenger.version,
        snapshot_digest=challenger.snapshot_digest,
        report_digest=challenger.report_digest,
        by=by,
        reason=reason,
        then=then,
    )
    return promotions.decide(job.lake, job.name, decision, read=assessed.standing, created=now())


def ask(job: Job, assessed: Assessed, choice: Choice) -> Choice:  # noqa: ARG001 - a stage's signature
    """Return the choice; one that asks says what a person does, and nobody synthesizes."""
    if choice.question is None or choice.kind != "asked":
        return choice
    return replace(choice, reason=what_to_do(job.name, choice.question))


ATTEMPTS = 5
"""How often a move is tried again when another record was faster and the champion stayed."""
SHOWN = 6
"""As many known versions as a message lists."""


@dataclass(frozen=True, kw_only=True)
class LatestReport:
    """The newest report on a generator, as far as a move needs it."""

    digest: str
    verdict: Verdict
    created: str


def promote_by_hand(
    lake: ObjectStore, name: str, version: str, *, by: str, reason: str
) -> Promotion:
    """Make a generator champion on a person's word, and return the record that says so.

    Where the gate refused its newest report the record is an override, which holds for that report
    alone; else it is a promotion.

    Args:
        lake: writable.
        name: of the generator.
        version: a complete one; it may have been champion before.
        by: the person.
        reason: in writing.

    Raises:
        AnswerError: the name or the reason is missing.
        RecipeError: there is no such generator, or it was never evaluated.
        PromotionConflictError: the champion changed meanwhile.
    """
    by, reason = _signed(by, reason)
    _check_known(lake, name, version)
    told = newest_report(lake, name, version)
    if told is None:
        msg = f"generator {name}/{version} was never evaluated: run `ganmill evaluate RECIPE` first"
        raise RecipeError(msg)

    def kind(read: Standing) -> Kind:
        refused = told.verdict == "block" or any(
            record.kind == "reject" and record.report_digest == told.digest
            for record in read.records
        )
        return "override" if refused else "promote"

    move = _Move(version=version, report_digest=told.digest, by=by, reason=reason, kind=kind)
    return _record_move(lake, name, move)


def roll_back(
    lake: ObjectStore, name: str, version: str | None = None, *, by: str, reason: str
) -> Promotion:
    """Make a former champion champion again, and return the record that says so.

    Args:
        lake: writable.
        name: of the generator.
        version: a former champion; None takes the one before the champion.
        by: the person.
        reason: in writing.

    Raises:
        AnswerError: the name or the reason is missing.
        RecipeError: there is no such former champion.
        PromotionConflictError: the champion changed meanwhile.
    """
    by, reason = _signed(by, reason)
    if version is not None:
        _check_known(lake, name, version)
    elif name not in registry.list_generators(lake):
        raise RecipeError(_no_generators(lake, name))
    read = promotions.standing(lake, name)
    target = _rollback_target(name, read, version)
    told = newest_report(lake, name, target)
    digest = "" if told is None else told.digest
    move = _Move(
        version=target, report_digest=digest, by=by, reason=reason, kind=lambda _: "rollback"
    )
    return _record_move(lake, name, move)


def champion_history(records: Sequence[Promotion]) -> tuple[str, ...]:
    """Return the champions that a rollback can go back through, the reigning one last.

    A promotion puts a generator on top; a rollback takes off all that came after its target.
    """
    found: list[str] = []
    for record in records:
        if record.kind == "reject":
            continue
        if record.kind == "rollback" and record.version in found:
            last = len(found) - found[::-1].index(record.version)
            del found[last:]
        elif not found or found[-1] != record.version:
            found.append(record.version)
    return tuple(found)


def newest_report(lake: ObjectStore, name: str, version: str) -> LatestReport | None:
    """Return the report on a generator that was made last; None when it was never evaluated."""
    folder = generator_key(name, version, "reports/")
    found = []
    for info in list(lake.list(folder)):
        if info.key.endswith("/report.json"):
            data = lake.get(info.key)
            report = Report.from_json(data)
            digest = sha256_hex(data)
            found.append(
                LatestReport(digest=digest, verdict=report.verdict, created=report.created)
            )
    return max(found, key=lambda told: (told.created, told.digest), default=None)


def _rollback_target(name: str, read: Standing, version: str | None) -> str:
    past = champion_history(read.records)
    champion = read.champion
    former = sorted({r.version for r in read.records if r.kind != "reject"})
    if version is None:
        if len(past) > 1:
            return past[-2]
        reigning = "no champion" if champion is None else f"{champion.version} as only champion"
        msg = f"generator {name!r} has {reigning}, so there is nothing to roll back to"
        raise RecipeError(msg)
    if champion is not None and champion.version == version:
        msg = f"{version} is the champion of {name!r} already; name a former one"
        raise RecipeError(msg)
    if version not in former:
        known = ", ".join(former) or "none"
        msg = (
            f"{version} of {name!r} was never champion, so promote it instead; champions were: "
            f"{known}"
        )
        raise RecipeError(msg)
    return version


@dataclass(frozen=True, kw_only=True)
class _Move:
    """What a person wants to be recorded."""

    version: str
    report_digest: str
    by: str
    reason: str
    kind: Callable[[Standing], Kind]


def _record_move(lake: ObjectStore, name: str, move: _Move) -> Promotion:
    """Append it; a refusal that was recorded meanwhile does not matter, another champion does."""
    snapshot_digest = sha256_hex(lake.get(snapshot_key(name, move.version)))
    read = promotions.standing(lake, name)
    for _ in range(ATTEMPTS):
        decision = PromotionDraft(
            kind=move.kind(read),
            version=move.version,
            snapshot_digest=snapshot_digest,
            report_digest=move.report_digest,
            by=move.by,
            reason=move.reason,
        )
        try:
            return promotions.decide(lake, name, decision, read=read, created=now())
        except PromotionConflictError:
            after = promotions.standing(lake, name)
            if after.champion != read.champion:
                break
            read = after
    msg = (
        f"the champion of {name!r} changed while this was decided: look at `ganmill generators "
        "list` and decide again"
    )
    raise PromotionConflictError(msg)


def _signed(by: str, reason: str) -> tuple[str, str]:
    by, reason = by.strip(), reason.strip()
    if not by or by == GATE:
        msg = f"a move of the champion is signed {by!r}: write the name of the person who decides"
        raise AnswerError(msg)
    if not reason or len(reason) > LONGEST_REASON:
        msg = (
            f"the reason has {len(reason)} characters: write 1 to {LONGEST_REASON}, they go into "
            "log and manifest"
        )
        raise AnswerError(msg)
    return by, reason


def _check_known(lake: ObjectStore, name: str, version: str) -> None:
    known = registry.candidates(lake, check_name(name))
    if not known:
        raise RecipeError(_no_generators(lake, name))
    if not is_version(version) or version not in known:
        newest = ", ".join(reversed(known[-SHOWN:]))
        msg = f"there is no generator {version!r} of {name!r}; the newest are {newest}"
        raise RecipeError(msg)


def _no_generators(lake: ObjectStore, name: str) -> str:
    known = ", ".join(registry.list_generators(lake)) or "none"
    return f"{lake.uri} has no generator {name!r}; its generators are: {known}"
