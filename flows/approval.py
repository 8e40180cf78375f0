"""A person decides: what is asked, and what an answer makes of the gate's choice. Pure.

An answer holds for the generator and the report it was given on. Another night with the same report
does not ask again; a new report does.
"""

from dataclasses import replace

from flows.errors import AnswerError
from flows.results import Answer, Assessed, Choice, Question, Signature
from gan.gate import GateConfig
from gan.report import Verdict
from storage.lake.promotions import GATE, Promotion, Standing

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
    if record.then == "keep champion" and not hindrance(assessed, config):
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


def hindrance(assessed: Assessed, config: GateConfig) -> str:
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
    challenger, why_not = assessed.challenger, hindrance(assessed, config)
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
