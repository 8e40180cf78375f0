"""The gate: what was measured in, a verdict with reasons out. Pure functions.

    block    the whole interval lies past the block bound, and the point is outside the pass bound
    unknown  real data itself would not pass reliably: "cannot be known from n holdout records"
    pass     the point is inside the pass bound
    warn     everything between

A fact (`measured.Fact`) that does not hold blocks on the point. The bounds are in bounds.py;
whether a challenger takes over is in promotion.py.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gan.evaluation.bounds import Bounds, GateConfig, bounds_of
from gan.evaluation.measured import Evaluation, Fact, Measured, TooFew
from gan.report import Metric, Outcome, Reason, Verdict

__all__ = ["GateConfig", "Judgement", "judge", "real_pass_share"]

SEVERITY: Mapping[str, int] = {"block": 0, "unknown": 1, "warn": 2, "pass": 3}


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The verdict on one candidate."""

    verdict: Verdict
    reasons: tuple[Reason, ...]
    """Worst first; a metric that passes is named once, by its worse scope."""

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of the metrics that cannot be known."""
        return tuple(sorted({r.metric for r in self.reasons if r.outcome == "unknown"}))


def judge(evaluation: Evaluation, config: GateConfig) -> Judgement:
    """Return the verdict on a candidate and every reason for it."""
    reasons = [_fact_reason(fact) for fact in evaluation.facts]
    reasons += [_too_few_reason(item) for item in evaluation.too_few]
    for item in evaluation.measured:
        bounds = bounds_of(item.metric, config)
        if bounds is not None:
            reasons.append(_metric_reason(item, bounds, config, evaluation.holdout_rows))
    outcomes = {reason.outcome for reason in reasons}
    verdict: Verdict = "pass"
    if outcomes & {"warn", "unknown"}:
        verdict = "warn"
    if "block" in outcomes:
        verdict = "block"
    return Judgement(verdict=verdict, reasons=_worst_first(reasons, evaluation))


def _metric_reason(item: Measured, bounds: Bounds, config: GateConfig, holdout_rows: int) -> Reason:
    """Judge one metric."""
    metric = item.metric
    inside = _inside(metric, bounds)
    past = metric.high < bounds.block_low or metric.low > bounds.block_high
    known = real_pass_share(item, bounds) >= config.real_pass_share
    outcome: Outcome = "pass" if inside else "warn"
    if past and not inside:
        outcome = "block"
    elif not known:
        outcome = "unknown"
    return Reason(
        metric=metric.name,
        scope=metric.scope,
        outcome=outcome,
        text=_sentence(item, bounds, outcome, holdout_rows),
    )


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


def _sentence(item: Measured, bounds: Bounds, outcome: Outcome, holdout_rows: int) -> str:
    """Return the reason in words: number, interval, what real data reaches, the bound."""
    metric = item.metric
    found = f"{_subject(metric)} is {metric.value:.4g}"
    found += f" [{metric.low:.4g}, {metric.high:.4g}]"
    if metric.ceiling is not None:
        real = "nominal" if metric.name == "copies" else "real data"
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
        return f"{found}: not {_limit(bounds.pass_high, bounds.pass_low, inside=True)}"
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


def _too_few_reason(item: TooFew) -> Reason:
    return Reason(
        metric="coverage",
        scope=f"class {item.label}",
        outcome="unknown",
        text=f"coverage of class {item.label} cannot be known from {item.n} holdout records: "
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
