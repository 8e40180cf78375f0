"""What tuning tries for tables; names are those that the tables of presets have at run time."""

from gan.config import ResolvedConfig
from gan.tables.presets import PRESETS
from gan.tuning.knobs import PRESET, FactorKnob, Knob, NameKnob, Own, SpanKnob, Value


def _of_network(name: str) -> Own:
    """Return what finds a choice of the networks, None where they have no such choice."""

    def own(config: ResolvedConfig) -> Value | None:
        return config.network.get(name)

    return own


def _gamma(config: ResolvedConfig) -> Value | None:
    return config.gamma or None


def _weight_decay(config: ResolvedConfig) -> Value | None:
    return config.weight_decay or None


KNOBS: tuple[Knob, ...] = (
    NameKnob(setting=PRESET, names=PRESETS, own=lambda config: config.preset),
    FactorKnob(setting="generator.width", low=1 / 2, high=2.0, step=16, own=_of_network("width")),
    SpanKnob(setting="generator.depth", low=1, high=4, own=_of_network("depth")),
    SpanKnob(setting="generator.dropout", low=0.0, high=0.4, own=_of_network("dropout")),
    FactorKnob(setting="generator.weight_decay", low=1 / 8, high=8.0, own=_weight_decay),
    FactorKnob(setting="generator.gamma", low=1 / 16, high=16.0, own=_gamma),
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
)
