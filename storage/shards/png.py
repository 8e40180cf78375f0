"""PNG for whole batches of equal images: filtered in numpy, deflated by isal, decoded by Pillow.

PNG (Third Edition), W3C Recommendation 2025: section 5 (chunks), 9 (filters), 10 (deflate). One
image at a time is what makes encoders slow on small images: here the filter runs over the batch,
and what is left per image is one deflate and one CRC. The bytes are deterministic.

Shape legend: N images, H height, W width, C channels (1 grey, 3 RGB, 4 RGBA), R bytes of a filtered
row (1 + W·C).
"""

import struct
from collections.abc import Callable, Sequence
from io import BytesIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from isal import igzip_lib, isal_zlib
from PIL import Image, UnidentifiedImageError

from storage.errors import IntegrityError

Pixels = npt.NDArray[np.uint8]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPES = {1: 0, 3: 2, 4: 6}
"""Channels → PNG colour type (table 7)."""
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Channels → Pillow mode."""
LEVEL = 1
"""isal's second fastest: fills a third less than level 0 and costs twice its time."""
CHUNK_BYTES = 2**20
"""Pixels filtered at once: stays in the processor's cache."""
TRIAL_IMAGES = 16

END_CHUNK = struct.pack(">I4sI", 0, b"IEND", isal_zlib.crc32(b"IEND"))
DATA_CRC = isal_zlib.crc32(b"IDAT")


def encode_png(images_NHWC: Pixels, mark: bytes = b"") -> pa.BinaryArray:
    """Encode every image of a batch.

    Args:
        images_NHWC: of 1, 3 or 4 channels.
        mark: a chunk that every file carries behind its header, such as `PNG_MARK`.

    Returns:
        N PNG files. Every image carries the same one of the filters none, sub and up: the one
        that made a few images of the batch smallest.

    Raises:
        ValueError: another number of channels.
    """
    count, height, width, channels = images_NHWC.shape
    if channels not in COLOUR_TYPES:
        msg = f"PNG takes 1, 3 or 4 channels of uint8, not {channels}; convert the images"
        raise ValueError(msg)
    head = SIGNATURE + _header(width, height, COLOUR_TYPES[channels]) + mark
    filter_type = _best_filter(images_NHWC)
    per_chunk = max(1, CHUNK_BYTES // images_NHWC[0].size) if count else 1
    parts: list[bytes] = []
    sizes: list[int] = []
    for start in range(0, count, per_chunk):
        rows_NHR = filter_rows(images_NHWC[start : start + per_chunk], filter_type)
        _deflate(rows_NHR, head, parts, sizes)
    return _binary_array(parts, sizes, len(head))


def filter_rows(images_NHWC: Pixels, filter_type: int) -> Pixels:
    """Filter every row of every image (PNG section 9.2): 0 none, 1 sub, 2 up.

    Returns:
        rows_NHR: each row led by its filter type; differences are modulo 256.
    """
    count, height, width, channels = images_NHWC.shape
    pixels_NHB = images_NHWC.reshape(count, height, width * channels)
    rows_NHR = np.empty((count, height, 1 + width * channels), np.uint8)
    rows_NHR[:, :, 0] = filter_type
    FILTERS[filter_type](pixels_NHB, rows_NHR[:, :, 1:], channels)
    return rows_NHR


def _none(pixels_NHB: Pixels, out_NHB: Pixels, _channels: int) -> None:
    out_NHB[:] = pixels_NHB


def _sub(pixels_NHB: Pixels, out_NHB: Pixels, channels: int) -> None:
    out_NHB[:, :, :channels] = pixels_NHB[:, :, :channels]
    left, right = pixels_NHB[:, :, :-channels], pixels_NHB[:, :, channels:]
    np.subtract(right, left, out=out_NHB[:, :, channels:])


def _up(pixels_NHB: Pixels, out_NHB: Pixels, _channels: int) -> None:
    out_NHB[:, 0] = pixels_NHB[:, 0]
    np.subtract(pixels_NHB[:, 1:], pixels_NHB[:, :-1], out=out_NHB[:, 1:])


FILTERS: dict[int, Callable[[Pixels, Pixels, int], None]] = {0: _none, 1: _sub, 2: _up}


def _best_filter(images_NHWC: Pixels) -> int:
    """Return the filter that makes a few evenly spaced images smallest; ties go to the simplest."""
    count = len(images_NHWC)
    few_NHWC = images_NHWC[np.linspace(0, count - 1, min(count, TRIAL_IMAGES), dtype=np.int64)]

    def size(filter_type: int) -> int:
        rows_NHR = filter_rows(few_NHWC, filter_type)
        return sum(len(igzip_lib.compress(rows.tobytes(), LEVEL)) for rows in rows_NHR)

    return min(FILTERS, key=size)


def _deflate(rows_NHR: Pixels, head: bytes, parts: list[bytes], sizes: list[int]) -> None:
    """Append three parts per image (head with the data chunk's length, data, tail)."""
    compress, crc32, zlib_form = igzip_lib.compress, isal_zlib.crc32, igzip_lib.COMP_ZLIB
    lead, tail = struct.Struct(f">{len(head)}sI4s").pack, struct.Struct(">I12s").pack
    step = rows_NHR[0].size
    pixels = rows_NHR.reshape(-1).data
    for start in range(0, len(pixels), step):
        data = compress(pixels[start : start + step], LEVEL, zlib_form)
        size = len(data)
        parts += (lead(head, size, b"IDAT"), data, tail(crc32(data, DATA_CRC), END_CHUNK))
        sizes.append(size)


def _binary_array(parts: Sequence[bytes], sizes: Sequence[int], head_bytes: int) -> pa.BinaryArray:
    around = head_bytes + 8 + 4 + len(END_CHUNK)
    offsets = np.zeros(len(sizes) + 1, np.int32)
    np.cumsum(np.asarray(sizes, np.int64) + around, out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(parts))]
    return pa.BinaryArray.from_buffers(pa.binary(), len(sizes), buffers)


def _header(width: int, height: int, colour_type: int) -> bytes:
    """Return the IHDR chunk: 8 bits per channel, not interlaced."""
    fields = struct.pack(">4sIIBBBBB", b"IHDR", width, height, 8, colour_type, 0, 0, 0)
    return struct.pack(">I", len(fields) - 4) + fields + struct.pack(">I", isal_zlib.crc32(fields))


def decode_png(files: pa.BinaryArray, shape: tuple[int, int, int]) -> Pixels:
    """Decode N files of one shape (H, W, C), each to the end, with its CRCs checked.

    Returns:
        images_NHWC, uint8.

    Raises:
        IntegrityError: a file is damaged or of another shape; the message names its position.
    """
    height, width, channels = shape
    images_NHWC = np.empty((len(files), *shape), np.uint8)
    for position, file in enumerate(files):
        image = _decode_one(file.as_buffer(), position)
        if image.size != (width, height) or image.mode != MODES[channels]:
            msg = (
                f"image {position} is {image.width} x {image.height} {image.mode}, not "
                f"{width} x {height} {MODES[channels]}; the shard is not what was planned"
            )
            raise IntegrityError(msg)
        images_NHWC[position] = np.asarray(image).reshape(shape)
    return images_NHWC


def _decode_one(file: pa.Buffer, position: int) -> Image.Image:
    try:
        with Image.open(BytesIO(file), formats=["PNG"]) as image:
            image.load()
            return image
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError) as error:
        msg = f"image {position} cannot be decoded ({error}); the shard is damaged"
        raise IntegrityError(msg) from error
