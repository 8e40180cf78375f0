"""GANSpace: the main directions of a generator's latent space.

Härkönen et al., "GANSpace: Discovering interpretable GAN controls" (NeurIPS 2020), section 3.1:
principal components of what the first layer makes of random latents, and the directions of the
latent that belong to them, by least squares.

Shapes: N latents, Z latent, F features, K directions.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gan.protocols import Generator

LATENTS, FEWER_LATENTS, MANY_FEATURES = 1024, 512, 1024
"""Latents that are looked at, at least; fewer where the first layer has many features …"""
PER_DIMENSION = 8
"""… and more where the latent is long: so many per dimension, that chance moves none of them …"""
MOST_VALUES = 1 << 24
"""… within so many features of all latents together."""
MATRIX = 2
"""Dimensions from which a weight mixes its inputs; one of fewer scales them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MainDirections:
    """Directions of the latent along which the first layer's features vary most."""

    steps_KZ: Tensor
    """What to add to a latent for one standard deviation along each component."""
    shares_K: tuple[float, ...]
    """Share of the features' variance along each component."""
    fit: float
    """Share of the latents' variance within the directions that the components explain, 0 to 1: 1
    where the first layer is linear in the latent."""


def latents_for(length: int, features: int) -> int:
    """Return how many latents of a length are looked at, by the number of their features."""
    wanted = FEWER_LATENTS if features > MANY_FEATURES else LATENTS
    return min(max(wanted, PER_DIMENSION * length), max(MOST_VALUES // features, PER_DIMENSION))


class _Reached(Exception):  # noqa: N818 - no error: it ends a pass after the first layer
    """Carries the features of the first layer."""

    def __init__(self, features: Tensor) -> None:
        super().__init__()
        self.features = features


def first_features(generator: Generator, z_NZ: Tensor, labels_N: Tensor) -> Tensor | None:
    """Return what the first layer after the latent makes of latents, (N, F); None without a layer.

    A generator may say it itself. Else it is the output of the first module that has a matrix of
    weights and whose output depends on the latent: classes' learnt vectors, for one, do not.

    Args:
        generator: its weights ask for no gradient.
        z_NZ: latents.
        labels_N: class indexes.
    """
    said = generator.first_features(z_NZ, labels_N)
    if said is not None:
        return said.detach().flatten(1)

    def reached(_module: nn.Module, _inputs: tuple[Any, ...], output: Any) -> None:
        if isinstance(output, Tensor) and output.requires_grad and len(output) == len(z_NZ):
            raise _Reached(output.detach())

    layers = [module for module in generator.modules() if _mixes(module)]
    handles = [module.register_forward_hook(reached) for module in layers]
    try:
        with torch.enable_grad():
            generator(z_NZ.detach().clone().requires_grad_(), labels_N)
    except _Reached as found:
        return found.features.flatten(1)
    finally:
        for handle in handles:
            handle.remove()
    return None


def _mixes(module: nn.Module) -> bool:
    weight = getattr(module, "weight", None)
    return isinstance(weight, Tensor) and weight.dim() >= MATRIX


def main_directions(
    features_NF: Tensor, z_NZ: Tensor, labels_N: Tensor, count: int
) -> MainDirections | None:
    """Return the first directions; None where the features do not vary with the latent.

    Features are centred within each class, so that what the class decides is no direction. With
    x the coordinates along the components, the direction of component k is Σ x_k z / Σ x_k²:
    section 3.1, argmin Σ ‖U x - z‖², whose columns separate because the x_k are uncorrelated.

    Args:
        features_NF: of the first layer.
        z_NZ: the latents they came from.
        labels_N: and the class indexes.
        count: K, at most.
    """
    centred_NF, z_NZ = _within(features_NF, labels_N), _within(z_NZ, labels_N)
    coordinates_NK, shares_K = _components(centred_NF, count)
    if not shares_K:
        return None
    scale_K = coordinates_NK.square().mean(0).sqrt()
    x_NK = coordinates_NK / scale_K
    steps_KZ = x_NK.T @ z_NZ / len(z_NZ)
    # Which way a component points is chance: the larger part of its direction becomes positive.
    largest_K1 = steps_KZ.gather(1, steps_KZ.abs().argmax(1, keepdim=True))
    steps_KZ = steps_KZ * largest_K1.sign()
    units_KZ = steps_KZ / steps_KZ.norm(dim=1, keepdim=True).clamp_min(1e-12)
    along_K = (z_NZ @ units_KZ.T).square().mean(0)
    fit = float((steps_KZ.square().sum(1).sum() / along_K.sum().clamp_min(1e-12)).clamp(0, 1))
    return MainDirections(steps_KZ=steps_KZ, shares_K=shares_K, fit=fit)


def _within(values_NF: Tensor, labels_N: Tensor) -> Tensor:
    """Return values without the mean of their class."""
    classes_N = labels_N.unique(return_inverse=True)[1]
    sums_CF = values_NF.new_zeros(int(classes_N.max()) + 1, values_NF.shape[1])
    sums_CF.index_add_(0, classes_N, values_NF)
    means_CF: Tensor = sums_CF / classes_N.bincount()[:, None]
    return values_NF - means_CF[classes_N]


def _components(centred_NF: Tensor, count: int) -> tuple[Tensor, tuple[float, ...]]:
    """Return coordinates along the principal components, and their shares of the variance.

    By the smaller of the two matrices of products.
    """
    N, F = centred_NF.shape
    by_feature = F <= N
    products = centred_NF.T @ centred_NF if by_feature else centred_NF @ centred_NF.T
    values, vectors = torch.linalg.eigh(products.double())
    total, count = float(values.clamp_min(0).sum()), min(count, len(values))
    values_K, vectors_K = values[-count:].flip(0), vectors[:, -count:].flip(1)
    kept = int((values_K > 1e-6 * max(total, 1e-30)).sum()) if total > 0 else 0
    values_K, vectors_K = values_K[:kept], vectors_K[:, :kept]
    along = centred_NF @ vectors_K.float() if by_feature else vectors_K * values_K.sqrt()
    return along.float(), tuple((values_K / total).tolist()) if kept else ()
