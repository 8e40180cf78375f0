"""A picture of pictures: a grid with one row per class."""

import io
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from gan.errors import DataError
from gan.images.codec import read_images

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

CELL = 32
"""Smaller images are enlarged, without smoothing, until a side reaches this."""
GAP = 2
PAPER = 255


def preview(records: pa.Table, label: str | None, per_class: int) -> bytes:
    """Return a PNG that shows the first records of each class, one row per class.

    Without classes the grid is `per_class` wide and as high. Places without a record stay white.

    Raises:
        DataError: there is no record, or no such label column.
    """
    rows = [group[:per_class] for group in _groups(records, label, per_class)]
    if not rows:
        msg = "there is nothing to show: 0 records were given"
        raise DataError(msg)
    H, W, C = rows[0].shape[1:]
    grid = np.full((len(rows), per_class, H, W, C), PAPER, dtype=np.uint8)
    for row, images_NHWC in zip(grid, rows, strict=True):
        row[: len(images_NHWC)] = images_NHWC
    return _png(_tile(_enlarge(grid)))


def _groups(records: pa.Table, label: str | None, per_class: int) -> list[Pixels]:
    """Return images by class, in the classes' order; without a label in rows of a square."""
    if label is None:
        images_NHWC = read_images(records.slice(0, per_class * per_class))
        lines = math.ceil(len(images_NHWC) / per_class)
        return [images_NHWC[i * per_class : (i + 1) * per_class] for i in range(lines)]
    if label not in records.column_names:
        msg = f"the records have no label column {label!r}, only {', '.join(records.column_names)}"
        raise DataError(msg)
    classes = sorted(pc.unique(records[label]).to_pylist())
    return [read_images(_first(records, label, value, per_class)) for value in classes]


def _first(records: pa.Table, label: str, value: object, count: int) -> pa.Table:
    rows = pc.indices_nonzero(pc.equal(records[label], pa.scalar(value, records[label].type)))
    return records.take(rows[:count])


def _enlarge(grid_RNHWC: Pixels) -> Pixels:
    factor = max(math.ceil(CELL / max(grid_RNHWC.shape[2:4])), 1)
    return grid_RNHWC.repeat(factor, axis=2).repeat(factor, axis=3)


def _tile(grid_RNHWC: Pixels) -> Pixels:
    """Return one image (height, width, channels) with a gap after every cell."""
    padding = ((0, 0), (0, 0), (0, GAP), (0, GAP), (0, 0))
    padded = np.pad(grid_RNHWC, padding, constant_values=PAPER)
    R, N, H, W, C = padded.shape
    return padded.transpose(0, 2, 1, 3, 4).reshape(R * H, N * W, C)


def _png(image_HWC: Pixels) -> bytes:
    pixels = image_HWC[..., 0] if image_HWC.shape[-1] == 1 else image_HWC
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
