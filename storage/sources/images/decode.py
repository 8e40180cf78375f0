"""One encoded image to 8-bit pixels: grey, RGB or RGBA.

| stored as | becomes |
|---|---|
| 1 bit, grey, 16-bit grey (value // 256) | grey, C = 1 |
| palette | grey when all its colours are grey, RGB, or RGBA when one is transparent |
| RGB (8 or 16 bits), CMYK, YCbCr, HSV | RGB, C = 3 |
| RGBA, grey with alpha, anything with a transparent colour | RGBA, C = 4 |

An orientation in the EXIF data is applied; of several frames the first is read.
Shape legend: H height, W width, C channels, N images.
"""

import io
import struct
import zlib
from collections import Counter
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

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


def decode_image(data: bytes, done: Counter[str]) -> Pixels:
    """Decode one image.

    Args:
        data: a file in a format that Pillow knows.
        done: counts in words what had to be done to the image.

    Returns:
        uint8 (H, W, C).

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
