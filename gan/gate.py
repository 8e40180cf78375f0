"""The gate: what was measured in, a verdict with reasons out. Pure functions.

    block    the whole interval lies past the block bound, and the point is outside the pass bound
    unknown  real data itself would not pass reliably: "cannot be known from n holdout records"
    pass     the point is inside the pass bound
    warn     everything between

A fact (`gan.report.Fact`) that does not hold blocks on the point. A metric is one `MetricEntry` of
its modality, with bounds relative to what real data reaches; a recipe overrides them by name.
Whether a challenger takes over is in `gan.evaluation.promotion`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
from pydantic import ConfigDict, Field, field_validator, model_validator

from gan.config import FrozenModel
from gan.errors import ConfigError
from gan.report import (
    Direction,
    Evaluation,
    Fact,
    Measured,
    Metric,
    Outcome,
    Reason,
    TooFew,
    Verdict,
)

GATE_VERSION = 1
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
    accept_unknown: bool = Field(False, title="Accept unknown")
    """Promote even where the holdout is too small to know coverage, copies or DCR share."""
    bounds: tuple[MetricBound, ...] = Field((), title="Bounds")
    """Bounds in place of the default ones, by the name of the metric."""
    real_pass_share: float = Field(0.95, gt=0, le=1, title="Real data passes")
    """A pass counts only where real data itself would pass with at least this probability."""

    @field_validator("bounds")
    @classmethod
    def _each_metric_once(cls, bounds: tuple[MetricBound, ...]) -> tuple[MetricBound, ...]:
        names = [bound.metric for bound in bounds]
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        if twice:
            msg = f"must name every metric once, and has {', '.join(twice)} more than once"
            raise ValueError(msg)
        return bounds


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The four bounds of one metric, in the metric's own units."""

    pass_low: float = -math.inf
    pass_high: float = math.inf
    block_low: float = -math.inf
    """Blocked when the whole interval is below."""
    block_high: float = math.inf
    """Blocked when the whole interval is above."""
    upper_end: bool = False
    """The upper end of the interval, not the point, must be inside the pass bound."""
    benefit_of_doubt: bool = False
    """Passes also when the interval reaches back over the block bound."""


Relation = Literal["ratio", "above", "below", "fixed"]
"""What a bound is relative to: bound times ceiling, ceiling + bound, ceiling - bound, the bound."""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """The pass and block bound on one side of a metric."""

    side: Literal["low", "high"]
    """low: at least so much is needed. high: at most so much is allowed."""
    passes: float
    blocks: float
    relation: Relation = "ratio"
    block_relation: Relation | None = None
    """Of the block bound, where it differs."""

    def at(self, ceiling: float) -> tuple[float, float]:
        """Return the pass and the block bound in units of the metric."""
        return (
            _related(self.passes, self.relation, ceiling),
            _related(self.blocks, self.block_relation or self.relation, ceiling),
        )


def _related(bound: float, relation: Relation, ceiling: float) -> float:
    if relation == "ratio":
        return bound * ceiling
    if relation == "above":
        return ceiling + bound
    return ceiling - bound if relation == "below" else bound


@dataclass(frozen=True, kw_only=True)
class MetricEntry:
    """Everything that is known of a metric besides how it is computed."""

    name: str
    meaning: str
    """One sentence, for people."""
    unit: str
    """Of its value, such as share, distance or AUC."""
    direction: Direction = "lower"
    """lower: less is better. target: the nearer to the ceiling, the better."""
    scope: str = ""
    """The one scope this entry is for; empty: every scope that has no entry of its own."""
    limits: tuple[Limit, ...] = ()
    """One, or a low and a high one; without any the metric is only shown."""
    upper_end: bool = False
    """The upper end of the interval, not the point, must be inside the pass bound."""
    benefit_of_doubt: bool = False
    """Passes also when the interval reaches back over the block bound, which may therefore lie
    inside the pass bound."""
    is_primary: bool = False
    """A challenger must not lose it against the champion."""
    must_be_known: bool = False
    """While it is unknown, nothing is promoted unless `gate.accept_unknown` says so."""
    real: str = "real data"
    """What its ceiling stands for."""
    figures: tuple[str, ...] = ()
    """Ids of the bar charts that it is drawn in."""
    ticks: tuple[str, ...] = ()
    """Names of the curves that show it while training."""
    curve: str = ""
    """Id of the figure of these curves."""

    @property
    def key(self) -> str:
        """Its name, and its scope where it is for one scope only."""
        return f"{self.name}/{self.scope}" if self.scope else self.name

    @property
    def named_limits(self) -> Mapping[str, Limit]:
        """The limits by the names that `gate.bounds` gives them."""
        if len(self.limits) == 1:
            return {self.key: self.limits[0]}
        return {f"{self.key}_{limit.side}": limit for limit in self.limits}

    def bounds(self, ceiling: float) -> Bounds:
        """Return the bounds in units of the metric, where real data reaches `ceiling`."""
        found: dict[str, float] = {}
        for limit in self.limits:
            found[f"pass_{limit.side}"], found[f"block_{limit.side}"] = limit.at(ceiling)
        return Bounds(**found, upper_end=self.upper_end, benefit_of_doubt=self.benefit_of_doubt)


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


def pass_bounds(metrics: Sequence[MetricEntry]) -> Mapping[str, float]:
    """Return name of the bound → pass bound, as it is relative to the ceiling."""
    named = (item for entry in metrics for item in entry.named_limits.items())
    return {name: limit.passes for name, limit in named}


def gate_record(metrics: Sequence[MetricEntry], config: GateConfig) -> dict[str, Any]:
    """Return everything that the verdict depends on, JSON-able: for report and manifest."""
    return {
        "accept_unknown": config.accept_unknown,
        "real_pass_share": config.real_pass_share,
        "bounds": [
            {"metric": name, "pass": limit.passes, "block": limit.blocks}
            for entry in metrics
            for name, limit in entry.named_limits.items()
        ],
    }


def limit_texts(entry: MetricEntry, limit: Limit) -> tuple[str, str]:
    """Return in words where a metric passes and where it blocks, relative to its ceiling."""
    signs = ("≥", "<") if limit.side == "low" else ("≤", ">")
    relations = (limit.relation, limit.block_relation or limit.relation)
    texts = [
        f"{sign} {_relation_text(bound, relation, entry.real)}"
        for sign, bound, relation in zip(
            signs, (limit.passes, limit.blocks), relations, strict=True
        )
    ]
    return texts[0] + (" (upper end)" if entry.upper_end else ""), texts[1]


def _relation_text(bound: float, relation: Relation, real: str) -> str:
    if relation == "ratio":
        return f"{bound:g} times {real}"
    if relation == "fixed":
        return f"{bound:g}"
    return f"{real} {'+' if relation == 'above' else '-'} {bound:g}"


def entry_of(metric: Metric, metrics: Sequence[MetricEntry]) -> MetricEntry | None:
    """Return the entry of a metric: that of its scope, else that of all scopes."""
    named = [entry for entry in metrics if entry.name == metric.name]
    own = [entry for entry in named if entry.scope == metric.scope]
    return next(iter(own or [entry for entry in named if not entry.scope]), None)


def bounds_of(metric: Metric, metrics: Sequence[MetricEntry]) -> Bounds | None:
    """Return the bounds of a metric in its own units, or None when it is only reported.

    Args:
        metric: what was measured; one without a ceiling is only reported.
        metrics: of its modality, with the bounds in force.
    """
    entry = entry_of(metric, metrics)
    if entry is None or not entry.limits or metric.ceiling is None:
        return None
    return entry.bounds(metric.ceiling.value)


SEVERITY: Mapping[str, int] = {"block": 0, "unknown": 1, "warn": 2, "pass": 3}


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The verdict on one candidate."""

    verdict: Verdict
    reasons: tuple[Reason, ...]
    """Worst first; a metric that passes is named once, by its worse scope."""
    metrics: tuple[MetricEntry, ...]
    """Of the modality, with the bounds that were in force."""

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
            metric = item.metric
            reasons.append(
                Reason(metric=metric.name, scope=metric.scope, outcome=outcome, text=text)
            )
    outcomes = {reason.outcome for reason in reasons}
    verdict: Verdict = "pass"
    if outcomes & {"warn", "unknown"}:
        verdict = "warn"
    if "block" in outcomes:
        verdict = "block"
    return Judgement(verdict=verdict, reasons=_worst_first(reasons, evaluation), metrics=entries)


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
    """Return the reason in words: number, interval, what real data reaches, the bound."""
    metric = item.metric
    found = f"{_subject(metric)} is {metric.value:.4g}"
    found += f" [{metric.low:.4g}, {metric.high:.4g}]"
    if metric.ceiling is not None:
        found += f"; {real} {metric.ceiling.value:.4g}"
    if outcome == "unknown":
        share = real_pass_share(item, bounds)
        return (
            f"{found}: cannot be known from {holdout_rows} holdout records, "
            f"because real data itself would pass in only {share:.0%} of cases"
        )
    if outcome == "block":
        return f"{found}: the whole interval is {_limit(bounds.block_low, bounds.block_high)}"
    if outcome == "warn":
        end = "the upper end is " if bounds.upper_end else ""
        return f"{found}: {end}not {_limit(bounds.pass_high, bounds.pass_low, inside=True)}"
    return f"{found}: within the pass bound"


def _subject(metric: Metric) -> str:
    """Return what a metric is about: of the whole table, of a column of it, on a feature net."""
    whole, _, column = metric.scope.partition("/")
    if whole == "all" and column:
        return f"{metric.name} of column {column!r}"
    return f"{metric.name} ({metric.scope})"


def _limit(low: float, high: float, *, inside: bool = False) -> str:
    """Return a pair of bounds in words; with `inside`, the first is the upper one."""
    parts = []
    if math.isfinite(low):
        parts.append(f"at most {low:.4g}" if inside else f"below {low:.4g}")
    if math.isfinite(high):
        parts.append(f"at least {high:.4g}" if inside else f"above {high:.4g}")
    return (" and " if inside else " or ").join(parts)


def _fact_reason(fact: Fact) -> Reason:
    outcome: Outcome = "pass" if fact.holds else "block"
    return Reason(metric=fact.name, scope="all", outcome=outcome, text=fact.text)


def too_few_reason(item: TooFew) -> Reason:
    """Return why nothing is known of a class."""
    return Reason(
        metric=item.metric,
        scope=f"class {item.label}",
        outcome="unknown",
        text=f"{item.metric} of class {item.label} cannot be known from {item.n} holdout records: "
        f"{item.needed} are needed",
    )


def _worst_first(reasons: list[Reason], evaluation: Evaluation) -> tuple[Reason, ...]:
    """Return all that is not a pass, worst first, then one pass per metric: its worse scope."""
    failing = [reason for reason in reasons if reason.outcome != "pass"]
    failing.sort(key=lambda reason: SEVERITY[reason.outcome])
    named = {reason.metric for reason in failing}
    passing: dict[str, Reason] = {}
    for reason in reasons:
        if reason.outcome != "pass" or reason.metric in named:
            continue
        held = passing.get(reason.metric)
        if held is None or _badness(reason, evaluation) > _badness(held, evaluation):
            passing[reason.metric] = reason
    return (*failing, *passing.values())


def _badness(reason: Reason, evaluation: Evaluation) -> float:
    """Return how bad a reason's metric is, higher is worse; 0 where there is no metric."""
    item = evaluation.find(reason.metric, reason.scope)
    if item is None:
        return 0.0
    value = item.metric.value if item.metric.ratio is None else item.metric.ratio
    return value if item.metric.direction == "lower" else -value
