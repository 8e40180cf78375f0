"""Decoded images on disk before their side is known, then divided among the splits.

Images go to one raw file per number of channels, in order; a second sequential pass widens them
to a common form and deals them out. In memory stay 33 bytes per record, its label, and its value
of the column that decides the split.
Shape legend: N records, H height, W width, C channels.
"""

import os
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.sources.config import MIN_SIDE_PX
from storage.sources.images.batches import DecodedBatch
from storage.sources.images.decode import Pixels, widened
from storage.split import DIGEST_BYTES, SPLITS, as_digests

_BLOCK_BYTES = 8 << 20


class Staging:
    """Collects batches in order. Use as a context manager; its files are gone at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[int, BinaryIO] = {}
        self._size: tuple[tuple[int, int], str] | None = None
        self._channels: list[NDArray[np.uint8]] = []
        self._digests: list[NDArray[np.uint8]] = []
        self._final_digests: list[NDArray[np.uint8]] = []
        self._columns: dict[str, list[pa.Array]] = {}
        self.rows = 0
        self.done: Counter[str] = Counter()

    def __enter__(self) -> "Staging":
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

    @property
    def digests(self) -> NDArray[np.uint8]:
        """(N, 16), of the images as stored."""
        return _joined(self._digests)

    @property
    def final_digests(self) -> NDArray[np.uint8]:
        """(N, 16), of the images as delivered."""
        return _joined(self._final_digests)

    def column(self, name: str) -> pa.Array:
        """Return the N values of a column.

        Raises:
            SourceError: two sources give it types that do not go together.
        """
        parts = self._columns[name]
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
            SourceError: an image has another size than the first, or less than 8 pixels a side.
        """
        for size, name in batch.sizes.items():
            self._check_size(size, name)
        for channels, images in batch.images.items():
            if channels not in self._files:
                self._files[channels] = self._path(channels).open("xb", buffering=0)
            write_all(self._files[channels], images)
        self._channels.append(batch.channels_K)
        self._digests.append(batch.digests)
        self._final_digests.append(batch.final_digests)
        for name, values in zip(batch.columns.schema.names, batch.columns.columns, strict=True):
            self._columns.setdefault(name, []).append(values)
        self.rows += len(batch.channels_K)
        self.done.update(batch.done)

    def deal(self, sides_N: NDArray[np.uint8], paths: Mapping[str, Path]) -> None:
        """Write the raw file of every split: uint8 (rows, H, W, C), in the order of the source."""
        height, width, channels = self.shape
        channels_N = np.concatenate(self._channels)
        step = max(_BLOCK_BYTES // (height * width * channels), 1)
        with ExitStack() as stack:
            outputs = [stack.enter_context(paths[name].open("xb", buffering=0)) for name in SPLITS]
            inputs = {c: stack.enter_context(self._path(c).open("rb")) for c in self._files}
            for start in range(0, self.rows, step):
                block = self._block(inputs, channels_N[start : start + step])
                sides = sides_N[start : start + step]
                for side, output in enumerate(outputs):
                    write_all(output, block[sides == side])
            for output in outputs:
                os.fsync(output.fileno())

    def counts_by_channels(self) -> dict[int, int]:
        """Return how many images there are of each number of channels."""
        counts = np.bincount(np.concatenate(self._channels), minlength=5)
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
                f"{name!r} {size[0]}x{size[1]}; set source.resize, for instance to "
                f"{max(MIN_SIDE_PX, min(height, size[0]))}x{max(MIN_SIDE_PX, min(width, size[1]))}."
            )
            raise SourceError(msg)
        if min(size) < MIN_SIDE_PX:
            msg = (
                f"The image {name!r} has {height}x{width} pixels, where at least {MIN_SIDE_PX} a "
                "side are needed; set source.resize, for instance to 8."
            )
            raise SourceError(msg)

    def _path(self, channels: int) -> Path:
        return self._folder / f"staged-{channels}.u8"


def write_all(file: BinaryIO, array: Pixels) -> None:
    """Write every byte of a contiguous array to an unbuffered file."""
    view = np.ascontiguousarray(array).reshape(-1).data
    while view:
        view = view[file.write(view) :]


def _joined(parts: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return np.concatenate(parts) if parts else as_digests(b"" * DIGEST_BYTES)
