"""The shapes of images: principal components that all share, and how each group's are distributed.

In the components each group, a class or a cluster where there are no classes, has a mixture of
Gaussians. Each Gaussian's covariance is drawn towards what the group's Gaussians have in common,
and that towards what all groups have in common, because some forty images do not show a covariance.

Shapes: N images, R images that are fitted on, C channels, H height, W width, F values of an image,
K components, G groups, M Gaussians of a group.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gan.device import exact_products, one_thread_everywhere
from gan.images.codec import ImageCodec
from gan.images.mixture import (
    FEWEST,
    TINY,
    Array,
    MixtureSize,
    cluster,
    dissolve_small,
    expectation_maximisation,
    principal_components,
)
from gan.images.networks.layers import Initialisable
from gan.images.networks.mixture import CLUSTER_COMPONENTS, SMALLEST_CLUSTER, which_share

FITTED_ROWS, MIXED_ROWS = 6_000, 20_000
"""Images, at most, that components are fitted on, and mixtures."""
PRIOR_ROWS = 40.0
"""Images' worth of a group's common covariance in that of each of its Gaussians."""
SHARED_ROWS = 12.0
"""Images' worth of all groups' covariance in that."""
LEAST_SQUARE = 1e-7
LEAST_VARIANCE = 1e-4
"""Of a component in standard deviations."""


class DrawnShapes(NamedTuple):
    """Shapes that no image has."""

    codes_NK: Tensor
    group_N: Tensor


class ShapeMixture(Initialisable):
    """Components of images, in standard deviations, and mixtures that draw them."""

    mean_F: Tensor
    basis_KF: Tensor
    group_share_G: Tensor
    share_GM: Tensor
    centre_GMK: Tensor
    factor_GMKK: Tensor

    def __init__(self, codec: ImageCodec, groups: int, size: MixtureSize) -> None:
        super().__init__()
        self.image_size = (codec.channels, codec.height, codec.width)
        self.groups, self.size, self.is_labelled = groups, size, bool(codec.classes)
        K, G, M = size.components, groups, size.gaussians
        self.register_buffer("mean_F", torch.zeros(math.prod(self.image_size)))
        self.register_buffer("basis_KF", torch.zeros(K, math.prod(self.image_size)))
        self.register_buffer("group_share_G", torch.zeros(G))
        self.register_buffer("share_GM", torch.zeros(G, M))
        self.register_buffer("centre_GMK", torch.zeros(G, M, K))
        self.register_buffer("factor_GMKK", torch.zeros(G, M, K, K))

    def encode(self, images_NCHW: Tensor) -> Tensor:
        """Return `codes_NK`: principal components in standard deviations."""
        with exact_products(images_NCHW):
            codes_NK = (images_NCHW.flatten(1) - self.mean_F) @ self.basis_KF.T
        return codes_NK / self.basis_KF.square().sum(1).clamp_min(LEAST_SQUARE)

    def decode(self, codes_NK: Tensor) -> Tensor:
        """Return the images that codes stand for."""
        with exact_products(codes_NK):
            flat_NF = torch.addmm(self.mean_F, codes_NK, self.basis_KF)
        images_NCHW: Tensor = flat_NF.unflatten(1, self.image_size)
        return images_NCHW

    def forward(self, choice_N: Tensor, normal_NK: Tensor, labels_N: Tensor) -> DrawnShapes:
        """Return shapes: one normal number each chooses a Gaussian, the others lie within it."""
        chance_N, group_N = torch.special.ndtr(choice_N), labels_N
        if not self.is_labelled:
            group_N, chance_N = which_share(self.group_share_G.expand(len(chance_N), -1), chance_N)
        gaussian_N, _ = which_share(self.share_GM[group_N], chance_N)
        with exact_products(normal_NK):
            spread_NK = (self.factor_GMKK[group_N, gaussian_N] @ normal_NK[:, :, None])[:, :, 0]
        return DrawnShapes(self.centre_GMK[group_N, gaussian_N] + spread_NK, group_N)

    @torch.no_grad()
    def group(self, codes_NK: Tensor, labels_N: Tensor) -> Tensor:
        """Return the group of every image: its class, or the most probable cluster."""
        if self.is_labelled:
            return labels_N
        centred_GMKN = (codes_NK - self.centre_GMK[:, :, None]).mT
        with exact_products(codes_NK):
            scaled_GMKN = torch.linalg.solve_triangular(self.factor_GMKK, centred_GMKN, upper=False)
        volume_GM = self.factor_GMKK.diagonal(dim1=2, dim2=3).log().sum(2)
        share_GM = (self.share_GM * self.group_share_G[:, None]).log() - volume_GM
        log_GMN = share_GM[:, :, None] - 0.5 * scaled_GMKN.square().sum(2)
        group_N: Tensor = log_GMN.logsumexp(1).argmax(0)
        return group_N

    def draw(self, stream: torch.Generator) -> None:
        """Know no shapes yet."""
        del stream
        for buffer in self.buffers(recurse=False):
            buffer.zero_()
        self.group_share_G.fill_(1 / len(self.group_share_G))
        self.share_GM.fill_(1 / self.share_GM.shape[1])
        self.factor_GMKK.copy_(torch.eye(self.size.components).expand_as(self.factor_GMKK))

    @torch.no_grad()
    def fit_components(self, images_RCHW: Tensor) -> None:
        """Learn the components that images vary in most."""
        flat_RF = images_RCHW.flatten(1)
        self.mean_F.copy_(flat_RF.mean(0))
        centred_RF = flat_RF - self.mean_F
        _, directions_KF = principal_components(centred_RF.cpu().numpy(), len(self.basis_KF))
        basis_KF = torch.from_numpy(np.ascontiguousarray(directions_KF)).to(centred_RF)
        deviation_K = (centred_RF @ basis_KF.T).square().mean(0).sqrt()
        self.basis_KF.zero_()
        self.basis_KF[: len(basis_KF)] = basis_KF * deviation_K[:, None]

    @torch.no_grad()
    @one_thread_everywhere()
    def fit(self, codes_RK: Tensor, labels_R: Tensor, rng: np.random.Generator) -> None:
        """Fit every group's mixture; a group without images gets that of all.

        Args:
            codes_RK: of real images.
            labels_R: their classes; without classes images are clustered.
            rng: what first centres are drawn with.
        """
        codes, groups = codes_RK.double().cpu().numpy(), self.groups
        if self.is_labelled:
            group_R = labels_R.cpu().numpy()
        else:
            first = codes[:, :CLUSTER_COMPONENTS]
            group_R = dissolve_small(first, cluster(first, groups, rng), SMALLEST_CLUSTER)
        shares_G = np.bincount(group_R, minlength=groups) / len(group_R)
        self.group_share_G.copy_(torch.from_numpy(shares_G))
        common_KK = _common_covariance(codes, group_R)
        for group in range(groups):
            own_RK = codes[group_R == group] if (group_R == group).any() else codes
            most = min(max(len(own_RK) // self.size.rows_per_gaussian, 1), self.size.gaussians)
            weights_M, centres_MK, factors_MKK = _fit_group(own_RK, common_KK, most, rng)
            self.share_GM[group] = 0
            for buffer, found in (
                (self.share_GM, weights_M),
                (self.centre_GMK, centres_MK),
                (self.factor_GMKK, factors_MKK),
            ):
                buffer[group, : len(weights_M)] = torch.from_numpy(found).to(buffer)


def _common_covariance(codes_RK: Array, group_R: Array) -> Array:
    """Return the covariance within groups."""
    groups = np.unique(group_R)
    left_RK = np.concatenate(
        [codes_RK[group_R == each] - codes_RK[group_R == each].mean(0) for each in groups]
    )
    common_KK: Array = left_RK.T @ left_RK / len(left_RK)
    return common_KK


def _fit_group(
    codes_RK: Array, common_KK: Array, most: int, rng: np.random.Generator
) -> tuple[Array, Array, Array]:
    """Return weights, centres and factors of a group's Gaussians.

    Args:
        codes_RK: of a group's images.
        common_KK: covariance within all groups.
        most: Gaussians, at most.
        rng: what the first centres are drawn with.
    """
    least = FEWEST * len(codes_RK) / most
    first_RK = codes_RK[:, :CLUSTER_COMPONENTS]
    chosen_R = dissolve_small(first_RK, cluster(first_RK, most, rng), least)

    def towards_common(scatter_MKK: Array, counts_M: Array, rows: int) -> Array:
        """Return covariances drawn towards the group's own, and that towards the common one."""
        within_KK = scatter_MKK.sum(0)
        size = np.trace(within_KK) / rows / max(np.trace(common_KK), TINY)
        own_KK = (within_KK + SHARED_ROWS * size * common_KK) / (rows + SHARED_ROWS)
        drawn_MKK = (scatter_MKK + PRIOR_ROWS * own_KK) / (counts_M + PRIOR_ROWS)[:, None, None]
        covariances_MKK: Array = drawn_MKK + LEAST_VARIANCE * np.eye(len(own_KK))
        return covariances_MKK

    found = expectation_maximisation(codes_RK, chosen_R, least, towards_common)
    return found.weights_K, found.centres_KD, np.linalg.cholesky(found.covariances_KDD)
