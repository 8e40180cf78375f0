"""The answer to "does it help?" as it is shown: its words, effects and tables, for every renderer.

What a user can do for nothing stands first where it does at least as much as synthetic records.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flows.report.html import NOTHING, cut, number
from gan.lift.answer import title_of
from gan.lift.result import (
    NOT_MEASURED,
    Answer,
    ArmKind,
    ArmResult,
    Effect,
    Estimate,
    GroupLift,
    Lift,
)
from gan.report import Outcome

TITLE = "Does it help?"
NOBODY_KNOWS = "Nobody knows: it was not measured."
"""Of a run with `lift.when: never`, and of reports of earlier versions."""
OUTCOME_OF: Mapping[Answer, Outcome] = {
    "helps": "pass",
    "no measurable effect": "reported",
    "hurts": "block",
    "cannot be known": "unknown",
}
"""Answer → the outcome whose mark and colour it has."""
KINDS: Mapping[ArmKind, str] = {
    "baseline": "real alone",
    "synthetic": "synthetic",
    "free": "no generator",
}
"""Kind of an arm → how it is called."""
ARM_COLUMNS = ("Arm", "Needs", "Model", "Real", "Synthetic")
GROUP_COLUMNS = (
    "group",
    "records",
    "it",
    "change",
    "95 % interval",
    "with synthetic",
    "real alone",
)
EFFECT_COLUMNS = ("arm", "needs", "change", "95 % interval", "value", "real alone")


@dataclass(frozen=True, kw_only=True)
class EffectRow:
    """What one confirmed arm changes on the holdout, as text and as numbers."""

    arm: str
    needs: str
    """`synthetic`, or `no generator`."""
    change: Estimate
    value: float
    baseline: float

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of a table with `EFFECT_COLUMNS`."""
        shown = (signed(self.change.value), between(self.change))
        return self.arm, self.needs, *shown, score(self.value), score(self.baseline)


@dataclass(frozen=True, kw_only=True)
class LiftView:
    """What every renderer says of lift."""

    word: str
    """The answer."""
    outcome: Outcome | None
    """Whose mark and colour it has; None where nothing was measured."""
    text: str
    effects: tuple[EffectRow, ...] = ()
    """The best free remedy first where it wins, else the synthetic arm."""
    subject: str = ""
    """What the effects are in: metric, model and task."""
    price: str = ""
    """What was measured, how small an effect would have been seen, and what it cost."""
    arm_columns: tuple[str, ...] = ()
    arms: tuple[tuple[str | int | None, ...], ...] = ()
    """Every arm with its main metric."""
    metric_columns: tuple[str, ...] = ()
    metrics: tuple[tuple[str, ...], ...] = ()
    """Every metric of the confirmed arms on the holdout."""
    class_columns: tuple[str, ...] = ()
    classes: tuple[tuple[str, ...], ...] = ()
    curve_columns: tuple[str, ...] = ()
    curve: tuple[tuple[str, ...], ...] = ()
    """The main metric from few real records to all."""
    groups: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    """Column → a row of `GROUP_COLUMNS` for each of its groups."""
    group_text: str = ""
    """What the groups come to."""
    notes: tuple[str, ...] = ()


def lift_view(lift: Lift | None) -> LiftView:
    """Return what is shown of lift."""
    if lift is None:
        return LiftView(word=NOT_MEASURED, outcome=None, text=NOBODY_KNOWS)
    effect = lift.effect
    confirmed = [arm for arm in lift.arms if arm.holdout and _is_of(arm, effect)]
    metric = _main_metric(lift)
    return LiftView(
        word=lift.answer,
        outcome=OUTCOME_OF[lift.answer],
        text=lift.text,
        effects=_effects(lift),
        subject="" if effect is None else _subject(effect, lift.task),
        price=_price(lift),
        arm_columns=(
            *ARM_COLUMNS,
            f"{title_of(metric)}, validation",
            f"{title_of(metric)}, holdout",
        ),
        arms=tuple(_arm_row(arm, metric) for arm in lift.arms),
        metric_columns=("Metric", *(arm.name for arm in confirmed)),
        metrics=_metrics(confirmed),
        class_columns=("Class", "Recall, real alone", f"Recall, {effect.arm}" if effect else ""),
        classes=tuple(
            (label, score(before), score(after)) for label, before, after in lift.per_class
        ),
        curve_columns=("Real", f"{title_of(metric)}, real alone", f"With {effect.arm}")
        if effect
        else (),
        curve=tuple(
            (number(one.real_rows), _spread(one.real), _spread(one.best)) for one in lift.curve
        ),
        groups={
            column: tuple(_group_row(one) for one in lift.groups if one.column == column)
            for column in dict.fromkeys(one.column for one in lift.groups)
        },
        group_text=_group_text(lift.groups),
        notes=tuple(lift.notes),
    )


_LARGE = 10.0
"""From here on a value is no share, such as an error in the unit of the records."""


def score(value: float) -> str:
    """Return a score: three decimals for shares, so that those near 1 differ too."""
    return f"{value:.3f}" if abs(value) < _LARGE else number(value)


def between(interval: Estimate) -> str:
    """Return both ends of an interval."""
    return f"{score(interval.low)} to {score(interval.high)}"


def signed(value: float) -> str:
    """Return a change with its sign."""
    return f"{'+' if value > 0 else ''}{score(value)}"


def _effects(lift: Lift) -> tuple[EffectRow, ...]:
    own = [_effect_row(lift.effect, "synthetic")] if lift.effect else []
    free = [_effect_row(lift.remedy, "free")] if lift.remedy else []
    return (*free, *own) if lift.free_wins else (*own, *free)


def _effect_row(effect: Effect, kind: ArmKind) -> EffectRow:
    return EffectRow(
        arm=effect.arm,
        needs=KINDS[kind],
        change=effect.effect,
        value=effect.value,
        baseline=effect.baseline,
    )


def _group_row(group: GroupLift) -> tuple[str, ...]:
    effect, known = group.effect, (group.group, number(group.rows))
    if effect is None:
        said = f"{group.answer}: {group.why}" if group.why else group.answer
        return (*known, said, NOTHING, NOTHING, NOTHING, NOTHING)
    numbers = (signed(effect.effect.value), between(effect.effect))
    return (*known, group.answer, *numbers, score(effect.value), score(effect.baseline))


NAMED_GROUPS = 5
"""Most groups that a sentence names."""


def _group_text(groups: Sequence[GroupLift]) -> str:
    """Return in which groups it helps or hurts."""
    if not groups:
        return ""
    said = []
    for answer in ("hurts", "helps"):
        found = [cut(f"{one.column} {one.group}") for one in groups if one.answer == answer]
        more = ["and others"] if len(found) > NAMED_GROUPS else []
        said.append(f"{answer} in {', '.join([*found[:NAMED_GROUPS], *more]) or 'none'}")
    return (
        f"Of {len(groups)} groups it {' and '.join(said)}. Where nothing changes, one in twenty "
        "would seem to change by chance alone."
    )


def _subject(effect: Effect, task: str) -> str:
    """Return what the numbers are."""
    return f"{title_of(effect.metric)} of {effect.model} on the holdout, {task}"


def _price(lift: Lift) -> str:
    parts = [f"{lift.seeds} trainings of every arm"] if lift.seeds else []
    if lift.effect is not None:
        parts.append(f"an effect of {score(lift.effect.detectable)} would have been seen")
    if lift.cpu_s:
        parts.append(f"measuring it took {number(round(lift.cpu_s, 1))} CPU-s")
    return "; ".join(parts)


def _main_metric(lift: Lift) -> str:
    """Return the metric that the answer is in, or the first that was measured."""
    if lift.effect is not None:
        return lift.effect.metric
    return next((name for arm in lift.arms for name in arm.validation), "accuracy")


def _is_of(arm: ArmResult, effect: Effect | None) -> bool:
    return effect is None or arm.model == effect.model


def _arm_row(arm: ArmResult, metric: str) -> tuple[str | int | None, ...]:
    found = [_spread(split.get(metric)) for split in (arm.validation, arm.holdout)]
    return arm.name, KINDS[arm.kind], arm.model, arm.real_rows, arm.synthetic_rows, *found


def _metrics(arms: Sequence[ArmResult]) -> tuple[tuple[str, ...], ...]:
    names = dict.fromkeys(name for arm in arms for name in arm.holdout)
    return tuple((title_of(one), *(_spread(arm.holdout.get(one)) for arm in arms)) for one in names)


def _spread(value: Estimate | None) -> str:
    if value is None:
        return NOTHING
    return f"{score(value.value)} ({between(value)})"
