"""What tuning tries for images; names are those that the tables have at run time."""

from gan.config import ResolvedConfig
from gan.images.presets import PRESETS
from gan.training.losses import ADVERSARIAL
from gan.training.regularizers import PENALTIES
from gan.tuning.knobs import PRESET, Knob, NameKnob, Value
from gan.tuning.numbers import BATCH_SIZE, GAMMA, LEARNING_RATE, WIDTH, is_adversarial


def _loss(config: ResolvedConfig) -> Value | None:
    return config.loss if is_adversarial(config) else None


def _penalty(config: ResolvedConfig) -> Value | None:
    return config.penalty if is_adversarial(config) else None


def _augment(config: ResolvedConfig) -> Value | None:
    return "auto" if config.augment else None


KNOBS: tuple[Knob, ...] = (
    NameKnob(setting=PRESET, names=PRESETS, own=lambda config: config.preset),
    NameKnob(setting="generator.loss", names=ADVERSARIAL, own=_loss),
    NameKnob(setting="generator.penalty", names=PENALTIES, own=_penalty),
    NameKnob(setting="generator.augment", names=("auto", "off"), own=_augment),
    GAMMA,
    LEARNING_RATE,
    BATCH_SIZE,
    WIDTH,
)
"""Loss and penalty are drawn apart from each other; a pair that is unsound is refused."""
