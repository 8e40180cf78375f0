"""When lift is measured, and how thoroughly: the `lift` section of a recipe."""

from typing import Literal

from pydantic import ConfigDict, Field

from gan.config import FrozenModel

LIFT_VERSION = 1
"""Raised when a kept answer no longer holds: other arms, models, statistics or another form."""


class LiftConfig(FrozenModel):
    """Whether synthetic data helps a downstream model: measured between evaluation and gate."""

    model_config = ConfigDict(title="Lift")

    when: Literal["changed", "always", "never"] = Field("changed", title="When")
    """changed: when generator, records or these settings are others than those last measured.
    always: on every run. never: the report says that nobody knows."""
    seeds: int = Field(5, ge=2, le=100, title="Seeds")
    """How often every downstream model is trained on each arm."""
    models: Literal["auto"] | tuple[str, ...] = Field("auto", title="Models")
    """Downstream models by name; `auto` takes those of this kind of data."""
