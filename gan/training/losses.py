"""The losses: what each objective minimises and reports. A new one is a function and a dict entry.

Relativistic pairing (RpGAN): L(D, G) = E[f(D(G(z)) - D(x))] with f(t) = softplus(t) minimised by
the discriminator, and the same with both signs turned by the generator: each fake is judged against
its own real, so no mode of the data can be given up for free. Huang et al., "The GAN is dead; long
live the GAN!" (R3GAN, 2024), equation 2; first in Jolicoeur-Martineau, "The relativistic
discriminator" (2018).

Shapes: N pairs of one real and one fake, K values of a sample.
"""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import softplus

REPORTED: dict[str, tuple[str, ...]] = {
    "adversarial": ("discriminator_loss", "generator_loss", "gradient_penalty"),
    "likelihood": ("nll",),
}
"""Objective → names of what its steps return, in this order."""


def discriminator_loss(real_logits_N: Tensor, fake_logits_N: Tensor) -> Tensor:
    """Return the mean loss of the discriminator over pairs of one real and one fake."""
    return softplus(fake_logits_N - real_logits_N).mean()


def generator_loss(real_logits_N: Tensor, fake_logits_N: Tensor) -> Tensor:
    """Return the mean loss of the generator over the same pairs."""
    return softplus(real_logits_N - fake_logits_N).mean()


def wasserstein_discriminator_loss(real_logits_N: Tensor, fake_logits_N: Tensor) -> Tensor:
    """Return E D(G(z)) - E D(x): Arjovsky et al., "Wasserstein GAN" (2017), equation 2."""
    return fake_logits_N.mean() - real_logits_N.mean()


def wasserstein_generator_loss(
    real_logits_N: Tensor,  # noqa: ARG001 - a loss of the table
    fake_logits_N: Tensor,
) -> Tensor:
    """Return -E D(G(z)), the part of the same equation that the generator moves."""
    return -fake_logits_N.mean()


class AdversarialLoss(NamedTuple):
    """What both networks minimise, each as a function of the logits of reals and of fakes."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]


ADVERSARIAL: dict[str, AdversarialLoss] = {
    "relativistic": AdversarialLoss(discriminator_loss, generator_loss),
    "wasserstein": AdversarialLoss(wasserstein_discriminator_loss, wasserstein_generator_loss),
}
"""`ResolvedConfig.loss` → loss."""


def pair_loss(reals_NK: Tensor, fakes_NK: Tensor) -> Tensor:
    """Return how far the second moments of the fakes are from those of the reals.

    Σ (E x xᵀ - E y yᵀ)². Of one-hot vectors the second moments are the shares in which every two
    levels occur together, so this is the squared error of all two-way tables of the batch at once.
    """
    difference_KK = (reals_NK.T @ reals_NK - fakes_NK.T @ fakes_NK) / len(reals_NK)
    return difference_KK.square().sum()


TERMS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"pairs": pair_loss}
"""Name in `ResolvedConfig.terms` → function of reals and fakes, beside the adversarial loss."""
