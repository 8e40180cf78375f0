"""Pixels of training images lie in the internal edition alone: every file, every picture in it."""

import base64
import binascii
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

SIDE = 8
PNG = re.compile(rb"\x89PNG\r\n\x1a\n.*?IEND\xaeB`\x82", re.DOTALL)
INLINE = re.compile(rb'(?:data:image/png;base64,|"png": ?")([A-Za-z0-9+/=]+)')
"""In a page, and in the data of a figure."""
ZOOMS = (1, 2, 3, 4)
"""By how much a page may have enlarged a picture."""


def pixels(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("L"))


def real_images(source: Path) -> tuple[set[bytes], list[bytes]]:
    """Return the pixels of every image of the source, and the files as they are."""
    files = [each["bytes"] for each in pd.read_parquet(source)["image"]]
    return {pixels(file).tobytes() for file in files}, files


def pictures(path: Path) -> list[bytes]:
    """Return every PNG that a file of the lake holds, compressed or not."""
    data = path.read_bytes()
    found = PNG.findall(data)
    found += [base64.b64decode(text) for text in INLINE.findall(data)]
    if path.suffix == ".parquet":
        found += [each["bytes"] for each in pq.read_table(path).column("image").to_pylist()]
    return found


def windows(picture: np.ndarray) -> set[bytes]:
    """Return every part of a picture that is as large as an image, at every zoom."""
    found: set[bytes] = set()
    for zoom in ZOOMS:
        for row, column in np.ndindex(zoom, zoom):
            small = picture[row::zoom, column::zoom]
            if min(small.shape) < SIDE:
                continue
            parts = np.lib.stride_tricks.sliding_window_view(small, (SIDE, SIDE))
            found |= {part.tobytes() for part in parts.reshape(-1, SIDE, SIDE)}
    return found


def leaks(lake: Path, source: Path) -> list[str]:
    """Return the files of the lake that hold a real image."""
    real, files = real_images(source)
    found = []
    for path in sorted(each for each in lake.rglob("*") if each.is_file()):
        data = path.read_bytes()
        shown = [window for png in pictures(path) for window in windows(pixels(png)) & real]
        plain = [each for each in (*real, *files, *map(binascii.b2a_base64, files)) if each in data]
        if shown or plain:
            found.append(path.relative_to(lake).as_posix())
    return found


def test_the_finished_job_shows_them_in_its_internal_edition_alone(finished):
    place = finished.place
    names = {path.name for path in place.lake.rglob("*") if path.is_file()}
    assert {"report.html", "preview.png", "generator.safetensors"} <= names
    assert any(pictures(path) for path in place.lake.rglob("report.html"))
    (edition,) = leaks(place.lake, place.folder / "stripes.parquet")
    assert re.fullmatch(r"generators/[^/]+/[^/]+/internal/edition-[0-9a-f]{16}\.html", edition)


@pytest.mark.parametrize("how", ["raw", "png", "sheet", "page", "figure"])
def test_a_leak_would_be_found(finished, tmp_path, how):
    source = finished.place.folder / "stripes.parquet"
    file = real_images(source)[1][7]
    sheet = np.zeros((40, 60), np.uint8)
    sheet[5 : 5 + 2 * SIDE, 11 : 11 + 2 * SIDE] = np.kron(pixels(file), np.ones((2, 2), np.uint8))
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "PNG")
    content = {
        "raw": b"head" + pixels(file).tobytes(),
        "png": b"head" + file,
        "sheet": buffer.getvalue(),
        "figure": b'{"png": "' + base64.b64encode(buffer.getvalue()) + b'"}',
        "page": b"<img src='data:image/png;base64," + base64.b64encode(buffer.getvalue()) + b"'>",
    }[how]
    (tmp_path / "leak").write_bytes(content)
    assert leaks(tmp_path, source) == ["leak"]
