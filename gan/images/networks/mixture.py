"""`mixture`: a generator that is fitted at once, not trained: Gaussians in principal components.

The first value of the latent chooses the Gaussian, the next ones are its coordinates. Large images
are modelled at a half or a quarter of their sides and doubled smoothly; what that leaves out is
drawn as a random field (see `grain`), and what only a small class has as single things on its
images (see `defects`), from the values that follow.

Shapes: N images, C channels, H height, W width, Z latent, P values of a small image, G groups,
D components, K Gaussians of a group.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gan.codecs import Encoded
from gan.config import ResolvedConfig
from gan.device import one_thread_everywhere
from gan.images.codec import ImageCodec
from gan.images.mixture import (
    Array,
    FittedGroup,
    MixtureSize,
    cluster,
    dissolve_small,
    fit_groups,
    principal_components,
)
from gan.images.networks.defects import Defects
from gan.images.networks.grain import Grain
from gan.images.networks.layers import Initialisable
from gan.protocols import Generator, Networks
from gan.randomness import numpy_stream

LARGEST_SIDE = 32
"""Sides of the images that are modelled as they are."""
CLUSTER_COMPONENTS = 20
"""Principal components in which unlabelled images are clustered."""
MOST_IMAGES, MOST_UNLABELLED, LEAST_OF_GROUP = 30_000, 10_000, 300
"""Images that a fit looks at: so many in all, without classes fewer, and at least so many of a
class."""
SMALLEST_CLUSTER = 20
"""Images of a cluster, at least: its mean is in the snapshot, and one image's would show it."""
GRAIN_ROWS, GRAIN_PART = 600, 200
"""Images that grain is measured on, of all groups alike, and how many are looked at at once."""
UNUSED = 1e-12
"""Squared length of a direction that a group does not have."""
SURELY = 1 - 1e-6
"""Largest chance that chooses a Gaussian: the last one has the rest."""


def shrinkage(codec: ImageCodec) -> int:
    """Return the power of two by which images are made smaller."""
    longest = max(codec.height, codec.width)
    return 1 << max(math.ceil(math.log2(longest / LARGEST_SIDE)), 0)


class GaussianIndex(NamedTuple):
    """The Gaussian of each sample; as an index, its numbers."""

    group_N: Tensor
    gaussian_N: Tensor


class MixtureGenerator(Generator, Initialisable):
    """Draws from the mixture of the class's group, or of all groups where there are no classes."""

    has_likelihood = True
    choosing = 1
    mean_GP: Tensor
    basis_GDP: Tensor
    shares_GK: Tensor
    centres_GKD: Tensor
    factors_GKDD: Tensor
    residual_G: Tensor
    group_share_G: Tensor

    def __init__(self, config: ResolvedConfig, codec: ImageCodec) -> None:
        super().__init__()
        self.codec, self.shrinkage = codec, shrinkage(codec)
        self.size = (codec.height, codec.width)
        self.small = (
            codec.channels,
            *(math.ceil(side / self.shrinkage) for side in self.size),
        )
        P = math.prod(self.small)
        G = len(codec.classes) or int(config.network["groups"])
        D, K = int(config.network["components"]), int(config.network["gaussians"])
        self.mixture_size = MixtureSize(D, K, int(config.network["rows_per_gaussian"]))
        self.is_labelled = bool(codec.classes)
        self.grain = self.defects = None
        if config.network.get("grain"):
            self.grain = Grain(G, codec.channels, codec.height, codec.width)
            self.defects = Defects(G, codec.channels, codec.height, codec.width)
        self.described = 1 + D
        self.register_buffer("mean_GP", torch.zeros(G, P))
        self.register_buffer("basis_GDP", torch.zeros(G, D, P))
        self.register_buffer("shares_GK", torch.ones(G, K) / K)
        self.register_buffer("centres_GKD", torch.zeros(G, K, D))
        self.register_buffer("factors_GKDD", torch.zeros(G, K, D, D))
        self.register_buffer("residual_G", torch.ones(G))
        self.register_buffer("group_share_G", torch.ones(G) / G)

    def forward(self, z_NZ: Tensor, labels_N: Tensor) -> Tensor:
        """Return `images_NCHW`."""
        place = self.choose(z_NZ[:, 0], labels_N)
        images = self.enlarge(self.decode(z_NZ[:, 1 : 1 + self.components], place))
        return self.add_defects(images + self.draw_grain(z_NZ[:, 1:], place), z_NZ, place)

    @property
    def components(self) -> int:
        """D."""
        return self.basis_GDP.shape[1]

    @property
    def numbers(self) -> int:
        """How many values of a latent are its own."""
        beyond = [part.numbers for part in (self.grain, self.defects) if part is not None]
        return 1 + self.components + sum(beyond)

    def draw_grain(self, normal_NL: Tensor, place: GaussianIndex) -> Tensor:
        """Return what is finer than the mixture, `grain_NCHW`; nothing where it has none.

        Args:
            normal_NL: coordinates, then what grain is drawn from.
            place: of every image.
        """
        if self.grain is None:
            return normal_NL.new_zeros(len(normal_NL), self.codec.channels, *self.size)
        own = slice(self.components, self.components + self.grain.numbers)
        grain: Tensor = self.grain(normal_NL[:, own], place.group_N)
        return grain

    def add_defects(self, images_NCHW: Tensor, z_NZ: Tensor, place: GaussianIndex) -> Tensor:
        """Return images with the defects of their groups, which nothing changes after that."""
        if self.defects is None or not self.defects.any:
            return images_NCHW
        own = slice(self.numbers - self.defects.numbers, self.numbers)
        below_NCHW = images_NCHW.detach()
        added: Tensor = self.defects(z_NZ[:, own], place.group_N).to(below_NCHW)
        return images_NCHW + ((below_NCHW + added).clamp(-1, 1) - below_NCHW)

    def choose(self, normal_N: Tensor, labels_N: Tensor) -> GaussianIndex:
        """Return the Gaussian that each normal number chooses, of its class or of all groups."""
        chance_N, group_N = torch.special.ndtr(normal_N), labels_N
        if not self.is_labelled:
            group_N, chance_N = which_share(self.group_share_G.expand(len(chance_N), -1), chance_N)
        gaussian_N, _ = which_share(self.shares_GK[group_N], chance_N)
        return GaussianIndex(group_N, gaussian_N)

    def decode(self, whitened_ND: Tensor, place: GaussianIndex) -> Tensor:
        """Return `values_NP` of coordinates that are standard normal within their Gaussian."""
        factors_NDD = self.factors_GKDD[place]
        codes_ND = (factors_NDD @ whitened_ND[:, :, None])[:, :, 0] + self.centres_GKD[place]
        return self._from_codes(codes_ND, place.group_N)

    def whiten(self, values_NP: Tensor, place: GaussianIndex) -> Tensor:
        """Return the coordinates of values within their Gaussians; the inverse of `decode`."""
        codes_ND = self._codes(values_NP, place.group_N) - self.centres_GKD[place]
        factors_NDD = self.factors_GKDD[place]
        solved: Tensor = torch.linalg.solve_triangular(
            factors_NDD, codes_ND[:, :, None], upper=False
        )
        return solved[:, :, 0]

    def locate(self, values_NP: Tensor, labels_N: Tensor) -> GaussianIndex:
        """Return the Gaussian that each image most probably is of."""
        groups = range(len(self.mean_GP))
        if self.is_labelled:
            gaussian_N = torch.empty_like(labels_N)
            for group in labels_N.unique().tolist():
                rows = (labels_N == group).nonzero()[:, 0]
                gaussian_N[rows] = self._log_shares(values_NP[rows], group).argmax(1)
            return GaussianIndex(labels_N, gaussian_N)
        log_NGK = torch.stack([self._log_shares(values_NP, group) for group in groups], dim=1)
        log_NGK = log_NGK + self.group_share_G.double().log()[:, None]
        best_N = log_NGK.flatten(1).argmax(1)
        K = log_NGK.shape[2]
        return GaussianIndex(best_N // K, best_N % K)

    def _codes(self, values_NP: Tensor, group_N: Tensor) -> Tensor:
        """Return the coordinates of values in the components of their groups."""
        codes_ND = values_NP.new_empty(len(values_NP), self.components)
        for group in group_N.unique().tolist():
            rows = (group_N == group).nonzero()[:, 0]
            codes_ND[rows] = (values_NP[rows] - self.mean_GP[group]) @ self.basis_GDP[group].T
        return codes_ND

    def first_features(self, z_NZ: Tensor, labels_N: Tensor) -> Tensor:
        """Return the images: nothing comes before them, and their components are the latent's."""
        images_NCHW: Tensor = self(z_NZ, labels_N)
        return images_NCHW

    def draw(self, stream: torch.Generator) -> None:
        """Start with nothing but black and equal shares, until it is fitted."""
        del stream
        for buffer in self.buffers(recurse=False):
            buffer.zero_()
        for part in (self.grain, self.defects):
            if part is not None:
                part.start()
        self.shares_GK.fill_(1 / self.shares_GK.shape[1])
        self.group_share_G.fill_(1 / len(self.group_share_G))
        self.residual_G.fill_(1.0)

    def enlarge(self, values_NP: Tensor) -> Tensor:
        """Return small images at their full size."""
        small: Tensor = values_NP.unflatten(1, self.small)
        if self.shrinkage > 1:
            small = functional.interpolate(small, scale_factor=self.shrinkage, mode="bilinear")
        return small[:, :, : self.size[0], : self.size[1]]

    def shrink(self, images_NCHW: Tensor) -> Tensor:
        """Return `values_NP` of small images: means of squares of pixels."""
        if self.shrinkage > 1:
            images_NCHW = functional.avg_pool2d(images_NCHW, self.shrinkage, ceil_mode=True)
        return images_NCHW.flatten(1)

    @torch.no_grad()
    @one_thread_everywhere()
    def fit(self, encoded: Encoded, seed: int) -> None:
        """Fit the mixture of every class, or of every cluster of unlabelled images."""
        rng, groups = numpy_stream(seed, "mixture"), len(self.mean_GP)
        each = max(MOST_IMAGES // groups, LEAST_OF_GROUP) if self.is_labelled else MOST_UNLABELLED
        labels_R = encoded.labels_N
        rows_R = np.concatenate(
            [
                rng.permutation(np.flatnonzero(labels_R == label))[:each]
                for label in np.unique(labels_R)
            ]
        )
        clean = self._without_defects(encoded, rows_R)
        small = [
            self.shrink(clean(part)).numpy()
            for part in np.array_split(rows_R, max(len(rows_R) // 1_000, 1))
        ]
        images_RP = np.concatenate(small)
        groups_R = labels_R[rows_R] if self.is_labelled else _clusters(images_RP, groups, rng)
        shares_G = np.bincount(labels_R if self.is_labelled else groups_R, minlength=groups)
        self.group_share_G.copy_(torch.from_numpy(shares_G / shares_G.sum()))
        fitted = fit_groups(images_RP, groups_R, groups, self.mixture_size, rng)
        for index, group in enumerate(fitted):
            self._keep(index, group)
        if self.grain is not None:
            self._measure_grain(self.grain, clean, rows_R, groups_R)

    def _without_defects(self, encoded: Encoded, rows_R: Array) -> Callable[[Array], Tensor]:
        """Learn the defects of small classes; return what reads images without them."""

        def read(rows: Array) -> Tensor:
            return self.codec.to_samples(torch.from_numpy(encoded.values[rows]))

        if self.defects is None or not self.is_labelled:
            return read
        without = {
            row: image_CHW
            for rows, images in self.defects.measure(read, rows_R, encoded.labels_N[rows_R])
            for row, image_CHW in zip(rows.tolist(), images, strict=True)
        }

        def clean(rows: Array) -> Tensor:
            images = read(rows)
            for place, row in enumerate(rows.tolist()):
                if row in without:
                    images[place] = without[row]
            return images

        return clean

    def _measure_grain(
        self,
        grain: Grain,
        read: Callable[[Array], Tensor],
        rows_R: Array,
        groups_R: Array,
    ) -> None:
        """Measure what real images have beyond what the mixture can show of them."""
        each = max(GRAIN_ROWS // len(self.mean_GP), 1)
        seen = np.concatenate(
            [np.flatnonzero(groups_R == group)[:each] for group in range(len(self.mean_GP))]
        )
        parts = []
        for part in np.array_split(seen, max(len(seen) // GRAIN_PART, 1)):
            images = read(rows_R[part]).to(self.mean_GP.device)
            group_N = torch.from_numpy(groups_R[part]).to(self.mean_GP.device)
            parts.append(images - self.shown(images, group_N))
        grain.measure(torch.cat(parts), torch.from_numpy(groups_R[seen]))

    def shown(self, images_NCHW: Tensor, group_N: Tensor) -> Tensor:
        """Return what the components of their groups show of images."""
        values_NP = self.shrink(images_NCHW)
        codes_ND = self._codes(values_NP, group_N)
        return self.enlarge(self._from_codes(codes_ND, group_N))

    def _from_codes(self, codes_ND: Tensor, group_N: Tensor) -> Tensor:
        """Return `values_NP` of coordinates in the components of their groups."""
        values_NP = codes_ND.new_empty(len(codes_ND), self.mean_GP.shape[1])
        for group in group_N.unique().tolist():
            rows = (group_N == group).nonzero()[:, 0]
            values_NP[rows] = torch.addmm(
                self.mean_GP[group], codes_ND[rows], self.basis_GDP[group]
            )
        return values_NP

    def _keep(self, index: int, group: FittedGroup) -> None:
        """Take a group's mixture into the buffers; what it has less of stays zero."""
        k, d = group.centres_KD.shape
        self.mean_GP[index] = torch.from_numpy(group.mean_P)
        self.basis_GDP[index, :d] = torch.from_numpy(group.basis_DP)
        self.shares_GK[index] = 0
        self.shares_GK[index, :k] = torch.from_numpy(group.weights_K)
        self.centres_GKD[index, :k, :d] = torch.from_numpy(group.centres_KD)
        self.factors_GKDD[index] = torch.eye(self.components)
        self.factors_GKDD[index, :k, :d, :d] = torch.from_numpy(group.factors_KDD)
        self.residual_G[index] = group.residual

    def log_likelihood(self, samples: Tensor, labels_N: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """Return the log-likelihood of each small image, in nats of values in [-1, 1]."""
        values_NP = self.shrink(samples)
        parts = [
            share + self._log_shares(values_NP, group).logsumexp(1)
            for group, share in enumerate(self.group_share_G.double().log())
        ]
        return torch.stack(parts, dim=1).logsumexp(1)

    def _log_shares(self, values_NP: Tensor, group: int) -> Tensor:
        """Return the log of each Gaussian's share times its density, (N, K), in float64.

        Beyond the components values are independent, of equal variance in a group.
        """
        centred_NP = (values_NP - self.mean_GP[group]).double()
        basis_DP, factors_KDD = self.basis_GDP[group].double(), self.factors_GKDD[group].double()
        used_D = basis_DP.square().sum(1) > UNUSED
        codes_ND = centred_NP @ basis_DP.T
        centred_KDN = (codes_ND - self.centres_GKD[group].double()[:, None]).mT
        scaled_KDN = torch.linalg.solve_triangular(factors_KDD, centred_KDN, upper=False)
        volume_K = factors_KDD.diagonal(dim1=1, dim2=2).log().sum(1)
        variance, free = self.residual_G[group].double(), centred_NP.shape[1] - used_D.sum()
        beyond_N = (centred_NP.square().sum(1) - codes_ND.square().sum(1)).clamp_min(0)
        constant = used_D.sum() * math.log(2 * math.pi) + free * (2 * math.pi * variance).log()
        inside_NK = (-0.5 * scaled_KDN.square().sum(1) - volume_K[:, None]).T
        log_NK = inside_NK - 0.5 * (beyond_N / variance + constant)[:, None]
        shares_NK: Tensor = log_NK + self.shares_GK[group].double().log()
        return shares_NK


def which_share(shares_NK: Tensor, chance_N: Tensor) -> tuple[Tensor, Tensor]:
    """Return which share each chance falls into, and where within it, both of N."""
    edges_NK = shares_NK.cumsum(1) / shares_NK.sum(1, keepdim=True)
    chance_N1 = chance_N.clamp(0, SURELY)[:, None]
    index_N1 = torch.searchsorted(edges_NK.contiguous(), chance_N1, right=True)
    index_N1 = index_N1.clamp_max(shares_NK.shape[1] - 1)
    upper_N1 = edges_NK.gather(1, index_N1)
    width_N1 = shares_NK.gather(1, index_N1) / shares_NK.sum(1, keepdim=True)
    within_N1 = 1 - (upper_N1 - chance_N1) / width_N1.clamp_min(1e-9)
    return index_N1[:, 0], within_N1[:, 0].clamp(0, SURELY)


def _clusters(images_RP: Array, groups: int, rng: np.random.Generator) -> Array:
    """Return the cluster of every image."""
    centred_RP = images_RP - images_RP.mean(0)
    seen = rng.permutation(len(centred_RP))[: 5 * CLUSTER_COMPONENTS * 10]
    _, basis_DP = principal_components(
        centred_RP[seen], min(CLUSTER_COMPONENTS, len(seen), images_RP.shape[1])
    )
    codes_RD = centred_RP @ basis_DP.T
    return dissolve_small(codes_RD, cluster(codes_RD, groups, rng), SMALLEST_CLUSTER)


def mixture_networks(config: ResolvedConfig, codec: ImageCodec) -> Networks:
    """Return the generator of the kind `mixture`; there is no discriminator."""
    return Networks(MixtureGenerator(config, codec), None)
