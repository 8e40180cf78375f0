"""The teacher of images: what it learned, and its file."""

import numpy as np
import pyarrow as pa
import pytest

from gan.errors import DataError, SnapshotError
from gan.images import teacher
from gan.images.codec import write_images

DIGITS = tuple(range(10))

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def fitted(digits: pa.Table) -> bytes:
    return teacher.fit(digits.slice(0, 200), label="digit", classes=DIGITS, seed=3)


def test_it_knows_unseen_images(digits: pa.Table, fitted: bytes) -> None:
    found = teacher.load(fitted)
    unseen = digits.slice(200)
    probabilities_NK = found.predict(unseen.drop_columns("digit"))
    assert (probabilities_NK.argmax(1) == unseen["digit"].to_numpy()).mean() > 0.85
    assert probabilities_NK.sum(1) == pytest.approx(1, abs=1e-5)
    assert (found.label, tuple(found.classes)) == ("digit", DIGITS)
    assert found.predict(unseen.slice(0, 0)).shape == (0, 10)
    # what it says of an image does not rest on its neighbours
    assert found.predict(unseen.slice(50)) == pytest.approx(probabilities_NK[50:], abs=1e-5)


def test_its_file_holds_everything_and_nothing_else_is_one(fitted: bytes) -> None:
    assert teacher.load(fitted).to_bytes() == fitted
    for broken in (
        b"",
        b"{}",
        fitted[:-100],
        fitted.replace(b"image-teacher/1", b"image-teacher/2"),
    ):
        with pytest.raises(SnapshotError, match="this is no ganmill-image-teacher/1 teacher"):
            teacher.load(broken)


def test_it_refuses_what_it_cannot_learn(digits: pa.Table, fitted: bytes) -> None:
    with pytest.raises(DataError, match="49 training images, and it needs 50"):
        teacher.check(digits.slice(0, 49), label="digit", classes=DIGITS)
    with pytest.raises(DataError, match="single class 1"):
        teacher.check(digits, label="digit", classes=(1,))
    small = teacher.load(fitted)
    images = np.zeros((3, 9, 9, 1), dtype=np.uint8)
    with pytest.raises(DataError, match="fitted on"):
        small.predict(pa.table({"image": write_images(images)}))
