"""The shapes of images: principal components that all share, and how each group's are distributed.

In the components, and the numbers of an image's texture beside them, each group, a class or a
cluster where there are no classes, has a mixture of Gaussians: which textures go with which shapes
is what a Gaussian knows. Each one's covariance is drawn towards what the group's Gaussians have in
common, and that towards what all groups have, because some forty images show no covariance.

Shapes: N images, R images that are fitted on, C channels, H height, W width, F values of an image,
K components, T numbers of its texture, D = K + T, G groups, M Gaussians of a group.
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
    """Shapes that no image has, and textures that go with them."""

    codes_NK: Tensor
    texture_NT: Tensor
    group_N: Tensor


class ShapeMixture(Initialisable):
    """Components of images, in standard deviations, and mixtures that draw them."""

    mean_F: Tensor
    basis_KF: Tensor
    group_share_G: Tensor
    share_GM: Tensor
    centre_GMD: Tensor
    factor_GMDD: Tensor

    def __init__(self, codec: ImageCodec, groups: int, size: MixtureSize, texture: int) -> None:
        super().__init__()
        self.image_size = (codec.channels, codec.height, codec.width)
        self.groups, self.size, self.is_labelled = groups, size, bool(codec.classes)
        K, G, M = size.components, groups, size.gaussians
        self.numbers = D = K + texture
        self.register_buffer("mean_F", torch.zeros(math.prod(self.image_size)))
        self.register_buffer("basis_KF", torch.zeros(K, math.prod(self.image_size)))
        self.register_buffer("group_share_G", torch.zeros(G))
        self.register_buffer("share_GM", torch.zeros(G, M))
        self.register_buffer("centre_GMD", torch.zeros(G, M, D))
        self.register_buffer("factor_GMDD", torch.zeros(G, M, D, D))

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

    def forward(self, choice_N: Tensor, normal_ND: Tensor, labels_N: Tensor) -> DrawnShapes:
        """Return shapes: one normal number each chooses a Gaussian, the others lie within it.

        Codes depend on the first K of these alone.
        """
        chance_N, group_N = torch.special.ndtr(choice_N), labels_N
        if not self.is_labelled:
            group_N, chance_N = which_share(self.group_share_G.expand(len(chance_N), -1), chance_N)
        gaussian_N, _ = which_share(self.share_GM[group_N], chance_N)
        with exact_products(normal_ND):
            spread_ND = (self.factor_GMDD[group_N, gaussian_N] @ normal_ND[:, :, None])[:, :, 0]
        drawn_ND = self.centre_GMD[group_N, gaussian_N] + spread_ND
        codes_NK, texture_NT = drawn_ND.tensor_split([self.size.components], dim=1)
        return DrawnShapes(codes_NK, texture_NT, group_N)

    @torch.no_grad()
    def group(self, described_ND: Tensor, labels_N: Tensor) -> Tensor:
        """Return the group of every image: its class, or the most probable cluster."""
        if self.is_labelled:
            return labels_N
        centred_GMDN = (described_ND - self.centre_GMD[:, :, None]).mT
        with exact_products(described_ND):
            scaled_GMDN = torch.linalg.solve_triangular(self.factor_GMDD, centred_GMDN, upper=False)
        volume_GM = self.factor_GMDD.diagonal(dim1=2, dim2=3).log().sum(2)
        share_GM = (self.share_GM * self.group_share_G[:, None]).log() - volume_GM
        log_GMN = share_GM[:, :, None] - 0.5 * scaled_GMDN.square().sum(2)
        group_N: Tensor = log_GMN.logsumexp(1).argmax(0)
        return group_N

    def draw(self, stream: torch.Generator) -> None:
        """Know no shapes yet."""
        del stream
        for buffer in self.buffers(recurse=False):
            buffer.zero_()
        self.group_share_G.fill_(1 / len(self.group_share_G))
        self.share_GM.fill_(1 / self.share_GM.shape[1])
        self.factor_GMDD.copy_(torch.eye(self.numbers).expand_as(self.factor_GMDD))

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
    def fit(self, described_RD: Tensor, labels_R: Tensor, rng: np.random.Generator) -> None:
        """Fit every group's mixture; a group without images gets that of all.

        Args:
            described_RD: codes and textures of real images.
            labels_R: their classes; without classes images are clustered.
            rng: what first centres are drawn with.
        """
        described, groups = described_RD.double().cpu().numpy(), self.groups
        if self.is_labelled:
            group_R = labels_R.cpu().numpy()
        else:
            first = described[:, : min(CLUSTER_COMPONENTS, self.size.components)]
            group_R = dissolve_small(first, cluster(first, groups, rng), SMALLEST_CLUSTER)
        shares_G = np.bincount(group_R, minlength=groups) / len(group_R)
        self.group_share_G.copy_(torch.from_numpy(shares_G))
        common_DD = _common_covariance(described, group_R)
        for group in range(groups):
            own_RD = described[group_R == group] if (group_R == group).any() else described
            most = min(max(len(own_RD) // self.size.rows_per_gaussian, 1), self.size.gaussians)
            weights_M, centres_MD, factors_MDD = _fit_group(own_RD, common_DD, most, rng)
            self.share_GM[group] = 0
            for buffer, found in (
                (self.share_GM, weights_M),
                (self.centre_GMD, centres_MD),
                (self.factor_GMDD, factors_MDD),
            ):
                buffer[group, : len(weights_M)] = torch.from_numpy(found).to(buffer)


def _common_covariance(described_RD: Array, group_R: Array) -> Array:
    """Return the covariance within groups."""
    groups = np.unique(group_R)
    left_RD = np.concatenate(
        [described_RD[group_R == each] - described_RD[group_R == each].mean(0) for each in groups]
    )
    common_DD: Array = left_RD.T @ left_RD / len(left_RD)
    return common_DD


def _fit_group(
    described_RD: Array, common_DD: Array, most: int, rng: np.random.Generator
) -> tuple[Array, Array, Array]:
    """Return weights, centres and factors of a group's Gaussians.

    Args:
        described_RD: codes and textures of a group's images.
        common_DD: covariance within all groups.
        most: Gaussians, at most.
        rng: what the first centres are drawn with.
    """
    least = FEWEST * len(described_RD) / most
    first_RD = described_RD[:, :CLUSTER_COMPONENTS]
    chosen_R = dissolve_small(first_RD, cluster(first_RD, most, rng), least)

    def towards_common(scatter_MDD: Array, counts_M: Array, rows: int) -> Array:
        """Return covariances drawn towards the group's own, and that towards the common one."""
        within_DD = scatter_MDD.sum(0)
        size = np.trace(within_DD) / rows / max(np.trace(common_DD), TINY)
        own_DD = (within_DD + SHARED_ROWS * size * common_DD) / (rows + SHARED_ROWS)
        drawn_MDD = (scatter_MDD + PRIOR_ROWS * own_DD) / (counts_M + PRIOR_ROWS)[:, None, None]
        covariances_MDD: Array = drawn_MDD + LEAST_VARIANCE * np.eye(len(own_DD))
        return covariances_MDD

    found = expectation_maximisation(described_RD, chosen_R, least, towards_common)
    return found.weights_K, found.centres_KD, np.linalg.cholesky(found.covariances_KDD)
