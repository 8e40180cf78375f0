"""What is known of a metric: its entry, and the bounds that a value is held against.

A modality's judge lists its metrics as `MetricEntry`, with bounds relative to what real data
reaches; a recipe overrides them by name. A metric without bounds says why no rule judges it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gan.metrics.direction import Direction
from gan.report import Aspect, Metric


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
    doubt: float | None = None
    """Passes also when the interval reaches back to here."""


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
class Alarm:
    """Where a value that no rule judges is too bad to be shown without a word."""

    side: Literal["low", "high"]
    """low: the whole interval lies below. high: above."""
    bound: float
    meaning: str
    """What such a value says, half a sentence."""
    relation: Relation = "fixed"

    def rings(self, metric: Metric) -> bool:
        """Say whether the whole interval of a metric is past the bound."""
        if self.relation != "fixed" and metric.ceiling is None:
            return False
        ceiling = 0.0 if metric.ceiling is None else metric.ceiling.value
        bound = _related(self.bound, self.relation, ceiling)
        return metric.low > bound if self.side == "high" else metric.high < bound


@dataclass(frozen=True, kw_only=True)
class MetricEntry:
    """Everything that is known of a metric besides how it is computed."""

    name: str
    meaning: str
    """One sentence, for people."""
    unit: str
    """Of its value, such as share, distance or AUC."""
    title: str = ""
    """What it is called in a sentence; empty where its name does."""
    aspect: Aspect = "fidelity"
    direction: Direction = "lower"
    """lower: less is better. target: the nearer to the ceiling, the better."""
    scope: str = ""
    """The one scope this entry is for; empty: every scope that has no entry of its own."""
    limits: tuple[Limit, ...] = ()
    """One, or a low and a high one; without any no rule judges the metric."""
    not_judged: str = ""
    """Why no rule judges it, half a sentence; with limits, why not where real data has no ceiling.
    `{n}` stands for the records on each side."""
    alarms: tuple[Alarm, ...] = ()
    """What to say of it where no rule judges it."""
    upper_end: bool = False
    """The upper end of the interval, not the point, must be inside the pass bound."""
    benefit_of_doubt: bool = False
    """Passes also when the interval reaches back over the block bound, which may therefore lie
    inside the pass bound."""
    doubt: float | None = None
    """Passes also when the interval reaches back to this value: chance alone explains the rest."""
    is_primary: bool = False
    """A challenger must not lose it against the champion."""
    must_be_known: bool = False
    """While it is unknown, nothing is promoted unless `gate.accept_unknown` says so."""
    real: str = "real data"
    """What its ceiling stands for."""
    figures: tuple[str, ...] = ()
    """Ids of the bar charts that it is drawn in."""
    ticks: tuple[str, ...] = ()
    """Names of the curves that show it while training …"""
    class_ticks: tuple[str, ...] = ()
    """… and those of them that only records of two classes or more have."""
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
        return Bounds(
            **found,
            upper_end=self.upper_end,
            benefit_of_doubt=self.benefit_of_doubt,
            doubt=self.doubt,
        )


def pass_bounds(metrics: Sequence[MetricEntry]) -> Mapping[str, float]:
    """Return name of the bound → pass bound, as it is relative to the ceiling."""
    named = (item for entry in metrics for item in entry.named_limits.items())
    return {name: limit.passes for name, limit in named}


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
