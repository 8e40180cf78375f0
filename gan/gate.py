"""The gate: what was measured in, a verdict with reasons out. Pure functions.

    block    the whole interval lies past the block bound, and the point is outside the pass bound
    unknown  real data itself would not pass reliably: "cannot be known from n holdout records"
    pass     the point is inside the pass bound
    warn     everything between

A fact (`gan.report.Fact`) that does not hold blocks on the point. A metric is one `MetricEntry` of
its modality, with bounds relative to what real data reaches; a recipe overrides them by name. A
metric that no rule judges says why, and louder where its value stands out (`Alarm`).
Whether a challenger takes over is in `gan.evaluation.promotion`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
from pydantic import ConfigDict, Field, field_validator, model_validator

from gan.bounds import Bounds, MetricEntry, entry_of
from gan.config import FrozenModel
from gan.errors import ConfigError
from gan.lift.result import Answer, Lift
from gan.report import (
    Evaluation,
    Fact,
    Measured,
    Metric,
    Outcome,
    Reason,
    TooFew,
    Verdict,
)

GATE_VERSION = 4
"""Raised when a kept verdict no longer holds: other default bounds, another rule, another form."""


class MetricBound(FrozenModel):
    """The bounds of one metric, in place of its defaults."""

    model_config = ConfigDict(title="Bound", serialize_by_alias=True, validate_by_name=True)

    metric: str = Field(title="Metric")
    """A metric of this kind of data, as the tables of the recipe reference name it."""
    pass_: float | None = Field(None, ge=0, alias="pass", title="Pass")
    """From here, or up to here, a generator passes; null = the metric's default."""
    block: float | None = Field(None, ge=0, title="Block")
    """Below this, or above it, a generator is blocked; null = the metric's default."""

    @model_validator(mode="after")
    def _has_a_bound(self) -> Self:
        if self.pass_ is None and self.block is None:
            msg = "must give pass, block or both"
            raise ValueError(msg)
        return self


class GateConfig(FrozenModel):
    """When a generator may publish, and what happens when it may not."""

    model_config = ConfigDict(title="Gate")

    on_reject: Literal["keep-champion", "stop", "ask"] = Field("keep-champion", title="On reject")
    """When the new generator is not promoted: publish from the champion, publish nothing, or ask
    a person. A run in Prefect then waits without holding a process."""
    approval: Literal["never", "always"] = Field("never", title="Approval")
    """always: a person says yes to every generator before it publishes, even to one that passes."""
    require_lift: Literal["no", "not-harmful", "positive"] = Field("no", title="Require lift")
    """What downstream models must show before a generator may publish. not-harmful: training with
    synthetic data was not measured to hurt, also where that cannot be known. positive: it was
    measured to help."""
    accept_unknown: bool = Field(False, title="Accept unknown")
    """Promote even where the holdout is too small to know coverage, copies or DCR share."""
    bounds: tuple[MetricBound, ...] = Field((), title="Bounds")
    """Bounds in place of the default ones, by the name of the metric."""
    real_pass_share: float = Field(0.95, gt=0, le=1, title="Real data passes")
    """A pass counts only where real data itself would pass with at least this probability."""

    @field_validator("require_lift", mode="before")
    @classmethod
    def _false_is_no(cls, value: object) -> object:
        """Take `false`, and the `no` that some readers of YAML take for it."""
        return "no" if value is False else value

    @field_validator("bounds")
    @classmethod
    def _each_metric_once(cls, bounds: tuple[MetricBound, ...]) -> tuple[MetricBound, ...]:
        names = [bound.metric for bound in bounds]
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        if twice:
            msg = f"must name every metric once, and has {', '.join(twice)} more than once"
            raise ValueError(msg)
        return bounds


def in_force(metrics: Sequence[MetricEntry], config: GateConfig) -> tuple[MetricEntry, ...]:
    """Return a modality's metrics with the bounds of the recipe in place of their defaults.

    Raises:
        ConfigError: a bound is for no metric of this modality, or its block bound lies inside its
            pass bound.
    """
    asked = {bound.metric: bound for bound in config.bounds}
    known = [name for entry in metrics for name in entry.named_limits]
    for name in asked:
        if name not in known:
            msg = (
                f"gate.bounds names {name!r}, which is no metric that bounds these records; "
                f"choose from {', '.join(known)}"
            )
            raise ConfigError(msg)
    return tuple(_overridden(entry, asked) for entry in metrics)


def _overridden(entry: MetricEntry, asked: Mapping[str, MetricBound]) -> MetricEntry:
    limits = []
    for name, limit in entry.named_limits.items():
        bound, used = asked.get(name), limit
        if bound is not None:
            passes = limit.passes if bound.pass_ is None else bound.pass_
            blocks = limit.blocks if bound.block is None else bound.block
            used = replace(limit, passes=passes, blocks=blocks)
            inner, outer = used.at(1.0) if limit.side == "high" else used.at(1.0)[::-1]
            if outer < inner and not entry.benefit_of_doubt:
                msg = (
                    f"gate.bounds has {name} with pass {passes:g} and block {blocks:g}: what "
                    "passes would be blocked; move one of them"
                )
                raise ConfigError(msg)
        limits.append(used)
    return replace(entry, limits=tuple(limits))


def gate_record(metrics: Sequence[MetricEntry], config: GateConfig) -> dict[str, Any]:
    """Return everything that the verdict depends on, JSON-able: for report and manifest."""
    lift = {} if config.require_lift == "no" else {"require_lift": config.require_lift}
    return {
        **lift,
        "accept_unknown": config.accept_unknown,
        "real_pass_share": config.real_pass_share,
        "bounds": [
            {"metric": name, "pass": limit.passes, "block": limit.blocks}
            for entry in metrics
            for name, limit in entry.named_limits.items()
        ],
    }


NO_CEILING = "what real data reaches could not be measured"
CERTAIN = 0.95
"""Lower end of an area under the ROC curve from which what it is told by is plain to see."""
SEVERITY: Mapping[str, int] = {"block": 0, "unknown": 1, "warn": 2, "pass": 3}


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The verdict on one candidate."""

    verdict: Verdict
    reasons: tuple[Reason, ...]
    """Worst first; a metric that passes is named once, by its worse scope."""
    metrics: tuple[MetricEntry, ...]
    """Of the modality, with the bounds that were in force."""
    unjudged: tuple[Reason, ...] = ()
    """What was measured and no rule judges, and why: values that stand out first, every other
    metric once."""

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of the metrics that cannot be known."""
        return tuple(sorted({r.metric for r in self.reasons if r.outcome == "unknown"}))


def judge(evaluation: Evaluation, metrics: Sequence[MetricEntry], config: GateConfig) -> Judgement:
    """Return the verdict on a candidate and every reason for it.

    Args:
        evaluation: what was measured.
        metrics: of the modality, with their default bounds.
        config: the recipe's gate.

    Raises:
        ConfigError: the recipe's bounds do not fit the metrics.
    """
    entries = in_force(metrics, config)
    reasons = [_fact_reason(fact) for fact in evaluation.facts]
    reasons += [too_few_reason(item) for item in evaluation.too_few]
    for item in evaluation.measured:
        entry, ceiling = entry_of(item.metric, entries), item.metric.ceiling
        if entry is not None and entry.limits and ceiling is not None:
            bounds = entry.bounds(ceiling.value)
            outcome = _outcome(item, bounds, config)
            text = _sentence(item, bounds, outcome, entry.real, evaluation.holdout_rows)
            if item.because and outcome in {"warn", "block"}:
                text = f"{text}; {item.because}"
            metric = item.metric
            reasons.append(
                Reason(
                    metric=metric.name,
                    scope=metric.scope,
                    outcome=outcome,
                    text=text,
                    aspect=entry.aspect,
                    title=entry.title,
                )
            )
    outcomes = {reason.outcome for reason in reasons}
    verdict: Verdict = "pass"
    if outcomes & {"warn", "unknown"}:
        verdict = "warn"
    if "block" in outcomes:
        verdict = "block"
    return Judgement(
        verdict=verdict,
        reasons=_worst_first(reasons, evaluation),
        metrics=entries,
        unjudged=_unjudged(evaluation, entries),
    )


LIFT = "lift"
"""Under this name the gate gives its reason."""


def lift_reason(
    lift: Lift | None, required: Literal["no", "not-harmful", "positive"]
) -> Reason | None:
    """Return what `gate.require_lift` makes of an answer; None where nothing is required.

    `not-harmful` blocks what was measured to hurt, and lets pass what is not known: many holdouts
    are too small to know it. `positive` lets pass only what was measured to help.

    Args:
        lift: the answer; None where it was not measured.
        required: the recipe's `gate.require_lift`.
    """
    if required == "no":
        return None
    answer: Answer = "cannot be known" if lift is None else lift.answer
    text = "lift was not measured" if lift is None else lift.text.rstrip(".")
    outcome: Outcome = "pass" if answer == "helps" else "block"
    if required == "not-harmful" and answer != "hurts":
        outcome = "unknown" if lift is None else "pass"
    return Reason(
        metric=LIFT,
        scope="all",
        outcome=outcome,
        aspect="usefulness",
        text=f"{text}; required is {required!r} (gate.require_lift)",
    )


def judge_lift(judgement: Judgement, lift: Lift, config: GateConfig) -> Judgement:
    """Return a judgement with what `gate.require_lift` makes of lift; with `no`, as it was."""
    reason = lift_reason(lift, config.require_lift)
    if reason is None:
        return judgement
    reasons = sorted((*judgement.reasons, reason), key=lambda one: SEVERITY[one.outcome])
    verdict: Verdict = "block" if reason.outcome == "block" else judgement.verdict
    return replace(judgement, verdict=verdict, reasons=tuple(reasons))


def _unjudged(evaluation: Evaluation, entries: Sequence[MetricEntry]) -> tuple[Reason, ...]:
    """Return why no rule judges what none does; a metric whose value does not stand out once."""
    alarms: list[Reason] = []
    reported: dict[str, Reason] = {}
    for metric in evaluation.metrics:
        entry = entry_of(metric, entries)
        if entry is None or (entry.limits and metric.ceiling is not None):
            continue
        why = (entry.not_judged or NO_CEILING).format(n=f"{metric.n:,}")
        meaning = next((alarm.meaning for alarm in entry.alarms if alarm.rings(metric)), "")
        found = f"{_subject(metric)} is {_value(metric)}"
        found += f"; {entry.real} {metric.ceiling.value:.4g}" if metric.ceiling else ""
        parts: dict[str, Any] = {
            "metric": metric.name,
            "scope": metric.scope,
            "aspect": entry.aspect,
            "title": entry.title,
        }
        if meaning:
            why = f"{meaning}; not judged: {why}"
            alarms.append(Reason(**parts, outcome="alarm", text=f"{found}: {why}", why=why))
        else:
            one = Reason(**parts, outcome="reported", text=f"{found}: {why}", why=why)
            reported.setdefault(metric.name, one)
    return (*alarms, *reported.values())


def _outcome(item: Measured, bounds: Bounds, config: GateConfig) -> Outcome:
    """Judge one metric."""
    metric = item.metric
    inside = _inside(metric, bounds)
    past = metric.high < bounds.block_low or metric.low > bounds.block_high
    if past and not inside:
        return "block"
    if real_pass_share(item, bounds) < config.real_pass_share:
        return "unknown"
    return "pass" if inside else "warn"


def _inside(metric: Metric, bounds: Bounds) -> bool:
    """Return whether a metric is inside its pass bound."""
    judged = metric.high if bounds.upper_end else metric.value
    if bounds.pass_low <= judged <= bounds.pass_high:
        return True
    if bounds.doubt is not None and metric.low <= bounds.doubt:
        return True
    return bounds.benefit_of_doubt and bounds.block_low <= metric.low <= bounds.block_high


def real_pass_share(item: Measured, bounds: Bounds) -> float:
    """Return in which share of the random halves real data as candidate passes on the point."""
    if not item.reals:
        return 1.0
    reals = np.asarray(item.reals)
    return float(np.mean((reals >= bounds.pass_low) & (reals <= bounds.pass_high)))


def _sentence(
    item: Measured, bounds: Bounds, outcome: Outcome, real: str, holdout_rows: int
) -> str:
    """Return the reason in words: what is held against which bound, and what real data reaches."""
    metric = item.metric
    found = f"{_subject(metric)} is {_value(metric)}"
    ceiling = "" if metric.ceiling is None else f"; {real} {metric.ceiling.value:.4g}"
    if outcome == "unknown":
        share = real_pass_share(item, bounds)
        return (
            f"{found}{ceiling}: cannot be known from {holdout_rows} holdout records, "
            f"because real data itself would pass in only {share:.0%} of cases"
        )
    if outcome == "block":
        return f"{found}{ceiling}: the whole interval is {_past(metric, bounds)}"
    wanted = _limit(bounds.pass_high, bounds.pass_low)
    if bounds.upper_end:
        end = f"upper end {metric.high:.4g} of {_subject(metric)} {_value(metric)}"
        inside = "within the pass bound, " if outcome == "pass" else "not "
        return f"{end} is {inside}{wanted}{ceiling}"
    if outcome == "warn":
        return f"{found}{ceiling}: the value is not {wanted}"
    if not bounds.pass_low <= metric.value <= bounds.pass_high:
        reached = bounds.block_high if bounds.doubt is None else bounds.doubt
        return (
            f"{found}{ceiling}: the value is not {wanted}, but the lower end {metric.low:.4g} is "
            f"not above {reached:.4g}, so that it passes"
        )
    return f"{found}{ceiling}: within the pass bound"


def _past(metric: Metric, bounds: Bounds) -> str:
    """Return past which block bound the whole interval is, and by which end one sees it."""
    if metric.high < bounds.block_low:
        return f"below {bounds.block_low:.4g} (its upper end is {metric.high:.4g})"
    return f"above {bounds.block_high:.4g} (its lower end is {metric.low:.4g})"


def _value(metric: Metric) -> str:
    """Return value and interval."""
    return f"{metric.value:.4g} [{metric.low:.4g}, {metric.high:.4g}]"


def _subject(metric: Metric) -> str:
    """Return what a metric is about: of the whole table, of a column of it, on a feature net."""
    whole, _, column = metric.scope.partition("/")
    if whole == "all" and column:
        return f"{metric.name} of column {column!r}"
    return f"{metric.name} ({metric.scope})"


def _limit(high: float, low: float) -> str:
    """Return the pass bounds in words."""
    parts = [f"at least {low:.4g}"] * math.isfinite(low)
    parts += [f"at most {high:.4g}"] * math.isfinite(high)
    return " and ".join(parts)


def _fact_reason(fact: Fact) -> Reason:
    outcome: Outcome = "pass" if fact.holds else "block"
    return Reason(
        metric=fact.name, scope="all", outcome=outcome, text=fact.text, aspect=fact.aspect
    )


def too_few_reason(item: TooFew) -> Reason:
    """Return why nothing is known of a class."""
    return Reason(
        metric=item.metric,
        scope=f"class {item.label}",
        outcome="unknown",
        aspect="fidelity",
        text=f"{item.metric} of class {item.label} cannot be known from {item.n} holdout records: "
        f"{item.needed} are needed",
    )


def _worst_first(reasons: list[Reason], evaluation: Evaluation) -> tuple[Reason, ...]:
    """Return all that is not a pass, worst first, then one pass per metric: its worse scope.

    Of equally bad ones that comes first which says what gives a candidate away for certain.
    """
    failing = [reason for reason in reasons if reason.outcome != "pass"]
    failing.sort(key=lambda reason: (SEVERITY[reason.outcome], not _is_certain(reason, evaluation)))
    named = {reason.metric for reason in failing}
    passing: dict[str, Reason] = {}
    for reason in reasons:
        if reason.outcome != "pass" or reason.metric in named:
            continue
        held = passing.get(reason.metric)
        if held is None or _badness(reason, evaluation) > _badness(held, evaluation):
            passing[reason.metric] = reason
    return (*failing, *passing.values())


def _is_certain(reason: Reason, evaluation: Evaluation) -> bool:
    """Return whether classifiers tell a candidate beyond doubt, and the reason names by what."""
    item = evaluation.find(reason.metric, reason.scope)
    return item is not None and bool(item.because) and item.metric.low >= CERTAIN


def _badness(reason: Reason, evaluation: Evaluation) -> float:
    """Return how bad a reason's metric is, higher is worse; 0 where there is no metric."""
    item = evaluation.find(reason.metric, reason.scope)
    if item is None:
        return 0.0
    value = item.metric.value if item.metric.ratio is None else item.metric.ratio
    return value if item.metric.direction == "lower" else -value
