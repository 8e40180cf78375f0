"""Presets for tables: what `auto` picks from columns, training rows and device."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from gan.config import GeneratorConfig, ResolvedConfig, TrainingConfig
from gan.device import choose_device, fast_bfloat16
from gan.errors import ConfigError
from gan.presets import ChosenPreset, Preset, complete
from gan.protocols import PresetEntry
from gan.tables.codec import TableCodec


class ColumnSize(Protocol):
    """What presets read of a column."""

    @property
    def codes(self) -> int:
        """Number of codes."""


class TableSize(Protocol):
    """What presets read of a codec."""

    @property
    def columns(self) -> Sequence[ColumnSize]:
        """The modelled columns."""


Builder = Callable[[TableSize, str, int], Preset]
"""From the codec, the device (`cpu` or `cuda`) and the number of training rows."""


UNITS_PER_COLUMN, MOST_UNITS = 18, 512
"""Hidden units of a layer: enough for every column, and few enough to sample quickly."""

MANY_CODES, MOST_UNITS_WITH_MORE = 64, 384
"""Columns of so many codes get a second share of units, while all have no more than that."""

DECAY_ROWS, LARGEST_DECAY = 18_000, 4.0
"""Weight decay is DECAY_ROWS / rows: weights forget over an equal number of epochs in tables of any
size (Wang and Aitchison, "How to set AdamW's weight decay as you scale model and dataset size",
2024), which keeps small tables from being learnt by heart. Early stopping alone does not."""

DROPOUT, LARGEST_DROPOUT = 16.0, 0.2
"""The share of hidden units that are dropped in training is DROPOUT / square root of the rows: what
units learn from few rows is mostly noise. More than LARGEST_DROPOUT blurs what conditions say."""

REGULARIZED = 0.6
"""Share of the budget with decay and dropout. Both blur what is learnt, which trees see long before
likelihood does; while the learning rate falls, likelihood on validation rows says when to stop."""

LABEL_UNITS, LABEL_DROPOUT = 64, 0.4
"""Units that the label gets beside its share, for it is what models will predict; they see all
columns and would learn few rows by heart."""

TICKS, TICK_EPOCHS, LEAST_TICK_SAMPLES = 20, 4, 1_024
"""At least so many ticks in a budget, and a look at small tables every few epochs: they are learnt
by heart within some dozens."""

FEWEST_SAMPLES, MOST_SAMPLES, EPOCHS = 400_000, 1_200_000, 12


def autoregressive(codec: TableSize, device: str, train_rows: int) -> Preset:
    """Return the numbers for a table of this size."""
    columns, many = len(codec.columns), sum(each.codes >= MANY_CODES for each in codec.columns)
    units = UNITS_PER_COLUMN * max(columns - 1, 1)
    more = min(units + UNITS_PER_COLUMN * many, MOST_UNITS_WITH_MORE)
    budget = min(max(EPOCHS * train_rows, FEWEST_SAMPLES), MOST_SAMPLES)
    decay = min(DECAY_ROWS / train_rows, LARGEST_DECAY)
    dropout = round(min(DROPOUT / math.sqrt(train_rows), LARGEST_DROPOUT), 3)
    return Preset(
        objective="likelihood",
        network={
            "kind": "autoregressive",
            "width": min(max(units, more), MOST_UNITS),
            "trunk": 64,
            "label_width": LABEL_UNITS,
            "depth": 2,
            "dropout": dropout,
            "label_dropout": max(dropout, LABEL_DROPOUT),
        },
        batch_size=256,
        learning_rate=3e-3,
        rate_fall=0.03,
        beta1=0.9,
        beta2=0.99,
        weight_decay=decay,
        regularized=REGULARIZED,
        ema_half_life_samples=50_000,
        ema_ramp=0.1,
        budget_samples=budget,
        ticks=max(TICKS, budget // max(TICK_EPOCHS * train_rows, LEAST_TICK_SAMPLES)),
        patience_ticks=14,
        sampling_batch=2_048,
        precision="bfloat16-products" if fast_bfloat16(device) else "float32",
        notes=(
            f"weight decay {decay:.2g}, dropout {dropout:.2g}, both until {REGULARIZED:.0%} of the "
            f"budget: {train_rows:,} training rows",
        ),
    )


DEFAULT = "autoregressive"

SMALLEST_BUDGET_SAMPLES, ADVERSARIAL_EPOCHS = 300_000, 30
"""The adversarial presets' budget: at least so many samples, and so many epochs."""

PACK, WIDTH, CONDITIONED_BATCH = 10, 256, 500
"""Of `ctgan` as published: rows that are judged together, units of its layers, rows per step."""


def adversarial(codec: TableSize, device: str, train_rows: int) -> Preset:  # noqa: ARG001
    """Return a relativistic GAN with R1 and R2, which also matches how codes occur together."""
    return Preset(
        objective="adversarial",
        network={
            "kind": "oneshot",
            "width": 256,
            "depth": 2,
            "discriminator_width": 384,
            "temperature": 0.5,
            "draws": "soft",
            "pack": 1,
        },
        latent=64,
        batch_size=512,
        learning_rate=1e-3,
        beta2=0.99,
        gamma=1.0,
        terms={"pairs": 10.0},
        budget_samples=_samples(train_rows),
    )


def ctgan(codec: TableSize, device: str, train_rows: int) -> Preset:  # noqa: ARG001 - a builder
    """Return the published numbers: section 4.4 of Xu et al. (2019) and its authors' code."""
    return Preset(
        objective="adversarial",
        network={
            "kind": "ctgan",
            "width": WIDTH,
            "depth": 2,
            "temperature": 0.2,
            "pack": PACK,
            "dropout": 0.5,
        },
        latent=128,
        batch_size=CONDITIONED_BATCH,
        learning_rate=2e-4,
        rate_fall=1.0,
        beta1=0.5,
        beta2=0.9,
        weight_decay=1e-6,
        gamma=20.0,
        gamma_fall=1.0,
        loss="wasserstein",
        penalty="interpolated",
        budget_samples=_samples(train_rows),
    )


def _samples(train_rows: int) -> int:
    """Return the adversarial presets' own budget."""
    return max(SMALLEST_BUDGET_SAMPLES, ADVERSARIAL_EPOCHS * train_rows)


def mlp_gan(codec: TableSize, device: str, train_rows: int) -> Preset:  # noqa: ARG001 - a builder
    """Return the first GAN on plain vectors: dense layers, cross-entropy, alternating steps."""
    return Preset(
        objective="adversarial",
        network={"kind": "mirror", "width": 1_024, "temperature": 0.5},
        latent=100,
        batch_size=128,
        learning_rate=2e-4,
        rate_fall=1.0,
        beta1=0.5,
        beta2=0.999,
        loss="non-saturating",
        penalty="none",
        budget_samples=_samples(train_rows),
        precision="bfloat16-products" if fast_bfloat16(device) else "float32",
    )


PRIVATE_UNITS, PRIVATE_RATE = 64, 0.1
"""Of a private training: few units, because noise grows with the number of weights, and the share
of the records in a step, within `PRIVATE_BATCHES`."""
PRIVATE_BATCHES, PRIVATE_EPOCHS = (256, 4_096), 60


PRIVATE_LEARNING_RATE = 0.012
"""Four times that without noise: noise is the larger part of a gradient's square, by which Adam
divides, so that its steps are the shorter the more noise there is."""


def private_autoregressive(codec: TableSize, device: str, train_rows: int) -> Preset:  # noqa: ARG001
    """Return the numbers of `autoregressive` under differential privacy.

    Neither dropout nor weight decay: noise does what they are for.
    """
    least, most = PRIVATE_BATCHES
    batch = 1 << round(math.log2(min(max(PRIVATE_RATE * train_rows, least), most)))
    return Preset(
        objective="private",
        network={
            "kind": "private-autoregressive",
            "width": PRIVATE_UNITS,
            "trunk": 16,
            "label_width": 16,
            "depth": 2,
            "dropout": 0.0,
            "label_dropout": 0.0,
        },
        batch_size=batch,
        learning_rate=PRIVATE_LEARNING_RATE,
        rate_fall=0.1,
        beta1=0.9,
        beta2=0.99,
        ema_half_life_samples=2 * train_rows,
        ema_ramp=0.2,
        budget_samples=PRIVATE_EPOCHS * train_rows,
        ticks=5,
        sampling_batch=2_048,
        notes=("the last snapshot is taken: choosing one would be a look at the records",),
    )


BUILDERS: dict[str, Builder] = {
    "autoregressive": autoregressive,
    "adversarial": adversarial,
    "ctgan": ctgan,
    "mlp-gan": mlp_gan,
}
"""Those of `PRESETS`; tests and benchmarks register others that no user is offered."""

_SUMMARIES = {
    "autoregressive": (
        "Column after column, by likelihood: the best and quickest, the default.",
        "Germain et al., MADE (2015); Uria et al., NADE (2016)",
    ),
    "adversarial": (
        "A GAN on the same codes: all columns at once.",
        "Huang et al., R3GAN (2024), on codes with relaxed draws (Jang et al., 2017)",
    ),
    "ctgan": (
        "The classic conditional tabular GAN as published, for comparison.",
        "Xu et al., CTGAN (2019), section 4.4",
    ),
    "mlp-gan": (
        "Dense layers 256, 512, 1,024 and their mirror on plain vectors, cross-entropy.",
        "Goodfellow et al., Generative adversarial nets (2014)",
    ),
}


class ExampleColumn(NamedTuple):
    """A column that is known by its size alone."""

    codes: int


class ExampleColumns(NamedTuple):
    """A table that is known by its size alone."""

    columns: tuple[ExampleColumn, ...]


EXAMPLE = ExampleColumns((ExampleColumn(100),) * 6 + (ExampleColumn(10),) * 9)
"""A table of a usual size: six columns of numbers, nine of categories."""
EXAMPLE_ROWS = 10_000

PRESETS: Mapping[str, PresetEntry] = {
    name: PresetEntry(
        summary,
        source,
        functools.partial(BUILDERS[name], EXAMPLE, "cpu", EXAMPLE_ROWS),
        f"{EXAMPLE_ROWS:,} rows of 6 columns of numbers and 9 of categories, on a processor",
    )
    for name, (summary, source) in _SUMMARIES.items()
}
"""What a recipe may name."""


def resolve(
    generator: GeneratorConfig,
    training: TrainingConfig,
    codec: TableCodec,
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
    chosen = ChosenPreset("tables", name, why, preset)
    return complete(chosen, generator, training, train_rows=train_rows, seed=seed)


def check_private(generator: GeneratorConfig) -> None:
    """Check that the preset that is asked for can be trained privately.

    Raises:
        ConfigError: it cannot.
    """
    if generator.preset not in ("auto", DEFAULT):
        msg = (
            f"privacy.epsilon is set, and generator.preset is {generator.preset!r}, which cannot "
            f"be trained privately: choose {DEFAULT}, or set privacy.epsilon to null"
        )
        raise ConfigError(msg)


def resolve_private(
    generator: GeneratorConfig,
    training: TrainingConfig,
    codec: TableCodec,
    *,
    train_rows: int,
    seed: int,
) -> ResolvedConfig:
    """Return a complete configuration for a differentially private training, without its noise.

    Raises:
        ConfigError: the preset cannot be trained privately, or has no such knob as was set.
    """
    check_private(generator)
    preset = private_autoregressive(codec, choose_device(training.device), train_rows)
    size = f"{train_rows:,} training rows, {len(codec.columns)} columns"
    why = f"preset {DEFAULT}, trained with differential privacy: {size}"
    chosen = ChosenPreset("tables", DEFAULT, why, preset)
    config = complete(chosen, generator, training, train_rows=train_rows, seed=seed)
    return config.model_copy(update={"max_repairs": 0})


def _choose(wanted: str, codec: TableCodec, train_rows: int) -> tuple[str, str]:
    """Return the preset's name, and why it was chosen."""
    columns, codes = len(codec.columns), sum(codec.code_counts)
    size = f"{train_rows:,} training rows, {columns} columns of {codes:,} codes"
    if wanted in BUILDERS:
        return wanted, f"preset {wanted} as asked: {size}"
    if wanted != "auto":
        names = list(PRESETS)
        msg = (
            f"unknown preset {wanted!r} for tables: choose auto, {', '.join(names[:-1])} "
            f"or {names[-1]}"
        )
        raise ConfigError(msg)
    return DEFAULT, f"preset {DEFAULT}, which is the best on tables of every size tried: {size}"
