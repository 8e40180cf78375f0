"""Images: records with a fixed-shape uint8 tensor column ↔ float tensors.

Shapes: N images, H height, W width, C channels (1 grey, 3 RGB, 4 RGBA). Records hold NHWC bytes,
networks see NCHW floats in [-1, 1].
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from gan.codecs import Encoded
from gan.errors import DataError, SnapshotError
from storage.records.schema import Label

IMAGE = "image"
"""Name of the image column."""

CHANNELS = (1, 3, 4)
SMALLEST_SIDE, LARGEST_SIDE = 8, 128
SHARED_BY = 10
"""Images that have a level, at least, for it to be remembered: rarer ones would show themselves."""
MOST_LEVELS = 64
"""Images with at most so many different values are made of these values only."""


def image_type(height: int, width: int, channels: int) -> pa.DataType:
    """Return Arrow's type of an image column: a fixed-shape tensor of bytes, HWC."""
    return pa.fixed_shape_tensor(pa.uint8(), (height, width, channels))


def read_images(records: pa.Table) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return `images_NHWC`; a view of the column's memory when it has one chunk.

    Raises:
        DataError: there is no image column, or it holds something else or nulls.
    """
    column = _image_column(records)
    kind = column.type
    if len(column) == 0:
        return np.empty((0, *kind.shape), dtype=np.uint8)
    chunk = column.chunk(0) if column.num_chunks == 1 else pa.chunked_array(column).combine_chunks()
    images_NHWC: np.ndarray[Any, np.dtype[np.uint8]] = chunk.to_numpy_ndarray()
    return images_NHWC


def write_images(images_NHWC: np.ndarray[Any, np.dtype[np.uint8]]) -> pa.Array:
    """Return images as an Arrow column, without a copy when they are contiguous."""
    rows, *shape = images_NHWC.shape
    flat = pa.array(np.ascontiguousarray(images_NHWC).reshape(-1))
    storage = pa.FixedSizeListArray.from_arrays(flat, int(np.prod(shape)))
    kind = image_type(*shape)
    return pa.ExtensionArray.from_storage(kind, storage.slice(0, rows))


def pixel_values(images_NHWC: np.ndarray[Any, np.dtype[np.uint8]]) -> tuple[float, tuple[int, ...]]:
    """Return the share of values that are 0 or 255, in thousandths, and the levels where few.

    Of colours alone, not of alpha. A level that fewer than SHARED_BY images have is none.
    """
    colours = images_NHWC[..., : max(CHANNELS[1], 1)]
    counts_B = np.bincount(colours.reshape(-1), minlength=256)
    saturated = round(float(counts_B[[0, 255]].sum() / max(colours.size, 1)), 3)
    levels = np.flatnonzero(np.bincount(images_NHWC.reshape(-1), minlength=256)).tolist()
    if len(levels) > MOST_LEVELS:
        return saturated, ()
    holders = [int((images_NHWC == level).any(axis=(1, 2, 3)).sum()) for level in levels]
    shared = zip(levels, holders, strict=True)
    return saturated, tuple(level for level, images in shared if images >= SHARED_BY)


SIDE_STEP, LEAST_SHRUNK = 4, 16
"""Smaller sizes are proposed in these steps, and none below this: there is too little to see."""


@dataclass(frozen=True, kw_only=True)
class ImageCodec:
    """Size, channels and classes of the images, learnt from the training records."""

    height: int
    width: int
    channels: int
    label: str | None = None
    """Name of the label column."""
    label_type: str | None = None
    """Arrow type of the label column, such as `int64` or `string`."""
    classes: tuple[Label, ...] = ()
    saturated: float = 0.0
    """Share of the pixels' values that are 0 or 255."""
    levels: tuple[int, ...] = ()
    """Values that pixels have, where they are few, as in images of 4 bits; else empty."""

    @property
    def modality(self) -> str:
        """Name in `storage.records.modalities.MODALITIES`."""
        return "images"

    def smaller(self, times: float) -> str | None:
        """Return the size to which images would be brought: convolutions cost as pixels are."""
        shrink = max(times, 2.0) ** -0.5
        sides = [
            max(SIDE_STEP * round(side * shrink / SIDE_STEP), LEAST_SHRUNK)
            for side in (self.height, self.width)
        ]
        height, width = (min(pair) for pair in zip(sides, (self.height, self.width), strict=True))
        if height * width > self.height * self.width / 2:
            return None
        return f"source.resize: {height if height == width else f'{height}x{width}'}"

    @property
    def notes(self) -> tuple[str, ...]:
        """Nothing is changed of images."""
        return ()

    @classmethod
    def fit(cls, records: pa.Table, label: str | None) -> Self:
        """Learn size, channels and classes.

        Raises:
            DataError: no images, sides outside 8 to 128, or a label column that is missing, has
                nulls, or is not of strings, integers or booleans.
        """
        height, width, channels = _image_column(records).type.shape
        if records.num_rows == 0:
            msg = "there are no images to fit the codec on: give it at least one record"
            raise DataError(msg)
        sides_fit = all(SMALLEST_SIDE <= side <= LARGEST_SIDE for side in (height, width))
        if not sides_fit or channels not in CHANNELS:
            msg = (
                f"images of {height} x {width} x {channels} are not served: sides of "
                f"{SMALLEST_SIDE} to {LARGEST_SIDE} pixels with 1, 3 or 4 channels are; "
                "set source.resize"
            )
            raise DataError(msg)
        saturated, levels = pixel_values(read_images(records))
        shape = {"height": height, "width": width, "channels": channels}
        if label is None:
            return cls(**shape, saturated=saturated, levels=levels)
        column = _label_column(records, label)
        return cls(
            **shape,
            saturated=saturated,
            levels=levels,
            label=label,
            label_type=str(column.type),
            classes=tuple(sorted(pc.unique(column).to_pylist())),
        )

    def encode(self, records: pa.Table) -> Encoded:
        """Return `images_NHWC` (a view where that is possible) and class indexes.

        Raises:
            DataError: another image shape, or a class that the codec was not fitted on.
        """
        images_NHWC = read_images(records)
        expected = (self.height, self.width, self.channels)
        if images_NHWC.shape[1:] != expected:
            msg = f"images have shape {images_NHWC.shape[1:]}, the codec was fitted on {expected}"
            raise DataError(msg)
        if self.label is None:
            return Encoded(images_NHWC, np.zeros(len(images_NHWC), dtype=np.int64))
        column = _label_column(records, self.label)
        found = pc.index_in(column, value_set=self._class_array())
        if found.null_count:
            unknown = pc.unique(column.filter(pc.is_null(found)))[0].as_py()
            msg = f"column {self.label!r} holds {unknown!r}, a class that train does not have"
            raise DataError(msg)
        return Encoded(images_NHWC, found.to_numpy().astype(np.int64))

    def to_samples(self, values: Tensor) -> Tensor:
        """Return bytes `images_NHWC` as floats `images_NCHW` in [-1, 1]."""
        return values.movedim(-1, 1).float().div_(127.5).sub_(1)

    def to_values(self, samples: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Return floats `images_NCHW` as bytes `images_NHWC`: clamped to [-1, 1], rounded.

        Where images have few levels, to the nearest of these.
        """
        scaled = samples.float().add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)
        if self.levels:
            scaled = self._nearest_level.to(scaled.device)[scaled.long()]
        values: np.ndarray[Any, np.dtype[np.uint8]] = (
            scaled.movedim(1, -1).contiguous().cpu().numpy()
        )
        return values

    def decode(
        self, values: np.ndarray[Any, Any], labels_N: np.ndarray[Any, np.dtype[np.int64]]
    ) -> pa.Table:
        """Return bytes `images_NHWC` and class indexes as records."""
        columns: dict[str, pa.Array] = {IMAGE: write_images(values)}
        if self.label is not None:
            columns[self.label] = self._class_array().take(pa.array(labels_N))
        return pa.table(columns)

    def to_json(self) -> dict[str, Any]:
        """Return shape, label and classes; nothing of any record."""
        return {
            "modality": self.modality,
            "height": self.height,
            "width": self.width,
            "channels": self.channels,
            "label": self.label,
            "label_type": self.label_type,
            "classes": list(self.classes),
            "saturated": self.saturated,
            "levels": list(self.levels),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild a codec.

        Raises:
            SnapshotError: the data is not an image codec.
        """
        fields = dict(data)
        if fields.pop("modality", None) != "images":
            msg = f"this is no image codec: its modality is {data.get('modality')!r}"
            raise SnapshotError(msg)
        try:
            fields["levels"] = tuple(int(level) for level in fields.get("levels", ()))
            codec = cls(**{**fields, "classes": tuple(fields["classes"])})
            codec._class_array()
        except (TypeError, KeyError, ValueError, pa.ArrowException) as error:
            msg = f"this is no image codec of this version: {error}; train the generator again"
            raise SnapshotError(msg) from error
        return codec

    @functools.cached_property
    def _nearest_level(self) -> Tensor:
        """Byte → the nearest level."""
        levels_L = torch.tensor(self.levels)
        distance_BL = (torch.arange(256)[:, None] - levels_L).abs()
        return levels_L[distance_BL.argmin(1)].to(torch.uint8)

    def _class_array(self) -> pa.Array:
        """Return the classes as an Arrow array of the label's own type."""
        kind = None if self.label_type is None else pa.type_for_alias(self.label_type)
        return pa.array(self.classes, type=kind)


def _image_column(records: pa.Table) -> pa.ChunkedArray:
    """Return the image column, checked."""
    if IMAGE not in records.column_names:
        msg = f"the records have no column {IMAGE!r}, only {', '.join(records.column_names)}"
        raise DataError(msg)
    column = records[IMAGE]
    kind = column.type
    if not (isinstance(kind, pa.FixedShapeTensorType) and kind.value_type == pa.uint8()):
        msg = f"column {IMAGE!r} is {kind}: a fixed-shape tensor of uint8 is needed"
        raise DataError(msg)
    if column.null_count:
        msg = f"column {IMAGE!r} has {column.null_count} nulls: leave those records out"
        raise DataError(msg)
    return column


def _label_column(records: pa.Table, label: str) -> pa.ChunkedArray:
    """Return the label column, checked."""
    if label not in records.column_names:
        msg = f"the records have no label column {label!r}, only {', '.join(records.column_names)}"
        raise DataError(msg)
    column = records[label]
    kind = column.type
    served = pa.types.is_integer(kind) or pa.types.is_boolean(kind)
    if not (served or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        msg = f"label column {label!r} is {kind}: strings, integers and booleans are served"
        raise DataError(msg)
    if column.null_count:
        msg = f"label column {label!r} has {column.null_count} nulls: label every record"
        raise DataError(msg)
    return column
