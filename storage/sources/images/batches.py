"""A source as a stream of decoded batches, in order, in bounded memory.

Shape legend: N records of a batch, K of them readable, H height, W width, C channels.
"""

import os
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import UnidentifiedImageError

from storage.errors import SourceError
from storage.sources.config import MAX_SIDE_PX, SourceConfig, parse_resize
from storage.sources.images.decode import UNREADABLE, Pixels, decode_image, resized
from storage.sources.images.source import ImageSource, RawBatch, Read
from storage.split import DIGEST_BYTES, content_digests


@dataclass(frozen=True, kw_only=True)
class DecodedBatch:
    """Some consecutive records, decoded. K of N records could be read."""

    images: Mapping[int, Pixels]
    """By channels C: uint8 (k, H, W, C), in order. Empty when the sizes differ."""

    channels_K: NDArray[np.uint8]
    """C of every record."""

    digests: NDArray[np.uint8]
    """(K, 16), of the content as it was stored: before `resize`, without widening."""

    final_digests: NDArray[np.uint8]
    """(K, 16), of the content as it is delivered."""

    columns: pa.RecordBatch
    """K rows."""

    sizes: Mapping[tuple[int, int], str]
    """Every (height, width) that occurs, with the name of the first such image."""

    skipped: tuple[str, ...]
    """The N - K records that could not be read, each with its reason."""

    done: Mapping[str, int]
    """How many images had something done to them, by the words for it."""


def decoded_batches(
    source: ImageSource, config: SourceConfig, columns: Sequence[str]
) -> Iterator[DecodedBatch]:
    """Read and decode a source in threads; at most two batches per thread are in memory.

    Raises:
        SourceError: an image is larger than 128 pixels and there is no `resize`.
        LakeError: the store fails.
    """
    size = None if config.resize is None else parse_resize(config.resize)

    def work(read: Read) -> DecodedBatch:
        return decode_batch(read(), resize=size, label=config.label)

    threads = source.threads or _processors()
    pending: deque[Future[DecodedBatch]] = deque()
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


def decode_batch(
    raw: RawBatch, *, resize: tuple[int, int] | None, label: str | None
) -> DecodedBatch:
    """Decode a batch; what cannot be read or has no label is skipped and named.

    Args:
        raw: the batch.
        resize: bring every image to this (height, width); None = all have one size already.
        label: the column that must not be empty.
    """
    collected = _Collected(resize)
    labelled = _labelled(raw, label)
    for row, (name, data) in enumerate(zip(raw.names, raw.images, strict=True)):
        if data is None or not labelled[row]:
            collected.skipped.append(f"{name} (no {'image' if data is None else 'label'})")
            continue
        try:
            image = data if isinstance(data, np.ndarray) else decode_image(data, collected.done)
        except UNREADABLE as error:
            collected.skipped.append(f"{name} ({_reason(error)})")
        else:
            collected.add(row, name, image)
    return collected.batch(raw)


@dataclass
class _Collected:
    """The readable records of one batch."""

    resize: tuple[int, int] | None
    rows: list[int] = field(default_factory=list)
    images: list[Pixels] = field(default_factory=list)
    stored_digests: list[NDArray[np.uint8]] = field(default_factory=list)
    sizes: dict[tuple[int, int], str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)

    def add(self, row: int, name: str, image: Pixels) -> None:
        """Resize at once, so that no more than one large image is in memory."""
        if self.resize is not None:
            self.stored_digests.append(content_digests(image[np.newaxis]))
            if image.shape[:2] != self.resize:
                image = resized(image, self.resize)
                self.done[f"Resized to {self.resize[0]}x{self.resize[1]} pixels by Lanczos"] += 1
        height, width, _ = image.shape
        if max(height, width) > MAX_SIDE_PX:
            msg = (
                f"The image {name!r} has {height}x{width} pixels, where at most {MAX_SIDE_PX} "
                "a side are read; set source.resize, for instance to 32 or 32x48."
            )
            raise SourceError(msg)
        self.sizes.setdefault((height, width), name)
        self.rows.append(row)
        self.images.append(image)

    def batch(self, raw: RawBatch) -> DecodedBatch:
        """Put the records together."""
        uniform = len(self.sizes) == 1
        channels_K = np.array([image.shape[2] for image in self.images], np.uint8)
        images = _stacked(self.images, channels_K) if uniform else {}
        final = _digests(images, channels_K)
        stored = np.concatenate(self.stored_digests) if self.stored_digests else final
        return DecodedBatch(
            images=images,
            channels_K=channels_K,
            digests=stored,
            final_digests=final,
            columns=raw.columns.take(pa.array(self.rows, pa.int64())),
            sizes=self.sizes,
            skipped=tuple(self.skipped),
            done=self.done,
        )


def _processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _labelled(raw: RawBatch, label: str | None) -> Sequence[bool]:
    if label is None or not raw.columns.column(label).null_count:
        return [True] * len(raw.names)
    valid: list[bool] = raw.columns.column(label).is_valid().to_pylist()
    return valid


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


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
