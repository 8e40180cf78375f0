"""Presets: the numbers that a modality proposes, and the complete configuration made of them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from gan.config import (
    ALGORITHM_VERSION,
    GeneratorConfig,
    PhaseConfig,
    ResolvedConfig,
    TrainingConfig,
)
from gan.device import Precision, count_devices
from gan.errors import ConfigError
from gan.training.parts import choose_parts
from gan.training.techniques import DEVIATION, DEVIATION_GROUP
from storage.records.modalities import words_of


@dataclass(frozen=True, kw_only=True)
class Preset:
    """The numbers of one preset for records of one size and one kind of device."""

    objective: Literal["adversarial", "likelihood", "denoising", "fitted", "private"] = (
        "adversarial"
    )
    phases: tuple[PhaseConfig, ...] = ()
    """In order; none: one phase of the objective."""
    network: Mapping[str, int | float | str] = field(default_factory=dict)
    """Of the generator and the discriminator, validated by the modality's `build`."""
    latent: int = 1
    is_latent_free: bool = True
    """Whether a recipe may ask for another length of the latent."""
    latent_spread: float = 1.0
    batch_size: int
    learning_rate: float
    rate_fall: float = 0.1
    """The learning rate ends at this share of its start; falling, it lowers both copies and FD."""
    beta1: float = 0.0
    beta2: float = 0.99
    weight_decay: float = 0.0
    regularized: float = 1.0
    """Share of the budget after which no weights decay and no units are dropped."""
    gamma: float | None = None
    """None: there is no discriminator whose gradients could be punished."""
    gamma_factor: float = 1.0
    """Of a zero-centred penalty that a recipe puts in the place of the preset's."""
    gamma_fall: float = 0.1
    """Gamma ends at this share of its start (annealed as in R3GAN, Huang et al. 2024)."""
    penalty_interval: int = 1
    """The penalty is computed every so many steps, that many times as strong."""
    loss: str = "relativistic"
    penalty: str = "r1-r2"
    terms: Mapping[str, float] = field(default_factory=dict)
    optimizer: str = "adam"
    discriminator_steps: int = 1
    discriminator_rate: float = 1.0
    """The discriminator's learning rate, in the generator's."""
    augment: tuple[str, ...] = ()
    ema_half_life_samples: int = 10_000
    """With a falling learning rate, longer averages gain nothing in adversarial training."""
    ema_ramp: float = 0.05
    budget_samples: int = 400_000
    """When the recipe leaves it to the preset; where it names only seconds, it spaces the ticks."""
    ticks: int = 14
    """Maintenances per budget."""
    largest_tick_samples: int | None = None
    patience_ticks: int = 10
    """Ticks without a better snapshot before training stops."""
    sampling_batch: int = 1_024
    precision: Precision = "float32"
    threads: int = 1
    notes: tuple[str, ...] = ()
    """Why these numbers, one plain sentence each."""


class ChosenPreset(NamedTuple):
    """A modality's answer to `generator.preset`."""

    modality: str
    name: str
    """In the modality's `PRESETS`."""
    why: str
    """Why it was chosen, one sentence."""
    preset: Preset


TOLD = ("width", "components", "gaussians")
"""Choices of a network that the notes tell."""


def complete(
    chosen: ChosenPreset,
    generator: GeneratorConfig,
    training: TrainingConfig,
    *,
    train_rows: int,
    seed: int,
) -> ResolvedConfig:
    """Return the configuration: the preset's numbers where the recipe leaves them open.

    Raises:
        ConfigError: the recipe asks for what the preset does not have.
    """
    modality, name, why, preset = chosen
    preset, records = _as_asked(preset, name, generator), words_of(modality).records
    _check_free(generator, preset, name, records)
    batch_size, notes = _batch_size(training, preset, train_rows, records)
    network = _network(generator, preset, name, batch_size)
    parts = choose_parts(generator, preset, name)
    rate = preset.learning_rate if generator.learning_rate == "auto" else generator.learning_rate
    ranks, shared = _ranks(training, preset, batch_size, together(network, parts.terms))
    numbers = [f"{part} {network[part]}" for part in TOLD if part in network]
    if preset.objective != "fitted":
        numbers.append(f"batch {batch_size}")
        numbers += [f"gamma {parts.gamma:g}"] if parts.gamma else []
        numbers.append(f"learning rate {rate:g}")
    budget = training.budget_samples
    if budget == "auto":
        budget = preset.budget_samples
    tick = _tick_samples(budget, preset, batch_size)
    return ResolvedConfig(
        algorithm_version=ALGORITHM_VERSION,
        modality=modality,
        preset=name,
        network=network,
        augment=preset.augment,
        latent=preset.latent if generator.latent == "auto" else generator.latent,
        latent_spread=preset.latent_spread,
        batch_size=batch_size,
        learning_rate=rate,
        learning_rate_end=rate * preset.rate_fall,
        beta1=preset.beta1,
        beta2=preset.beta2,
        gamma=parts.gamma,
        gamma_end=parts.gamma * preset.gamma_fall,
        penalty_interval=preset.penalty_interval,
        ema_half_life_samples=preset.ema_half_life_samples,
        ema_ramp=preset.ema_ramp,
        budget_samples=budget,
        budget_s=training.budget_s,
        budget_cpu_s=training.budget_cpu_s,
        phases=preset.phases or (PhaseConfig(objective=preset.objective, fraction=1.0),),
        tick_samples=tick,
        patience_samples=tick * preset.patience_ticks,
        max_repairs=2,
        sampling_batch=preset.sampling_batch,
        precision=preset.precision,
        threads=max(preset.threads // ranks, 1),
        seed=seed,
        notes=(why, *notes, *shared, *preset.notes, *parts.notes, ", ".join(numbers)),
        weight_decay=preset.weight_decay,
        regularized=preset.regularized,
        loss=parts.loss,
        penalty=parts.penalty,
        terms=dict(parts.terms),
        optimizer=parts.optimizer,
        discriminator_steps=parts.discriminator_steps,
        discriminator_rate=parts.discriminator_rate,
        truncation=generator.truncation,
        until={one.metric: one.value for one in training.until},
        ranks=ranks,
    )


def _check_free(generator: GeneratorConfig, preset: Preset, name: str, records: str) -> None:
    """Refuse what a recipe asks for and these records or this preset leave no choice about."""
    if isinstance(generator.augment, tuple) and generator.augment != preset.augment:
        asked = " and ".join(generator.augment)
        msg = f"generator.augment is {asked}, and {records} are not augmented: leave it at auto"
        raise ConfigError(msg)
    if generator.latent != "auto" and not preset.is_latent_free:
        msg = (
            f"generator.latent is {generator.latent}, and that of preset {name!r} follows from the "
            "images: leave it at auto, or choose another preset"
        )
        raise ConfigError(msg)


def together(network: Mapping[str, int | float | str], terms: Mapping[str, float]) -> int:
    """Return how many neighbours of a batch a discriminator looks at together."""
    return math.lcm(int(network.get("pack", 1)), DEVIATION_GROUP if DEVIATION in terms else 1)


def _ranks(
    training: TrainingConfig, preset: Preset, batch_size: int, group: int
) -> tuple[int, tuple[str, ...]]:
    """Return how many processes train, each on an equal part of every batch; and a note.

    Raises:
        ConfigError: so many devices are not there, or a batch does not part into so many.
    """
    found = count_devices(training.devices, training.device)
    if preset.objective == "fitted":  # there is nothing to train
        return 1, ()
    if preset.objective == "private":
        alone = ("trained on one device: its records and its noise are drawn once",)
        return 1, alone if found > 1 else ()
    fitting = [n for n in range(1, found + 1) if batch_size % (n * group) == 0] or [1]
    fitting = [n for n in fitting if n == 1 or batch_size // n >= 2]
    if training.devices not in ("auto", fitting[-1]):
        msg = (
            f"training.devices is {found}, and a batch of {batch_size} has not so many equal "
            f"parts{f' of whole packs of {group}' if group > 1 else ''}: choose "
            f"{' or '.join(map(str, fitting))}, or another training.batch_size"
        )
        raise ConfigError(msg)
    ranks = fitting[-1]
    if ranks == found == 1:
        return 1, ()
    left_out = f", of {found}, because a batch has equal parts" if ranks < found else ""
    return ranks, (f"trained on {ranks} devices together{left_out}",)


def _as_asked(preset: Preset, name: str, generator: GeneratorConfig) -> Preset:
    """Return a preset with the depth, dropout and weight decay that the recipe asks for.

    Raises:
        ConfigError: its networks have no such thing.
    """
    network = dict(preset.network)
    for knob, value in (("depth", generator.depth), ("dropout", generator.dropout)):
        if value == "auto":
            continue
        if knob not in network:
            msg = (
                f"generator.{knob} is {value:g}, and preset {name!r} has no such thing: leave it "
                "at auto, or choose another preset"
            )
            raise ConfigError(msg)
        network[knob] = value
    if "label_dropout" in network:  # what sees all columns is never surer than the others
        network["label_dropout"] = max(float(network["label_dropout"]), float(network["dropout"]))
    decay = preset.weight_decay if generator.weight_decay == "auto" else generator.weight_decay
    return replace(preset, network=network, weight_decay=decay)


def _batch_size(
    training: TrainingConfig, preset: Preset, train_rows: int, records: str
) -> tuple[int, tuple[str, ...]]:
    """Return the batch size, the preset's but at most half of the training records; and a note."""
    if training.batch_size != "auto":
        return training.batch_size, ()
    largest = 1 << int(math.log2(max(train_rows // 2, 2)))
    pack = int(preset.network.get("pack", 1))
    largest = max(largest // pack * pack, 2)
    if largest >= preset.batch_size:
        return preset.batch_size, ()
    if preset.objective == "fitted":  # all records at once
        return largest, ()
    return largest, (
        f"batch {largest} instead of {preset.batch_size}: {train_rows} {records} only",
    )


def _network(
    generator: GeneratorConfig, preset: Preset, name: str, batch_size: int
) -> dict[str, int | float | str]:
    """Return the network's choices, with the width asked for and packs that fill a batch.

    Raises:
        ConfigError: a width is asked for and the preset's networks have none.
    """
    network = dict(preset.network)
    if generator.width != "auto" and "width" not in network:
        msg = (
            f"generator.width is {generator.width}, and preset {name!r} has no such thing: leave "
            "it at auto, or choose another preset"
        )
        raise ConfigError(msg)
    if generator.width != "auto":
        network["width"] = generator.width
        if "discriminator_width" in network:
            network["discriminator_width"] = generator.width * 3 // 2
    if "pack" in network:
        largest = int(network["pack"])
        network["pack"] = next(n for n in range(largest, 0, -1) if batch_size % n == 0)
    return network


def _tick_samples(budget: int | None, preset: Preset, batch_size: int) -> int:
    """Return the samples of a tick, whole batches."""
    wanted = (budget or preset.budget_samples) // preset.ticks
    if preset.largest_tick_samples is not None:
        wanted = min(wanted, preset.largest_tick_samples)
    return max(wanted // batch_size, 1) * batch_size
