"""Dense layers, and how networks for tables are initialised."""

import math

import torch
from torch import nn

SLOPE = 0.2
"""Of the leaky ReLU, for negative inputs."""


def linear(inputs: int, outputs: int) -> nn.Linear:
    """Return a linear layer whose weights are drawn later, and touch no global randomness."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs)
    return layer


def dense_stack(inputs: int, width: int, depth: int) -> nn.Sequential:
    """Return `depth` linear layers of `width` units, each with a leaky ReLU."""
    layers: list[nn.Module] = []
    for index in range(depth):
        layers += [linear(width if index else inputs, width), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers)


@torch.no_grad()
def initialise(network: nn.Module, stream: torch.Generator) -> None:
    """Draw linear layers from the stream: uniform in ±1/√inputs, biases too.

    LeCun et al., "Efficient backprop" (1998), section 4.6, times 1/√3.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            module.weight.uniform_(-bound, bound, generator=stream)
            module.bias.uniform_(-bound, bound, generator=stream)
