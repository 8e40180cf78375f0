"""Gradient penalties on the discriminator: R1 on reals, R2 on fakes.

R1 = gamma/2 · E ||∇ D(x)||² over reals, R2 the same over fakes: Mescheder et al., "Which training
methods for GANs do actually converge?" (2018), equations 9 and 10. With both, training with the
relativistic loss converges locally (R3GAN, Huang et al. 2024, section 2.2).
"""

import torch
from torch import Tensor


def r1_r2(logits_M: Tensor, samples: Tensor) -> Tensor:
    """Return E ||∇ D(x)||² over reals plus over fakes; gamma/2 is not applied.

    Args:
        logits_M: logits of reals and fakes, half each.
        samples: what they were computed from, the first dimension being M.
    """
    (gradients,) = torch.autograd.grad(logits_M.sum(), samples, create_graph=True)
    return gradients.float().square().sum() * (2 / len(logits_M))
