"""One encoded image to pixels, in every mode that people store."""

import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from storage.sources.images.pixels import UNREADABLE, as_pixels, decode_image, resized, widened

rng = np.random.default_rng(0)
GREY = rng.integers(0, 256, (9, 12), np.uint8)
RGB = rng.integers(0, 256, (9, 12, 3), np.uint8)
RGBA = rng.integers(0, 256, (9, 12, 4), np.uint8)


def save(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()


def decode(data: bytes) -> np.ndarray:
    return decode_image(data, Counter())


@pytest.mark.parametrize(
    ("pixels", "kind"),
    [(pixels, kind) for pixels in (GREY, RGB, RGBA) for kind in ("PNG", "TIFF")]
    + [(RGB, "WEBP"), (RGBA, "WEBP"), (GREY, "BMP"), (GREY, "GIF"), (RGB, "PPM")],
)
def test_lossless_files_keep_every_pixel(pixels: np.ndarray, kind: str) -> None:
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    decoded = decode(save(Image.fromarray(pixels), kind, **options))
    np.testing.assert_array_equal(decoded, pixels.reshape(9, 12, -1))


def test_a_jpeg_is_what_pillow_says() -> None:
    data = save(Image.fromarray(RGB), "JPEG")
    np.testing.assert_array_equal(decode(data), np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_become_8(kind: str) -> None:
    values = rng.integers(0, 1 << 16, (9, 12), np.uint16)
    done: Counter[str] = Counter()
    decoded = decode_image(save(Image.fromarray(values), kind), done)
    np.testing.assert_array_equal(decoded[..., 0], values // 256)
    assert sum(done.values()) == 1


def test_a_16_bit_pgm_is_read_as_a_wide_integer() -> None:
    values = rng.integers(0, 1 << 16, (9, 12), np.uint16)
    data = b"P5 12 9 65535\n" + values.astype(">u2").tobytes()
    np.testing.assert_array_equal(decode(data)[..., 0], values // 256)


def test_one_bit_is_black_and_white() -> None:
    bits = GREY > 127
    decoded = decode(save(Image.fromarray(bits)))
    np.testing.assert_array_equal(decoded[..., 0], np.where(bits, 255, 0))


def palette_image(colours: np.ndarray) -> Image.Image:
    image = Image.fromarray(GREY % len(colours)).convert("L")
    image.putpalette(colours.astype(np.uint8).tobytes(), "RGB")
    return image


def test_a_palette_is_resolved() -> None:
    colours = rng.integers(0, 256, (16, 3), np.uint8)
    done: Counter[str] = Counter()
    decoded = decode_image(save(palette_image(colours)), done)
    np.testing.assert_array_equal(decoded, colours[GREY % 16])
    assert sum(done.values()) == 1


def test_a_palette_of_greys_is_grey() -> None:
    greys = np.repeat(np.arange(0, 256, 16)[:, None], 3, axis=1)
    decoded = decode(save(palette_image(greys)))
    np.testing.assert_array_equal(decoded, greys[GREY % 16][..., :1])


def test_transparency_becomes_alpha() -> None:
    colours = rng.integers(0, 256, (16, 3), np.uint8)
    decoded = decode(save(palette_image(colours), transparency=3))
    np.testing.assert_array_equal(decoded[..., 3], np.where(GREY % 16 == 3, 0, 255))
    clear = int(GREY[0, 0])
    grey = decode(save(Image.fromarray(GREY), transparency=clear))
    np.testing.assert_array_equal(grey[..., 3], np.where(clear == GREY, 0, 255))


def test_grey_with_alpha_becomes_rgba() -> None:
    image = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(255 - GREY)])
    decoded = decode(save(image))
    np.testing.assert_array_equal(decoded[..., 1], GREY)
    np.testing.assert_array_equal(decoded[..., 3], 255 - GREY)


def test_the_orientation_of_a_photograph_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    decoded = decode(save(Image.fromarray(RGB), exif=exif))
    np.testing.assert_array_equal(decoded, np.rot90(RGB, -1))


def test_the_first_frame_counts() -> None:
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    data = save(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(decode(data)[..., 0], GREY)


FLOATS = save(Image.fromarray(GREY.astype(np.float32)), "TIFF")
WIDE = save(Image.fromarray(np.full((9, 12), 70_000, np.int32)), "TIFF")
PNG = save(Image.fromarray(RGB))
FLIPPED = PNG[:60] + bytes([PNG[60] ^ 255]) + PNG[61:]
JPEG = save(Image.fromarray(RGB), "JPEG")


@pytest.mark.parametrize(
    "data",
    [b"", b"not an image", PNG[:20], PNG[:-30], FLIPPED, JPEG[: len(JPEG) // 2], FLOATS, WIDE],
)
def test_what_is_broken_is_unreadable(data: bytes) -> None:
    with pytest.raises(UNREADABLE):
        decode(data)


def test_resizing_leaves_the_right_size_alone() -> None:
    assert resized(RGB, (9, 12)) is RGB
    small = resized(RGB, (4, 6))
    expected = Image.fromarray(RGB).resize((6, 4), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(small, as_pixels(expected))
    assert resized(GREY[..., None], (18, 3)).shape == (18, 3, 1)
    assert resized(RGBA, (8, 8)).shape == (8, 8, 4)


def test_widening_repeats_grey_and_is_opaque() -> None:
    grey = GREY[None, ..., None]
    np.testing.assert_array_equal(widened(grey, 3), np.repeat(grey, 3, axis=3))
    wide = widened(RGB[None], 4)
    np.testing.assert_array_equal(wide[..., :3], RGB[None])
    assert (wide[..., 3] == 255).all()
    assert widened(grey, 1) is grey
