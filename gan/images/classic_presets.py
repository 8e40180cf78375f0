"""The classic systems by name: networks, loss, penalty and numbers as published.

Kept beside them: the running average that is sampled from, the choice of the best snapshot, and a
linear last layer where half of the pixels are black or white, because a bounded one then stops
learning within some dozen steps. Widths that take a GPU are smaller on a processor.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from gan.device import fast_bfloat16, usable_cores
from gan.images.codec import ImageCodec
from gan.presets import Preset

MOSTLY_SATURATED = 0.25
"""Share of black and white values from which on the last layer is linear."""

Build = Callable[[ImageCodec, str, int], Preset]
"""From the codec, the device (`cpu` or `cuda`) and the number of training images."""


class ClassicSystem(NamedTuple):
    """A published system."""

    summary: str
    source: str
    """Paper and section."""
    build: Build


def _head(codec: ImageCodec) -> str:
    return "linear" if codec.saturated >= MOSTLY_SATURATED else "tanh"


def _published(device: str, network: Mapping[str, int | float | str], **numbers: object) -> Preset:
    """Return a preset whose rates stay as they begin and whose images are not augmented."""
    common: dict[str, object] = {
        "latent": 128,
        "batch_size": 64,
        "rate_fall": 1.0,
        "gamma_fall": 1.0,
        "sampling_batch": 64,
        "precision": "bfloat16" if fast_bfloat16(device) else "float32",
        "threads": 1 if device == "cuda" else usable_cores(),
    }
    return Preset(network=dict(network), **{**common, **numbers})  # type: ignore[arg-type]


STEADY_ADAM: Mapping[str, float] = {"learning_rate": 2e-4, "beta1": 0.5, "beta2": 0.999}
"""Adam as Radford et al. (2016, section 4) set it, and those after them."""


def mlp_gan(codec: ImageCodec, device: str, train_rows: int) -> Preset:  # noqa: ARG001 - a builder
    """Return the first GAN: dense layers, cross-entropy, alternating steps."""
    return _published(
        device,
        {"kind": "mirror", "width": 1_024, "head": _head(codec)},
        latent=100,
        batch_size=128,
        loss="non-saturating",
        penalty="none",
        precision="bfloat16-products" if fast_bfloat16(device) else "float32",
        threads=1,
        **STEADY_ADAM,
    )


def _convolutional(codec: ImageCodec, device: str, *, critic: bool, **numbers: object) -> Preset:
    """Return the DCGAN's networks; a critic takes layer norm instead of dropout, and five steps."""
    network: dict[str, int | float | str] = {
        "kind": "dcgan",
        "width": 64,
        "head": _head(codec),
        "norm": "layer" if critic else "none",
        "dropout": 0.0 if critic else 0.3,
    }
    common = {"loss": "wasserstein", "discriminator_steps": 5} if critic else {"penalty": "none"}
    return _published(device, network, latent=100, **{**common, **numbers})


def dcgan(codec: ImageCodec, device: str, train_rows: int) -> Preset:  # noqa: ARG001 - a builder
    """Return transposed convolutions with batch norm against strided ones with dropout."""
    numbers = {"batch_size": 128, "loss": "non-saturating", **STEADY_ADAM}
    return _convolutional(codec, device, critic=False, **numbers)


def lsgan(codec: ImageCodec, device: str, train_rows: int) -> Preset:  # noqa: ARG001 - a builder
    """Return the DCGAN's networks with squared distances."""
    return _convolutional(codec, device, critic=False, loss="least-squares", **STEADY_ADAM)


def wgan(codec: ImageCodec, device: str, train_rows: int) -> Preset:  # noqa: ARG001 - a builder
    """Return a critic with clipped weights."""
    numbers = {"learning_rate": 5e-5, "optimizer": "rmsprop", "penalty": "weight-clipping"}
    return _convolutional(codec, device, critic=True, **numbers)


def wgan_gp(codec: ImageCodec, device: str, train_rows: int) -> Preset:  # noqa: ARG001 - a builder
    """Return a critic whose gradients are held at length 1, λ = 10."""
    adam = {"learning_rate": 1e-4, "beta1": 0.0, "beta2": 0.9}
    return _convolutional(codec, device, critic=True, penalty="interpolated", gamma=20.0, **adam)


def _residual(
    codec: ImageCodec, device: str, network: Mapping[str, str], **numbers: object
) -> Preset:
    """Return residual networks: 128 channels with a GPU, 32 without."""
    width = 128 if device == "cuda" else 32
    return _published(device, {"width": width, "head": _head(codec), **network}, **numbers)


BLOCKS, BIGGAN = {"kind": "blocks"}, {"kind": "biggan", "generator_norm": "spectral"}
HINGE_STEPS: Mapping[str, object] = {
    "loss": "hinge",
    "discriminator_steps": 5,
    "learning_rate": 2e-4,
    "beta1": 0.0,
    "beta2": 0.9,
}
"""As Miyato et al. (2018, table 1, setting C) train."""


def sngan(codec: ImageCodec, device: str, train_rows: int) -> Preset:  # noqa: ARG001 - a builder
    """Return residual blocks with spectral normalisation and the hinge loss."""
    return _residual(codec, device, BLOCKS, penalty="spectral-norm", **HINGE_STEPS)


def gngan(codec: ImageCodec, device: str, train_rows: int) -> Preset:  # noqa: ARG001 - a builder
    """Return the same blocks with a normalised gradient."""
    return _residual(codec, device, BLOCKS, penalty="gradient-normalization", **HINGE_STEPS)


def resnet_gan(codec: ImageCodec, device: str, train_rows: int) -> Preset:  # noqa: ARG001
    """Return residual blocks with cross-entropy and R1."""
    adam = {"learning_rate": 1e-4, "beta1": 0.0, "beta2": 0.99}
    r1 = {"loss": "non-saturating", "penalty": "r1", "gamma": 10.0}
    return _residual(codec, device, BLOCKS, **r1, **adam)


def biggan_small(codec: ImageCodec, device: str, train_rows: int) -> Preset:  # noqa: ARG001
    """Return class-steered blocks with attention, spectral norm on both sides, two rates."""
    two_rates = {"learning_rate": 1e-4, "discriminator_rate": 4.0, "beta1": 0.0, "beta2": 0.999}
    hinge = {"loss": "hinge", "penalty": "spectral-norm", "discriminator_steps": 2}
    return _residual(codec, device, BIGGAN, latent=80, **hinge, **two_rates)


CLASSIC: Mapping[str, ClassicSystem] = {
    "mlp-gan": ClassicSystem(
        "Dense layers 256, 512, 1,024 and their mirror, cross-entropy.",
        "Goodfellow et al., Generative adversarial nets (2014)",
        mlp_gan,
    ),
    "dcgan": ClassicSystem(
        "Transposed convolutions with batch norm; strided convolutions with dropout.",
        "Radford et al., DCGAN (2016), section 3",
        dcgan,
    ),
    "lsgan": ClassicSystem(
        "The DCGAN's networks with the least-squares loss.",
        "Mao et al., LSGAN (2017), eq. 9",
        lsgan,
    ),
    "wgan": ClassicSystem(
        "The DCGAN's networks with a critic whose weights are clipped.",
        "Arjovsky et al., Wasserstein GAN (2017), algorithm 1",
        wgan,
    ),
    "wgan-gp": ClassicSystem(
        "The same with a gradient penalty and layer norm.",
        "Gulrajani et al., WGAN-GP (2017), algorithm 1",
        wgan_gp,
    ),
    "sngan": ClassicSystem(
        "Residual blocks, spectral norm, hinge.",
        "Miyato et al., SNGAN (2018), appendix B.4",
        sngan,
    ),
    "gngan": ClassicSystem(
        "Residual blocks, normalised gradient, hinge.",
        "Wu et al., GN-GAN (2021), eq. 9",
        gngan,
    ),
    "resnet-gan": ClassicSystem(
        "Residual blocks on both sides, cross-entropy, R1.",
        "Mescheder et al. (2018), section 6.1",
        resnet_gan,
    ),
    "biggan-small": ClassicSystem(
        "Class-steered batch norm, projection, self-attention, spectral norm on both sides, hinge.",
        "Brock et al., BigGAN (2019), appendix B; small enough for one device",
        biggan_small,
    ),
}
"""Name → system."""
