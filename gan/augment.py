"""Differentiable augmentation: what the discriminator sees of reals and fakes alike.

Zhao et al., "Differentiable augmentation for data-efficient GAN training" (2020), section 3: both
reals and fakes are augmented, in both steps, and the generator learns through the augmentation.
Parameters are drawn on the processor, so every device sees the same ones.

Shapes: N images, C channels, H height, W width.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

SHARE = 0.3
"""Of the images that an augmentation changes; most stay as they are, so that the generator learns
those and not their shifts (Karras et al., StyleGAN2-ADA, 2020, section 2.2)."""

Augmentation = Callable[[Tensor, torch.Generator], Tensor]

BACKGROUND = -1.0
"""What is shifted or cut away is replaced by black."""


def translate(images_NCHW: Tensor, stream: torch.Generator) -> Tensor:
    """Shift three in ten images by up to an eighth of their sides."""
    N, _, H, W = images_NCHW.shape
    chosen_N1 = torch.rand(N, 1, generator=stream) < SHARE
    rows_NH = torch.arange(H) + _offsets(N, round(H / 8), stream) * chosen_N1
    columns_NW = torch.arange(W) + _offsets(N, round(W / 8), stream) * chosen_N1
    inside_NHW = ((rows_NH >= 0) & (rows_NH < H))[:, :, None] & (
        (columns_NW >= 0) & (columns_NW < W)
    )[:, None, :]
    source_NL = rows_NH.clamp(0, H - 1)[:, :, None] * W + columns_NW.clamp(0, W - 1)[:, None, :]
    source_NL = source_NL.flatten(1).to(images_NCHW.device, non_blocking=True)
    inside_NHW = inside_NHW.to(images_NCHW.device, non_blocking=True)
    moved = images_NCHW.flatten(2).gather(
        2, source_NL[:, None].expand(-1, images_NCHW.shape[1], -1)
    )
    return torch.where(inside_NHW[:, None], moved.view_as(images_NCHW), BACKGROUND)


def cutout(images_NCHW: Tensor, stream: torch.Generator) -> Tensor:
    """Blank a rectangle of three eighths of the sides at a random place in three of ten images."""
    N, _, H, W = images_NCHW.shape
    rows_NH = _window(N, H, max(round(H * 3 / 8), 1), stream)
    columns_NW = _window(N, W, max(round(W * 3 / 8), 1), stream)
    chosen_N = torch.rand(N, generator=stream) < SHARE
    blank_NHW = rows_NH[:, :, None] & columns_NW[:, None, :] & chosen_N[:, None, None]
    blank_NHW = blank_NHW.to(images_NCHW.device, non_blocking=True)
    return torch.where(blank_NHW[:, None], BACKGROUND, images_NCHW)


AUGMENTATIONS: dict[str, Augmentation] = {"translate": translate, "cutout": cutout}
"""Name → augmentation."""


def augment(images_NCHW: Tensor, names: Sequence[str], stream: torch.Generator) -> Tensor:
    """Apply the named augmentations in order."""
    for name in names:
        images_NCHW = AUGMENTATIONS[name](images_NCHW, stream)
    return images_NCHW


def _offsets(N: int, largest: int, stream: torch.Generator) -> Tensor:
    """Return N offsets in [-largest, largest], shape (N, 1)."""
    return torch.randint(-largest, largest + 1, (N, 1), generator=stream)


def _window(N: int, side: int, length: int, stream: torch.Generator) -> Tensor:
    """Return masks (N, side): true in a window of the length around a random place."""
    start_N1 = torch.randint(1 - length, side, (N, 1), generator=stream)
    place_S = torch.arange(side)
    return (place_S >= start_N1) & (place_S < start_N1 + length)
