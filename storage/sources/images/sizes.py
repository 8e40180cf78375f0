"""Sizes of images as their headers say them, and the one to bring them to; no pixel is decoded."""

import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from statistics import median
from typing import Final

import numpy as np
from PIL import Image

from storage.records.proposal import Proposal
from storage.sources.config import MAX_SIDE_PX, MIN_SIDE_PX
from storage.sources.images.folder import ImageFolderSource
from storage.sources.images.pixels import UNREADABLE
from storage.sources.images.source import ImageSource

Size = tuple[int, int]
"""(height, width) in pixels."""

LOOKED_AT: Final = 256
"""Images whose headers are read, evenly spaced in a folder."""
LONG_SIDE_PX: Final = 64
"""Of the size that is proposed, where the images are not smaller."""

_COARSE_FROM_PX: Final = 16
_STEP_PX: Final = 4
_ORIENTATION: Final = 0x0112
_LYING: Final = frozenset({5, 6, 7, 8})
"""Orientations that exchange height and width."""


def propose_resize(source: ImageSource) -> Proposal | None:
    """Return the setting where the images differ in size or are too large; None: they are fine."""
    sizes = list(header_sizes(source))
    sides = [side for size in sizes for side in size]
    if not sizes or (
        len(set(sizes)) == 1 and min(sides) >= MIN_SIDE_PX and max(sides) <= MAX_SIDE_PX
    ):
        return None
    return resize_for(sizes)


def resize_for(sizes: Sequence[Size]) -> Proposal:
    """Return the setting with the median of the aspects, as large as is sensible.

    The long side is the median of the images' own, at most `LONG_SIDE_PX`.
    """
    aspect = median(height / width for height, width in sizes)
    longest = min(LONG_SIDE_PX, median(max(size) for size in sizes))
    height, width = longest * min(aspect, 1), longest * min(1 / aspect, 1)
    value = f"{_side(height)}x{_side(width)}"
    few, many = (f"{one[0]}x{one[1]}" for one in (min(sizes), max(sizes)))
    if few == many:
        limits = f"{MIN_SIDE_PX} to {MAX_SIDE_PX} a side are read"
        return Proposal(setting="source.resize", value=value, why=f"all have {few}, and {limits}")
    why = f"they have different sizes, such as {few} and {many}; this is their median aspect"
    return Proposal(setting="source.resize", value=value, why=why)


def _side(pixels: float) -> int:
    step = _STEP_PX if pixels >= _COARSE_FROM_PX else 1
    return min(max(MIN_SIDE_PX, round(pixels / step) * step), MAX_SIDE_PX)


def header_sizes(source: ImageSource) -> Iterator[Size]:
    """Yield the sizes of some images, turned upright; what cannot be read is passed over."""
    if not isinstance(source, ImageFolderSource):
        yield from _sizes_of_records(source)
        return
    keys = source.keys
    for place in np.linspace(0, len(keys) - 1, min(len(keys), LOOKED_AT), dtype=np.int64):
        try:
            with source.found.store.open(keys[place]) as stream, Image.open(stream) as image:
                yield _upright_size(image)
        except UNREADABLE:
            continue


def _sizes_of_records(source: ImageSource) -> Iterator[Size]:
    datas: Iterable[object] = (data for read in source.reads(()) for data in read().images)
    for data in islice(datas, LOOKED_AT):
        if isinstance(data, np.ndarray):
            yield data.shape[0], data.shape[1]
        elif isinstance(data, bytes):
            try:
                with Image.open(io.BytesIO(data)) as image:
                    yield _upright_size(image)
            except UNREADABLE:
                continue


def _upright_size(image: Image.Image) -> Size:
    if image.getexif().get(_ORIENTATION) in _LYING and image.format != "TIFF":
        return image.width, image.height
    return image.height, image.width
