"""What a report says first: four questions of whoever is to use the data, each with one answer.

May I use it, for what, does it help, whom does it expose. The answers are made of the reasons of
the gate, of lift and of nothing else; the HTML page and the Markdown artifact show the same ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flows.report.lift import TITLE, LiftView
from flows.report.verdict import DECIDING, OUTCOMES, VerdictView
from gan.report import Aspect, Outcome, Reason

USE: Final = "May I use it?"
PURPOSE: Final = "For what?"
EXPOSURE: Final = "Whom does it expose?"
NO_PROMISE: Final = "No differential privacy is promised"
MOST_NAMED: Final = 3
"""So many metrics are named in one answer."""

_MAY: Final[dict[Outcome, str]] = {"pass": "Yes", "warn": "With care", "block": "No"}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One question, and what the report answers."""

    question: str
    word: str
    """The answer in a word or two."""
    outcome: Outcome
    """Whose mark and colour it has."""
    text: str
    """The reason, a sentence or two."""
    anchor: str
    """Id of the part of the page that says more."""


def answers(view: VerdictView, lift: LiftView) -> tuple[Answer, ...]:
    """Return the four answers of a report."""
    return (_use(view), _purpose(view), _help(lift), _exposure(view))


def _use(view: VerdictView) -> Answer:
    rules = len({(one.metric, one.scope) for one in view.judged})
    if view.verdict == "pass":
        text = f"All {rules} rules of the gate are met"
    elif view.verdict == "block":
        blocking = [one for one in view.deciding if one.outcome == "block"]
        text = f"Blocked by {_names(blocking)}"
    else:
        text = f"No rule blocks; outside a pass bound or not to be known: {_names(view.deciding)}"
    rows = f". {view.rows[0]}" if view.rows else ""
    return Answer(
        question=USE,
        word=_MAY[view.verdict],
        outcome=view.verdict,
        text=f"{text}{rows}.",
        anchor="verdict",
    )


def _purpose(view: VerdictView) -> Answer:
    if not any(one.aspect for one in view.reasons):
        return _unsaid(PURPOSE, "metrics", view)
    alike, valid, learnt = (_of(view, one) for one in ("fidelity", "validity", "usefulness"))
    outcome = worst((*alike, *valid, *learnt))
    parts = [
        f"Like real records: {_met(alike)}",
        *([f"valid records: {_met(valid)}"] if valid else []),
        f"models that learn from them: {_met(learnt)}",
    ]
    lost = [one for one in (*alike, *valid, *learnt) if one.outcome in DECIDING]
    more = f". Not as in real records, or unknown: {_names(lost)}" if lost else ""
    return Answer(
        question=PURPOSE,
        word=_purpose_word(outcome),
        outcome=outcome or "unknown",
        text=f"{'; '.join(parts)}{more}.",
        anchor="metrics",
    )


def _help(lift: LiftView) -> Answer:
    return Answer(
        question=TITLE,
        word=lift.word[:1].upper() + lift.word[1:],
        outcome=lift.outcome or "unknown",
        text=lift.text,
        anchor="lift",
    )


def _exposure(view: VerdictView) -> Answer:
    if not any(one.aspect for one in view.reasons):
        return _unsaid(EXPOSURE, "privacy", view)
    reasons = _of(view, "privacy")
    outcome = worst(reasons)
    judged = [one for one in reasons if one.outcome != "reported"]
    bad = [one for one in judged if one.outcome != "pass"]
    alarms = [one.text for one in bad[1:] if one.outcome == "alarm"]
    if not judged:
        word, text = "Nobody knows", "nothing about it was measured"
    elif bad:
        word = {"block": "It exposes", "unknown": "Cannot be known"}.get(outcome or "", "Look here")
        text = "; ".join([bad[0].text, *alarms])
    else:
        word = "No one, by what was measured"
        text = f"{_names(judged, many=len(judged))}: within what unseen real records show"
    promised = str(view.guarantee.get("short", NO_PROMISE))
    takes = len(view.losses)
    lost = (
        f". Rare values are not shown: {takes} columns or groups of them are coarser for it"
        if takes
        else ""
    )
    return Answer(
        question=EXPOSURE,
        word=word,
        outcome=outcome if outcome and judged else "unknown",
        text=f"{text[:1].upper()}{text[1:]}{lost}{_published(view)}. {promised}.",
        anchor="privacy",
    )


def _published(view: VerdictView) -> str:
    """Return how many of all published records are copies; nothing before they were counted."""
    if not view.copies:
        return ""
    copies = view.copies
    return (
        f". {copies['equal']:,} of all {copies['records']:,} published equal a training record, "
        f"{copies['equal_unseen']:,} one that was not trained on"
    )


def _unsaid(question: str, anchor: str, view: VerdictView) -> Answer:
    """Return the answer of a report whose reasons do not say what they speak of."""
    text = "Nothing was measured."
    if view.reasons:
        text = "The reasons of the verdict say it one by one."
    return Answer(question=question, word="Not said", outcome="unknown", text=text, anchor=anchor)


def _purpose_word(outcome: Outcome | None) -> str:
    if outcome is None:
        return "Nobody knows"
    words = {"pass": "As real records", "block": "Not as real records", "unknown": "Partly unknown"}
    return words.get(outcome, "With care")


def _met(reasons: Sequence[Reason]) -> str:
    """Return how many of the rules are met."""
    judged = [one for one in reasons if one.outcome in DECIDING or one.outcome == "pass"]
    if not judged:
        return "not measured"
    return f"{sum(one.outcome == 'pass' for one in judged)} of {len(judged)} rules met"


def _of(view: VerdictView, *aspects: Aspect) -> list[Reason]:
    """Return the reasons that speak of these."""
    return [one for one in view.reasons if one.aspect in aspects]


def worst(reasons: Sequence[Reason]) -> Outcome | None:
    """Return the worst outcome of reasons; None without any that judges or stands out."""
    order = list(OUTCOMES)
    found = [one.outcome for one in reasons if one.outcome != "reported"]
    return min(found, key=order.index, default=None)


def _names(reasons: Sequence[Reason], many: int = MOST_NAMED) -> str:
    """Return what some reasons are about, each once, and how many more there are."""
    names = list(dict.fromkeys(one.title or one.metric.replace("_", " ") for one in reasons))
    more = f" and {len(names) - many} more" if len(names) > many else ""
    return ", ".join(names[:many]) + more
