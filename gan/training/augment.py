"""Differentiable augmentation: what the discriminator sees of reals and fakes alike.

Zhao et al., "Differentiable augmentation for data-efficient GAN training" (2020), section 3: both
reals and fakes are augmented, in both steps, and the generator learns through the augmentation.
Parameters are drawn on the processor, so every device sees the same ones. A new one is a function
and an entry of `AUGMENTATIONS`.

Shapes: N images, C channels, H height, W width.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

Augmentation = Callable[[Tensor, float, torch.Generator], Tensor]
"""From images, the share of them that is changed, and the step's stream.

Most stay as they are, so that the generator learns those and not their shifts (Karras et al.,
StyleGAN2-ADA, 2020, section 2.2)."""

BACKGROUND = -1.0
"""What is shifted or cut away is replaced by black."""


def translate(images_NCHW: Tensor, share: float, stream: torch.Generator) -> Tensor:
    """Shift a share of the images by up to an eighth of their sides."""
    N, C, H, W = images_NCHW.shape
    device = images_NCHW.device
    chosen_N1 = torch.rand(N, 1, generator=stream) < share
    down_N1 = (_integers(N, -round(H / 8), round(H / 8), stream) * chosen_N1).to(device)
    right_N1 = (_integers(N, -round(W / 8), round(W / 8), stream) * chosen_N1).to(device)
    rows_NH = torch.arange(H, device=device) - down_N1
    columns_NW = torch.arange(W, device=device) - right_N1
    inside_NHW = _cross(_within(rows_NH, H), _within(columns_NW, W))
    source_NHW = rows_NH.clamp(0, H - 1)[:, :, None] * W + columns_NW.clamp(0, W - 1)[:, None, :]
    source_NCL = source_NHW.flatten(1)[:, None].expand(N, C, H * W)
    moved_NCL = images_NCHW.flatten(2).gather(2, source_NCL)
    return torch.where(inside_NHW[:, None], moved_NCL.view(N, C, H, W), BACKGROUND)


def cutout(images_NCHW: Tensor, share: float, stream: torch.Generator) -> Tensor:
    """Blank a rectangle of three eighths of the sides, anywhere, in a share of the images."""
    N, _, H, W = images_NCHW.shape
    device = images_NCHW.device
    height, width = max(round(H * 3 / 8), 1), max(round(W * 3 / 8), 1)
    chosen_N1 = torch.rand(N, 1, generator=stream) < share
    top_N1 = _integers(N, 1 - height, H - 1, stream).to(device)
    left_N1 = _integers(N, 1 - width, W - 1, stream).to(device)
    rows_NH = _within(torch.arange(H, device=device) - top_N1, height)
    columns_NW = _within(torch.arange(W, device=device) - left_N1, width)
    blank_NHW = _cross(rows_NH & chosen_N1.to(device), columns_NW)
    return torch.where(blank_NHW[:, None], BACKGROUND, images_NCHW)


def colour(images_NCHW: Tensor, share: float, stream: torch.Generator) -> Tensor:
    """Change brightness, saturation and contrast of a share of the images; opacity stays."""
    N = len(images_NCHW)
    chosen_N = torch.rand(N, generator=stream) < share
    drawn_3N = torch.rand(3, N, generator=stream)

    def each(values_N: Tensor) -> Tensor:
        return values_N.to(images_NCHW.device)[:, None, None, None]

    colours, opacity = images_NCHW[:, :3], images_NCHW[:, 3:]
    colours = colours + each(drawn_3N[0] - 0.5)
    colours = torch.lerp(colours.mean(1, keepdim=True), colours, each(2 * drawn_3N[1]))
    middle = colours.mean((1, 2, 3), keepdim=True)
    colours = torch.lerp(middle, colours, each(drawn_3N[2] + 0.5))
    changed = torch.cat([colours, opacity], dim=1)
    return torch.where(each(chosen_N), changed, images_NCHW)


class AugmentationKind(NamedTuple):
    """An augmentation of `AUGMENTATIONS`."""

    change: Augmentation
    summary: str
    source: str
    """Paper and section."""


AUGMENTATIONS: dict[str, AugmentationKind] = {
    "translate": AugmentationKind(
        translate,
        "Images are shifted by up to an eighth of their sides.",
        "Zhao et al., DiffAugment (2020), section 3",
    ),
    "cutout": AugmentationKind(
        cutout,
        "A rectangle of three eighths of the sides is blank.",
        "Zhao et al., DiffAugment (2020), section 3; DeVries and Taylor (2017)",
    ),
    "colour": AugmentationKind(
        colour,
        "Brightness, saturation and contrast change.",
        "Zhao et al., DiffAugment (2020), section 3",
    ),
}
"""Name in `ResolvedConfig.augment` → augmentation."""


def augment(
    images_NCHW: Tensor, names: Sequence[str], share: float, stream: torch.Generator
) -> Tensor:
    """Apply the named augmentations in order, each to a share of the images."""
    for name in names:
        images_NCHW = AUGMENTATIONS[name].change(images_NCHW, share, stream)
    return images_NCHW


def _integers(N: int, low: int, high: int, stream: torch.Generator) -> Tensor:
    """Return N integers from low to high, shape (N, 1), on the processor."""
    return torch.randint(low, high + 1, (N, 1), generator=stream)


def _within(index: Tensor, length: int) -> Tensor:
    """Return where 0 <= index < length."""
    return (index >= 0) & (index < length)


def _cross(rows_NH: Tensor, columns_NW: Tensor) -> Tensor:
    """Return masks (N, H, W): true where both the row and the column are."""
    return rows_NH[:, :, None] & columns_NW[:, None, :]
