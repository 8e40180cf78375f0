import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from gan.errors import DataError
from gan.images.codec import write_images
from gan.images.figures.sheets import GAP
from gan.images.judge import preview


def table(rows, size=(8, 8, 1), labels=None):
    images = np.random.default_rng(0).integers(0, 256, (rows, *size), dtype=np.uint8)
    columns = {"image": write_images(images)}
    if labels is not None:
        columns["kind"] = pa.array(labels)
    return images, pa.table(columns)


def pixels(picture):
    return np.asarray(Image.open(io.BytesIO(picture)))


def test_one_row_per_class_in_order():
    images, records = table(5, labels=["b", "a", "b", "b", "a"])
    shown = pixels(preview(records, "kind", 3))
    side = 32 + GAP
    assert shown.shape == (2 * side, 3 * side)
    np.testing.assert_array_equal(shown[0:32:4, 0:32:4], images[1, :, :, 0])
    np.testing.assert_array_equal(
        shown[side : side + 32 : 4, side : side + 32 : 4], images[2, ..., 0]
    )
    assert (shown[0:32, 2 * side :] == 255).all()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_kind_of_image(channels):
    _, records = table(7, size=(40, 50, channels))
    shown = pixels(preview(records, None, 3))
    assert shown.shape[:2] == (3 * (40 + GAP), 3 * (50 + GAP))


def test_nothing_to_show():
    _, records = table(0)
    with pytest.raises(DataError, match="0 records"):
        preview(records, None, 3)
    with pytest.raises(DataError, match="no label column 'sort'"):
        preview(table(3)[1], "sort", 3)
