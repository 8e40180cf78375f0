"""Gradient penalties on the discriminator: R1 on reals, R2 on fakes.

R1 = gamma/2 · E ||∇ D(x)||² over reals, R2 the same over fakes: Mescheder et al., "Which training
methods for GANs do actually converge?" (2018), equations 9 and 10. With both, training with the
relativistic loss converges locally (R3GAN, Huang et al. 2024, section 2.2).

Between reals and fakes: (||∇ D(x)|| - 1)² at random points of the lines that join them: Gulrajani
et al., "Improved training of Wasserstein GANs" (2017), equation 3.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


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
    (gradients,) = torch.autograd.grad(logits_M.sum(), samples, create_graph=True)
    return gradients.float().square().sum() * (2 / len(logits_M))


def interpolated(inputs: PenaltyInputs) -> Tensor:
    """Return E (||∇ D(x)|| - 1)² between reals and fakes, λ not applied.

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


PENALTIES: dict[str, Callable[[PenaltyInputs], Tensor]] = {
    "r1-r2": lambda inputs: r1_r2(inputs.logits, inputs.samples),
    "interpolated": interpolated,
}
"""`ResolvedConfig.penalty` → penalty."""
