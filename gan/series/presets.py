"""Presets for series: what `auto` picks from length, variables, entities and device."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gan.config import GeneratorConfig, ResolvedConfig, TrainingConfig
from gan.device import choose_device, fast_bfloat16
from gan.errors import ConfigError
from gan.presets import ChosenPreset, Preset, complete
from gan.protocols import PresetEntry
from gan.series.codec import SeriesCodec


class SeriesSize(Protocol):
    """What presets know of series: a codec, or an example."""

    @property
    def width(self) -> int:
        """Steps of the longest entity."""

    @property
    def variables(self) -> Sequence[object]:
        """The variables."""


Builder = Callable[[SeriesSize, str, int], Preset]
"""From the codec, the device (`cpu` or `cuda`) and the number of training entities."""

WINDOW, WARM_UP = 192, 32
"""Steps of a training window, and those before it whose averages it begins with."""
STEPS_PER_BATCH = 2_048
"""A batch has about so many steps."""
FEWEST_ENTITIES, MOST_ENTITIES = 8, 256
"""Of a batch."""
WIDTH, DEPTH, UNITS, LEAST_UNITS, MOST_UNITS = 128, 2, 64, 16, 512
"""Units and layers of the backbone; units of a variable, fewer where there are many."""
DROPOUT, LEAST_DROPOUT, LARGEST_DROPOUT = 32.0, 0.1, 0.3
"""The share of units that are dropped in training is DROPOUT / square root of all steps."""
WHOLE_WIDTH, WHOLE_DROPOUT = 128, 0.1
"""Of the network of what is known of a whole entity."""
DECAY_STEPS, LARGEST_DECAY = 20_000, 1.0
"""Weight decay is DECAY_STEPS / steps of all entities."""
SMALLEST_BUDGET_SAMPLES, ADVERSARIAL_EPOCHS = 200_000, 60
"""The adversarial preset's budget: at least so many samples, and so many epochs."""
EPOCHS, FEWEST_SAMPLES, MOST_SAMPLES = 40, 30_000, 400_000
FEWEST_TICKS, MOST_TICKS, TICK_STEPS = 3, 16, 8_000
"""A tick draws all steps of the longest series one after the other: of long ones there are few."""
SAMPLED_VALUES, LEAST_SAMPLED, MOST_SAMPLED = 4_000_000, 32, 1_024
"""A forward pass makes about so many values, of so many entities."""


def autoregressive(codec: SeriesSize, device: str, train_rows: int) -> Preset:
    """Return the numbers for series of this size."""
    length, variables = codec.width, len(codec.variables)
    seen = min(length, WINDOW + WARM_UP)
    batch = _power(STEPS_PER_BATCH / seen, FEWEST_ENTITIES, MOST_ENTITIES)
    sampled = _power(SAMPLED_VALUES / (length * variables), LEAST_SAMPLED, MOST_SAMPLED)
    steps = train_rows * length
    decay = min(DECAY_STEPS / steps, LARGEST_DECAY)
    dropout = min(max(DROPOUT / math.sqrt(steps), LEAST_DROPOUT), LARGEST_DROPOUT)
    budget = min(max(EPOCHS * train_rows, FEWEST_SAMPLES), MOST_SAMPLES)
    ticks = min(max(TICK_STEPS // length, FEWEST_TICKS), MOST_TICKS)
    notes = (
        ()
        if length <= seen
        else (
            f"trained on windows of {WINDOW} of up to {length:,} steps (truncated backpropagation)",
        )
    )
    return Preset(
        objective="likelihood",
        network={
            "kind": "autoregressive",
            "width": WIDTH,
            "depth": DEPTH,
            "units": max(min(UNITS, MOST_UNITS // variables), LEAST_UNITS),
            "whole_width": WHOLE_WIDTH,
            "whole_dropout": WHOLE_DROPOUT,
            "dropout": round(dropout, 3),
            "window": WINDOW,
            "warm_up": WARM_UP,
        },
        batch_size=batch,
        learning_rate=8e-3,
        rate_fall=0.03,
        beta1=0.9,
        beta2=0.99,
        weight_decay=decay,
        ema_half_life_samples=4_000,
        ema_ramp=0.1,
        budget_samples=budget,
        ticks=ticks,
        patience_ticks=max(ticks * 5 // 8, 2),
        sampling_batch=sampled,
        precision="bfloat16-products" if fast_bfloat16(device) else "float32",
        notes=notes,
    )


def timegan(codec: SeriesSize, device: str, train_rows: int) -> Preset:  # noqa: ARG001 - a builder
    """Return a relativistic GAN with R1 and R2 on whole series."""
    return Preset(
        objective="adversarial",
        network={
            "kind": "oneshot",
            "width": 256,
            "depth": 2,
            "discriminator_width": 384,
            "whole_width": WHOLE_WIDTH,
            "whole_dropout": WHOLE_DROPOUT,
        },
        latent=64,
        batch_size=256,
        learning_rate=1e-3,
        beta2=0.99,
        gamma=1.0,
        budget_samples=max(SMALLEST_BUDGET_SAMPLES, ADVERSARIAL_EPOCHS * train_rows),
        sampling_batch=LEAST_SAMPLED * 8,
    )


def _power(wanted: float, least: int, most: int) -> int:
    """Return the power of two below a number, within limits."""
    return int(min(max(2 ** int(math.log2(max(wanted, 1))), least), most))


DEFAULT = "autoregressive"

BUILDERS: dict[str, Builder] = {
    "autoregressive": autoregressive,
    "timegan": timegan,
}
"""Those of `PRESETS`; tests and benchmarks register others that no user is offered."""


@dataclass(frozen=True)
class ExamplePanel:
    """Series of a usual size."""

    width: int = 56
    variables: Sequence[object] = (None,) * 4


EXAMPLE_ENTITIES = 1_000


def _entry(name: str, summary: str, source: str) -> PresetEntry:
    example = ExamplePanel()
    return PresetEntry(
        summary,
        source,
        functools.partial(BUILDERS[name], example, "cpu", EXAMPLE_ENTITIES),
        f"{EXAMPLE_ENTITIES:,} entities of up to {example.width} steps, "
        f"{len(example.variables)} variables, on a processor",
    )


PRESETS: Mapping[str, PresetEntry] = {
    "autoregressive": _entry(
        "autoregressive",
        "Step after step, variable after variable, by likelihood: the default.",
        "Uria et al., NADE (2016); Germain et al., MADE (2015); Ma et al., Mega (2023)",
    ),
    "timegan": _entry(
        "timegan",
        "A GAN on whole series: all steps at once, under what is known of the entity.",
        "Yoon et al., TimeGAN (2019); Esteban et al., RCGAN (2017); Huang et al., R3GAN (2024)",
    ),
}


def resolve(
    generator: GeneratorConfig,
    training: TrainingConfig,
    codec: SeriesCodec,
    *,
    train_rows: int,
    seed: int,
) -> ResolvedConfig:
    """Return a complete configuration; its notes say what `auto` picked and why.

    Raises:
        ConfigError: the preset does not exist, it has no such knob as was set, or CUDA was asked
            for and is missing.
    """
    device = choose_device(training.device)
    name, why = _choose(generator.preset, codec, train_rows)
    preset = BUILDERS[name](codec, device, train_rows)
    chosen = ChosenPreset("series", name, why, preset)
    return complete(chosen, generator, training, train_rows=train_rows, seed=seed)


def _choose(wanted: str, codec: SeriesCodec, train_rows: int) -> tuple[str, str]:
    """Return the preset's name, and why it was chosen."""
    variables = len(codec.variables)
    size = (
        f"{train_rows:,} training entities of up to {codec.width:,} steps, {variables} "
        f"variable{'s' if variables > 1 else ''}"
    )
    if wanted in BUILDERS:
        return wanted, f"preset {wanted} as asked: {size}"
    if wanted != "auto":
        names = list(PRESETS)
        msg = f"unknown preset {wanted!r} for series: choose auto or {' or '.join(names)}"
        raise ConfigError(msg)
    return DEFAULT, f"preset {DEFAULT}, which is the best on the series tried: {size}"
