"""Decoded images on their way to their splits: raw files, one per number of channels.

Shape legend: N records, B of a block, H height, W width, C channels.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.records.durable import sync_file
from storage.sources.config import MIN_SIDE_PX
from storage.sources.images.decode import DecodedBatch, ImageSizeError
from storage.sources.images.pixels import Found, Pixels, widened
from storage.sources.split import SPLITS

_BLOCK_BYTES: Final = 8 << 20


class StagedImages:
    """Decoded images in order. Use as a context manager; its files are deleted at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[int, BinaryIO] = {}
        self._size: tuple[tuple[int, int], str] | None = None
        self.batches: list[DecodedBatch] = []
        """Without their images."""
        self.rows = 0
        self.own_rows = 0
        """Images of the first source; the others are held out."""
        self.found = Found()
        self.skipped: list[str] = []
        """Records that could not be read, each with its reason."""
        self.absent: Counter[str] = Counter()
        """How many of them have no image or no label."""

    def __enter__(self) -> "StagedImages":
        return self

    def __exit__(self, *_: object) -> None:
        for channels, file in self._files.items():
            file.close()
            self._path(channels).unlink(missing_ok=True)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The common (H, W, C): the size of every image, and the most channels of any.

        Raises:
            SourceError: no image was appended.
        """
        if self._size is None:
            msg = "The source holds no readable image; check source.uri."
            raise SourceError(msg)
        return (*self._size[0], max(self._files))

    def column(self, name: str) -> pa.Array:
        """Return the N values of a column.

        Raises:
            SourceError: two sources give it types that do not go together.
        """
        batches = (batch.columns for batch in self.batches)
        parts = [batch.column(name) for batch in batches if name in batch.schema.names]
        try:
            return pa.concat_arrays([part.cast(parts[0].type) for part in parts])
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            types = " and ".join(sorted({str(part.type) for part in parts}))
            msg = (
                f"The column {name!r} is {types} in source.uri and split.holdout_uri; "
                "give both one type."
            )
            raise SourceError(msg) from error

    def append(self, batch: DecodedBatch) -> None:
        """Add a batch.

        Raises:
            ImageSizeError: an image has another size than the first, or less than 8 pixels a side.
        """
        for size, name in batch.sizes.items():
            self._check_size(size, name)
        for channels, images in batch.images.items():
            if channels not in self._files:
                self._files[channels] = self._path(channels).open("xb", buffering=0)
            write_all(self._files[channels], images)
        self.batches.append(replace(batch, images={}))
        self.rows += len(batch.channels_K)
        self.found.add(batch.found)
        self.skipped += batch.skipped
        self.absent.update(batch.absent)

    def write_splits(self, splits_N: NDArray[np.uint8], paths: Mapping[str, Path]) -> None:
        """Write the raw file of every split: uint8 (rows, H, W, C), in the order of the source."""
        with ExitStack() as stack:
            outputs = [stack.enter_context(paths[name].open("xb", buffering=0)) for name in SPLITS]
            for start, block in self.blocks():
                splits_B = splits_N[start : start + len(block)]
                for number, output in enumerate(outputs):
                    write_all(output, block[splits_B == number])
        for path in paths.values():
            sync_file(path)

    def blocks(self) -> Iterator[tuple[int, Pixels]]:
        """Yield consecutive images of the common form, each block with the place of its first."""
        height, width, channels = self.shape
        channels_N = np.concatenate([batch.channels_K for batch in self.batches])
        step = max(_BLOCK_BYTES // (height * width * channels), 1)
        with ExitStack() as stack:
            inputs = {c: stack.enter_context(self._path(c).open("rb")) for c in self._files}
            for start in range(0, self.rows, step):
                yield start, self._block(inputs, channels_N[start : start + step])

    def counts_by_channels(self) -> dict[int, int]:
        """Return how many images there are of each number of channels."""
        channels_N = np.concatenate([batch.channels_K for batch in self.batches])
        counts = np.bincount(channels_N, minlength=5)
        return {channels: int(counts[channels]) for channels in sorted(self._files)}

    def _block(self, inputs: Mapping[int, BinaryIO], channels_B: NDArray[np.uint8]) -> Pixels:
        height, width, channels = self.shape
        block = np.empty((len(channels_B), height, width, channels), np.uint8)
        for have, file in inputs.items():
            here = channels_B == have
            count = int(here.sum())
            data = np.fromfile(file, np.uint8, count * height * width * have)
            block[here] = widened(data.reshape(count, height, width, have), channels)
        return block

    def _check_size(self, size: tuple[int, int], name: str) -> None:
        if self._size is None:
            self._size = (size, name)
        (height, width), first = self._size
        if (height, width) != size:
            msg = (
                f"The images have different sizes: {first!r} has {height}x{width} pixels and "
                f"{name!r} {size[0]}x{size[1]}"
            )
            raise ImageSizeError(msg)
        if min(size) < MIN_SIDE_PX:
            msg = (
                f"The image {name!r} has {height}x{width} pixels, where at least {MIN_SIDE_PX} a "
                "side are needed"
            )
            raise ImageSizeError(msg)

    def _path(self, channels: int) -> Path:
        return self._folder / f"staged-{channels}.u8"


def write_all(file: BinaryIO, array: Pixels) -> None:
    """Write every byte of a contiguous array to an unbuffered file."""
    view = np.ascontiguousarray(array).reshape(-1).data
    while view:
        view = view[file.write(view) :]


def map_images(path: Path, shape: tuple[int, int, int, int]) -> Any:
    """Map a raw file of (N, H, W, C) images as an Arrow array of fixed-shape tensors."""
    rows, height, width, channels = shape
    type_ = pa.fixed_shape_tensor(pa.uint8(), (height, width, channels))
    pixels = pa.memory_map(str(path)).read_buffer()
    values = pa.Array.from_buffers(pa.uint8(), len(pixels), [None, pixels])
    size = height * width * channels
    images = pa.ExtensionArray.from_storage(type_, pa.FixedSizeListArray.from_arrays(values, size))
    return images.slice(0, rows)
