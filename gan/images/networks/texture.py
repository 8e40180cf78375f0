"""How rough an image is, as a few numbers, drawn together with its shapes (see `shapes`).

Whether a garment is smooth or patterned is one property of the whole image. What draws pixels one
by one must be told of it, or every image gets the texture of the average one.

Shapes: N images, C channels, H height, W width, T numbers of an image's texture, Q knots of a
distribution.
"""

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


class Texture(nn.Module):
    """Describes textures by normal scores."""

    knots_TQ: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("knots_TQ", torch.zeros(NUMBERS, KNOTS))

    def forward(
        self, images_NCHW: Tensor, shapes_NCHW: Tensor, stream: torch.Generator | None = None
    ) -> Tensor:
        """Return the normal scores of images' textures, `texture_NT`.

        Args:
            images_NCHW: whose textures these are.
            shapes_NCHW: what their codes stand for.
            stream: with it numbers that many images share have scores at random, as a mixture of
                Gaussians needs them; else one score each.
        """
        numbers_TN = _numbers(images_NCHW, shapes_NCHW).T.contiguous()
        within: Tensor | float = 0.5
        if stream is not None:
            within = torch.rand(numbers_TN.shape, generator=stream).to(numbers_TN)
        texture_NT: Tensor = torch.special.ndtri(self._ranks(numbers_TN, within)).T
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

    def settle(self, drawn_NT: Tensor) -> Tensor:
        """Return the scores that images have in place of those that were drawn."""
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

    def measure(self, images_RCHW: Tensor, shapes_RCHW: Tensor) -> None:
        """Learn how the numbers are distributed over real images, given what their codes show."""
        numbers_RT = _numbers(images_RCHW, shapes_RCHW)
        ranks_Q = (torch.arange(KNOTS) + 0.5) / KNOTS
        self.knots_TQ.copy_(numbers_RT.quantile(ranks_Q.to(numbers_RT), dim=0).T)


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
