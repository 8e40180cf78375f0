"""The losses: what each objective minimises and reports. A new one is a function and a dict entry.

D(x) and D(G(z)) are logits. Relativistic pairing judges each fake against its own real, so no mode
of the data can be given up for free; every other loss judges reals and fakes apart.

Shapes: N pairs of one real and one fake.
"""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import relu, softplus

REPORTED: dict[str, tuple[str, ...]] = {
    "adversarial": ("discriminator_loss", "generator_loss", "gradient_penalty"),
    "likelihood": ("nll",),
    "denoising": ("denoising_error",),
    "fitted": (),
    "private": (),
}
"""Objective → names of what its steps return, in this order."""


class AdversarialLoss(NamedTuple):
    """What both networks minimise, each as a function of the logits of reals and of fakes.

    The generator's gets the logits of reals only where it is `pairwise`.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]
    summary: str
    source: str
    """Paper and equation."""
    pairwise: bool = False
    """Whether the generator's loss compares with the logits of reals."""
    probabilities: bool = False
    """Whether logits are log-odds of being real, so that labels can be smoothed."""


def relativistic_discriminator(real_N: Tensor, fake_N: Tensor) -> Tensor:
    """Return E f(D(G(z)) - D(x)), f = softplus."""
    return softplus(fake_N - real_N).mean()


def relativistic_generator(real_N: Tensor, fake_N: Tensor) -> Tensor:
    """Return the same with both signs turned."""
    return softplus(real_N - fake_N).mean()


def cross_entropy(real_N: Tensor, fake_N: Tensor) -> Tensor:
    """Return -E log p(x) - E log(1 - p(G(z))), logits being log-odds of p."""
    return softplus(-real_N).mean() + softplus(fake_N).mean()


def saturating(real_N: Tensor, fake_N: Tensor) -> Tensor:  # noqa: ARG001 - a loss of the table
    """Return E log(1 - p(G(z))), which is flat where the discriminator is sure."""
    return -softplus(fake_N).mean()


def non_saturating(real_N: Tensor, fake_N: Tensor) -> Tensor:  # noqa: ARG001
    """Return -E log p(G(z))."""
    return softplus(-fake_N).mean()


def least_squares_discriminator(real_N: Tensor, fake_N: Tensor) -> Tensor:
    """Return ½ E (D(x) - 1)² + ½ E D(G(z))²."""
    return ((real_N - 1).square().mean() + fake_N.square().mean()) / 2


def least_squares_generator(real_N: Tensor, fake_N: Tensor) -> Tensor:  # noqa: ARG001
    """Return ½ E (D(G(z)) - 1)²."""
    return (fake_N - 1).square().mean() / 2


def hinge(real_N: Tensor, fake_N: Tensor) -> Tensor:
    """Return E max(0, 1 - D(x)) + E max(0, 1 + D(G(z)))."""
    return relu(1 - real_N).mean() + relu(1 + fake_N).mean()


def wasserstein_critic(real_N: Tensor, fake_N: Tensor) -> Tensor:
    """Return E D(G(z)) - E D(x)."""
    return fake_N.mean() - real_N.mean()


def wasserstein_generator(real_N: Tensor, fake_N: Tensor) -> Tensor:  # noqa: ARG001
    """Return -E D(G(z)), the part of the same that the generator moves."""
    return -fake_N.mean()


ADVERSARIAL: dict[str, AdversarialLoss] = {
    "relativistic": AdversarialLoss(
        relativistic_discriminator,
        relativistic_generator,
        "Each fake against its own real.",
        "Huang et al., R3GAN (2024), eq. 2; Jolicoeur-Martineau (2018)",
        pairwise=True,
    ),
    "minimax": AdversarialLoss(
        cross_entropy,
        saturating,
        "The first GAN's game of two: its generator's loss saturates.",
        "Goodfellow et al. (2014), eq. 1",
        probabilities=True,
    ),
    "non-saturating": AdversarialLoss(
        cross_entropy,
        non_saturating,
        "Binary cross-entropy, with a generator's loss that does not saturate.",
        "Goodfellow et al. (2014), section 3",
        probabilities=True,
    ),
    "least-squares": AdversarialLoss(
        least_squares_discriminator,
        least_squares_generator,
        "Squared distance to 1 for real and 0 for fake.",
        "Mao et al., LSGAN (2017), eq. 9",
    ),
    "hinge": AdversarialLoss(
        hinge,
        wasserstein_generator,
        "Only what is on the wrong side of the margin counts.",
        "Lim and Ye, Geometric GAN (2017); Miyato et al. (2018), eq. 16 and 17",
    ),
    "wasserstein": AdversarialLoss(
        wasserstein_critic,
        wasserstein_generator,
        "The critic's difference of means, an estimate of the earth mover's distance.",
        "Arjovsky et al., Wasserstein GAN (2017), eq. 2",
    ),
}
"""`ResolvedConfig.loss` → loss."""
