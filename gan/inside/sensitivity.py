"""How much every value of a sample moves with the latent.

Shapes: N latents, Z latent.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from gan.protocols import Draw

STEP = 0.02
"""Length of the step, per dimension of the latent, over which the slope is taken."""


def sensitivity(
    draw: Draw,
    visible: Callable[[Tensor], Tensor],
    z_NZ: Tensor,
    labels_N: Tensor,
    numbers: torch.Generator,
    *,
    held: int = 0,
) -> Tensor:
    """Return the root mean square length of every value's gradient, of the shape of one sample.

    s = √(mean over latents of ‖∂x/∂z‖²): by how much a value x moves, to first order, when a
    standard normal number is added to every dimension of the latent that is not held. As
    E (u·∂x/∂z)² = ‖∂x/∂z‖² for standard normal u (Hutchinson, "A stochastic estimator of the trace
    of the influence matrix", 1989), one random direction per latent is enough; the slope along it
    is a central difference, so that any generator has one.

    Args:
        draw: the generator.
        visible: what of its output can be seen: clamped, in the unit of the result.
        z_NZ: latents, on the generator's device.
        labels_N: class indexes.
        numbers: stream of the directions, on the processor.
        held: values of the latent, the first ones, that do not move.
    """
    u_NZ = torch.randn(z_NZ.shape, generator=numbers).to(z_NZ.device)
    u_NZ[:, :held] = 0
    with torch.no_grad():
        ahead = visible(draw(z_NZ + STEP * u_NZ, labels_N)).double()
        behind = visible(draw(z_NZ - STEP * u_NZ, labels_N)).double()
    slopes = (ahead - behind) / (2 * STEP)
    return slopes.square().mean(0).sqrt().float()
