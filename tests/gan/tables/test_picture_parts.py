"""The parts of a table's figures: bins, levels, densities, errors of pairs, places on an axis."""

import datetime

import numpy as np
import pyarrow as pa
import pytest

from gan.tables.figures.columns import (
    BinLayout,
    DrawnColumn,
    as_numbers,
    as_text,
    common_levels,
    lay_out,
    place_text,
    pool,
)
from gan.tables.figures.pairs import chance_errors, density_cells, error_ratios, main_axes


def test_density_never_shows_fewer_rows_than_a_group():
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(0.3, 0.05, (400, 2)), [[0.9, 0.9]] * 3])
    cells = density_cells(points, ((0.0, 1.0), (0.0, 1.0)), 10)
    held = [value * (right - left) * (top - low) * 400 for left, low, right, top, value in cells]
    assert sum(held) == pytest.approx(400, rel=0.01)
    assert min(held) > 9
    assert len(cells) > 8
    assert density_cells(points[:4], ((0.0, 1.0), (0.0, 1.0)), 10) == []


@pytest.mark.parametrize(
    ("counts", "ranges"),
    [
        ([20, 30], [(0, 1), (1, 2)]),
        ([20, 3, 30], [(0, 2), (2, 3)]),
        ([0, 0, 4, 30], [(0, 1), (1, 2), (2, 4)]),
        ([12, 0, 4], [(0, 3)]),
        ([4, 4, 4], [(0, 3)]),
        ([3], [(0, 1)]),
    ],
)
def test_bins_of_few_rows_join_a_neighbour(counts, ranges):
    assert pool(np.array(counts), 10) == ranges


def test_levels_of_few_rows_share_one_name():
    counts = {"a": 50, "b": 20, "c": 12, "d": 4, "null": 30}
    assert common_levels(counts, 10, 8) == ["a", "b", "null"]
    assert common_levels({"a": 50, "b": 12}, 10, 8) == ["a", "b"]
    assert common_levels({"a": 3, "b": 2}, 10, 8) == []


def test_edges_are_round_and_no_real_value():
    values = np.random.default_rng(0).normal(100, 15, 2000)
    layout = lay_out(DrawnColumn(name="x", kind="float", form="number", group=10), values)
    assert isinstance(layout, BinLayout)
    assert np.allclose(layout.edges % 2.5, 0) or np.allclose(layout.edges % 5, 0)
    assert not np.isin(layout.edges, values).any()
    assert layout.counts(values).sum() == 2000
    assert min(layout.counts(values)[[0, -1]]) >= 5


def test_skewed_numbers_get_a_logarithmic_axis():
    values = np.exp(np.random.default_rng(0).normal(5, 1.5, 2000))
    values[:200] = 0.0
    layout = lay_out(DrawnColumn(name="x", kind="float", form="number", group=10), values)
    assert layout is not None
    assert layout.log
    counts = layout.counts(values)
    assert counts[0] >= 200
    assert counts.max() < 0.4 * 2000
    assert all(f"{edge:.2g}" == f"{float(f'{edge:.2g}'):.2g}" for edge in layout.edges)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (10.0**18 + np.arange(100.0) % 20, "integer"),
        (10.0**18 + np.arange(100.0) * 50, "integer"),
        (2.0**62 + np.arange(100.0) * 2.0**55, "integer"),
        (np.full(100, 1e17), "decimal"),
        (np.full(100, -1e300), "float"),
        (np.zeros(100), "float"),
        (np.arange(100.0) * 1e-20, "float"),
        (np.arange(100.0) * 1e-305, "float"),
        (np.geomspace(1e-30, 1e-12, 100), "float"),
        (np.zeros(100), "integer"),
    ],
)
def test_numbers_that_float64_hardly_tells_apart_have_bins_nevertheless(values, kind):
    layout = lay_out(DrawnColumn(name="x", kind=kind, form="number", group=10), values)
    assert layout is not None
    assert (np.diff(layout.edges) > 0).all()
    assert layout.counts(values).sum() == 100
    assert (layout.counts(values) > 0).sum() > 3 or np.ptp(values) < 1e3


def test_too_few_values_give_no_bins():
    column = DrawnColumn(name="x", kind="float", form="number", group=10)
    assert lay_out(column, np.arange(19.0)) is None
    assert lay_out(column, np.full(50, np.nan)) is None


def test_chance_is_what_two_samples_of_one_table_differ_by():
    rng = np.random.default_rng(0)
    tables = [
        pa.table({"a": rng.integers(0, 4, 2000), "b": rng.normal(size=2000)}) for _ in range(4)
    ]
    columns = [
        DrawnColumn(name="a", kind="category", form="levels", group=1),
        DrawnColumn(name="b", kind="float", form="number", group=1),
    ]
    ratios = error_ratios(columns, tables[0], (tables[1], tables[2], tables[3]), 0)
    assert 0.5 < ratios[0, 1] < 1.5
    np.testing.assert_allclose(ratios, ratios.T)
    shares = np.diag([0.25] * 4)
    assert chance_errors(shares, [4], 1000)[0, 0] == pytest.approx(
        2 * np.sqrt(4 * 0.25 * 0.75 / (np.pi * 1000))
    )


def test_main_axes_have_a_fixed_sign_and_most_variance():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(500, 3)) * [1, 5, 2]
    axes, shares = main_axes(points - points.mean(axis=0))
    assert axes[1, 0] > 0.9
    assert axes[2, 1] > 0.9
    assert 0.7 < shares[0] < 0.95


def test_numbers_and_places_of_every_kind():
    assert as_numbers(pa.array([datetime.date(1970, 1, 11), None])).tolist()[0] == 10
    stamps = pa.array([np.datetime64("1970-01-02T01:00:00").item()], pa.timestamp("ns"))
    assert as_numbers(stamps).tolist() == [90_000]
    assert as_numbers(pa.array([datetime.time(1, 30)], pa.time32("s"))).tolist() == [5400]
    assert np.isnan(as_numbers(pa.array([np.inf]))[0])
    assert place_text("date", 10.2) == "1970-01-11"
    assert place_text("timestamp", 90_000) == "1970-01-02 01:00"
    assert place_text("timestamp", 86_400) == "1970-01-02"
    assert place_text("time", 5400) == "01:30"
    assert place_text("date", 2_932_896.4) == place_text("date", 2_932_897.5) == "9999-12-31"
    assert place_text("timestamp", -1e12) == "0001-01-01 00:00"
    assert place_text("float", 12_345.5) == "12,345.5"
    assert as_text(0.1 + 0.2) == "0.3"
    assert as_text(122738.46) == "122738.46"
    assert len(as_text("x" * 100)) == 40
