"""Charts and numbers: where things stand, what is left out, and what hostile data does."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.report.bar_charts import bars, bars_key
from flows.report.figures import figure, picture, table
from flows.report.html import (
    Html,
    compact,
    element,
    fact,
    instant,
    interval,
    join,
    number,
)
from flows.report.line_charts import lines
from flows.report.scales import linear_scale, log_scale, thin
from gan.report import Figure

FINITE = st.floats(-1e9, 1e9)


def curve(y, x=None, **more):
    x = list(range(len(y))) if x is None else x
    return {"x_label": "x", "y_label": "y", "series": [{"name": "a", "x": x, "y": y}], **more}


def path(text):
    return re.search(r'd="([^"]*)"', text).group(1)


def test_line_goes_from_corner_to_corner():
    assert path(lines(curve([0.0, 1.0]), "alt")) == "M0.0 1000.0 L1000.0 0.0"


def test_line_is_interrupted_where_a_value_is_missing():
    for gap in (None, math.nan, math.inf):
        drawn = path(lines(curve([0.0, 1.0, gap, 1.0, 0.0]), "alt"))
        assert drawn.count("M") == 2
        assert "nan" not in drawn


def test_log_axis_leaves_out_what_is_not_positive():
    drawn = path(lines(curve([1.0, 0.0, 10.0, 100.0], log_y=True), "alt"))
    assert drawn.count("M") == 2
    assert path(lines(curve([0.0, -1.0], log_y=True), "alt")) == "M0.0 0.0 L1000.0 1000.0"
    assert path(lines(curve([50.0, 51.0], log_y=True), "alt")) == "M0.0 1000.0 L1000.0 0.0"


def test_one_point_is_a_dot_and_no_point_a_sentence():
    assert "h0.1" in path(lines(curve([3.0]), "alt"))
    for empty in (curve([]), curve([None]), {**curve([]), "series": []}):
        assert "No values were recorded." in lines(empty, "alt")


def test_series_differ_by_more_than_colour():
    data = curve([1.0, 2.0])
    data["series"] = data["series"] * 7
    drawn = lines(data, "alt")
    assert {f"style-{index}" for index in range(6)} <= set(re.findall(r"style-\d", drawn))


def test_marks_are_numbered_and_explained():
    drawn = lines(curve([1.0, 2.0], marks=[{"x": 0.5, "text": "kept <b>"}]), "alt")
    assert 'x1="50.00%"' in drawn
    assert "kept &lt;b&gt;" in drawn


def row(value, passes=None, blocks=None, spread=0.1):
    return {
        "label": "m",
        "value": value,
        "low": value - spread,
        "high": value + spread,
        "pass_bound": passes,
        "block_bound": blocks,
    }


@pytest.mark.parametrize(
    ("value", "passes", "blocks", "state"),
    [
        (0.9, 0.75, 0.5, "pass"),
        (0.6, 0.75, 0.5, "warn"),
        (0.4, 0.75, 0.5, "block"),
        (2.0, 10.0, 50.0, "pass"),
        (20.0, 10.0, 50.0, "warn"),
        (60.0, 10.0, 50.0, "block"),
        (1.4, 1.5, None, "pass"),
        (1.6, 1.5, None, "warn"),
        (3.0, None, None, "plain"),
    ],
)
def test_dot_says_which_side_of_the_bounds(value, passes, blocks, state):
    drawn = bars({"unit": "u", "bars": [row(value, passes, blocks)]}, "alt")
    assert f'class="dot {state}"' in drawn


@pytest.mark.parametrize(
    ("value", "state"),
    [(0.2, "block"), (0.5, "warn"), (1.0, "pass"), (1.7, "warn"), (2.5, "block")],
)
def test_bounds_on_both_sides(value, state):
    both = {"pass_low": 0.6, "pass_high": 1.5, "block_low": 0.3, "block_high": 2.0}
    drawn = bars({"unit": "u", "bars": [row(value) | both]}, "alt")
    assert f'class="dot {state}"' in drawn
    assert drawn.count("pass-bound") == drawn.count("block-bound") == 2


def test_block_bound_may_lie_inside_the_pass_bound():
    copies = {"pass_low": None, "pass_high": 1.5, "block_low": None, "block_high": 1.0}
    for value, state in ((0.8, "pass"), (1.2, "pass"), (1.6, "block")):
        assert f'class="dot {state}"' in bars({"unit": "u", "bars": [row(value) | copies]}, "alt")


def test_bars_take_zero_and_what_is_not_finite():
    rows = [row(0.0), row(60.0, 10.0, 50.0), row(math.nan)]
    drawn = bars({"unit": "÷ ceiling", "bars": rows}, "alt")
    assert "nan" not in drawn
    assert drawn.count("<circle") == 2
    assert "not finite" in drawn
    assert "No values" in bars({"unit": "", "bars": []}, "alt")


def test_bound_far_off_does_not_squeeze_the_values():
    drawn = bars({"unit": "u", "bars": [row(2.0, 10.0, 1e9)]}, "alt")
    assert "block-bound" not in drawn
    assert "pass-bound" in drawn


def test_ceiling_is_drawn_in_its_unit():
    data = {"unit": "÷ ceiling", "bars": [row(0.9, 0.75, 0.5)]}
    assert 'class="reference"' in bars(data, "alt")
    assert bars_key([data]).count(";") == 3
    assert "long line: the ceiling" in bars_key([data])
    assert 'class="reference"' not in bars({**data, "unit": "share"}, "alt")


def test_axis_of_equal_values_is_calm():
    assert (linear_scale([0.0, 0.0]).low, linear_scale([0.0]).high) == (0.0, 1.0)
    assert linear_scale([5.0]).low < 5.0 < linear_scale([5.0]).high


@given(st.lists(FINITE, min_size=1, max_size=20))
def test_linear_axis_holds_all_values_on_few_ticks(values):
    scale = linear_scale(values)
    slack = 1e-8 * (scale.high - scale.low)
    assert scale.low - slack <= min(values)
    assert max(values) <= scale.high + slack
    assert 2 <= len(scale.ticks) <= 12
    assert all(0 <= scale.at(value) <= 1 for value in values)


@given(st.lists(st.floats(1e-6, 1e9), min_size=1, max_size=20))
def test_log_axis_holds_all_values_on_few_ticks(values):
    scale = log_scale(values)
    assert scale.low < min(values)
    assert max(values) < scale.high
    assert 1 <= len(scale.ticks) <= 8
    assert all(scale.low <= tick <= scale.high for tick in scale.ticks)


def test_long_curves_are_thinned_without_losing_a_spike():
    y = [0.0] * 10_000
    y[1234] = 99.0
    y[777] = math.nan
    points = thin(list(range(10_000)), y)
    assert len(points) <= 500
    assert (1234, 99.0) in points
    assert any(math.isnan(value) for _, value in points)
    assert [x for x, _ in points] == sorted(x for x, _ in points)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.97312, "0.973"),
        (12.345, "12.3"),
        (1234.5, "1,234"),
        (41, "41"),
        (10_000, "10,000"),
        (0.0, "0.00"),
        (0.00123, "0.0012"),
        (1.2e-7, "1.20e-07"),
        (3e9, "3.00e+09"),
        (math.nan, "not finite"),
        (None, "—"),
        (True, "yes"),
        (-0.5, "-0.500"),
    ],
)
def test_numbers(value, text):
    assert number(value) == text


def test_other_facts():
    assert interval(0.95, 0.9912) == "0.950 to 0.991"
    assert interval(math.nan, 1.0) == "—"
    assert compact(320_000) == "320k"
    assert instant("tomorrow") == "tomorrow"
    assert instant("2026-11-20T02:00:00") == "2026-11-20T02:00:00"
    assert fact({"a": 1, "b": [1, 2]}) == "a 1 · b 1 2"
    assert fact([]) == "—"
    assert fact({"a": {"b": 1}}) == 'a {"b": 1}'


def test_picture_names_its_columns_and_rows():
    data = {"png": "AAAA", "width": 100, "height": 80, "columns": ["a", "b"], "rows": ["x"]}
    drawn = picture(data, "alt")
    assert '<div class="columns"><span>a</span><span>b</span></div>' in drawn
    assert "with-rows" in drawn
    assert "columns" not in picture({**data, "columns": ["a"] * 100, "rows": []}, "alt")


def test_picture_must_be_base64():
    data = {"png": '" onerror="alert(1)', "width": 1, "height": 1}
    with pytest.raises(ValueError, match="not base64 text"):
        picture(data, "alt")


def test_unknown_kind_names_the_known_ones():
    item = Figure(id="f", section="data", caption="", alt="", kind="pie", data={})
    with pytest.raises(
        ValueError, match="'pie'; known are bars, heatmap, image, lines, panels, scatter, table"
    ):
        figure(item)


def test_table_cells():
    drawn = table({"columns": ["a", "b"], "rows": [["x", None], [3, 0.5]]}, "alt")
    assert '<th scope="row">x</th><td class="number" data-label="b">—</td>' in drawn
    assert '<td class="number" data-label="b">0.500</td>' in drawn
    assert '<th scope="col">a</th><th scope="col" class="number">b</th>' in drawn


def test_markup_escapes_text_once_and_keeps_markup():
    assert element("p", "<", Html("<b></b>"), title='"') == '<p title="&quot;">&lt;<b></b></p>'
    assert join("a", None, ["b", element("br")]) == "ab<br>"
    assert element("details", open=True, id=None, hidden=False) == "<details open></details>"
