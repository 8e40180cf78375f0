"""What tuning tries for images; names are those that the tables have at run time."""

from gan.config import ResolvedConfig
from gan.images.presets import PRESETS
from gan.training.losses import ADVERSARIAL
from gan.training.regularizers import PENALTIES
from gan.tuning.knobs import PRESET, FactorKnob, Knob, NameKnob, Value


def is_adversarial(config: ResolvedConfig) -> bool:
    """Say whether a discriminator is trained."""
    return any(phase.objective == "adversarial" for phase in config.phases)


def _width(config: ResolvedConfig) -> Value | None:
    return config.network.get("width")


KNOBS: tuple[Knob, ...] = (
    NameKnob(setting=PRESET, names=PRESETS, own=lambda config: config.preset),
    NameKnob(
        setting="generator.loss",
        names=ADVERSARIAL,
        own=lambda config: config.loss if is_adversarial(config) else None,
    ),
    NameKnob(
        setting="generator.penalty",
        names=PENALTIES,
        own=lambda config: config.penalty if is_adversarial(config) else None,
    ),
    FactorKnob(
        setting="generator.gamma",
        low=1 / 16,
        high=16.0,
        own=lambda config: config.gamma if is_adversarial(config) and config.gamma else None,
    ),
    FactorKnob(
        setting="generator.learning_rate", low=1 / 8, high=4.0, own=lambda c: c.learning_rate
    ),
    FactorKnob(
        setting="training.batch_size",
        low=1 / 4,
        high=4.0,
        power=True,
        least=16,
        own=lambda config: config.batch_size,
    ),
    FactorKnob(setting="generator.width", low=1 / 2, high=2.0, step=16, own=_width),
    NameKnob(
        setting="generator.augment",
        names=("auto", "off"),
        own=lambda config: "auto" if config.augment else None,
    ),
)
"""Loss and penalty are drawn apart from each other; a pair that is unsound is refused."""
