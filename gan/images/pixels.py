"""Images as networks take them that learn from, score or judge them: floats, shrunken, moved.

Shapes: N images, B images of a batch, H height, W width, C channels.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

Array = np.ndarray[Any, Any]

AT_ONCE = 512
"""Images that are floats at full size together."""


def floats(images_NHWC: Array) -> Tensor:
    """Return bytes as `pixels_NCHW` in [-1, 1]."""
    values = np.ascontiguousarray(images_NHWC, dtype=np.float32)
    return torch.from_numpy(values).permute(0, 3, 1, 2) / 127.5 - 1.0


def batches(images_NHWC: Array, side: int) -> Iterator[Tensor]:
    """Yield `pixels_NCHW` in [-1, 1], larger images averaged down to about `side` a side."""
    _, height, width, _ = images_NHWC.shape
    factor = _factor(height, width, side)
    for start in range(0, max(1, len(images_NHWC)), AT_ONCE):
        pixels_NCHW = floats(images_NHWC[start : start + AT_ONCE])
        yield avg_pool2d(pixels_NCHW, factor) if factor > 1 else pixels_NCHW


def shrunken(images_NHWC: Array, side: int) -> Tensor:
    """Return all of `batches` as one."""
    return torch.cat(list(batches(images_NHWC, side)))


def shrunken_shape(images_NHWC: Array, side: int) -> tuple[int, int, int]:
    """Return height, width and channels of what `shrunken` makes of such images."""
    _, height, width, channels = images_NHWC.shape
    factor = _factor(height, width, side)
    return height // factor, width // factor, channels


def _factor(height: int, width: int, side: int) -> int:
    return max(1, round(min(height, width) / side))


def moved(pixels_BCHW: Tensor, down_B: Tensor, right_B: Tensor, mirrored_B: Tensor) -> Tensor:
    """Return images mirrored where it is said and looked at so far below and right of themselves.

    What is looked at beyond the edge repeats it.
    """
    B, _, H, W = pixels_BCHW.shape
    columns_BW = torch.arange(W).expand(B, W)
    columns_BW = torch.where(mirrored_B[:, None], W - 1 - columns_BW, columns_BW)
    columns_BW = (columns_BW + right_B[:, None]).clamp(0, W - 1)
    rows_BH = (torch.arange(H) + down_B[:, None]).clamp(0, H - 1)
    at_B = torch.arange(B)[:, None, None]
    moved_BHWC = pixels_BCHW.movedim(1, -1)[at_B, rows_BH[:, :, None], columns_BW[:, None]]
    return moved_BHWC.movedim(-1, 1)
