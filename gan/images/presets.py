"""Presets for images: what `auto` picks from size, channels, number of images and device."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gan.config import (
    ALGORITHM_VERSION,
    GeneratorConfig,
    PhaseConfig,
    ResolvedConfig,
    TrainingConfig,
)
from gan.device import Precision, choose_device, fast_bfloat16, usable_cores
from gan.errors import ConfigError
from gan.images.codec import ImageCodec

PRESETS: Mapping[str, str] = {
    "mlp": "Dense layers; the quickest by far for small images, and the choice without a GPU.",
    "resnet": "Residual convolutions without normalisation; for larger images, and with a GPU.",
}

RATE_FALL = 0.1
"""The learning rate ends at this share of its start: the falling rate lowers both copies and FD."""

GAMMA_FALL = 0.1
"""Gamma ends at this share of its start (annealed as in R3GAN, Huang et al. 2024)."""

EMA_HALF_LIFE_SAMPLES = 10_000
"""With a falling learning rate, longer averages gain nothing."""

PATIENCE_TICKS = 10
"""Ticks without a better snapshot before training stops."""

LARGEST_TICK_SAMPLES = 50_000

TICKS = 14
"""Maintenances per budget."""

DEFAULT_BUDGET_SAMPLES = 400_000
"""What `auto` takes; spaces the ticks, too, when the budget is in seconds alone."""

LARGEST_MLP = {"cpu": 4_096, "cuda": 256}
"""Values per image (height x width x channels) up to which `auto` takes `mlp`: without a GPU
convolutions see too few images to learn anything in the time that people wait."""

SMALL_VALUES = 256
"""Values per image up to which an `mlp` is at its smallest."""

PLENTIFUL_ROWS = 10_000
"""From so many training images on copying is no danger: no augmentation, and a deeper `mlp`."""

WIDEST_PIXELS = 48 * 48
"""Images up to this size get the widest `resnet` on CUDA."""


@dataclass(frozen=True, kw_only=True)
class ImagePreset:
    """The numbers of one preset for one size of image and one kind of device."""

    network: dict[str, int | float | str]
    latent: int
    batch_size: int
    learning_rate: float
    gamma: float
    augment: tuple[str, ...]
    sampling_batch: int
    latent_spread: float = 1.0
    precision: Precision = "float32"
    threads: int = 1


def mlp(codec: ImageCodec, device: str, train_rows: int) -> ImagePreset:
    """Return dense networks: 256 units up to 16 x 16 grey, 512 above.

    The generator's capacity is what copies, so it is shallow, and narrower than its discriminator;
    larger images of which there are plenty get a third layer.
    """
    small = _values(codec) <= SMALL_VALUES
    deep = not small and train_rows >= PLENTIFUL_ROWS
    width = 256 if small else 512
    return ImagePreset(
        network={
            "kind": "mlp",
            "width": width,
            "depth": 3 if deep else 2,
            "discriminator_width": width * 3 // 2,
            "discriminator_depth": 2,
        },
        latent=64 if deep else 32,
        batch_size=256 if small else 128,
        learning_rate=1e-3,
        gamma=1.0,
        augment=("translate",),
        latent_spread=1.1,
        sampling_batch=256,
        precision="bfloat16-products" if fast_bfloat16(device) else "float32",
    )


def resnet(codec: ImageCodec, device: str, train_rows: int) -> ImagePreset:  # noqa: ARG001 - a builder
    """Return residual networks: narrow on a processor, two to four times as wide on CUDA."""
    cuda = device == "cuda"
    wide = 64 if codec.height * codec.width <= WIDEST_PIXELS else 32
    return ImagePreset(
        network={
            "kind": "resnet",
            "width": wide if cuda else 16,
            "max_width": 512 if cuda else 128,
            "depth": 2 if cuda else 1,
        },
        latent=64,
        batch_size=128 if cuda else 64,
        learning_rate=5e-4,
        gamma=max(1.0, codec.height * codec.width / 1_024),
        augment=("translate", "cutout"),
        sampling_batch=64,
        precision="bfloat16" if fast_bfloat16(device) else "float32",
        threads=1 if cuda else usable_cores(),
    )


BUILDERS: dict[str, Callable[[ImageCodec, str, int], ImagePreset]] = {"mlp": mlp, "resnet": resnet}


def resolve(
    generator: GeneratorConfig,
    training: TrainingConfig,
    codec: ImageCodec,
    *,
    train_rows: int,
    seed: int,
) -> ResolvedConfig:
    """Return a complete configuration; its notes say what `auto` picked and why.

    Raises:
        ConfigError: the preset does not exist, or CUDA was asked for and is missing.
    """
    device = choose_device(training.device)
    name, notes = _choose(generator.preset, codec, device)
    preset = BUILDERS[name](codec, device, train_rows)
    network = dict(preset.network)
    if generator.width != "auto":
        network["width"] = generator.width
        if "discriminator_width" in network:
            network["discriminator_width"] = generator.width * 3 // 2
    batch_size = _batch_size(training, preset, train_rows, notes)
    gamma = preset.gamma if generator.gamma == "auto" else generator.gamma
    rate = preset.learning_rate if generator.learning_rate == "auto" else generator.learning_rate
    augment = _augment(generator, preset, train_rows, notes)
    notes.append(
        f"width {network['width']}, batch {batch_size}, gamma {gamma:g}, learning rate {rate:g}"
    )
    wanted = training.budget_samples
    budget = DEFAULT_BUDGET_SAMPLES if wanted == "auto" else wanted
    tick = _tick_samples(budget, batch_size)
    return ResolvedConfig(
        algorithm_version=ALGORITHM_VERSION,
        modality="images",
        preset=name,
        network=network,
        augment=augment,
        latent=preset.latent,
        latent_spread=preset.latent_spread,
        batch_size=batch_size,
        learning_rate=rate,
        learning_rate_end=rate * RATE_FALL,
        beta1=0.0,
        beta2=0.99,
        gamma=gamma,
        gamma_end=gamma * GAMMA_FALL,
        ema_half_life_samples=EMA_HALF_LIFE_SAMPLES,
        ema_ramp=0.05,
        budget_samples=budget,
        budget_s=training.budget_s,
        phases=(PhaseConfig(objective="adversarial", fraction=1.0),),
        tick_samples=tick,
        patience_samples=tick * PATIENCE_TICKS,
        sampling_batch=preset.sampling_batch,
        precision=preset.precision,
        threads=preset.threads,
        seed=seed,
        notes=tuple(notes),
    )


def _values(codec: ImageCodec) -> int:
    return codec.height * codec.width * codec.channels


def _choose(wanted: str, codec: ImageCodec, device: str) -> tuple[str, list[str]]:
    """Return the preset's name and a first note."""
    if wanted in PRESETS:
        return wanted, [f"preset {wanted} as asked"]
    if wanted != "auto":
        msg = f"unknown preset {wanted!r} for images: choose auto, {' or '.join(PRESETS)}"
        raise ConfigError(msg)
    largest = LARGEST_MLP[device]
    small = _values(codec) <= largest
    name = "mlp" if small else "resnet"
    size = f"{codec.height} x {codec.width} x {codec.channels}"
    relation = "at most" if small else "more than"
    return name, [f"preset {name}: {size} images have {relation} {largest} values, on {device}"]


def _batch_size(
    training: TrainingConfig, preset: ImagePreset, train_rows: int, notes: list[str]
) -> int:
    """Return the batch size: the preset's, but at most half of the training images."""
    if training.batch_size != "auto":
        return training.batch_size
    largest = 1 << int(math.log2(max(train_rows // 2, 2)))
    if largest < preset.batch_size:
        notes.append(f"batch {largest} instead of {preset.batch_size}: {train_rows} images only")
    return min(preset.batch_size, largest)


def _augment(
    generator: GeneratorConfig, preset: ImagePreset, train_rows: int, notes: list[str]
) -> tuple[str, ...]:
    """Return the augmentations."""
    if generator.augment == "off":
        return ()
    if train_rows >= PLENTIFUL_ROWS:
        notes.append(f"no augmentation: {train_rows} training images are plenty")
        return ()
    names = " and ".join(preset.augment)
    notes.append(f"augmentation {names}: {train_rows} training images")
    return preset.augment


def _tick_samples(budget: int | None, batch_size: int) -> int:
    """Return the samples of a tick, whole batches."""
    wanted = min((budget or DEFAULT_BUDGET_SAMPLES) // TICKS, LARGEST_TICK_SAMPLES)
    return max(wanted // batch_size, 1) * batch_size
