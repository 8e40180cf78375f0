"""Images as the feature nets see them, and the small changes that a net in training is shown.

Shapes: N images, H height, W width, C channels.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Array = np.ndarray[Any, Any]

SIDE = 32
"""Larger images are averaged down to about this many pixels a side before they are judged."""
BATCH = 512
SHIFT = 12
"""An image is shifted by up to its side over this, at least a pixel."""


def batches(images_NHWC: Array) -> Iterator[Tensor]:
    """Yield network inputs `pixels_NCHW` in [-1, 1], at most about SIDE pixels a side."""
    for start in range(0, len(images_NHWC), BATCH):
        yield pixels(images_NHWC[start : start + BATCH])


def pixels(images_NHWC: Array) -> Tensor:
    """Return `pixels_NCHW` in [-1, 1], averaged down to about SIDE pixels a side."""
    values = np.ascontiguousarray(images_NHWC, dtype=np.float32)
    pixels_NCHW = torch.from_numpy(values).permute(0, 3, 1, 2) / 127.5 - 1.0
    factor = _factor(images_NHWC.shape[1], images_NHWC.shape[2])
    return nn.functional.avg_pool2d(pixels_NCHW, factor) if factor > 1 else pixels_NCHW


def small_shape(images_NHWC: Array) -> tuple[int, int, int]:
    """Return height, width and channels of the network's input."""
    _, height, width, channels = images_NHWC.shape
    factor = _factor(height, width)
    return height // factor, width // factor, channels


def _factor(height: int, width: int) -> int:
    return max(1, round(min(height, width) / SIDE))


class Shifts:
    """Images that are shown shifted, and mirrored where that is asked for."""

    def __init__(self, pixels_NCHW: Tensor, shown_N: Array) -> None:
        """Keep them with a border that repeats their edges.

        Args:
            pixels_NCHW: the images.
            shown_N: number of each among all images, ascending; `draw` asks for them by it.
        """
        self._shown_N = shown_N
        self.height, self.width = pixels_NCHW.shape[2:]
        self._reach = max(1, min(self.height, self.width) // SHIFT)
        border = (self._reach,) * 4
        padded = nn.functional.pad(pixels_NCHW, border, mode="replicate")
        self._padded_NHWC = padded.permute(0, 2, 3, 1).contiguous()

    def draw(self, rows_N: Array, rng: np.random.Generator, *, mirror: bool) -> Tensor:
        """Return `pixels_NCHW` of some rows, each shifted at random, each second one mirrored."""
        n = len(rows_N)
        down_N1, right_N1 = rng.integers(0, 2 * self._reach + 1, (2, n, 1))
        across_NW = np.broadcast_to(np.arange(self.width), (n, self.width))
        if mirror:
            turned_N1 = rng.random((n, 1)) < 0.5
            across_NW = np.where(turned_N1, across_NW[:, ::-1], across_NW)
        lines = torch.from_numpy(down_N1 + np.arange(self.height))
        columns = torch.from_numpy(right_N1 + across_NW)
        rows = torch.from_numpy(np.searchsorted(self._shown_N, rows_N))
        shown = self._padded_NHWC[rows[:, None, None], lines[:, :, None], columns[:, None, :]]
        return shown.permute(0, 3, 1, 2)
