"""A small U-net on blocks of pixels, identity at the start, told how much of an image is noise.

Pixels of a block become channels, so that most of the work is at a half to an eighth of the sides.

Shapes: N images, C channels, H height, W width, c channels of blocks, h and w sides in blocks.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from gan.images.codec import ImageCodec
from gan.images.networks.layers import SLOPE, Initialisable, draw_he

WIDEST_ENTRY = 96
"""Channels of the first convolution, at most."""
SUMMARY, CLASS, GLOBAL = 96, 32, 16
"""Units that summarise the image, that stand for its class, and maps that both draw at once."""


class Blocks:
    """The way from pixels to blocks and back: sides in blocks, and how large a block is."""

    def __init__(self, codec: ImageCodec) -> None:
        longest = max(codec.height, codec.width)
        self.side = next(
            (side for largest, side in ((12, 1), (40, 2), (80, 4)) if longest <= largest), 8
        )
        self.size = (codec.height, codec.width)
        self.h, self.w = (math.ceil(side / self.side) for side in self.size)
        self.channels = codec.channels * self.side**2

    def split(self, images_NCHW: Tensor) -> Tensor:
        """Return `blocks_Nchw`; what is missing to whole blocks is the last row or column again."""
        right = self.w * self.side - self.size[1]
        below = self.h * self.side - self.size[0]
        if right or below:
            images_NCHW = functional.pad(images_NCHW, (0, right, 0, below), mode="replicate")
        return functional.pixel_unshuffle(images_NCHW, self.side)

    def join(self, blocks_Nchw: Tensor) -> Tensor:
        """Return `images_NCHW`."""
        images_NCHW = functional.pixel_shuffle(blocks_Nchw, self.side)
        return images_NCHW[:, :, : self.size[0], : self.size[1]]


class InwardClamp(torch.autograd.Function):
    """Clamp to [-1, 1]; outside, only gradients that lead back inside pass."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, values: Tensor) -> Tensor:
        """Return clamped values."""
        ctx.save_for_backward(values)
        return values.clamp(-1, 1)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> Tensor:
        """Return the gradient without what leads further outside."""
        (values,) = ctx.saved_tensors  # type: ignore[attr-defined]  # of what was saved
        (gradient,) = gradients
        outward = ((values < -1) & (gradient > 0)) | ((values > 1) & (gradient < 0))
        return gradient.masked_fill(outward, 0.0)


class UNet(Initialisable):
    """Returns an image plus what two levels of convolutions say, clamped to [-1, 1].

    Ronneberger et al., "U-net" (2015), figure 1; class and noise level steer both levels (Perez et
    al., "FiLM", 2018, section 2.1).
    """

    def __init__(self, codec: ImageCodec, classes: int, width: int) -> None:
        super().__init__()
        self.blocks = blocks = Blocks(codec)
        fine, coarse = max(width, min(blocks.channels, WIDEST_ENTRY)), 2 * width
        self.coarse_size = (math.ceil(blocks.h / 2), math.ceil(blocks.w / 2))
        self.summary = nn.Linear(blocks.channels * math.prod(self.coarse_size), SUMMARY)
        self.label = nn.Embedding(classes, CLASS)
        self.level = nn.Linear(2, CLASS)
        self.mix = nn.Linear(SUMMARY + CLASS, 2 * SUMMARY)
        self.draw_maps = nn.Linear(2 * SUMMARY, GLOBAL * math.prod(self.coarse_size))
        self.steer = nn.Linear(2 * SUMMARY, 2 * (fine + coarse))
        self.widths = (coarse, coarse, fine, fine)
        self.entry = nn.Conv2d(blocks.channels + 2, fine, 3, padding=1)
        self.down = nn.Conv2d(fine, coarse, 3, stride=2, padding=1)
        self.first = nn.Conv2d(coarse + GLOBAL, coarse, 3, padding=1)
        self.second = nn.Conv2d(coarse, coarse, 3, padding=1)
        self.third = nn.Conv2d(coarse, coarse, 3, padding=1)
        self.up = nn.Conv2d(coarse, 4 * fine, 1)
        self.joined = nn.Conv2d(2 * fine, fine, 3, padding=1)
        self.last = nn.Conv2d(fine, fine, 3, padding=1)
        self.head = nn.Conv2d(fine, blocks.channels, 3, padding=1)

    def forward(
        self, images_NCHW: Tensor, labels_N: Tensor, level_N: Tensor, noise_N1hw: Tensor
    ) -> Tensor:
        """Return `images_NCHW`.

        Args:
            images_NCHW: what is to be improved.
            labels_N: class, or group of images without classes.
            level_N: share of noise in each image, 0 to 1.
            noise_N1hw: randoms for what no input decides; zeros for the expectation.
        """
        blocks_Nchw = self.blocks.split(images_NCHW)
        small = functional.adaptive_avg_pool2d(blocks_Nchw, self.coarse_size).flatten(1)
        levels_N2 = torch.stack([level_N, level_N.square()], dim=1)
        told = torch.cat([self.summary(small), self.label(labels_N) + self.level(levels_N2)], dim=1)
        units = _act(self.mix(told))
        gain2, bias2, gain1, bias1 = self.steer(units)[:, :, None, None].split(self.widths, dim=1)
        level_N1hw = level_N.view(-1, 1, 1, 1).expand_as(noise_N1hw)
        fine = _act(self.entry(_last(torch.cat([blocks_Nchw, level_N1hw, noise_N1hw], dim=1))))
        coarse = _act(self.down(fine))
        drawn = _act(self.draw_maps(units)).view(-1, GLOBAL, *self.coarse_size)
        coarse = _act(self.first(_last(torch.cat([coarse, drawn], dim=1))) * (1 + gain2) + bias2)
        coarse = coarse + self.third(_act(self.second(coarse)))
        up = functional.pixel_shuffle(self.up(coarse), 2)[:, :, : fine.shape[2], : fine.shape[3]]
        joined = self.joined(_last(torch.cat([_act(up), fine], dim=1)))
        change = self.head(_act(self.last(_act(joined * (1 + gain1) + bias1))))
        improved = images_NCHW + self.blocks.join(change.float())
        clamped: Tensor = InwardClamp.apply(improved)  # type: ignore[no-untyped-call]  # of torch
        return clamped

    def draw(self, stream: torch.Generator) -> None:
        """Draw convolutions, and what ends both paths as zero."""
        draw_he(self, stream)
        self.label.weight.normal_(generator=stream)
        for layer in (self.head, self.steer):
            for weights in layer.parameters():
                weights.zero_()


def _act(maps: Tensor) -> Tensor:
    return functional.leaky_relu(maps, SLOPE)


def _last(maps: Tensor) -> Tensor:
    return maps.contiguous(memory_format=torch.channels_last)
