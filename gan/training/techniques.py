"""What may be added to adversarial training, each with a strength: `generator.terms` of a recipe.

A new one is a function and an entry of `TECHNIQUES`, in the field that says where it acts.

Left out: virtual batch normalisation (Salimans et al. 2016, section 3.4), which doubles the cost of
every pass for what networks without normalisation do not need.

Shapes: N pairs of one real and one fake, M = 2N, K values of a sample, F features.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gan.config import ResolvedConfig
from gan.errors import ConfigError
from gan.protocols import Discriminator
from gan.training import ranks

DEVIATION, DEVIATION_GROUP = "minibatch-deviation", 4
"""The term that compares neighbours of a batch, and how many of them at most."""


class TermInputs(NamedTuple):
    """What a term of the generator's loss is computed from."""

    reals: Tensor
    fakes: Tensor
    features: Callable[[Tensor], Tensor]
    """Samples to what the discriminator's head sees, (N, F)."""
    weights: Sequence[Tensor]
    """Of the generator …"""
    average: Sequence[Tensor]
    """… and of its running average."""


def pair_loss(inputs: TermInputs) -> Tensor:
    """Return how far the second moments of the fakes are from those of the reals.

    Σ (E x xᵀ - E y yᵀ)². Of one-hot vectors the second moments are the shares in which every two
    levels occur together, so this is the squared error of all two-way tables of the batch at once.
    """
    reals_NK, fakes_NK = inputs.reals.flatten(1), inputs.fakes.flatten(1)
    difference_KK = (reals_NK.T @ reals_NK - fakes_NK.T @ fakes_NK) / len(reals_NK)
    return ranks.mean(difference_KK).square().sum()


def match_features(inputs: TermInputs) -> Tensor:
    """Return ||E f(x) - E f(G(z))||² of the discriminator's features f."""
    with torch.no_grad():
        real_F = inputs.features(inputs.reals).mean(0)
    return ranks.mean(real_F - inputs.features(inputs.fakes).mean(0)).square().sum()


def average_history(inputs: TermInputs) -> Tensor:
    """Return ||θ - θ̄||², the average θ̄ being the exponential one that is sampled from."""
    return torch.stack(
        [
            (weights - average).square().sum()
            for weights, average in zip(inputs.weights, inputs.average, strict=True)
        ]
    ).sum()


def smooth_labels(real_N: Tensor) -> Tensor:
    """Return E D(x): cross-entropy plus s times this is that with 1 - s for real."""
    return real_N.mean()


def add_noise(samples: Tensor, scale: float, stream: torch.Generator) -> Tensor:
    """Return reals and fakes with normal noise of this standard deviation."""
    noise = torch.randn(samples.shape, generator=stream)
    return samples + scale * noise.to(samples.device)


def clip_gradients(network: nn.Module, length: float) -> None:
    """Shorten a network's gradient to this length, in place."""
    nn.utils.clip_grad_norm_(network.parameters(), length)


class Technique(NamedTuple):
    """One addition; exactly one of its functions is set, or it is of the network."""

    summary: str
    source: str
    """Paper and section."""
    generator: Callable[[TermInputs], Tensor] | None = None
    """Added to the generator's loss, times the strength."""
    discriminator: Callable[[Tensor], Tensor] | None = None
    """Added to the discriminator's loss, times the strength; a function of the reals' logits."""
    samples: Callable[[Tensor, float, torch.Generator], Tensor] | None = None
    """Changes what the discriminator sees; the strength falls to zero with the budget."""
    gradients: Callable[[nn.Module, float], None] | None = None
    """Changes a network's gradients before its step; the strength is its parameter."""
    of_network: bool = False
    """Built into the discriminator, where that `compares_batches`."""
    usual: float = 1.0
    """Strength where the recipe names none."""
    most: float | None = None
    """Largest strength that makes sense; None: any."""


TECHNIQUES: dict[str, Technique] = {
    "pairs": Technique(
        "Second moments of fakes against those of reals; for tables: all two-way tables.",
        "moment matching, as in Li et al., GMMN (2015)",
        generator=pair_loss,
    ),
    "feature-matching": Technique(
        "Means of the discriminator's features of fakes against those of reals.",
        "Salimans et al. (2016), section 3.1",
        generator=match_features,
    ),
    "historical-averaging": Technique(
        "The generator's weights are held near their running average.",
        "Salimans et al. (2016), section 3.3",
        generator=average_history,
    ),
    "label-smoothing": Technique(
        "Reals count as 1 minus the strength, at most 0.5; with minimax and non-saturating only.",
        "Salimans et al. (2016), section 3.4",
        discriminator=smooth_labels,
        usual=0.1,
        most=0.5,
    ),
    DEVIATION: Technique(
        "The discriminator sees how different four neighbours in a batch are.",
        "Karras et al., Progressive growing of GANs (2018), section 3",
        of_network=True,
    ),
    "instance-noise": Technique(
        "Normal noise on all that the discriminator sees, falling to none.",
        "Sønderby et al. (2017), section 3; Arjovsky and Bottou (2017)",
        samples=add_noise,
        usual=0.1,
    ),
    "gradient-clipping": Technique(
        "Gradients of both networks are at most so long.",
        "Pascanu et al. (2013), algorithm 1",
        gradients=clip_gradients,
    ),
}
"""Name in `ResolvedConfig.terms` → technique."""


def check_techniques(config: ResolvedConfig, discriminator: Discriminator | None) -> None:
    """Check that what is of the network is in it.

    Raises:
        ConfigError: this discriminator cannot have it.
    """
    for name in config.terms:
        has = discriminator is not None and discriminator.compares_batches
        if TECHNIQUES[name].of_network and not has:
            msg = (
                f"generator.terms has {name}, and the discriminator of preset {config.preset!r} "
                "cannot have it: remove it, or choose another generator.preset"
            )
            raise ConfigError(msg)
