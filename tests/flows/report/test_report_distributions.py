"""Small multiples, matrices and planes: where things stand, what they say, hostile data."""

import math
import re

import pytest

from flows.report import render
from flows.report.figures import figure, table
from flows.report.maps import heatmap, level_of, scatter
from flows.report.panel_charts import panels
from gan.report import Figure

BINS = {
    "title": "age",
    "note": "error 0.01",
    "bins": [
        {"label": "up to 10", "start": 0.0, "end": 0.25, "values": [0.2, 0.1]},
        {"label": "10 to 30", "start": 0.25, "end": 1.0, "values": [0.8, 0.9]},
    ],
    "ticks": [{"at": 0.02, "text": "0"}, {"at": 0.5, "text": "10"}, {"at": 0.98, "text": "30"}],
}
LEVELS = {
    "title": "plan",
    "note": "",
    "levels": [
        {"label": "full", "values": [0.5, 0.25]},
        {"label": "<b>", "values": [0.5, 0.75]},
    ],
}


def small(*found):
    return panels({"names": ["real", "synthetic"], "panels": list(found)}, "alt")


def test_areas_of_bins_are_their_shares():
    drawn = small(BINS)
    places = [
        [float(value) for value in found]
        for found in re.findall(
            r'x="([\d.]+)" width="([\d.]+)" y="[\d.]+" height="([\d.]+)"', drawn
        )
    ]
    areas = [width * height for _, width, height in places]
    assert [place[0] for place in places] == [0, 250]
    assert areas[1] / areas[0] == pytest.approx(9, rel=0.01)
    outline = re.search(r'<path d="([^"]*)"', drawn).group(1)
    assert outline.startswith("M0.0 1000")
    assert outline.endswith("V1000")


def test_bins_say_their_shares_and_outer_ticks_stay_inside():
    drawn = small(BINS)
    assert "<title>10 to 30: real 80.0%, synthetic 90.0%</title>" in drawn
    assert drawn.count('class="first"') == drawn.count('class="last"') == 1


def test_levels_are_bars_with_the_longest_full():
    drawn = small(LEVELS)
    assert 'width="100.00%"' in drawn
    assert 'width="33.33%"' in drawn
    assert "&lt;b&gt;: real 50.0%, synthetic 75.0%" in drawn
    assert "<b></b>" not in drawn


def test_both_sides_differ_by_more_than_colour():
    drawn = small(BINS, LEVELS)
    assert 'class="side-0"' in drawn
    assert 'class="side-1"' in drawn
    assert "real" in drawn
    assert "No values" in small()


def test_an_empty_panel_divides_by_nothing():
    empty = {**LEVELS, "levels": [{"label": "x", "values": [0.0, 0.0]}]}
    assert 'width="0.00%"' in small(empty)


def matrix(values, names="abc"):
    data = {"names": list(names), "values": values, "low": 1.0, "high": 4.0, "unit": "÷ real"}
    return heatmap(data, "alt")


def test_matrix_has_a_cell_per_pair_and_a_name_per_row():
    drawn = matrix([[1.0], [2.2, 0.5], [9.0, None, 1.0]])
    assert drawn.count("<rect") == 6
    assert [drawn.count(f'class="heat heat-{level}"') for level in (0, 3, 6)] == [3, 1, 1]
    assert "<title>c and a: 9.00</title>" in drawn
    assert "<title>c and b: nothing was measured</title>" in drawn
    assert drawn.count("</text>") == 3


@pytest.mark.parametrize(
    ("value", "level"),
    [(0.0, 0), (1.0, 0), (1.01, 1), (1.5, 1), (4.0, 6), (99.0, 6), (None, None), (math.nan, None)],
)
def test_steps_of_colour(value, level):
    assert level_of(value, 1.0, 4.0) == level


def test_key_of_the_matrix_names_every_step():
    drawn = matrix([[1.0]], "a")
    assert [f"{end:g}" in drawn for end in (1.5, 2, 2.5, 3)] == [True] * 4
    assert "up to 1" in drawn
    assert "over 3.5" in drawn
    assert "No values" in matrix([], "")


def test_wide_matrix_stays_narrow_and_cuts_names():
    names = [f"a very long name of a column, number {index}" for index in range(60)]
    drawn = matrix([[1.0] * (row + 1) for row in range(60)], names)
    assert int(re.search(r'<svg width="(\d+)"', drawn).group(1)) < 900
    assert "a very long name of a colum…" in drawn


def plane(**more):
    data = {
        "x_label": "x",
        "y_label": "y",
        "x_low": -1.0,
        "x_high": 1.0,
        "y_low": 0.0,
        "y_high": 2.0,
        "groups": [{"name": "made", "x": [0.0, 1.0, 5.0], "y": [1.0, 2.0, 1.0]}],
        **more,
    }
    return scatter(data, "alt")


def test_points_stand_in_the_area_or_are_left_out():
    assert 'd="M500 500h0M1000 0h0"' in plane()


def test_density_is_under_the_points_and_upside_up():
    cells = [[0.0, 0.0, 0.5, 0.5, 4.0], [0.5, 0.5, 1.0, 1.0, 1.0]]
    drawn = plane(density={"name": "real", "cells": cells})
    rects = re.findall(r'<rect x="([\d.]+)" y="([\d.]+)".*?fill-opacity="([\d.]+)"', drawn)
    assert [(float(x), float(y)) for x, y, _ in rects] == [(0, 500), (500, 0)]
    assert float(rects[0][2]) > float(rects[1][2])
    assert drawn.index("<rect") < drawn.index("<path")
    assert drawn.index("real") < drawn.index("made")


def test_numbers_written_as_text_stand_at_the_right_where_it_is_said():
    data = {"columns": ["a", "b", "c"], "rows": [["x", "1.5", "y"]], "right": [1], "dense": True}
    drawn = table(data, "alt")
    assert '<td class="number" data-label="b">1.5</td><td data-label="c">y</td>' in drawn
    assert '<table class="dense cards">' in drawn


def test_pictures_of_columns_come_before_the_numbers(make_report):
    own = Figure(
        id="x",
        section="columns",
        caption="c",
        alt="a",
        kind="panels",
        data={"names": ["real", "synthetic"], "panels": [BINS]},
    )
    report = make_report(modality="tables")
    text = render(make_report(modality="tables", figures=(*report.figures, own)))
    places = [text.index(f'id="{name}"') for name in ("columns", "metrics", "training", "data")]
    assert places == sorted(places)
    assert "Per column: 10 more metrics" in text
    assert "Per class: 10 more metrics" in render(make_report())
    assert "<figure" in figure(own)
