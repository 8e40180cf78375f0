"""Sheets of images: cells in rows and columns, as one PNG of bounded size.

Shapes: R rows, N images of a row, H height, W width, C channels.
"""

import base64
import io
import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from gan.report import Figure

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

CELL = 32
"""Smaller images are enlarged, without smoothing, until a side reaches this."""
GAP = 2
PAPER = 255
MOST_BYTES = 180_000
"""Of the pixels of one sheet of a generator's inside …"""
FEWEST_CELLS = 35
"""… on which at least so many images must find room: larger ones are averaged down."""


def enlarge(grid_RNHWC: Pixels) -> Pixels:
    """Return a grid whose images have a side of at least about `CELL` pixels."""
    factor = max(math.ceil(CELL / max(grid_RNHWC.shape[2:4])), 1)
    return grid_RNHWC.repeat(factor, axis=2).repeat(factor, axis=3)


def tile(grid_RNHWC: Pixels, group: int = 0) -> Pixels:
    """Return one image (height, width, channels) with a gap after every cell.

    Args:
        grid_RNHWC: the cells.
        group: after so many columns the gap is wider; 0: nowhere.
    """
    padding = ((0, 0), (0, 0), (0, GAP), (0, GAP), (0, 0))
    padded = np.pad(grid_RNHWC, padding, constant_values=PAPER)
    R, N, H, W, C = padded.shape
    sheet = padded.transpose(0, 2, 1, 3, 4).reshape(R * H, N * W, C)
    if not group:
        return sheet
    cuts = [column * W for column in range(group, N, group)]
    wider = np.repeat(cuts, W // 2).tolist()
    return np.insert(sheet, wider, PAPER, axis=1) if wider else sheet


def to_png(image_HWC: Pixels) -> bytes:
    """Return an image of 1, 3 or 4 channels as PNG."""
    pixels = image_HWC[..., 0] if image_HWC.shape[-1] == 1 else image_HWC
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def shrink_factor(shape_HWC: Sequence[int]) -> int:
    """Return by how much images of this shape are averaged down to find room on a sheet."""
    H, W, C = shape_HWC
    factor = 1
    while FEWEST_CELLS * (H // factor) * (W // factor) * C > MOST_BYTES:
        factor += 1
    return factor


def cells_of(shape_HWC: Sequence[int]) -> int:
    """Return how many images of this shape find room on a sheet."""
    H, W, C = shape_HWC
    factor = shrink_factor(shape_HWC)
    return MOST_BYTES // ((H // factor) * (W // factor) * C)


def shrink(images: Pixels) -> Pixels:
    """Return images (…, H, W, C) averaged down where they are too large for a sheet."""
    *outer, H, W, C = images.shape
    factor = shrink_factor((H, W, C))
    if factor == 1:
        return images
    h, w = H // factor, W // factor
    cut = images[..., : h * factor, : w * factor, :].reshape(*outer, h, factor, w, factor, C)
    small: Pixels = cut.mean(axis=(-4, -2), dtype=np.float32).round().astype(np.uint8)
    return small


def evenly(count: int, most: int) -> list[int]:
    """Return at most so many of 0 … count - 1, evenly spaced, first and last among them."""
    if count <= most:
        return list(range(count))
    chosen: list[int] = np.linspace(0, count - 1, most).round().astype(int).tolist()
    return chosen


def png_size(png: bytes) -> tuple[int, int]:
    """Return width and height (PNG, IHDR)."""
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def image_data(png: bytes, columns: Sequence[str] = (), rows: Sequence[str] = ()) -> dict[str, Any]:
    """Return the data of a figure of kind image."""
    width, height = png_size(png)
    return {
        "png": base64.b64encode(png).decode(),
        "width": width,
        "height": height,
        "columns": list(columns),
        "rows": list(rows),
    }


def sheet_figure(
    name: str, section: str, grid_RNHWC: Pixels, texts: tuple[str, str], **sides: Any
) -> Figure:
    """Return a figure of a grid of images, each averaged down where it must be.

    Args:
        name: the figure's id.
        section: of the report.
        grid_RNHWC: the images.
        texts: caption, and the text for whoever does not see it.
        **sides: `columns` and `rows`, the names of both sides, and `group`, see `tile`.
    """
    caption, alt = texts
    factor = shrink_factor(grid_RNHWC.shape[2:])
    if factor > 1:
        caption = f"{caption} Every {factor} x {factor} pixels are averaged to one."
    png = to_png(tile(shrink(grid_RNHWC), sides.get("group", 0)))
    data = image_data(png, sides.get("columns", ()), sides.get("rows", ()))
    return Figure(id=name, section=section, caption=caption, alt=alt, kind="image", data=data)
