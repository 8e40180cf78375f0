"""What tuning tries for series; names are those that the table of presets has at run time."""

from gan.series.presets import PRESETS
from gan.tuning.knobs import PRESET, Knob, NameKnob, SpanKnob
from gan.tuning.numbers import (
    BATCH_SIZE,
    GAMMA,
    LEARNING_RATE,
    WEIGHT_DECAY,
    WIDTH,
    of_network,
)

KNOBS: tuple[Knob, ...] = (
    NameKnob(setting=PRESET, names=PRESETS, own=lambda config: config.preset),
    WIDTH,
    SpanKnob(setting="generator.depth", low=1, high=4, own=of_network("depth")),
    SpanKnob(setting="generator.dropout", low=0.0, high=0.4, own=of_network("dropout")),
    WEIGHT_DECAY,
    GAMMA,
    LEARNING_RATE,
    BATCH_SIZE,
)
