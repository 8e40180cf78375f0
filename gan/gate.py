"""The gate: what was measured in, a verdict with reasons out. Pure functions.

    block    the whole interval lies past the block bound, and the point is outside the pass bound
    unknown  real data itself would not pass reliably: "cannot be known from n holdout records"
    pass     the point is inside the pass bound
    warn     everything between

A fact (`measured.Fact`) that does not hold blocks on the point. The bounds are in bounds.py;
whether a challenger takes over is in promotion.py.

The gate's bounds: what a recipe may tighten or loosen, and what they are for one metric.

Every bound is given relative to what real data reaches; `bounds_of` turns it into the units of its
metric, so that one rule (`gan.gate`) serves all metrics.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import ConfigDict, Field

from gan.config import FrozenModel
from gan.report import Evaluation, Fact, Measured, Metric, Outcome, Reason, TooFew, Verdict


class GateConfig(FrozenModel):
    """When a generator may publish, and what happens when it may not."""

    model_config = ConfigDict(title="Gate")

    on_reject: Literal["keep-champion", "stop", "ask"] = Field("keep-champion", title="On reject")
    """When the new generator is not promoted: publish from the champion, publish nothing, or ask
    a person. A run in Prefect then waits without holding a process."""
    approval: Literal["never", "always"] = Field("never", title="Approval")
    """always: a person says yes to every generator before it publishes, even to one that passes."""
    accept_unknown: bool = Field(False, title="Accept unknown")
    """Promote even where the holdout is too small to know coverage or copies."""
    coverage_pass: float = Field(0.75, ge=0, le=2, title="Coverage, pass")
    """Coverage ÷ ceiling from which a generator passes, overall and in every class."""
    coverage_block: float = Field(0.5, ge=0, le=2, title="Coverage, block")
    """Coverage ÷ ceiling below which a generator is blocked."""
    density_pass_low: float = Field(0.6, ge=0, title="Density, pass from")
    """Lowest density ÷ ceiling that passes."""
    density_pass_high: float = Field(1.5, ge=0, title="Density, pass up to")
    """Highest density ÷ ceiling that passes."""
    density_block_low: float = Field(0.3, ge=0, title="Density, block below")
    """Density ÷ ceiling below which a generator is blocked."""
    density_block_high: float = Field(2.0, ge=0, title="Density, block above")
    """Density ÷ ceiling above which a generator is blocked."""
    fd_pass: float = Field(10.0, gt=0, title="Fréchet distance, pass")
    """Upper end of Fréchet distance ÷ ceiling that passes."""
    fd_block: float = Field(50.0, gt=0, title="Fréchet distance, block")
    """Fréchet distance ÷ ceiling above which a generator is blocked."""
    label_accuracy_drop: float = Field(0.10, ge=0, le=1, title="Label accuracy, pass")
    """How far label accuracy may lie below the accuracy on real records, as a fraction."""
    label_accuracy_block: float = Field(0.5, ge=0, le=1, title="Label accuracy, block")
    """Share of the accuracy on real records below which a generator is blocked."""
    copies_pass: float = Field(1.5, ge=0, title="Copies, pass")
    """Copies ÷ nominal up to which a generator passes."""
    copies_block: float = Field(1.0, ge=0, title="Copies, block")
    """Blocked when even the lower bound of copies ÷ nominal is above this, and the point is
    above the pass bound."""
    spread_min: float = Field(0.10, ge=0, le=1, title="Spread, minimum")
    """Smallest per-pixel spread, as a share of that of real images."""
    row_coverage_pass: float = Field(0.9, ge=0, le=2, title="Tables: coverage, pass")
    """Tables: coverage of rows ÷ ceiling from which a generator passes."""
    row_coverage_block: float = Field(0.8, ge=0, le=2, title="Tables: coverage, block")
    """Tables: coverage of rows ÷ ceiling below which a generator is blocked."""
    one_way_pass: float = Field(2.0, ge=0, title="Tables: mean column error, pass")
    """Tables: mean error of single columns ÷ ceiling up to which a generator passes."""
    one_way_block: float = Field(4.0, ge=0, title="Tables: mean column error, block")
    """Tables: mean error of single columns ÷ ceiling above which a generator is blocked."""
    column_pass: float = Field(0.05, ge=0, le=1, title="Tables: one column's error, pass")
    """Tables: how far the error of any one column may lie above that of real rows."""
    column_block: float = Field(0.10, ge=0, le=1, title="Tables: one column's error, block")
    """Tables: how far above that of real rows a column's error blocks."""
    two_way_pass: float = Field(1.5, ge=0, title="Tables: mean pair error, pass")
    """Tables: mean error of pairs of columns ÷ ceiling up to which a generator passes."""
    two_way_block: float = Field(2.5, ge=0, title="Tables: mean pair error, block")
    """Tables: mean error of pairs of columns ÷ ceiling above which a generator is blocked."""
    c2st_pass: float = Field(0.65, ge=0.5, le=1, title="Tables: real or synthetic, pass")
    """Tables: upper end of the area under the curve (AUC) up to which trees may tell synthetic
    rows from real ones; 0.5 is not at all."""
    c2st_block: float = Field(0.80, ge=0.5, le=1, title="Tables: real or synthetic, block")
    """Tables: the same area above which a generator is blocked."""
    tstr_pass: float = Field(0.02, ge=0, le=1, title="Tables: loss of a classifier, pass")
    """Tables: upper end of the AUC that a classifier may lose by learning from synthetic rows."""
    tstr_block: float = Field(0.05, ge=0, le=1, title="Tables: loss of a classifier, block")
    """Tables: the same loss above which a generator is blocked."""
    tstr_r2_pass: float = Field(0.05, ge=0, title="Tables: loss of a regression, pass")
    """Tables: upper end of the R² that a regression may lose by learning from synthetic rows."""
    tstr_r2_block: float = Field(0.10, ge=0, title="Tables: loss of a regression, block")
    """Tables: the same loss above which a generator is blocked."""
    dcr_pass: float = Field(0.52, ge=0, le=1, title="Tables: nearer to train, pass")
    """Tables: upper end of the share of rows that may lie nearer to train than to the holdout."""
    dcr_block: float = Field(0.55, ge=0, le=1, title="Tables: nearer to train, block")
    """Tables: the same share above which a generator is blocked."""
    null_rate_pass: float = Field(0.005, ge=0, le=1, title="Tables: share of nulls, pass")
    """Tables: how far the share of nulls may lie from train's in any column, as a fraction."""
    null_rate_block: float = Field(0.01, ge=0, le=1, title="Tables: share of nulls, block")
    """Tables: the same difference above which a generator is blocked."""
    real_pass_share: float = Field(0.95, gt=0, le=1, title="Real data passes")
    """A pass counts only where real data itself would pass with at least this probability."""


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


def _coverage(ceiling: float, config: GateConfig) -> Bounds:
    return Bounds(
        pass_low=config.coverage_pass * ceiling, block_low=config.coverage_block * ceiling
    )


def _density(ceiling: float, config: GateConfig) -> Bounds:
    return Bounds(
        pass_low=config.density_pass_low * ceiling,
        pass_high=config.density_pass_high * ceiling,
        block_low=config.density_block_low * ceiling,
        block_high=config.density_block_high * ceiling,
    )


def _fd(ceiling: float, config: GateConfig) -> Bounds:
    return Bounds(
        pass_high=config.fd_pass * ceiling, block_high=config.fd_block * ceiling, upper_end=True
    )


def _label_accuracy(ceiling: float, config: GateConfig) -> Bounds:
    return Bounds(
        pass_low=ceiling - config.label_accuracy_drop,
        block_low=config.label_accuracy_block * ceiling,
    )


def _copies(nominal: float, config: GateConfig) -> Bounds:
    return Bounds(
        pass_high=config.copies_pass * nominal,
        block_high=config.copies_block * nominal,
        benefit_of_doubt=True,
    )


def _spread(real: float, config: GateConfig) -> Bounds:
    least = config.spread_min * real
    return Bounds(pass_low=least, block_low=least)


def _row_coverage(ceiling: float, config: GateConfig) -> Bounds:
    return Bounds(
        pass_low=config.row_coverage_pass * ceiling, block_low=config.row_coverage_block * ceiling
    )


def _mean_column(ceiling: float, config: GateConfig) -> Bounds:
    return Bounds(
        pass_high=config.one_way_pass * ceiling, block_high=config.one_way_block * ceiling
    )


def _one_column(ceiling: float, config: GateConfig) -> Bounds:
    """Return absolute bounds, above what so few rows of one distribution differ by anyway."""
    return Bounds(pass_high=ceiling + config.column_pass, block_high=ceiling + config.column_block)


def _two_way(ceiling: float, config: GateConfig) -> Bounds:
    return Bounds(
        pass_high=config.two_way_pass * ceiling, block_high=config.two_way_block * ceiling
    )


def _fixed(pass_high: str, block_high: str, *, upper_end: bool) -> "Rule":
    """Return a rule that does not depend on the ceiling; the names are fields of the config."""

    def rule(_: float, config: GateConfig) -> Bounds:
        return Bounds(
            pass_high=getattr(config, pass_high),
            block_high=getattr(config, block_high),
            upper_end=upper_end,
        )

    return rule


Rule = Callable[[float, GateConfig], Bounds]

RULES: Mapping[str, Rule] = {
    "coverage": _coverage,
    "coverage/all": _row_coverage,
    "density": _density,
    "fd": _fd,
    "label_accuracy": _label_accuracy,
    "copies": _copies,
    "spread": _spread,
    "one_way": _one_column,
    "one_way/all": _mean_column,
    "two_way": _two_way,
    "c2st": _fixed("c2st_pass", "c2st_block", upper_end=True),
    "tstr_gap": _fixed("tstr_pass", "tstr_block", upper_end=True),
    "tstr_gap_r2": _fixed("tstr_r2_pass", "tstr_r2_block", upper_end=True),
    "dcr_share": _fixed("dcr_pass", "dcr_block", upper_end=True),
    "null_rate": _fixed("null_rate_pass", "null_rate_block", upper_end=False),
}
"""Metric → its bounds, given ceiling and config; `name/scope` where one scope has its own.

Scope `all` is the records themselves, whatever no feature net saw. A metric that is not named here,
or that comes without a ceiling, is only shown."""


def bounds_of(metric: Metric, config: GateConfig) -> Bounds | None:
    """Return the bounds of a metric in its own units, or None when it is only reported."""
    rule = RULES.get(f"{metric.name}/{metric.scope}") or RULES.get(metric.name)
    if rule is None or metric.ceiling is None:
        return None
    return rule(metric.ceiling.value, config)


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
