"""A source of images as a stream of decoded batches, in order and in bounded memory.

Every image becomes 8-bit pixels, grey, RGB or RGBA. An orientation in the EXIF data is applied; of
several frames the first is read.

| stored as | becomes |
|---|---|
| 1 bit, grey, 16-bit grey (value // 256) | grey, C = 1 |
| palette | grey when all its colours are grey, RGB, or RGBA when one is transparent |
| RGB (8 or 16 bits), CMYK, YCbCr, HSV | RGB, C = 3 |
| RGBA, grey with alpha, anything with a transparent colour | RGBA, C = 4 |

Shape legend: N records of a batch, K of them readable, H height, W width, C channels.
"""

import io
import os
import struct
import zlib
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from storage.errors import SourceError
from storage.sources.config import MAX_SIDE_PX, SourceConfig, parse_resize
from storage.sources.images.source import ImageSource, RawBatch, Read
from storage.sources.split import DIGEST_BYTES, content_digests
from storage.sources.synthetic import check_images

Pixels = NDArray[np.uint8]

UNREADABLE: Final = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow raises on broken files of its formats."""

_CONVERSIONS: Final[Mapping[str, str]] = {
    "1": "L",
    "L": "L",
    "LA": "RGBA",
    "La": "RGBA",
    "PA": "RGBA",
    "RGB": "RGB",
    "RGBX": "RGB",
    "RGBA": "RGBA",
    "RGBa": "RGBA",
    "CMYK": "RGB",
    "YCbCr": "RGB",
    "HSV": "RGB",
}
_16_BIT: Final = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N"})


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
        raw = read()
        if not config.allow_synthetic:
            check_images(config.uri, raw.names, raw.images)
        return decode_batch(raw, resize=size, label=config.label)

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


def _processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def decode_batch(
    raw: RawBatch, *, resize: tuple[int, int] | None, label: str | None
) -> DecodedBatch:
    """Decode a batch; what cannot be read or has no label is skipped and named.

    Every image is brought to the (height, width) of `resize`; None = all have one size already.

    Raises:
        SourceError: an image is larger than 128 pixels and there is no `resize`.
    """
    rows: list[int] = []
    images: list[Pixels] = []
    stored: list[NDArray[np.uint8]] = []
    sizes: dict[tuple[int, int], str] = {}
    skipped: list[str] = []
    done: Counter[str] = Counter()
    labelled = _labelled(raw, label)
    for row, (name, data) in enumerate(zip(raw.names, raw.images, strict=True)):
        if data is None or not labelled[row]:
            skipped.append(f"{name} (no {'image' if data is None else 'label'})")
            continue
        try:
            image = data if isinstance(data, np.ndarray) else decode_image(data, done)
        except UNREADABLE as error:
            skipped.append(f"{name} ({_reason(error)})")
            continue
        if resize is not None:  # at once, so that no more than one large image is in memory
            stored.append(content_digests(image[np.newaxis]))
            if image.shape[:2] != resize:
                image = resized(image, resize)
                done[f"Resized to {resize[0]}x{resize[1]} pixels by Lanczos"] += 1
        _check_sides(image, name)
        sizes.setdefault((image.shape[0], image.shape[1]), name)
        rows.append(row)
        images.append(image)
    channels_K = np.array([image.shape[2] for image in images], np.uint8)
    stacked = _stacked(images, channels_K) if len(sizes) == 1 else {}
    final = _digests(stacked, channels_K)
    return DecodedBatch(
        images=stacked,
        channels_K=channels_K,
        digests=np.concatenate(stored) if stored else final,
        final_digests=final,
        columns=raw.columns.take(pa.array(rows, pa.int64())),
        sizes=sizes,
        skipped=tuple(skipped),
        done=done,
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
            "a side are read; set source.resize, for instance to 32 or 32x48."
        )
        raise SourceError(msg)


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


def decode_image(data: bytes, done: Counter[str]) -> Pixels:
    """Decode a file of any format that Pillow knows to uint8 (H, W, C).

    `done` counts in words what had to be done to the image.

    Raises:
        One of `UNREADABLE`: the data is truncated, broken, or no image of up to 16 bits.
    """
    with Image.open(io.BytesIO(data)) as opened:
        if "16" in _raw_mode(opened):
            done["Cut from 16 to 8 bits (value // 256)"] += 1
        opened.load()
        image = ImageOps.exif_transpose(opened) if opened.info.get("exif") else opened
        if image.mode in _16_BIT:
            return _from_16_bits(image)
        if image.mode == "P":
            done["Palette resolved to its colours"] += 1
        target = _target(image)
        return as_pixels(image if image.mode == target else image.convert(target))


def resized(image_HWC: Pixels, size: tuple[int, int]) -> Pixels:
    """Return the image at (height, width) by Lanczos; the same object if it has that size."""
    if image_HWC.shape[:2] == size:
        return image_HWC
    picture = Image.fromarray(image_HWC[..., 0] if image_HWC.shape[2] == 1 else image_HWC)
    return as_pixels(picture.resize((size[1], size[0]), Image.Resampling.LANCZOS))


def widened(images_NHWC: Pixels, channels: int) -> Pixels:
    """Return the images with more channels: grey is repeated, a missing alpha is opaque."""
    if images_NHWC.shape[3] == channels:
        return images_NHWC
    wide = np.full((*images_NHWC.shape[:3], channels), 255, np.uint8)
    wide[..., :3] = images_NHWC
    return wide


def as_pixels(image: Image.Image) -> Pixels:
    """Return the pixels of an 8-bit image, uint8 (H, W, C)."""
    shape = (image.height, image.width, len(image.getbands()))
    return np.frombuffer(image.tobytes(), np.uint8).reshape(shape)


def _target(image: Image.Image) -> str:
    """Return the mode to convert to: L, RGB or RGBA."""
    if "transparency" in image.info:
        return "RGBA"
    if image.mode == "P":
        palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        return "L" if bool((palette == palette[:, :1]).all()) else "RGB"
    if image.mode not in _CONVERSIONS:
        msg = f"pixels of kind {image.mode} have no 8-bit meaning"
        raise ValueError(msg)
    return _CONVERSIONS[image.mode]


def _from_16_bits(image: Image.Image) -> Pixels:
    values = np.asarray(image)
    if values.min(initial=0) < 0 or values.max(initial=0) > 0xFFFF:
        msg = f"pixels from {values.min()} to {values.max()} are no 16-bit values"
        raise ValueError(msg)
    return (values.astype(np.uint16) >> 8).astype(np.uint8)[..., np.newaxis]


def _raw_mode(image: Image.Image) -> str:
    """Return how Pillow calls the pixels of the file, such as `RGB;16B`."""
    tiles = getattr(image, "tile", None)
    arguments = tiles[0][3] if tiles else None
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""
