"""One encoded image to 8-bit pixels: grey, RGB or RGBA.

| stored as | becomes |
|---|---|
| 1 bit, grey, 16-bit grey (the upper 8 of the bits that are used) | grey, C = 1 |
| palette | grey when all its colours are grey, RGB, or RGBA when one is transparent |
| RGB (8 or 16 bits), CMYK, YCbCr, HSV | RGB, C = 3 |
| RGBA, grey with alpha, anything with a transparent colour | RGBA, C = 4 |
| the same where every pixel is opaque | without alpha |

An orientation is applied, whether EXIF data, XMP or a raw profile says it.

Shape legend: H height, W width, C channels.
"""

import io
import re
import struct
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from storage.sources.images.folder import HEIF_REMEDY

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

WIDTHS: Final = (8, 10, 12, 14, 16)
"""How many bits the values of a 16-bit image may use."""
WHITE: Final = 255
_RGBA: Final = 4
OPAQUE: Final = "Opaque everywhere, so without alpha"
"""Of images, by how many there are."""

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
_HEIF_BRANDS: Final = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
)
_ORIENTATION: Final = 0x0112
_XMP_ORIENTATION: Final = re.compile(rb"""tiff:Orientation(?:\s*=\s*["']|>)\s*([1-8])""")
_NEW_SUBFILE_TYPE: Final = 254
_NO_PAGE: Final = 1 | 4
"""Bits of TIFF's NewSubfileType: a smaller version of another page, or its mask."""
_OWN_FRAMES: Final = frozenset({"MPO"})
"""Formats whose further frames are previews and depth maps of the first."""
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass
class Found:
    """What was found in images, and done to them."""

    done: Counter[str] = field(default_factory=Counter)
    """How many images had something done to them, by the words for it."""
    largest: int = 0
    """The largest value of any 16-bit grey image."""
    wide_colour: int = 0
    """Colour images of 16 bits a channel."""
    brightest: int = 0
    """The largest value of these, of 255."""
    transparent: int = 0
    """Images with a pixel that is not opaque."""
    turned: int = 0
    """Images turned as XMP or a raw profile says."""
    dropped_frames: int = 0
    """Frames that were not read."""
    files_with_frames: int = 0
    """Files that have more than one."""

    def add(self, other: "Found") -> None:
        """Count what was found in other images too."""
        self.done.update(other.done)
        for name in ("largest", "brightest"):
            setattr(self, name, max(getattr(self, name), getattr(other, name)))
        for name in (
            "wide_colour", "transparent", "turned", "dropped_frames", "files_with_frames",
        ):  # fmt: skip
            setattr(self, name, getattr(self, name) + getattr(other, name))


def used_bits(largest: int) -> int:
    """Return how many bits values up to the largest use, as sensors count them."""
    return next(bits for bits in WIDTHS if largest < 1 << bits)


def decode_image(data: bytes, done: Counter[str]) -> Pixels:
    """Decode the first frame of a file of any format that is known to uint8 (H, W, C).

    `done` counts in words what had to be done to the image.

    Raises:
        One of `UNREADABLE`: the data is truncated, broken, or no image of up to 16 bits.
    """
    found = Found(done=done)
    return decode_frames(data, found)[0]


def decode_frames(
    data: bytes, found: Found, *, frames: Literal["first", "all"] = "first", bits: int = 16
) -> list[Pixels]:
    """Decode a file of any format that is known to images, uint8 (H, W, C).

    Args:
        data: the file.
        found: counts what is found and done.
        frames: of a file with several, the first or all.
        bits: how many bits the values of 16-bit grey images use.

    Raises:
        One of `UNREADABLE`: the data is truncated, broken, or no image of up to 16 bits.
    """
    if _is_heif(data):
        _register_heif()
    with Image.open(io.BytesIO(data)) as opened:
        places = _pages(opened)
        if len(places) > 1:
            found.files_with_frames += 1
        if frames == "first":
            found.dropped_frames += len(places) - 1
            places = places[:1]
        images = []
        for place in places:
            if place or len(places) > 1:
                opened.seek(place)
            images.append(_frame(opened, found, bits))
        return images


def _pages(opened: Image.Image) -> Sequence[int]:
    """Return the numbers of the frames that are pictures of their own; the first is one."""
    count = 1 if opened.format in _OWN_FRAMES else getattr(opened, "n_frames", 1)
    if count == 1 or opened.format != "TIFF":
        return range(count)
    kept = [0]
    for place in range(1, count):
        opened.seek(place)
        if not int(getattr(opened, "tag_v2", {}).get(_NEW_SUBFILE_TYPE, 0)) & _NO_PAGE:
            kept.append(place)
    opened.seek(0)
    return kept


def _frame(opened: Image.Image, found: Found, bits: int) -> Pixels:
    wide = "16" in _raw_mode(opened)
    opened.load()
    image = _upright(opened, found)
    if image.mode in _16_BIT:
        return _from_16_bits(image, found, bits)
    if image.mode == "P":
        found.done["Palette resolved to its colours"] += 1
    target = _target(image)
    pixels = as_pixels(image if image.mode == target else image.convert(target))
    if wide:
        found.done["Cut from 16 to 8 bits (value // 256)"] += 1
        found.wide_colour += 1
        found.brightest = max(found.brightest, int(pixels[..., :3].max(initial=0)))
    if target != "RGBA":
        return pixels
    if (pixels[..., 3] != WHITE).any():
        found.transparent += 1
        return pixels
    found.done[OPAQUE] += 1
    return np.ascontiguousarray(pixels[..., : 1 if image.mode in ("LA", "La") else 3])


def _upright(opened: Image.Image, found: Found) -> Image.Image:
    if opened.info.get("exif"):
        return ImageOps.exif_transpose(opened)
    turn = _TURNS.get(_told_orientation(opened))
    if turn is None:
        return opened
    found.turned += 1
    turned = opened.transpose(turn)
    turned.info = dict(opened.info)
    return turned


def _told_orientation(opened: Image.Image) -> int:
    """Return the orientation that XMP or a raw profile says, 1 where none does."""
    for key, value in opened.info.items():
        name = str(key).lower()
        if name in ("xmp", "xml:com.adobe.xmp"):
            text = value if isinstance(value, bytes) else str(value).encode()
        elif name.startswith("raw profile type"):
            text = bytes.fromhex("".join(str(value).split("\n")[3:]))
        else:
            continue
        start = text.find(b"Exif\0\0")
        if start >= 0:
            exif = Image.Exif()
            exif.load(text[start:])
            return int(exif.get(_ORIENTATION, 1))
        match = _XMP_ORIENTATION.search(text)
        if match is not None:
            return int(match.group(1))
    return 1


def _is_heif(data: bytes) -> bool:
    return data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS


@cache
def _register_heif() -> None:
    """Let Pillow read HEIC.

    Raises:
        ValueError: pillow-heif is not installed.
    """
    if find_spec("pillow_heif") is None:
        raise ValueError(HEIF_REMEDY)
    import_module("pillow_heif").register_heif_opener()


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


def with_channels(images_NHWC: Pixels, channels: int) -> Pixels | None:
    """Return the images with so many channels, alpha laid on white; None where colour is lost."""
    if images_NHWC.shape[3] <= channels:
        return widened(images_NHWC, channels)
    if images_NHWC.shape[3] == _RGBA:
        images_NHWC = composed(images_NHWC)
    if channels > 1 or (images_NHWC == images_NHWC[..., :1]).all():
        return images_NHWC[..., :channels]
    return None


def as_pixels(image: Image.Image) -> Pixels:
    """Return the pixels of an 8-bit image, uint8 (H, W, C)."""
    shape = (image.height, image.width, len(image.getbands()))
    return np.frombuffer(image.tobytes(), np.uint8).reshape(shape)


def composed(image_HWC: Pixels) -> Pixels:
    """Return an RGBA image laid on white, as RGB."""
    alpha = image_HWC[..., 3:].astype(np.uint16)
    colour = image_HWC[..., :3].astype(np.uint16)
    mixed = (colour * alpha + WHITE * (WHITE - alpha) + WHITE // 2) // WHITE
    return mixed.astype(np.uint8)


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


def _from_16_bits(image: Image.Image, found: Found, bits: int) -> Pixels:
    values = np.asarray(image)
    largest = int(values.max(initial=0))
    if values.min(initial=0) < 0 or largest > 0xFFFF:
        msg = f"pixels from {values.min()} to {values.max()} are no 16-bit values"
        raise ValueError(msg)
    if largest >= 1 << bits:
        msg = f"a value of {largest} takes more than the {bits} bits of source.bits"
        raise ValueError(msg)
    found.largest = max(found.largest, largest)
    if bits > 8:
        found.done[f"Cut from {bits} to 8 bits (value // {1 << (bits - 8)})"] += 1
    else:
        found.done["Read as 8 bits that lie in 16"] += 1
    return (values.astype(np.uint16) >> (bits - 8)).astype(np.uint8)[..., np.newaxis]


def _raw_mode(image: Image.Image) -> str:
    """Return how Pillow calls the pixels of the file, such as `RGB;16B`."""
    tiles = getattr(image, "tile", None)
    arguments = tiles[0][3] if tiles else None
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""
