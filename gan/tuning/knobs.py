"""What tuning may change of a recipe: the knobs of a modality, as data.

A modality lists its knobs once (`gan.modalities.GanModality.knobs`). A knob is open where the
recipe leaves its setting at `auto`, and is turned only for presets that have such a thing: `own`
says what `auto` becomes, and None where there is nothing to turn. Numbers are mostly tried as
multiples of that, so that one range fits presets and records of every size; 1 is what the preset
proposes.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gan.config import GeneratorConfig, ResolvedConfig, TrainingConfig

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.distributions import BaseDistribution

Value = str | int | float
Own = Callable[[ResolvedConfig], Value | None]
"""What a setting is in a complete configuration; None where the configuration has no such thing."""

AUTO = "auto"
PRESET = "generator.preset"
"""The setting that decides which others there are."""
DIGITS = 2
"""Significant digits of a number that is tried."""


@dataclass(frozen=True, kw_only=True)
class NameKnob:
    """One of some names, as a table has them at run time."""

    setting: str
    """Of the recipe, such as `generator.loss`."""
    names: Collection[str]
    own: Own

    @property
    def distribution(self) -> "BaseDistribution":
        """What the sampler draws from."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(tuple(self.names))

    def draw(self, trial: "Trial") -> Value:
        """Have the sampler draw a name."""
        return str(trial.suggest_categorical(self.setting, tuple(self.names)))

    @property
    def domain(self) -> list[Value]:
        """What may be drawn, for the identity of a study."""
        return list(self.names)

    def value(self, own: Value, drawn: Any) -> Value:  # noqa: ARG002 - a knob
        """Return the setting that a drawn value means."""
        return str(drawn)

    def unchanged(self, own: Value) -> Value | None:
        """Return the draw that leaves the setting as it is; None where there is none."""
        return own if own in self.names else None


@dataclass(frozen=True, kw_only=True)
class FactorKnob:
    """A multiple of what `auto` takes, on a logarithmic scale."""

    setting: str
    low: float
    high: float
    own: Own
    step: int = 0
    """The product is rounded to whole multiples of it; 0 leaves it a number of `DIGITS` digits."""
    power: bool = False
    """The product is rounded to a power of two."""
    least: float = 0.0
    """The product is at least this."""

    @property
    def distribution(self) -> "BaseDistribution":
        """What the sampler draws from."""
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=True)

    def draw(self, trial: "Trial") -> Value:
        """Have the sampler draw a multiple."""
        return trial.suggest_float(self.setting, self.low, self.high, log=True)

    @property
    def domain(self) -> list[Value]:
        """What may be drawn, for the identity of a study."""
        return [self.low, self.high, self.step, int(self.power), self.least]

    def value(self, own: Value, drawn: Any) -> Value:
        """Return the setting that a drawn value means."""
        product = max(float(own) * float(drawn), self.least)
        if self.power:
            return int(2 ** round(math.log2(product)))
        if self.step:
            return max(round(product / self.step), 1) * self.step
        return float(f"{product:.{DIGITS}g}")

    def unchanged(self, own: Value) -> Value | None:  # noqa: ARG002 - a knob
        """Return the draw that leaves the setting as it is."""
        return 1.0


@dataclass(frozen=True, kw_only=True)
class SpanKnob:
    """A number between two ends; whole where both ends are."""

    setting: str
    low: float
    high: float
    own: Own

    @property
    def _is_whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def distribution(self) -> "BaseDistribution":
        """What the sampler draws from."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self._is_whole:
            return IntDistribution(int(self.low), int(self.high))
        return FloatDistribution(self.low, self.high)

    def draw(self, trial: "Trial") -> Value:
        """Have the sampler draw a number."""
        if self._is_whole:
            return trial.suggest_int(self.setting, int(self.low), int(self.high))
        return trial.suggest_float(self.setting, self.low, self.high)

    @property
    def domain(self) -> list[Value]:
        """What may be drawn, for the identity of a study."""
        return [self.low, self.high]

    def value(self, own: Value, drawn: Any) -> Value:  # noqa: ARG002 - a knob
        """Return the setting that a drawn value means."""
        return int(drawn) if self._is_whole else float(f"{float(drawn):.{DIGITS}g}")

    def unchanged(self, own: Value) -> Value | None:
        """Return the draw that is nearest to what the setting is."""
        nearest = min(max(float(own), self.low), self.high)
        return int(nearest) if self._is_whole else nearest


Knob = NameKnob | FactorKnob | SpanKnob


def open_knobs(
    knobs: Sequence[Knob], generator: GeneratorConfig, training: TrainingConfig
) -> tuple[Knob, ...]:
    """Return the knobs whose settings are left at `auto`; a name that is the only one is none."""
    sections = {"generator": generator, "training": training}
    found = []
    for knob in knobs:
        section, _, field = knob.setting.partition(".")
        is_choice = not isinstance(knob, NameKnob) or len(knob.names) > 1
        if is_choice and getattr(sections[section], field, None) == AUTO:
            found.append(knob)
    return tuple(found)
