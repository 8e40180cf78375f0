"""The table of totals and tails."""

import numpy as np
import pyarrow as pa
import pytest

from gan.tables.figures.columns import DrawnColumn
from gan.tables.figures.tails import tails

ROWS = 4000


def column(name="x", kind="float", form="number", group=10):
    return DrawnColumn(name=name, kind=kind, form=form, group=group)


def amounts(seed, rows=ROWS):
    return np.round(np.exp(np.random.default_rng(seed).normal(5, 1, rows)), 2)


def shown(real, fake, **kwargs):
    figure = tails([column(**kwargs)], pa.table({"x": real}), pa.table({"x": fake}))
    return figure.data["rows"][0]


def test_a_resample_is_not_off():
    off = [shown(amounts(seed), amounts(100 + seed))[-1] for seed in range(20)]
    assert off.count("") >= 19


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda values: values * 1.1, "mean"),
        (lambda values: np.minimum(values, np.quantile(values, 0.99)), "highest"),
        (lambda values: np.maximum(values, np.quantile(values, 0.05)), "lowest"),
        (lambda values: np.round(values, -1), "different values"),
    ],
)
def test_what_is_off_is_named(change, word):
    assert word in shown(amounts(0), change(amounts(1)))[-1].split(", ")


def test_no_value_of_few_rows_is_shown():
    real = np.append(np.full(ROWS, 1.0), [9e9, 8e9])
    cells = shown(real, np.full(ROWS, 1.0), group=40)
    assert cells[3] == f"{real[np.argsort(real)[-40:]].mean():,.0f} → 1.000"
    assert not any("9,000,000,000" in cell for cell in cells)
    assert shown(np.zeros(ROWS), np.zeros(ROWS))[2] == "0 → 0"
    assert shown(np.arange(12.0), np.arange(12.0), group=10)[2:4] == ["too few rows"] * 2


def test_columns_that_are_off_come_first_and_others_than_quantities_are_left_out():
    real = {name: amounts(seed) for seed, name in enumerate("ab")} | {
        "c": amounts(2),
        "d": amounts(3),
    }
    fake = {"a": amounts(5), "b": 2 * amounts(6), "c": amounts(7), "d": amounts(8)}
    columns = [column("a"), column("b"), column("c", form="levels"), column("d", kind="date")]
    figure = tails(columns, pa.table(real), pa.table(fake))
    assert [row[0] for row in figure.data["rows"]] == ["b", "a"]
    assert tails(columns[2:], pa.table(real), pa.table(fake)) is None
