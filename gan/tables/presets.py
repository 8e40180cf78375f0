"""Presets for tables: what `auto` picks from columns, training rows and device."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from gan.config import (
    ALGORITHM_VERSION,
    GeneratorConfig,
    PhaseConfig,
    ResolvedConfig,
    TrainingConfig,
)
from gan.device import Precision, choose_device, fast_bfloat16
from gan.errors import ConfigError
from gan.tables.codec import TableCodec


@dataclass(frozen=True, kw_only=True)
class TablePreset:
    """The numbers of one preset for one table and one kind of device."""

    objective: Literal["adversarial", "likelihood"]
    network: dict[str, int | float | str]
    """Of the generator and the discriminator; `kind` is the name in `networks.BUILDERS`."""
    batch_size: int
    learning_rate: float
    rate_fall: float = 0.1
    """The learning rate ends at this share of its start."""
    beta1: float = 0.0
    beta2: float = 0.99
    weight_decay: float = 0.0
    latent: int = 1
    gamma: float | None = None
    """None: there is no discriminator whose gradients could be punished."""
    gamma_fall: float = 0.1
    loss: str = "relativistic"
    penalty: str = "r1-r2"
    terms: Mapping[str, float] = field(default_factory=dict)
    ema_half_life_samples: int = 10_000
    ema_ramp: float = 0.05
    budget_samples: int = 400_000
    """When the recipe leaves it to the preset; where it names only seconds, it spaces the ticks."""
    ticks: int = 14
    """Maintenances per budget."""
    patience_ticks: int = 10
    """Ticks without a better snapshot before training stops."""
    sampling_batch: int = 1_024
    precision: Precision = "float32"
    threads: int = 1
    notes: tuple[str, ...] = ()
    """Why these numbers, one plain sentence each."""


Builder = Callable[[TableCodec, str, int], TablePreset]
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

LABEL_UNITS, LABEL_DROPOUT = 64, 0.4
"""Units that the label gets beside its share, for it is what models will predict; they see all
columns and would learn few rows by heart."""

TICKS, TICK_EPOCHS, LEAST_TICK_SAMPLES = 20, 4, 1_024
"""At least so many ticks in a budget, and a look at small tables every few epochs: they are learnt
by heart within some dozens."""

FEWEST_SAMPLES, MOST_SAMPLES, EPOCHS = 400_000, 1_200_000, 12


def autoregressive(codec: TableCodec, device: str, train_rows: int) -> TablePreset:
    """Return the numbers for a table of this size."""
    columns, many = len(codec.columns), sum(each.codes >= MANY_CODES for each in codec.columns)
    units = UNITS_PER_COLUMN * max(columns - 1, 1)
    more = min(units + UNITS_PER_COLUMN * many, MOST_UNITS_WITH_MORE)
    budget = min(max(EPOCHS * train_rows, FEWEST_SAMPLES), MOST_SAMPLES)
    decay = min(DECAY_ROWS / train_rows, LARGEST_DECAY)
    dropout = round(min(DROPOUT / math.sqrt(train_rows), LARGEST_DROPOUT), 3)
    return TablePreset(
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
        ema_half_life_samples=50_000,
        ema_ramp=0.1,
        budget_samples=budget,
        ticks=max(TICKS, budget // max(TICK_EPOCHS * train_rows, LEAST_TICK_SAMPLES)),
        patience_ticks=14,
        sampling_batch=2_048,
        precision="bfloat16-products" if fast_bfloat16(device) else "float32",
        notes=(f"weight decay {decay:.2g}, dropout {dropout:.2g}: {train_rows:,} training rows",),
    )


PRESETS: Mapping[str, str] = {
    "autoregressive": "Column after column, by likelihood: the best and quickest, the default.",
    "adversarial": "A GAN on the same codes: all columns at once.",
    "ctgan": "The classic conditional tabular GAN as published in 2019, for comparison.",
}

DEFAULT = "autoregressive"

SMALLEST_BUDGET_SAMPLES, ADVERSARIAL_EPOCHS = 300_000, 30
"""The adversarial presets' budget: at least so many samples, and so many epochs."""

PACK, WIDTH, CONDITIONED_BATCH = 10, 256, 500
"""Of `ctgan` as published: rows that are judged together, units of its layers, rows per step."""


def adversarial(codec: TableCodec, device: str, train_rows: int) -> TablePreset:  # noqa: ARG001
    """Return a relativistic GAN with R1 and R2, which also matches how codes occur together."""
    return TablePreset(
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


def ctgan(codec: TableCodec, device: str, train_rows: int) -> TablePreset:  # noqa: ARG001 - a builder
    """Return the published numbers: section 4.4 of Xu et al. (2019) and its authors' code."""
    return TablePreset(
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


BUILDERS: dict[str, Builder] = {
    "autoregressive": autoregressive,
    "adversarial": adversarial,
    "ctgan": ctgan,
}
"""Those of `PRESETS`; tests and benchmarks register others that no user is offered."""


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
    name, notes = _choose(generator.preset, codec, train_rows)
    preset = BUILDERS[name](codec, device, train_rows)
    _check_knobs(generator, name, preset)
    batch_size = _batch_size(training, preset, train_rows, notes)
    network = _network(generator, preset, batch_size)
    gamma = preset.gamma or 0.0
    if generator.gamma != "auto":
        gamma = generator.gamma
    rate = preset.learning_rate if generator.learning_rate == "auto" else generator.learning_rate
    notes += [*preset.notes, _summary(network, batch_size, preset, gamma, rate)]
    budget = training.budget_samples
    if budget == "auto":
        budget = preset.budget_samples
    tick = _tick_samples(budget, preset, batch_size)
    return ResolvedConfig(
        algorithm_version=ALGORITHM_VERSION,
        modality="tables",
        preset=name,
        network=network,
        latent=preset.latent,
        batch_size=batch_size,
        learning_rate=rate,
        learning_rate_end=rate * preset.rate_fall,
        beta1=preset.beta1,
        beta2=preset.beta2,
        gamma=gamma,
        gamma_end=gamma * preset.gamma_fall,
        ema_half_life_samples=preset.ema_half_life_samples,
        ema_ramp=preset.ema_ramp,
        budget_samples=budget,
        budget_s=training.budget_s,
        phases=(PhaseConfig(objective=preset.objective, fraction=1.0),),
        tick_samples=tick,
        patience_samples=tick * preset.patience_ticks,
        sampling_batch=preset.sampling_batch,
        precision=preset.precision,
        threads=preset.threads,
        seed=seed,
        notes=tuple(notes),
        weight_decay=preset.weight_decay,
        loss=preset.loss,
        penalty=preset.penalty,
        terms=dict(preset.terms),
    )


def _choose(wanted: str, codec: TableCodec, train_rows: int) -> tuple[str, list[str]]:
    """Return the preset's name and a first note."""
    columns, codes = len(codec.columns), sum(codec.code_counts)
    size = f"{train_rows:,} training rows, {columns} columns of {codes:,} codes"
    if wanted in BUILDERS:
        return wanted, [f"preset {wanted} as asked: {size}"]
    if wanted != "auto":
        names = list(PRESETS)
        msg = (
            f"unknown preset {wanted!r} for tables: choose auto, {', '.join(names[:-1])} "
            f"or {names[-1]}"
        )
        raise ConfigError(msg)
    return DEFAULT, [f"preset {DEFAULT}, which is the best on tables of every size tried: {size}"]


def _check_knobs(generator: GeneratorConfig, name: str, preset: TablePreset) -> None:
    """Refuse what the preset has no use for.

    Raises:
        ConfigError: naming the knob and the presets that have it.
    """
    missing = {
        "gamma": preset.gamma is None,
        "width": "width" not in preset.network,
    }
    having = {
        "gamma": "adversarial and ctgan",
        "width": "autoregressive, adversarial and ctgan",
    }
    for knob, absent in missing.items():
        value = getattr(generator, knob)
        if absent and value != "auto":
            msg = (
                f"generator.{knob} is {value:g}, and preset {name!r} has no such thing: "
                f"leave it at auto, {having[knob]} have it"
            )
            raise ConfigError(msg)


def _batch_size(
    training: TrainingConfig, preset: TablePreset, train_rows: int, notes: list[str]
) -> int:
    """Return the batch size: the preset's, but at most half of the training rows."""
    if training.batch_size != "auto":
        return training.batch_size
    largest = 1 << int(math.log2(max(train_rows // 2, 2)))
    pack = int(preset.network.get("pack", 1))
    largest = max(largest // pack * pack, 2)
    if largest < preset.batch_size:
        notes.append(f"batch {largest} instead of {preset.batch_size}: {train_rows} rows only")
    return min(preset.batch_size, largest)


def _network(
    generator: GeneratorConfig, preset: TablePreset, batch_size: int
) -> dict[str, int | float | str]:
    """Return the network's choices, with the width asked for and packs that fill a batch."""
    network = dict(preset.network)
    if generator.width != "auto":
        network["width"] = generator.width
        if "discriminator_width" in network:
            network["discriminator_width"] = generator.width * 3 // 2
    if "pack" in network:
        largest = int(network["pack"])
        network["pack"] = next(n for n in range(largest, 0, -1) if batch_size % n == 0)
    return network


def _summary(
    network: Mapping[str, int | float | str],
    batch_size: int,
    preset: TablePreset,
    gamma: float,
    rate: float,
) -> str:
    """Return the knobs that the preset has in one sentence."""
    parts = [f"width {network['width']}"] if "width" in network else []
    parts.append(f"batch {batch_size}")
    if preset.gamma is not None:
        parts.append(f"gamma {gamma:g}")
    parts.append(f"learning rate {rate:g}")
    return ", ".join(parts)


def _tick_samples(budget: int | None, preset: TablePreset, batch_size: int) -> int:
    """Return the samples of a tick, whole batches."""
    wanted = (budget or preset.budget_samples) // preset.ticks
    return max(wanted // batch_size, 1) * batch_size
