"""Presets for tables: what `auto` picks from the table's size and the device."""

import math
from collections.abc import Mapping

from gan.config import (
    ALGORITHM_VERSION,
    GeneratorConfig,
    PhaseConfig,
    ResolvedConfig,
    TrainingConfig,
)
from gan.device import choose_device
from gan.errors import ConfigError
from gan.tables.codec import TableCodec
from gan.tables.preset import Builder, Preset
from gan.tables.preset_autoregressive import autoregressive

PRESETS: Mapping[str, str] = {
    "autoregressive": "Column after column, by likelihood: the best and quickest, the default.",
    "adversarial": "A GAN on the same codes: all columns at once.",
    "ctgan": "The classic conditional tabular GAN as published in 2019, for comparison.",
    "independent": "Every column by itself: a baseline for evaluation, which the gate blocks.",
    "bootstrap": "Copies of training rows: a baseline for evaluation, which the gate blocks; "
    "its snapshot holds real rows.",
}

DEFAULT = "autoregressive"

SMALLEST_BUDGET_SAMPLES, EPOCHS = 300_000, 30
"""The adversarial presets' budget: at least so many samples, and so many epochs."""

PACK, WIDTH, CONDITIONED_BATCH = 10, 256, 500
"""Of `ctgan` as published: rows that are judged together, units of its layers, rows per step."""


def adversarial(codec: TableCodec, device: str, train_rows: int) -> Preset:  # noqa: ARG001
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


def ctgan(codec: TableCodec, device: str, train_rows: int) -> Preset:  # noqa: ARG001 - a builder
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


def independent(codec: TableCodec, device: str, train_rows: int) -> Preset:  # noqa: ARG001
    """Return one logit per code, which large steps bring to the frequencies."""
    return Preset(
        objective="likelihood",
        network={"kind": "independent"},
        batch_size=512,
        learning_rate=0.05,
        rate_fall=0.01,
        beta1=0.9,
        beta2=0.999,
    )


def bootstrap(codec: TableCodec, device: str, train_rows: int) -> Preset:  # noqa: ARG001
    """Return room for all training rows; they are seen once."""
    return Preset(
        objective="memorise",
        network={"kind": "bootstrap", "rows": train_rows},
        batch_size=1_024,
        learning_rate=1.0,
        budget_samples=train_rows,
        ticks=1,
        one_epoch=True,
    )


def _samples(train_rows: int) -> int:
    """Return the adversarial presets' own budget."""
    return max(SMALLEST_BUDGET_SAMPLES, EPOCHS * train_rows)


BUILDERS: dict[str, Builder] = {
    "autoregressive": autoregressive,
    "adversarial": adversarial,
    "ctgan": ctgan,
    "independent": independent,
    "bootstrap": bootstrap,
}


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
    budget = _budget(training, preset, train_rows)
    tick = _tick_samples(budget, preset, batch_size)
    return ResolvedConfig(
        algorithm_version=ALGORITHM_VERSION,
        modality="tables",
        preset=name,
        network=network,
        augment=(),
        latent=preset.latent,
        latent_spread=1.0,
        batch_size=batch_size,
        learning_rate=rate,
        learning_rate_end=rate * preset.rate_fall,
        beta1=preset.beta1,
        beta2=preset.beta2,
        gamma=gamma,
        gamma_end=gamma * preset.gamma_fall,
        penalty_interval=1,
        ema_half_life_samples=preset.ema_half_life_samples,
        ema_ramp=preset.ema_ramp,
        budget_samples=budget,
        budget_s=training.budget_s,
        phases=(PhaseConfig(objective=preset.objective, fraction=1.0),),
        tick_samples=tick,
        patience_samples=tick * preset.patience_ticks,
        max_repairs=3,
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
    if wanted in PRESETS:
        return wanted, [f"preset {wanted} as asked: {size}"]
    if wanted != "auto":
        names = list(PRESETS)
        msg = (
            f"unknown preset {wanted!r} for tables: choose auto, {', '.join(names[:-1])} "
            f"or {names[-1]}"
        )
        raise ConfigError(msg)
    return DEFAULT, [f"preset {DEFAULT}, which is the best on tables of every size tried: {size}"]


def _check_knobs(generator: GeneratorConfig, name: str, preset: Preset) -> None:
    """Refuse what the preset has no use for.

    Raises:
        ConfigError: naming the knob and the presets that have it.
    """
    missing = {
        "gamma": preset.gamma is None,
        "width": "width" not in preset.network,
        "learning_rate": preset.objective == "memorise",
    }
    having = {
        "gamma": "adversarial and ctgan",
        "width": "autoregressive, adversarial and ctgan",
        "learning_rate": "every preset but bootstrap",
    }
    for knob, absent in missing.items():
        value = getattr(generator, knob)
        if absent and value != "auto":
            msg = (
                f"generator.{knob} is {value:g}, and preset {name!r} has no such thing: "
                f"leave it at auto, {having[knob]} have it"
            )
            raise ConfigError(msg)


def _batch_size(training: TrainingConfig, preset: Preset, train_rows: int, notes: list[str]) -> int:
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
    generator: GeneratorConfig, preset: Preset, batch_size: int
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
    preset: Preset,
    gamma: float,
    rate: float,
) -> str:
    """Return the knobs that the preset has in one sentence."""
    parts = [f"width {network['width']}"] if "width" in network else []
    parts.append(f"batch {batch_size}")
    if preset.gamma is not None:
        parts.append(f"gamma {gamma:g}")
    if preset.objective != "memorise":
        parts.append(f"learning rate {rate:g}")
    return ", ".join(parts)


def _budget(training: TrainingConfig, preset: Preset, train_rows: int) -> int | None:
    """Return the samples to train on, None for seconds alone."""
    if preset.one_epoch:
        return train_rows
    return preset.budget_samples if training.budget_samples == "auto" else training.budget_samples


def _tick_samples(budget: int | None, preset: Preset, batch_size: int) -> int:
    """Return the samples of a tick, whole batches."""
    wanted = (budget or preset.budget_samples) // preset.ticks
    return max(wanted // batch_size, 1) * batch_size
