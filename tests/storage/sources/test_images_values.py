"""What is in image files besides plain pixels: bits, frames, alpha, orientation, other formats."""

import io
import sys
from collections import Counter

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from storage.errors import SourceError
from storage.sources.config import SourceConfig
from storage.sources.images.pixels import Found, composed, decode_frames, decode_image, used_bits
from storage.sources.open import open_source

rng = np.random.default_rng(0)
GREY = rng.integers(0, 256, (9, 12), np.uint8)
RGB = rng.integers(0, 256, (9, 12, 3), np.uint8)


def save(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()


def wide(bits: int, count: int = 120) -> np.ndarray:
    values = rng.integers(0, 1 << bits, (count, 9, 12), np.uint16)
    values[0, 0, 0] = (1 << bits) - 1
    return values


@pytest.mark.parametrize(
    ("largest", "bits"), [(255, 8), (256, 10), (4095, 12), (4096, 14), (1 << 14, 16), (65535, 16)]
)
def test_how_many_bits_are_used(largest: int, bits: int) -> None:
    assert used_bits(largest) == bits


@pytest.mark.parametrize(("bits", "kind"), [(8, "PNG"), (10, "TIFF"), (12, "PNG"), (16, "PNG")])
def test_the_bits_that_the_whole_source_uses_are_kept(
    bits: int, kind: str, prepared, pixels_of, make_folder
) -> None:
    values = wide(bits)
    result = prepared(make_folder([save(Image.fromarray(v), kind) for v in values]))
    expected = {(image >> (bits - 8)).astype(np.uint8).tobytes() for image in values}
    assert {image.tobytes() for image in pixels_of(result)} == expected
    assert result.reading == ({} if bits == 16 else {"bits": bits})
    assert any(f"use {bits} bits" in note for note in result.notes) == (bits < 16)


def test_the_bits_may_be_said(prepared, pixels_of, make_folder) -> None:
    values = wide(10)
    root = make_folder([save(Image.fromarray(v)) for v in values])
    result = prepared(root, bits=12)
    assert {i.tobytes() for i in pixels_of(result)} == {
        (image >> 4).astype(np.uint8).tobytes() for image in values
    }
    assert result.reading == {}
    with pytest.raises(SourceError, match=r"takes more than the 8 bits of source\.bits"):
        prepared(root, bits=8)


def wide_colour(values: np.ndarray) -> bytes:
    """A PNG of 16 bits a channel, which Pillow reads and does not write."""
    import struct
    import zlib

    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def test_dark_colour_of_16_bits_is_said(prepared, make_folder) -> None:
    dark = [wide_colour(rng.integers(0, 4096, (9, 12, 3), np.uint16)) for _ in range(120)]
    assert any("nearly black" in note for note in prepared(make_folder(dark)).notes)
    full = [wide_colour(rng.integers(0, 65536, (9, 12, 3), np.uint16)) for _ in range(120)]
    assert not any("black" in n for n in prepared(make_folder(full, root="full")).notes)


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "PNG", "WEBP"])
def test_frames_are_counted_or_read(kind: str) -> None:
    frames = [Image.fromarray(RGB // 2 + 20 * i) for i in range(3)]
    data = save(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
    found = Found()
    [first] = decode_frames(data, found)
    assert (found.files_with_frames, found.dropped_frames) == (1, 2)
    every = decode_frames(data, Found(), frames="all")
    assert len(every) == 3
    np.testing.assert_array_equal(every[0], first)
    assert all(
        abs(int(e.mean()) - int(np.asarray(f).mean())) < 4
        for e, f in zip(every, frames, strict=True)
    )


def test_a_smaller_version_of_a_page_is_no_frame() -> None:
    small = Image.fromarray(GREY).resize((6, 4))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    data = save(Image.fromarray(GREY), "TIFF", save_all=True, append_images=[small])
    with Image.open(io.BytesIO(data)) as opened:
        opened.seek(1)
        marked = opened.tag_v2.get(254) == 1
    assert marked, "Pillow no longer writes the tag of an appended page"
    found = Found()
    assert len(decode_frames(data, found, frames="all")) == 1
    assert found.files_with_frames == 0


def test_frames_of_one_file_are_in_one_split(prepared, pixels_of, make_folder) -> None:
    stacks = rng.integers(0, 256, (60, 4, 9, 12), np.uint8)
    pages = [[Image.fromarray(page) for page in stack] for stack in stacks]
    files = [save(p[0], "TIFF", save_all=True, append_images=p[1:]) for p in pages]
    names = [f"{'ab'[i % 2]}/{i}.tif" for i in range(60)]
    root = make_folder(files, names)
    with pytest.raises(SourceError, match="holds 60 images"):
        prepared(root)
    result = prepared(root, frames="all")
    assert sum(result.rows.values()) == 240
    file_of = {page.tobytes(): number for number, stack in enumerate(stacks) for page in stack}
    sides = [{file_of[i.tobytes()] for i in pixels_of(result, split)} for split in result.rows]
    assert sum(map(len, sides)) == 60
    assert any("Each frame" in note for note in result.notes)


def rgba(alpha: int, kind: type = np.uint8) -> np.ndarray:
    colour = rng.integers(0, 256, (9, 12, 3), np.uint8)
    return np.dstack([colour, np.full((9, 12), alpha, kind)])


def test_opaque_alpha_is_left_out(prepared, make_folder, encode) -> None:
    result = prepared(make_folder([encode(rgba(255)) for _ in range(120)]))
    assert result.schema.field("image").type.shape == [9, 12, 3]
    assert result.reading == {"alpha": "left out"}
    grey = Image.merge("LA", [Image.fromarray(GREY), Image.new("L", (12, 9), 255)])
    assert decode_image(save(grey), Counter()).shape == (9, 12, 1)


@pytest.mark.parametrize(("transparent", "channels"), [(3, 3), (60, 4), (120, 4)])
def test_few_transparent_images_do_not_decide_for_all(
    transparent: int, channels: int, prepared, pixels_of, make_folder, encode
) -> None:
    images = [rgba(100 if i < transparent else 255) for i in range(120)]
    result = prepared(make_folder([encode(image) for image in images]))
    assert result.schema.field("image").type.shape == [9, 12, channels]
    pixels = {image.tobytes() for image in pixels_of(result)}
    kept = composed(images[0]) if channels == 3 else images[0]
    assert kept.tobytes() in pixels
    assert any("laid on white" in note for note in result.notes) == (channels == 3)


def test_composing_on_white() -> None:
    image = np.array([[[10, 20, 30, 0], [10, 20, 30, 255], [0, 100, 255, 128]]], np.uint8)
    expected = [[[255, 255, 255], [10, 20, 30], [127, 177, 255]]]
    assert composed(image).tolist() == expected


XMP = '<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


def exif_profile(orientation: int) -> str:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = exif.tobytes()
    data = data if data.startswith(b"Exif") else b"Exif\0\0" + data
    return f"\nexif\n{len(data):8}\n{data.hex()}\n"


@pytest.mark.parametrize("key", ["XML:com.adobe.xmp", "Raw profile type exif",
                                 "Raw profile type APP1", "Raw profile type xmp"])  # fmt: skip
def test_an_orientation_outside_exif_is_applied(key: str) -> None:
    info = PngImagePlugin.PngInfo()
    text = XMP if key.startswith("XML") else exif_profile(6)
    if key == "Raw profile type xmp":
        text = f"\nxmp\n{len(XMP):8}\n{XMP.encode().hex()}\n"
    (info.add_itxt if key.startswith("XML") else info.add_text)(key, text)
    found = Found()
    [pixels] = decode_frames(save(Image.fromarray(RGB), pnginfo=info), found)
    np.testing.assert_array_equal(pixels, np.rot90(RGB, -1))
    assert found.turned == 1


def test_avif_is_read_and_heic_asks_for_its_library(monkeypatch, make_folder, prepared) -> None:
    data = save(Image.fromarray(RGB).resize((16, 16)), "AVIF", quality=100)
    assert decode_image(data, Counter()).shape == (16, 16, 3)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr("storage.sources.images.folder.find_spec", lambda _: None)
    monkeypatch.setattr("storage.sources.images.pixels.find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"pip install 'ganmill\[heic\]'"):
        decode_image(b"\0\0\0\x18ftypheic" + bytes(40), Counter())


def test_pictures_that_nothing_reads_count_as_images(
    monkeypatch, make_folder, prepared, pictures, encode
) -> None:
    monkeypatch.setattr("storage.sources.images.folder.find_spec", lambda _: None)
    names = [f"{'ab'[i % 2]}/{i}.png" for i in range(120)]
    files = [*(encode(p) for p in pictures), *[b"raw"] * 30, *[b"heic"] * 30]
    more = [f"a/{i}.NEF" for i in range(30)] + [f"b/{i}.heic" for i in range(30)]
    root = make_folder(files, [*names, *more])
    with pytest.raises(SourceError, match=r"Of the 180 images .* 60 cannot be read") as caught:
        open_source(SourceConfig(uri=str(root)))
    message = str(caught.value)
    assert all(word in message for word in ("30 .NEF", "30 .heic", "camera raw", "ganmill[heic]"))
    [proposal] = caught.value.proposals
    assert proposal.setting == "source.exclude"
    assert proposal.value == ["*.NEF", "*.heic"]
    assert sum(prepared(root, exclude=proposal.value).rows.values()) == 120
    few = make_folder([*files[:120], b"raw"], [*names, "a/1.cr2"], root="few")
    [skipped] = prepared(few).skipped
    assert "camera raw" in skipped
