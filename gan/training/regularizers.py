"""What keeps a discriminator smooth. A new one is a function and an entry of `PENALTIES`.

A gradient penalty is a function of what the discriminator saw; its weight is half of gamma. Others
act without a weight: on the logits, on the weights after each step, or on the layers before
training.

Shapes: M reals and fakes, half each.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

CLIP = 0.01
"""Largest weight of a clipped critic: Arjovsky et al., Wasserstein GAN (2017), algorithm 1."""


WARM_UP = 15
"""Steps of the power iteration before training."""


class PenaltyInputs(NamedTuple):
    """What the discriminator saw in one step, reals and fakes half each, M in all."""

    samples: Tensor
    logits: Tensor
    """One for each sample, or one for each pack of neighbouring samples."""
    judge: Callable[[Tensor], Tensor]
    """Samples to logits."""
    stream: torch.Generator
    """Randoms of the step."""


def r1_r2(logits_M: Tensor, samples: Tensor) -> Tensor:
    """Return E ||∇ D(x)||² over reals plus over fakes; gamma/2 is not applied.

    Args:
        logits_M: logits of reals and fakes, half each.
        samples: what they were computed from, the first dimension being M.
    """
    return _squares(logits_M, samples).sum() * (2 / len(logits_M))


def r1(inputs: PenaltyInputs) -> Tensor:
    """Return E ||∇ D(x)||² over reals."""
    return _squares(inputs.logits, inputs.samples).chunk(2)[0].sum() * (2 / len(inputs.logits))


def r2(inputs: PenaltyInputs) -> Tensor:
    """Return E ||∇ D(x)||² over fakes."""
    return _squares(inputs.logits, inputs.samples).chunk(2)[1].sum() * (2 / len(inputs.logits))


def _squares(logits_M: Tensor, samples: Tensor) -> Tensor:
    (gradients,) = torch.autograd.grad(logits_M.sum(), samples, create_graph=True)
    return gradients.float().square()


def interpolated(inputs: PenaltyInputs) -> Tensor:
    """Return E (||∇ D(x)|| - 1)² at random points between reals and fakes, λ not applied.

    The rows of a pack are judged together: they share one point of the line, and one gradient.
    """
    reals, fakes = inputs.samples.detach().chunk(2)
    packs = len(inputs.logits) // 2
    pack = len(reals) // packs
    share = torch.rand(packs, generator=inputs.stream).repeat_interleave(pack).to(reals.device)
    share = share.view(-1, *[1] * (reals.dim() - 1))
    between = (share * reals + (1 - share) * fakes).requires_grad_()
    (gradients,) = torch.autograd.grad(inputs.judge(between).sum(), between, create_graph=True)
    lengths = gradients.float().reshape(packs, -1).norm(dim=1)
    penalty: Tensor = (lengths - 1).square().mean()
    return penalty


def normalize_gradient(judge: Callable[[Tensor], Tensor], samples: Tensor) -> Tensor:
    """Return D(x) / (||∇ D(x)|| + |D(x)|): at most 1, and where D is linear no steeper than 1.

    Args:
        judge: samples to logits.
        samples: N samples; a graph behind them is kept.
    """
    with torch.enable_grad():
        tracked = samples if samples.requires_grad else samples.detach().requires_grad_()
        logits_N = judge(tracked)
        (gradients,) = torch.autograd.grad(logits_N.sum(), tracked, create_graph=True)
        lengths_N = gradients.float().reshape(len(logits_N), -1).norm(dim=1)
        normalized_N: Tensor = logits_N / (lengths_N + logits_N.abs()).clamp_min(1e-12)
        return normalized_N


@torch.no_grad()
def clip_weights(network: nn.Module) -> None:
    """Bring every weight into [-0.01, 0.01], in place."""
    for weights in network.parameters():
        weights.clamp_(-CLIP, CLIP)


def normalize_spectrum(network: nn.Module, stream: torch.Generator) -> None:
    """Divide the weights of every layer by their largest singular value, from now on.

    Every pass in training does one step of the power iteration; the first vectors are drawn from
    the stream, and so are weights that would begin at zero, which nothing divides.
    """
    kinds = nn.Linear | nn.Conv2d | nn.ConvTranspose2d | nn.Embedding
    for layer in [each for each in network.modules() if isinstance(each, kinds)]:
        if not layer.weight.any():
            with torch.no_grad():
                layer.weight.copy_(torch.randn(layer.weight.shape, generator=stream))
        with torch.random.fork_rng(devices=[]):
            spectral_norm(layer)
        for vector in layer.get_submodule("parametrizations.weight.0").buffers():
            drawn = torch.randn(vector.shape, generator=stream)
            vector.copy_(drawn / drawn.norm())
        for _ in range(WARM_UP):
            _ = layer.weight


class Penalty(NamedTuple):
    """How a discriminator is kept smooth; what is None is not done."""

    summary: str
    source: str
    """Paper and equation."""
    gradient: Callable[[PenaltyInputs], Tensor] | None = None
    """Added to the discriminator's loss, times gamma/2."""
    logits: Callable[[Callable[[Tensor], Tensor], Tensor], Tensor] | None = None
    """What both losses see, from what gives logits and the samples."""
    weights: Callable[[nn.Module], None] | None = None
    """Done to the discriminator after each of its steps."""
    layers: Callable[[nn.Module, torch.Generator], None] | None = None
    """Done to the discriminator before training."""


PENALTIES: dict[str, Penalty] = {
    "none": Penalty("Nothing keeps the discriminator smooth.", "Goodfellow et al. (2014)"),
    "r1-r2": Penalty(
        "Squared gradients at reals and fakes: with the relativistic loss it converges.",
        "Mescheder et al. (2018), eq. 9 and 10; R3GAN (2024), section 2.2",
        gradient=lambda inputs: r1_r2(inputs.logits, inputs.samples),
    ),
    "r1": Penalty("Squared gradients at reals.", "Mescheder et al. (2018), eq. 9", gradient=r1),
    "r2": Penalty("Squared gradients at fakes.", "Mescheder et al. (2018), eq. 10", gradient=r2),
    "interpolated": Penalty(
        "Gradients between reals and fakes are held at length 1.",
        "Gulrajani et al., WGAN-GP (2017), eq. 3",
        gradient=interpolated,
    ),
    "weight-clipping": Penalty(
        f"Weights are clipped to ±{CLIP} after each step.",
        "Arjovsky et al., Wasserstein GAN (2017), algorithm 1",
        weights=clip_weights,
    ),
    "spectral-norm": Penalty(
        "Every layer's weights are divided by their largest singular value.",
        "Miyato et al., SNGAN (2018), eq. 8",
        layers=normalize_spectrum,
    ),
    "gradient-normalization": Penalty(
        "Logits are divided by the length of their gradient.",
        "Wu et al., GN-GAN (2021), eq. 9",
        logits=normalize_gradient,
    ),
}
"""`ResolvedConfig.penalty` → penalty."""
