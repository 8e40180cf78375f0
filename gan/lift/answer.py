"""From effects to an answer and its sentences. Pure functions."""

from typing import NamedTuple

from gan.lift.result import Answer, Effect, Lift
from gan.lift.scoring import TITLES

EXPECTED = 0.1
"""No effect is expected to be larger, in the unit of every primary metric (from 0 to 1): published
and own measurements of added synthetic data lie within it, either way. Where only a larger one
could have been seen, that none was seen says nothing."""
NEGLIGIBLE = 0.001
"""A smaller effect neither helps nor hurts, however surely it differs from zero: it would not be
seen among the three digits that are shown."""
DIGITS = 3


class Price(NamedTuple):
    """What the chosen synthetic arm takes."""

    made: int
    """Synthetic records."""
    real: int
    """Real records beside them."""


def answer_of(effect: Effect | None, *, is_cut: bool) -> Answer:
    """Return the answer.

    Args:
        effect: of the synthetic arm on the holdout; None where it could not be trained.
        is_cut: whether fewer real records were trained on than the generator has seen: then what
            helps may be the records that were left out.
    """
    if effect is None:
        return "cannot be known"
    value, low, high = effect.effect
    if low > 0 and value >= NEGLIGIBLE:
        return "cannot be known" if is_cut else "helps"
    if high < 0 and value <= -NEGLIGIBLE:
        return "hurts"
    return "cannot be known" if effect.detectable > EXPECTED else "no measurable effect"


def unknown(task: str, why: str) -> Lift:
    """Return that nothing can be known, and why."""
    text = f"Whether synthetic data helps cannot be known: {why}."
    return Lift(answer="cannot be known", text=text, task=task, effect=None, remedy=None)


def no_label() -> Lift:
    """Return the answer where the records have nothing to predict."""
    return unknown("nothing", "no label says what a downstream model predicts (source.label)")


SENTENCES: dict[Answer, str] = {
    "helps": "Training with synthetic records helps",
    "no measurable effect": "Training with synthetic records has no measurable effect",
    "hurts": "Training with synthetic records hurts",
    "cannot be known": "Whether training with synthetic records helps cannot be known",
}


def text_of(lift: Lift, metric: str, price: Price) -> str:
    """Return the answer in one or two sentences; a free remedy that wins comes first.

    Args:
        lift: everything else.
        metric: the primary metric, for people.
        price: of the chosen synthetic arm.
    """
    if lift.effect is None:
        why = "; ".join(lift.notes) or "no model could be trained"
        return unknown(lift.task, why).text
    own = f"{SENTENCES[lift.answer]}: {_change(lift.effect, metric)}, at the price of "
    own += f"{price.made:,} synthetic records beside {price.real:,} real ones"
    if lift.answer == "cannot be known":
        own += f"; {_why_unknown(lift.effect)}"
    if lift.answer == "no measurable effect":
        own += f"; an effect of {lift.effect.detectable:.{DIGITS}f} would have been seen"
    if lift.remedy is None:
        return f"{own}."
    if lift.free_wins:
        return f"{_change(lift.remedy, metric, verb=' helps, for nothing')}. {own}."
    return f"{own}. The best that costs nothing, {_short(lift.remedy)}."


def _why_unknown(effect: Effect) -> str:
    if effect.effect.low <= 0 and effect.detectable > EXPECTED:
        return (
            f"only an effect of {effect.detectable:.{DIGITS}f} or more could have been seen: "
            "bring more holdout records"
        )
    return "it was trained on fewer real records than the generator has seen: measure thoroughly"


def _change(effect: Effect, metric: str, verb: str = "") -> str:
    """Return an effect with everything that it rests on."""
    name = effect.arm[0].upper() + effect.arm[1:] if verb else effect.arm
    start = f"{name}{verb}: " if verb else ""
    end = effect.model if verb else f"{effect.model}, {effect.arm}"
    return (
        f"{start}{metric} {effect.baseline:.{DIGITS}f} → {effect.value:.{DIGITS}f} "
        f"({_interval(effect)}; {end})"
    )


def _short(effect: Effect) -> str:
    return f"{effect.arm}, gives {_interval(effect)}"


def _interval(effect: Effect) -> str:
    value, low, high = effect.effect
    return f"{value:+.{DIGITS}f}, 95 % interval {low:+.{DIGITS}f} to {high:+.{DIGITS}f}"


def title_of(metric: str) -> str:
    """Return how a person calls a metric of an arm: `recall/yes` as recall of 'yes'."""
    name, _, of = metric.partition("/")
    return f"{name} of {of!r}" if of else TITLES[name]
