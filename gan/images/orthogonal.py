"""Steps of filters by orthogonalised momentum: nets of images learn in a fraction of the steps.

Jordan, "Muon", 2024: every direction of the momentum gets the same length, by a Newton-Schulz
iteration; with the filters' size kept, as in Jordan 2024 (arXiv:2404.00498), appendix.

Shapes: a weight's first axis is its outputs, the others are flattened.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

MOMENTUM = 0.6
ITERATIONS = 4


class OrthogonalSteps:
    """The weights that are stepped so, and their momenta."""

    def __init__(self, weights: Sequence[Tensor]) -> None:
        """Begin without momentum."""
        self._weights = tuple(weights)
        self._momenta = tuple(torch.zeros_like(weight) for weight in weights)

    def step(self, rate: float) -> None:
        """Move every weight that has a gradient, by so much in every direction of its momentum."""
        for weight, momentum in zip(self._weights, self._momenta, strict=True):
            if weight.grad is not None:
                momentum.mul_(MOMENTUM).add_(weight.grad)
                moved = orthogonalised((weight.grad + MOMENTUM * momentum).flatten(1))
                with torch.no_grad():
                    weight.mul_(len(weight) ** 0.5 / weight.norm())
                    weight.add_(moved.reshape(weight.shape), alpha=-rate)


def orthogonalised(matrix: Tensor) -> Tensor:
    """Return the matrix with all singular values near 1, by Muon's coefficients."""
    matrix = matrix / (matrix.norm() + 1e-7)
    tall = matrix.shape[0] > matrix.shape[1]
    matrix = matrix.T if tall else matrix
    for _ in range(ITERATIONS):
        square = matrix @ matrix.T
        matrix = 3.4445 * matrix + (-4.7750 * square + 2.0315 * square @ square) @ matrix
    return matrix.T if tall else matrix
