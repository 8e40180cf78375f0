"""The gate's bounds: what a recipe may tighten or loosen, and what they are for one metric.

Every bound is given relative to what real data reaches; `bounds_of` turns it into the units of its
metric, so that one rule (`gan.evaluation.gate`) serves all metrics.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import ConfigDict, Field

from gan.config import FrozenModel
from gan.report import Metric


class GateConfig(FrozenModel):
    """When a generator may publish, and what happens when it may not."""

    model_config = ConfigDict(title="Gate")

    on_reject: Literal["keep-champion", "stop"] = Field("keep-champion", title="On reject")
    """When the new generator is not promoted: publish from the champion, or publish nothing."""
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


RULES: Mapping[str, Callable[[float, GateConfig], Bounds]] = {
    "coverage": _coverage,
    "density": _density,
    "fd": _fd,
    "label_accuracy": _label_accuracy,
    "copies": _copies,
    "spread": _spread,
}
"""Metric name → its bounds, given ceiling and config. A metric not named here is only shown."""


def bounds_of(metric: Metric, config: GateConfig) -> Bounds | None:
    """Return the bounds of a metric in its own units, or None when it is only reported."""
    rule = RULES.get(metric.name)
    if rule is None or metric.ceiling is None:
        return None
    return rule(metric.ceiling.value, config)
