"""From one latent to another, and from one class to another.

Shapes: N samples, Z latent, S steps of a path.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gan.protocols import Generator

ALIKE = 1e-4
"""Sine of the angle below which two latents point the same way, and the path is a straight line."""


def steps_between(start_NZ: Tensor, end_NZ: Tensor, steps: int, *, held: int = 0) -> Tensor:
    """Return latents on the great circles from start to end, both included, (N, S, Z).

    The first `held` values are those of the start all the way.

    Spherical: sin((1-t)θ)/sin θ · start + sin(tθ)/sin θ · end, θ the angle between them (White,
    "Sampling generative networks", 2016, section 2.1). Normal latents of many dimensions all have
    about the same length; a straight line would leave where the generator was trained.
    """
    if held:
        first_NSH = start_NZ[:, None, :held].expand(-1, steps, -1)
        moving = steps_between(start_NZ[:, held:], end_NZ[:, held:], steps)
        return torch.cat([first_NSH, moving], dim=2)
    cosine_N = functional.cosine_similarity(start_NZ, end_NZ, dim=1).clamp(-1, 1)
    angle_N11 = cosine_N.arccos()[:, None, None]
    share_S1 = torch.linspace(0, 1, steps, device=start_NZ.device)[:, None]
    sine_N11 = angle_N11.sin()
    flat_N11 = sine_N11 < ALIKE
    safe_N11 = torch.where(flat_N11, torch.ones_like(sine_N11), sine_N11)
    of_start = torch.where(flat_N11, 1 - share_S1, ((1 - share_S1) * angle_N11).sin() / safe_N11)
    of_end = torch.where(flat_N11, share_S1, (share_S1 * angle_N11).sin() / safe_N11)
    return of_start * start_NZ[:, None] + of_end * end_NZ[:, None]


def between_classes(
    generator: Generator, z_NZ: Tensor, classes: tuple[Tensor, Tensor], share_N: Tensor
) -> Tensor | None:
    """Return samples whose class lies between two; None where classes are no learnt vectors.

    Every vector that the generator has learnt for a class, at its entry or in its layers, is
    replaced by (1 - share) · that of the first + share · that of the second.

    Args:
        generator: on the device of the latents.
        z_NZ: latents.
        classes: class indexes of the first and of the second class, (N,) each.
        share_N: how far from the first to the second, 0 to 1.
    """
    first_N, second_N = classes
    blended = 0

    def blend(module: nn.Module, inputs: tuple[Any, ...], vectors: Tensor) -> Tensor | None:
        nonlocal blended
        if not isinstance(module, nn.Embedding) or inputs[0].shape != second_N.shape:
            return None
        blended += 1
        others = functional.embedding(second_N, module.weight)
        return vectors + share_N[:, None] * (others - vectors)

    learnt = [module for module in generator.modules() if isinstance(module, nn.Embedding)]
    handles = [module.register_forward_hook(blend) for module in learnt]
    try:
        with torch.no_grad():
            samples: Tensor = generator(z_NZ, first_N)
    finally:
        for handle in handles:
            handle.remove()
    return samples if blended else None
