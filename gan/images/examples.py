"""What a classifier of images learns from: pixels, targets, and how much each image counts.

Shapes: N images, H height, W width, C channels, K classes.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

Array = np.ndarray[Any, Any]

SIDE = 24
"""Larger images are averaged down to about this many pixels a side."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Examples:
    """What is learnt from."""

    pixels_NCHW: Tensor
    """In [-1, 1]."""
    targets_NK: Tensor
    """Probabilities of the classes."""
    chance_N: Tensor
    """Of being drawn, up to a factor."""
    weight_N: Tensor
    """Of the loss."""


def plain_examples(pixels_NCHW: Tensor, classes_N: Array, K: int) -> Examples:
    """Return examples that all count alike."""
    ones_N = torch.ones(len(pixels_NCHW))
    targets_NK = one_hot(torch.from_numpy(classes_N), K).float()
    return Examples(
        pixels_NCHW=pixels_NCHW, targets_NK=targets_NK, chance_N=ones_N, weight_N=ones_N
    )


def joined(real: Examples, synthetic: Examples) -> Examples:
    """Return both."""
    return Examples(
        pixels_NCHW=torch.cat([real.pixels_NCHW, synthetic.pixels_NCHW]),
        targets_NK=torch.cat([real.targets_NK, synthetic.targets_NK]),
        chance_N=torch.cat([real.chance_N, synthetic.chance_N]),
        weight_N=torch.cat([real.weight_N, synthetic.weight_N]),
    )


def equalised(examples: Examples, by: Literal["chance", "weight"]) -> Examples:
    """Return examples of which all classes count alike, by their chance or by their weight."""
    masses_K = (examples.targets_NK * examples.chance_N[:, None]).sum(0).clamp(min=1e-9)
    factor_N = examples.targets_NK @ (1 / masses_K)
    if by == "chance":
        return replace(examples, chance_N=examples.chance_N * factor_N)
    mean = (factor_N * examples.chance_N).sum() / examples.chance_N.sum()
    return replace(examples, weight_N=factor_N / mean)
