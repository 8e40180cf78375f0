"""Knobs that records of every kind have: the numbers of a training that takes steps.

Multiples are of what the preset takes. The ranges are wide enough to reach what other presets take,
and end before what hardly ever trains.
"""

from collections.abc import Collection

from gan.config import ResolvedConfig
from gan.tuning.knobs import PRESET, FactorKnob, Knob, NameKnob, Own, SpanKnob, Value

STEPPED = ("adversarial", "likelihood")
"""Objectives that are reached in steps, with a learning rate and batches."""


def is_adversarial(config: ResolvedConfig) -> bool:
    """Say whether a discriminator is trained."""
    return any(phase.objective == "adversarial" for phase in config.phases)


def of_network(name: str) -> Own:
    """Return what finds a choice of the networks, None where they have no such choice."""

    def own(config: ResolvedConfig) -> Value | None:
        return config.network.get(name)

    return own


def stepped(field: str) -> Own:
    """Return what finds a number of the configuration where training takes steps; 0 is none."""

    def own(config: ResolvedConfig) -> Value | None:
        takes_steps = any(phase.objective in STEPPED for phase in config.phases)
        number: float = getattr(config, field)
        return number or None if takes_steps else None

    return own


def _gamma(config: ResolvedConfig) -> Value | None:
    return config.gamma or None if is_adversarial(config) else None


GAMMA = FactorKnob(setting="generator.gamma", low=1 / 16, high=16.0, own=_gamma)
LEARNING_RATE = FactorKnob(
    setting="generator.learning_rate", low=1 / 8, high=4.0, own=stepped("learning_rate")
)
BATCH_SIZE = FactorKnob(
    setting="training.batch_size",
    low=1 / 4,
    high=4.0,
    power=True,
    least=16,
    own=stepped("batch_size"),
)
WIDTH = FactorKnob(setting="generator.width", low=1 / 2, high=2.0, step=16, own=of_network("width"))
WEIGHT_DECAY = FactorKnob(
    setting="generator.weight_decay", low=1 / 8, high=8.0, own=stepped("weight_decay")
)


def layered(presets: Collection[str]) -> tuple[Knob, ...]:
    """Return the knobs of dense networks of some width and depth, whose weights may decay.

    Args:
        presets: names that the modality's table has at run time.
    """
    return (
        NameKnob(setting=PRESET, names=presets, own=lambda config: config.preset),
        WIDTH,
        SpanKnob(setting="generator.depth", low=1, high=4, own=of_network("depth")),
        SpanKnob(setting="generator.dropout", low=0.0, high=0.4, own=of_network("dropout")),
        WEIGHT_DECAY,
        GAMMA,
        LEARNING_RATE,
        BATCH_SIZE,
    )
