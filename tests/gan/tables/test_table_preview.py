import datetime
import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from gan.errors import DataError
from gan.tables.canvas import PALETTE, PAPER, fit, width_of
from gan.tables.preview import WIDTH, panels_across, preview


def table(rows=300, columns=3):
    rng = np.random.default_rng(0)
    kind = rng.choice(["a", "b"], rows)
    numbers = {f"number {index}": rng.normal(kind == "b", 0.5) for index in range(columns)}
    return pa.table({**numbers, "kind": kind})


def pixels(picture):
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)


def amount(shown, colour):
    wanted = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    return int((shown == wanted).all(axis=2).sum())


def test_classes_have_colours_of_their_own():
    shown = pixels(preview(table(), "kind", 10))
    assert shown.shape[1] == WIDTH
    assert amount(shown, PALETTE[0]) > 5000
    assert amount(shown, PALETTE[1]) > 5000
    assert amount(shown, PALETTE[2]) == 0


def test_without_classes_there_is_one_colour():
    shown = pixels(preview(table(), None, 10))
    assert amount(shown, PALETTE[0]) > 5000
    assert amount(shown, PALETTE[1]) == 0


def test_more_classes_than_colours_are_one():
    records = table().append_column("many", pa.array(np.arange(300) % 20))
    shown = pixels(preview(records, "many", 10))
    assert amount(shown, PALETTE[1]) == 0


def test_a_histogram_is_as_high_as_its_values_are_many():
    """Nine tenths of the rows lie at the left end, so most colour is in the left of the panel."""
    skewed = np.concatenate([np.linspace(0, 1, 900), np.linspace(1, 24, 100)])
    shown = pixels(preview(pa.table({"x": skewed}), None, 1))
    colour = (shown == [int(PALETTE[0][place : place + 2], 16) for place in (1, 3, 5)]).all(axis=2)
    by_x = colour.sum(axis=0)
    left = int(np.flatnonzero(by_x)[0])
    assert by_x[left + 3] > 20 * by_x[left + 200 : left + 500].max() > 0


@pytest.mark.parametrize("columns", [1, 5, 31, 120])
def test_any_width_fits_the_sheet(columns):
    records = table(columns=columns)
    shown = pixels(preview(records, "kind", 10))
    assert shown.shape[1] == WIDTH
    assert shown.shape[0] < 1700
    paper = [int(PAPER[place : place + 2], 16) for place in (1, 3, 5)]
    assert (shown[:, :40] == paper).all()
    assert (shown[:, -40:] == paper).all()


def test_the_last_line_of_panels_is_as_full_as_possible():
    assert panels_across(31) == 8
    assert panels_across(10) == 5
    assert panels_across(9) == 5
    assert panels_across(3) == 3


def test_every_kind_of_column():
    rows = 60
    day = datetime.date(2026, 1, 1)
    records = pa.table(
        {
            "date": [day + datetime.timedelta(days=index) for index in range(rows)],
            "time": pa.array(np.arange(rows, dtype=np.int32) * 60).cast(pa.time32("s")),
            "stamp": pa.array(np.arange(rows) * 10**6, pa.timestamp("us")),
            "decimal": pa.array(range(rows), pa.decimal128(8, 2)),
            "flag": [index % 3 == 0 for index in range(rows)],
            "empty": pa.nulls(rows, pa.float64()),
            "constant": ["same"] * rows,
            "holes": [None if index % 2 else float(index) for index in range(rows)],
            "key": [f"C-{index:05d}" for index in range(rows)],
            "coded": pa.array(["x", "y"] * (rows // 2)).dictionary_encode(),
        }
    )
    assert amount(pixels(preview(records, "flag", 5)), PALETTE[1]) > 500
    assert preview(records, None, 5) == preview(records, None, 5)


def test_rows_that_are_not_there_are_not_drawn():
    assert (
        pixels(preview(table(rows=4), "kind", 10)).shape[0]
        < pixels(preview(table(rows=40), "kind", 10)).shape[0]
    )


def test_nothing_to_show():
    with pytest.raises(DataError, match="nothing to show: 0 records"):
        preview(table().slice(0, 0), None, 10)
    with pytest.raises(DataError, match="no label column 'kindness', only number 0"):
        preview(table(), "kindness", 10)


def test_text_is_cut_to_its_place():
    assert fit("short", 200) == "short"
    cut = fit("a name that is much too long for its column", 100)
    assert cut.endswith("…")
    assert width_of(cut) <= 100
    assert fit("two\nlines", 200) == "two lines"
