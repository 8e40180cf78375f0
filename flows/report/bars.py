"""Bars against their bounds: one row per value, with its interval, on one common axis.

A row shows the value as a dot with its 95 % whisker, the region inside the pass bound as a tint
and the block bound as a tick. The axis is logarithmic when the values reach beyond ten.
A bound far off the values is not drawn: the values must stay readable.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from flows.report.markup import Html, element, join
from flows.report.numbers import compact, interval, number, words
from flows.report.scales import Scale, finite, linear_scale, log_scale

CEILING_UNIT = "÷ ceiling"
"""Rows in this unit get a line at 1, the ceiling."""
_DECADE = 10.0
_FAR = 100.0
"""A bound more than so many times the largest value is off the axis."""


def bars(data: Mapping[str, Any], alt: str) -> Html:
    """Return a chart of `bars` data (see `gan.report.Figure`).

    An optional `reference` {"value": float, "text": str} draws a line through all rows; in the unit
    of the ceiling there always is one at 1.
    """
    rows: Sequence[Mapping[str, Any]] = data["bars"]
    if not rows:
        return element("p", "No values were recorded.", class_="empty")
    reference = _reference(data)
    scale = _scale(rows, reference)
    return element(
        "div",
        [_row(row, scale, reference) for row in rows],
        _axis(scale, str(data.get("unit", ""))),
        class_="bars",
        role="img",
        aria_label=alt,
    )


def bars_key(figures: Sequence[Mapping[str, Any]]) -> Html:
    """Return the sentence that explains the charts of these `bars` data."""
    rows = [row for data in figures for row in data["bars"]]
    entries = ["dot: the value, with its 95 % interval"]
    if any(row.get("pass_bound") is not None for row in rows):
        entries.append("tinted: inside the pass bound")
    if any(row.get("block_bound") is not None for row in rows):
        entries.append("thick tick: the block bound")
    references = {reference["text"] for data in figures if (reference := _reference(data))}
    entries += [f"long line: {text}" for text in sorted(references)]
    return element("p", "; ".join(entries) + ".", class_="key")


def _reference(data: Mapping[str, Any]) -> Mapping[str, Any] | None:
    known: Mapping[str, Any] | None = data.get("reference")
    if known is None and data.get("unit") == CEILING_UNIT:
        return {"value": 1.0, "text": "the ceiling"}
    return known


def _scale(rows: Sequence[Mapping[str, Any]], reference: Mapping[str, Any] | None) -> Scale:
    values = finite(row.get(key) for row in rows for key in ("value", "low", "high"))
    values += finite([reference["value"]]) if reference else []
    bounds = finite(row.get(key) for row in rows for key in ("pass_bound", "block_bound"))
    largest = max((abs(value) for value in values), default=1.0) or 1.0
    values += [bound for bound in bounds if abs(bound) <= _FAR * largest]
    positive = [value for value in values if value > 0]
    wide = bool(positive) and max(positive) > _DECADE * max(min(positive), 1.0)
    if wide and min(values) >= 0:
        floor = max(positive) / 1000
        return log_scale([max(value, floor) for value in positive])
    return linear_scale(values, zero=True)


def _row(row: Mapping[str, Any], scale: Scale, reference: Mapping[str, Any] | None) -> Html:
    value = row["value"]
    numbers = join(
        element("b", number(value)),
        " ",
        element("small", interval(row["low"], row["high"])),
    )
    drawing = element(
        "svg",
        _pass_region(row, scale),
        element("line", x1="0", x2="100%", y1="50%", y2="50%", class_="grid"),
        _tick(reference["value"], scale, "reference", "0") if reference else None,
        _tick(row.get("pass_bound"), scale, "pass-bound", "15%"),
        _tick(row.get("block_bound"), scale, "block-bound", "15%"),
        _whisker(row, scale),
        element("circle", cx=scale.percent(value), cy="50%", r="5", class_=f"dot {_state(row)}")
        if finite([value])
        else None,
        width="100%",
        height="100%",
        overflow="visible",
    )
    return element(
        "div",
        element("div", words(str(row["label"])), class_="bar-label"),
        element("div", numbers, class_="bar-value"),
        element("div", drawing, class_="bar-track"),
        class_="bar-row",
    )


def _pass_region(row: Mapping[str, Any], scale: Scale) -> Html | None:
    """Tint from the pass bound to the side away from the block bound."""
    bound = row.get("pass_bound")
    if bound is None:
        return None
    block = row.get("block_bound")
    upwards = block is not None and block < bound
    start, end = (scale.at(bound), 1.0) if upwards else (0.0, scale.at(bound))
    return element(
        "rect",
        x=f"{100 * start:.2f}%",
        width=f"{100 * (end - start):.2f}%",
        y="15%",
        height="70%",
        class_="pass-region",
    )


def _tick(value: float | None, scale: Scale, name: str, top: str) -> Html | None:
    if value is None or not scale.low <= value <= scale.high:
        return None
    place = scale.percent(value)
    bottom = "100%" if top == "0" else "85%"
    return element("line", x1=place, x2=place, y1=top, y2=bottom, class_=name)


def _whisker(row: Mapping[str, Any], scale: Scale) -> Html | None:
    if len(finite([row["low"], row["high"]])) < len(("low", "high")):
        return None
    low, high = scale.percent(row["low"]), scale.percent(row["high"])
    return element("line", x1=low, x2=high, y1="50%", y2="50%", class_="whisker")


def _state(row: Mapping[str, Any]) -> str:
    """Return the colour class of the dot: which side of its bounds the point is on."""
    bound, block, value = row.get("pass_bound"), row.get("block_bound"), row["value"]
    if bound is None:
        return "plain"
    upwards = block is not None and block < bound
    if (value >= bound) if upwards else (value <= bound):
        return "pass"
    if block is not None and ((value < block) if upwards else (value > block)):
        return "block"
    return "warn"


def _axis(scale: Scale, unit: str) -> Html:
    ticks = [
        element("span", compact(tick), style=f"left:{scale.percent(tick)}") for tick in scale.ticks
    ]
    return element(
        "div",
        element("div", ticks, class_="x-ticks"),
        element("div", unit, class_="bar-value axis-label"),
        class_="bar-row bar-axis",
    )
