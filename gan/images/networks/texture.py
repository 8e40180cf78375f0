"""How rough an image is, as a few numbers: drawn anew for an image whose shapes are known.

Whether a garment is smooth or patterned is one property of the whole image. What draws pixels one
by one must be told of it, or every image gets the texture of the average one.

Shapes: N images, C channels, H height, W width, K codes of an image's shapes, T numbers of its
texture, Q knots of a distribution, G groups.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

NUMBERS, BRIGHTEST = 12, 9
"""How many there are, and which one is the largest value of an image."""
KNOTS = 33
"""Of the distribution of each number over real images; the outermost lie inside its range."""
TINY = 1e-12
LEAST = 1e-4
"""Of a mean of absolute differences of values in [-1, 1]."""
EXTREME = 0.01
"""How near to black or white a value counts as such."""
FAINT = 0.16
"""How near to black a value counts as faint: what shades off at edges."""
COLOURS = 3
"""Channels beyond these are no colours."""
RIDGE = 20.0
"""Images' worth of no dependence on an image's shapes."""
SHARED_ROWS = 50.0
"""Images' worth of all groups' spread that each group's is drawn towards."""


class Texture(nn.Module):
    """Describes textures by normal scores, and draws them as they depend on shapes and group."""

    knots_TQ: Tensor
    weight_KT: Tensor
    mean_GT: Tensor
    factor_GTT: Tensor

    def __init__(self, codes: int, groups: int) -> None:
        super().__init__()
        self.register_buffer("knots_TQ", torch.zeros(NUMBERS, KNOTS))
        self.register_buffer("weight_KT", torch.zeros(codes, NUMBERS))
        self.register_buffer("mean_GT", torch.zeros(groups, NUMBERS))
        self.register_buffer("factor_GTT", torch.zeros(groups, NUMBERS, NUMBERS))

    def forward(self, images_NCHW: Tensor, shapes_NCHW: Tensor) -> Tensor:
        """Return the normal scores of images' textures, `texture_NT`."""
        numbers_TN = _numbers(images_NCHW, shapes_NCHW).T.contiguous()
        texture_NT: Tensor = torch.special.ndtri(self._ranks(numbers_TN, 0.5)).T
        return texture_NT

    def _ranks(self, numbers_TN: Tensor, within: Tensor | float) -> Tensor:
        """Return the share of real images below each number; of those equal to it a part.

        Args:
            numbers_TN: of images.
            within: the part, 0 to 1; at random, ranks are spread evenly whatever many share
                (the distributional transform of Rüschendorf, 2009).
        """
        first_TN = torch.searchsorted(self.knots_TQ, numbers_TN)
        end_TN = torch.searchsorted(self.knots_TQ, numbers_TN, right=True)
        above_TN = first_TN.clamp(1, KNOTS - 1)
        upper_TN, lower_TN = (
            self.knots_TQ.gather(1, index_TN) for index_TN in (above_TN, above_TN - 1)
        )
        share_TN = (numbers_TN - lower_TN) / (upper_TN - lower_TN).clamp_min(TINY)
        between_TN = above_TN - 1 + share_TN.clamp(0, 1)
        equal_TN = first_TN + within * (end_TN - 1 - first_TN)
        return (torch.where(end_TN > first_TN, equal_TN, between_TN) + 0.5) / KNOTS

    def draw(self, normal_NT: Tensor, codes_NK: Tensor, group_N: Tensor) -> Tensor:
        """Return textures as images of these shapes and groups have them."""
        own_NT = (self.factor_GTT[group_N] @ normal_NT[:, :, None])[:, :, 0]
        drawn_NT = codes_NK @ self.weight_KT + self.mean_GT[group_N] + own_NT
        numbers_TN = self.numbers(drawn_NT).T.contiguous()
        texture_NT: Tensor = torch.special.ndtri(self._ranks(numbers_TN, 0.5)).T
        return texture_NT

    def numbers(self, texture_NT: Tensor) -> Tensor:
        """Return the numbers that normal scores stand for, `numbers_NT`."""
        place_TN = (torch.special.ndtr(texture_NT).T * KNOTS - 0.5).clamp(0, KNOTS - 1)
        below_TN = place_TN.long().clamp_max(KNOTS - 2)
        lower_TN, upper_TN = (
            self.knots_TQ.gather(1, index_TN) for index_TN in (below_TN, below_TN + 1)
        )
        numbers_NT: Tensor = (lower_TN + (place_TN - below_TN) * (upper_TN - lower_TN)).T
        return numbers_NT

    def start(self) -> None:
        """Know nothing, until it is measured."""
        self.knots_TQ.copy_(torch.linspace(0, 1, KNOTS).expand(NUMBERS, -1))
        self.weight_KT.zero_()
        self.mean_GT.zero_()
        self.factor_GTT.zero_()

    def measure(self, real: "ShapedImages", stream: torch.Generator) -> None:
        """Learn how textures are distributed, and how they depend on shapes and group."""
        numbers_RT = _numbers(real.images_RCHW, real.shapes_RCHW)
        ranks_Q = (torch.arange(KNOTS) + 0.5) / KNOTS
        self.knots_TQ.copy_(numbers_RT.quantile(ranks_Q.to(numbers_RT), dim=0).T)
        within_TR = torch.rand(numbers_RT.T.shape, generator=stream).to(numbers_RT)
        ranks_TR = self._ranks(numbers_RT.T.contiguous(), within_TR)
        texture_RT = torch.special.ndtri(ranks_TR).T.double()
        codes_RK, G = real.codes_RK.double(), len(self.mean_GT)
        within_RT, within_RK = (
            values - _means(values, real.group_R, G)[real.group_R]
            for values in (texture_RT, codes_RK)
        )
        gram_KK = within_RK.T @ within_RK + RIDGE * torch.eye(codes_RK.shape[1]).to(within_RK)
        weight_KT = torch.linalg.solve(gram_KK, within_RK.T @ within_RT)
        left_RT = texture_RT - codes_RK @ weight_KT
        mean_GT = _means(left_RT, real.group_R, G)
        left_RT = left_RT - mean_GT[real.group_R]
        self.weight_KT.copy_(weight_KT)
        self.mean_GT.copy_(mean_GT)
        everyone_TT = left_RT.T @ left_RT / len(left_RT)
        for group in range(G):
            own_RT = left_RT[real.group_R == group]
            n = len(own_RT) + SHARED_ROWS
            own_TT = (own_RT.T @ own_RT + SHARED_ROWS * everyone_TT) / n
            own_TT = own_TT + LEAST * torch.eye(NUMBERS).to(own_TT)
            self.factor_GTT[group] = torch.linalg.cholesky(own_TT)


class ShapedImages(NamedTuple):
    """Real images with what is known of their shapes."""

    images_RCHW: Tensor
    shapes_RCHW: Tensor
    """What their codes stand for."""
    codes_RK: Tensor
    group_R: Tensor


def _numbers(images_NCHW: Tensor, shapes_NCHW: Tensor) -> Tensor:
    """Return what is beyond the shapes, differences across and down, curvature, extremes."""
    differences = [
        (values[..., step:] - values[..., :-step]).abs()
        for step in (1, 2)
        for values in (images_NCHW, images_NCHW.mT)
    ]
    middle = images_NCHW[..., 1:-1, 1:-1]
    bent_NL = (
        (
            4 * middle
            - images_NCHW[..., :-2, 1:-1]
            - images_NCHW[..., 2:, 1:-1]
            - images_NCHW[..., 1:-1, :-2]
            - images_NCHW[..., 1:-1, 2:]
        )
        .abs()
        .flatten(1)
    )
    sizes = [(images_NCHW - shapes_NCHW).abs(), *differences, bent_NL]
    means = [size.flatten(1).mean(1).clamp_min(LEAST).log() for size in sizes]
    shares = [
        (images_NCHW > 1 - EXTREME).float().mean((1, 2, 3)),
        (images_NCHW < EXTREME - 1).float().mean((1, 2, 3)),
        (images_NCHW < FAINT - 1).float().mean((1, 2, 3)),
        images_NCHW[:, :COLOURS].amax((1, 2, 3)),
    ]
    typical = [
        (bent_NL.kthvalue(int(rank * bent_NL.shape[1]), dim=1).values + EXTREME).log()
        for rank in (0.5, 0.75)
    ]
    return torch.stack([*means, *shares, *typical], dim=1)


def _means(values_RX: Tensor, group_R: Tensor, groups: int) -> Tensor:
    """Return the mean of every group; of one without images that of all."""
    sums_GX = values_RX.new_zeros(groups, values_RX.shape[1]).index_add(0, group_R, values_RX)
    counts_G1 = torch.bincount(group_R, minlength=groups)[:, None]
    return torch.where(counts_G1 > 0, sums_GX / counts_G1.clamp_min(1), values_RX.mean(0))
