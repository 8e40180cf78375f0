"""A source of images as a stream of decoded batches, in order and in bounded memory.

Every image becomes 8-bit pixels, grey, RGB or RGBA, as `pixels` says. What depends on all images of
the source, how many bits their values use and whether any is transparent, is counted here and
decided by the caller, who reads again with another `Reading` where it matters.

Shape legend: N records of a batch, K images in the readable ones, H height, W width, C channels.
"""

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import UnidentifiedImageError

from storage.errors import SourceError
from storage.sources.config import MAX_SIDE_PX, SourceConfig, parse_resize
from storage.sources.images.folder import undecodable
from storage.sources.images.pixels import (
    UNREADABLE,
    Found,
    Pixels,
    composed,
    decode_frames,
    resized,
)
from storage.sources.images.source import ImageSource, RawBatch, Read
from storage.sources.split import DIGEST_BYTES, content_digests
from storage.sources.synthetic import check_images


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How images become pixels."""

    resize: tuple[int, int] | None = None
    """(height, width) of every image; None = all have one size already."""
    label: str | None = None
    """The column that every record must have a value of."""
    frames: Literal["first", "all"] = "first"
    bits: int = 16
    """How many bits the values of 16-bit grey images use."""
    allow_synthetic: bool = False
    """Whether images may be marked as made by a generator."""
    compose: bool = False
    """Whether transparent images are laid on white, instead of keeping their alpha."""

    @classmethod
    def of(cls, config: SourceConfig) -> "Reading":
        """Return what the recipe says of it."""
        return cls(
            resize=None if config.resize is None else parse_resize(config.resize),
            label=config.label,
            frames=config.frames,
            bits=config.bits or 16,
            allow_synthetic=config.allow_synthetic,
        )


class ImageSizeError(SourceError):
    """An image has a size that the others have not, or that is not read."""


@dataclass(frozen=True, kw_only=True)
class DecodedBatch:
    """Some consecutive records, decoded: K images."""

    images: Mapping[int, Pixels]
    """By channels C: uint8 (k, H, W, C), in order. Empty when the sizes differ."""
    channels_K: NDArray[np.uint8]
    """C of every image."""
    digests: NDArray[np.uint8]
    """(K, 16), of the content as it was stored: before `resize`, without widening."""
    final_digests: NDArray[np.uint8]
    """(K, 16), of the content as it is delivered."""
    file_digests: NDArray[np.uint8]
    """(K, 16), of the first image of the same record: what its frames have in common."""
    columns: pa.RecordBatch
    """K rows."""
    sizes: Mapping[tuple[int, int], str]
    """Every (height, width) that occurs, with the name of the first such image."""
    skipped: tuple[str, ...]
    """The records without an image, each with its reason."""
    absent: Mapping[str, int] = field(default_factory=dict)
    """How many of them have no image or no label, by that word: they are not broken."""
    found: Found
    """What was found and done."""


def decoded_batches(
    source: ImageSource, reading: Reading, columns: Sequence[str]
) -> Iterator[DecodedBatch]:
    """Read and decode a source in threads; at most two batches per thread are in memory.

    Raises:
        ImageSizeError: an image is larger than 128 pixels and there is no `resize`.
        LakeError: the store fails.
    """

    def work(read: Read) -> DecodedBatch:
        raw = read()
        if not reading.allow_synthetic:
            check_images(source.uri, raw.names, raw.images)
        return decode_batch(raw, reading)

    yield from in_order(source, columns, work)


T = TypeVar("T")


def in_order(source: ImageSource, columns: Sequence[str], work: Callable[[Read], T]) -> Iterator[T]:
    """Yield what threads make of the batches of a source, in order.

    At most two batches per thread are in memory.

    Args:
        source: of the batches.
        columns: that are read beside the images.
        work: reads a batch and makes something of it.
    """
    threads = source.threads or _processors()
    pending: deque[Future[T]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
    try:
        for read in source.reads(columns):
            pending.append(pool.submit(work, read))
            if len(pending) > threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass
class _Gathered:
    """The images of a batch while it is decoded."""

    rows: list[int] = field(default_factory=list)
    images: list[Pixels] = field(default_factory=list)
    stored: list[NDArray[np.uint8] | None] = field(default_factory=list)
    """(1, 16) of the content as stored, where it was changed since."""
    firsts: list[int] = field(default_factory=list)
    """Place of the first image of the same record."""
    sizes: dict[tuple[int, int], str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    absent: Counter[str] = field(default_factory=Counter)
    found: Found = field(default_factory=Found)


def decode_batch(raw: RawBatch, reading: Reading) -> DecodedBatch:
    """Decode a batch; what cannot be read or has no label is skipped and named.

    Raises:
        ImageSizeError: an image is larger than 128 pixels and there is no `resize`.
    """
    batch = _Gathered()
    labelled = _labelled(raw, reading.label)
    for row, (name, data) in enumerate(zip(raw.names, raw.images, strict=True)):
        if data is None or not labelled[row]:
            lacking = "image" if data is None else "label"
            batch.skipped.append(f"{name} (no {lacking})")
            batch.absent[lacking] += 1
            continue
        try:
            frames = [data] if isinstance(data, np.ndarray) else _decode(name, data, reading, batch)
        except UNREADABLE as error:
            batch.skipped.append(f"{name} ({_reason(error)})")
            continue
        first = len(batch.images)
        for image in frames:
            _gather(batch, image, (row, first, name), reading)
    return _as_batch(raw, batch)


def _decode(name: str, data: bytes, reading: Reading, batch: _Gathered) -> list[Pixels]:
    reason = undecodable(name)
    if reason is not None:
        raise ValueError(reason)
    found = Found()
    frames = decode_frames(data, found, frames=reading.frames, bits=reading.bits)
    batch.found.add(found)  # of images that could be read
    return frames


def _gather(batch: _Gathered, image: Pixels, place: tuple[int, int, str], reading: Reading) -> None:
    row, first, name = place
    stored = None
    if reading.resize is not None or (reading.compose and image.shape[2] == 4):
        stored = content_digests(image[np.newaxis])
    if reading.compose and image.shape[2] == 4:
        image = composed(image)
        batch.found.done["Transparent and laid on white, as most images are opaque"] += 1
    resize = reading.resize
    if resize is not None and image.shape[:2] != resize:  # at once: one large image in memory
        image = resized(image, resize)
        batch.found.done[f"Resized to {resize[0]}x{resize[1]} pixels by Lanczos"] += 1
    _check_sides(image, name)
    batch.sizes.setdefault((image.shape[0], image.shape[1]), name)
    batch.rows.append(row)
    batch.images.append(image)
    batch.stored.append(stored)
    batch.firsts.append(first)


def _as_batch(raw: RawBatch, batch: _Gathered) -> DecodedBatch:
    channels_K = np.array([image.shape[2] for image in batch.images], np.uint8)
    stacked = _stacked(batch.images, channels_K) if len(batch.sizes) == 1 else {}
    final = _digests(stacked, channels_K)
    digests = final.copy()
    for place, stored in enumerate(batch.stored):
        if stored is not None:
            digests[place] = stored[0]
    return DecodedBatch(
        images=stacked,
        channels_K=channels_K,
        digests=digests,
        final_digests=final,
        file_digests=digests[batch.firsts],
        columns=raw.columns.take(pa.array(batch.rows, pa.int64())),
        sizes=batch.sizes,
        skipped=tuple(batch.skipped),
        absent=batch.absent,
        found=batch.found,
    )


def _labelled(raw: RawBatch, label: str | None) -> Sequence[bool]:
    if label is None or not raw.columns.column(label).null_count:
        return [True] * len(raw.names)
    valid: list[bool] = raw.columns.column(label).is_valid().to_pylist()
    return valid


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _check_sides(image: Pixels, name: str) -> None:
    height, width, _ = image.shape
    if max(height, width) > MAX_SIDE_PX:
        msg = (
            f"The image {name!r} has {height}x{width} pixels, where at most {MAX_SIDE_PX} "
            "a side are read"
        )
        raise ImageSizeError(msg)


def _stacked(images: Sequence[Pixels], channels_K: NDArray[np.uint8]) -> dict[int, Pixels]:
    return {
        channels: np.stack([image for image in images if image.shape[2] == channels])
        for channels in np.unique(channels_K).tolist()
    }


def _digests(images: Mapping[int, Pixels], channels_K: NDArray[np.uint8]) -> NDArray[np.uint8]:
    digests = np.zeros((len(channels_K), DIGEST_BYTES), np.uint8)
    for channels, stacked in images.items():
        digests[channels_K == channels] = content_digests(stacked)
    return digests
