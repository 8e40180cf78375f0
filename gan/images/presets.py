"""Presets for images: what `auto` picks from size, channels, number of images and device."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace

from gan.config import GeneratorConfig, PhaseConfig, ResolvedConfig, TrainingConfig
from gan.device import choose_device, fast_bfloat16, usable_cores
from gan.errors import ConfigError
from gan.images.classic_presets import CLASSIC
from gan.images.codec import CHANNELS, LARGEST_SIDE, SMALLEST_SIDE, ImageCodec
from gan.images.mixture import ROWS_PER_GAUSSIAN
from gan.images.networks import texture
from gan.images.networks.defects import DEFECT_NUMBERS
from gan.images.networks.mixture import shrinkage
from gan.images.networks.pixelwise import code_count
from gan.images.networks.unet import Blocks
from gan.presets import ChosenPreset, Preset, complete
from gan.protocols import PresetEntry
from gan.training.augment import AUGMENTATIONS

LARGEST_TICK_SAMPLES = 50_000

LARGEST_MLP = {"cpu": 4_096, "cuda": 256}
"""Values per image (height x width x channels) up to which `modern` takes `mlp`, on CUDA `auto` as
well: without a GPU convolutions see too few images to learn anything in the time people wait."""

SMALL_VALUES = 256
"""Values per image up to which an `mlp` is at its smallest."""

PLENTIFUL_ROWS = 10_000
"""From so many training images on copying is no danger: no augmentation, and a deeper `mlp`."""

WIDEST_PIXELS = 48 * 48
"""Images up to this size get the widest `resnet` on CUDA."""


SMALL_PICTURE = 1_024
"""Values of an image up to which gamma is a preset's own."""


def gamma_factor(codec: ImageCodec) -> float:
    """Return how much larger gamma is for images of more values: as many times as they are more.

    R1 and R2 are sums over the values, and edges and grain tell large images ever more easily (in
    proportion to the area as in StyleGAN2-ADA, Karras et al. 2020, its configuration `auto`).
    """
    return max(1.0, _values(codec) / SMALL_PICTURE)


def mlp(codec: ImageCodec, device: str, train_rows: int) -> Preset:
    """Return dense networks: 256 units up to 16 x 16 grey, 512 above.

    The generator's capacity is what copies, so it is shallow, and narrower than its discriminator;
    larger images of which there are plenty get a third layer.
    """
    small = _values(codec) <= SMALL_VALUES
    deep = not small and train_rows >= PLENTIFUL_ROWS
    width = 256 if small else 512
    return Preset(
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
        gamma=gamma_factor(codec),
        augment=("translate",),
        latent_spread=1.1,
        sampling_batch=256,
        precision="bfloat16-products" if fast_bfloat16(device) else "float32",
    )


def resnet(codec: ImageCodec, device: str, train_rows: int) -> Preset:  # noqa: ARG001 - a builder
    """Return residual networks: narrow on a processor, two to four times as wide on CUDA."""
    cuda = device == "cuda"
    wide = 64 if codec.height * codec.width <= WIDEST_PIXELS else 32
    return Preset(
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


MOST_COMPONENTS, MOST_GAUSSIANS, CLUSTER_ROWS, MOST_CLUSTERS = 100, 24, 250, 10
"""Of a mixture: components and Gaussians of a group; without classes, images of a cluster, which
then is a group, and clusters."""

LARGEST_MIXTURE = 12_000_000
"""Numbers of a mixture, at most: its snapshot stays below 50 MB."""


def mixture(codec: ImageCodec, device: str, train_rows: int) -> Preset:  # noqa: ARG001 - a builder
    """Return a mixture with as many Gaussians as the images carry and the snapshot holds."""
    network = _mixture_network(codec, train_rows, ROWS_PER_GAUSSIAN)
    return Preset(
        objective="fitted",
        network={"kind": "mixture", **network},
        latent=_numbers(codec, network),
        batch_size=64,
        learning_rate=1e-3,
        budget_samples=max(train_rows, 1),
        sampling_batch=256,
    )


def _mixture_network(codec: ImageCodec, train_rows: int, rows_per_gaussian: int) -> dict[str, int]:
    """Return how many groups, components and Gaussians a mixture has."""
    small = shrinkage(codec)
    values = codec.channels * -(-codec.height // small) * -(-codec.width // small)
    groups = len(codec.classes) or min(max(train_rows // CLUSTER_ROWS, 1), MOST_CLUSTERS)
    components = max(min(MOST_COMPONENTS, values, LARGEST_MIXTURE // (2 * groups * values)), 1)
    gaussians = min(
        MOST_GAUSSIANS,
        max(train_rows // groups // rows_per_gaussian, 1),
        max(LARGEST_MIXTURE // (2 * groups * components**2), 1),
    )
    return {
        "groups": groups,
        "components": components,
        "gaussians": gaussians,
        "rows_per_gaussian": rows_per_gaussian,
        "grain": int(small > 1),
    }


def _numbers(codec: ImageCodec, network: Mapping[str, int]) -> int:
    """Return how many numbers a mixture draws an image from."""
    beyond = 1 + codec.height * codec.width + DEFECT_NUMBERS if network["grain"] else 0
    return 1 + network["components"] + beyond


REFINED_ROWS = 40
"""Images behind one Gaussian where a network refines its draws: what it sharpens is nobody's."""


REFINING_SAMPLES, DRAWING_SAMPLES = 200_000, 300_000
"""What refining takes when no budget is named: the mixture is there at once, and half of it meets
the gate's measures; longer trainings sharpen, and of few images they begin to copy. Steps that draw
pixels look at a part of each image, so they take more."""

DENOISED_SAMPLES = 2 * REFINING_SAMPLES // 5
"""What denoising takes, at most: it is learnt in a third of that, and begins to copy after that."""


def mixture_gan(codec: ImageCodec, device: str, train_rows: int) -> Preset:
    """Return a mixture whose draws are denoised, then finished adversarially."""
    network, blocks = _mixture_network(codec, train_rows, REFINED_ROWS), Blocks(codec)
    latent = _numbers(codec, network) + blocks.h * blocks.w
    return Preset(
        network={"kind": "mixture-gan", "width": 64 if device == "cuda" else 32, **network},
        latent=latent,
        is_latent_free=False,
        phases=(
            PhaseConfig(
                objective="denoising",
                fraction=0.4,
                most_samples=DENOISED_SAMPLES,
                learning_rate=2e-3,
                beta1=0.9,
            ),
            PhaseConfig(objective="adversarial", fraction=0.6, beta1=0.0),
        ),
        batch_size=64,
        learning_rate=1e-3,
        gamma=0.1 * gamma_factor(codec),
        gamma_fall=1.0,
        penalty_interval=4,
        budget_samples=REFINING_SAMPLES,
        patience_ticks=14,
        sampling_batch=256,
        precision="bfloat16" if fast_bfloat16(device) else "float32",
    )


def autoregressive(codec: ImageCodec, device: str, train_rows: int) -> Preset:
    """Return a mixture of shapes, and networks that draw images of these pixel by pixel."""
    network = _mixture_network(codec, train_rows, REFINED_ROWS)
    components = code_count(codec, train_rows)
    return Preset(
        objective="likelihood",
        network={
            "kind": "autoregressive",
            "width": 256 if device == "cuda" else 128,
            "groups": network["groups"],
            "components": components,
            "gaussians": network["gaussians"],
            "rows_per_gaussian": REFINED_ROWS,
        },
        latent=1 + components + texture.NUMBERS + _values(codec),
        is_latent_free=False,
        batch_size=64,
        learning_rate=5e-3,
        beta1=0.9,
        budget_samples=DRAWING_SAMPLES,
        sampling_batch=256,
        precision="bfloat16" if fast_bfloat16(device) else "float32",
    )


def modern(codec: ImageCodec, device: str, train_rows: int) -> Preset:
    """Return `mlp` for images of few values on this device, else `resnet`."""
    chosen = mlp if _values(codec) <= LARGEST_MLP[device] else resnet
    return chosen(codec, device, train_rows)


BUILDERS: dict[str, Callable[[ImageCodec, str, int], Preset]] = {
    "mixture": mixture,
    "mixture-gan": mixture_gan,
    "autoregressive": autoregressive,
    "modern": modern,
    "mlp": mlp,
    "resnet": resnet,
    **{name: each.build for name, each in CLASSIC.items()},
}


MODERN = "Huang et al., R3GAN (2024), section 2 and table 2"

_SUMMARIES = {
    "autoregressive": (
        "Shapes from a mixture of Gaussians, images of these drawn pixel by pixel, by likelihood.",
        "Salimans et al., PixelCNN++ (2017), section 2; Reed et al. (2017), section 3",
    ),
    "mixture-gan": (
        "A mixture's draw, denoised in three steps by a small U-net, finished adversarially.",
        "Richardson and Weiss (2018), section 5; Song et al., DDIM (2021); R3GAN (2024)",
    ),
    "mixture": (
        "Gaussians in the principal components of each class, fitted in seconds; no network.",
        "Richardson and Weiss, On GANs and GMMs (2018), section 3",
    ),
    "modern": ("Relativistic, R1 and R2, norm-free: `mlp` or `resnet` by size.", MODERN),
    "mlp": (
        "Dense layers; the quickest by far for small images, and without a GPU.",
        MODERN,
    ),
    "resnet": ("Residual convolutions; for larger images, and with a GPU.", MODERN),
    **{name: (each.summary, each.source) for name, each in CLASSIC.items()},
}

EXAMPLE = ImageCodec(
    height=32, width=32, channels=3, label="class", label_type="int64", classes=tuple(range(10))
)
"""Images of a usual size."""

SIZES = (
    f"{SMALLEST_SIDE} to {LARGEST_SIDE} pixels a side, {', '.join(map(str, CHANNELS[:-1]))} or "
    f"{CHANNELS[-1]} channels, with and without classes"
)

PRESETS: Mapping[str, PresetEntry] = {
    name: PresetEntry(
        summary,
        source,
        functools.partial(BUILDERS[name], EXAMPLE, "cpu", PLENTIFUL_ROWS),
        f"{PLENTIFUL_ROWS:,} images of 32 x 32 x 3 in ten classes, on a processor",
        SIZES,
    )
    for name, (summary, source) in _SUMMARIES.items()
}
"""What a recipe may name."""


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
    name, why = _choose(generator.preset, codec, device)
    preset = BUILDERS[name](codec, device, train_rows)
    augment, note = _augment(generator, preset, name, train_rows)
    preset = replace(
        preset,
        augment=augment,
        gamma_factor=gamma_factor(codec),
        notes=note,
        largest_tick_samples=LARGEST_TICK_SAMPLES,
    )
    chosen = ChosenPreset("images", name, why, preset)
    return complete(chosen, generator, training, train_rows=train_rows, seed=seed)


def _values(codec: ImageCodec) -> int:
    return codec.height * codec.width * codec.channels


def _choose(wanted: str, codec: ImageCodec, device: str) -> tuple[str, str]:
    """Return the preset's name, and why it was chosen."""
    if wanted in PRESETS:
        return wanted, f"preset {wanted} as asked"
    if wanted != "auto":
        msg = f"unknown preset {wanted!r} for images: choose auto, {', '.join(PRESETS)}"
        raise ConfigError(msg)
    size = f"{codec.height} x {codec.width} x {codec.channels}"
    if device == "cuda":
        name = "mlp" if _values(codec) <= LARGEST_MLP[device] else "resnet"
        return name, f"preset {name}: {size} images, on {device}"
    is_large = shrinkage(codec) > 1 or codec.channels >= texture.COLOURS
    name = "mixture-gan" if is_large else "autoregressive"
    return name, f"preset {name}: {size} images, on {device}"


def _augment(
    generator: GeneratorConfig, preset: Preset, name: str, train_rows: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the augmentations, and a note.

    Raises:
        ConfigError: a name that there is not, or no discriminator sees images.
    """
    if isinstance(generator.augment, tuple):
        _check_augment(generator.augment, preset, name)
        return generator.augment, (f"augmentation {' and '.join(generator.augment)} as asked",)
    if generator.augment == "off" or not preset.augment:
        return (), ()
    if train_rows >= PLENTIFUL_ROWS:
        return (), (f"no augmentation: {train_rows} training images are plenty",)
    names = " and ".join(preset.augment)
    return preset.augment, (f"augmentation {names}: {train_rows} training images",)


def _check_augment(names: tuple[str, ...], preset: Preset, name: str) -> None:
    for one in names:
        if one not in AUGMENTATIONS:
            msg = (
                f"generator.augment has no {one!r}: choose auto, off or of "
                f"{', '.join(AUGMENTATIONS)}"
            )
            raise ConfigError(msg)
        if names.count(one) > 1:
            msg = f"generator.augment has {one!r} twice: leave one"
            raise ConfigError(msg)
    if preset.objective != "adversarial" or preset.phases:
        msg = (
            f"generator.augment is {' and '.join(names)}, and in preset {name!r} no discriminator "
            "sees images: leave it at auto, or choose another preset"
        )
        raise ConfigError(msg)
