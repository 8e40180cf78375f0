"""Charts of lines as inline SVG and HTML that need no script.

An SVG stretches with the page while strokes and texts keep their size, so that a chart is as
readable on a phone as on paper.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from flows.report.html import Html, compact, element, short, words
from flows.report.scales import (
    BOX,
    Scale,
    end_of,
    finite,
    linear_scale,
    log_scale,
    thin,
    x_ticks,
)

STYLES = 6
"""Line styles (colour and dashes) in the style sheet; further series start again."""
_LOG_FROM = 4.0
"""A logarithmic axis is only worth it when the values differ by more than this factor."""


def lines(data: Mapping[str, Any], alt: str) -> Html:
    """Return a chart of `lines` data (see `gan.report.Figure`) with its legend and marks."""
    series = [item for item in data["series"] if finite(item["y"])]
    if not series:
        return element("p", "No values were recorded.", class_="empty")
    marks = list(data.get("marks", ()))
    across, up = x_scale(series, marks), y_scale(series, log=bool(data.get("log_y")))
    below = _texts(data["ticks"], across) if data.get("ticks") else x_ticks(across)
    heights = [element("span", compact(tick), style=f"top:{_down(up, tick)}") for tick in up.ticks]
    chart = element(
        "div",
        element("div", short(str(data.get("y_label", ""))), class_="axis-label"),
        element("div", heights, class_="y-ticks"),
        element("div", _plot(series, marks, across, up), class_="plot"),
        element("div", below, class_="x-ticks"),
        element("div", short(str(data.get("x_label", ""))), class_="axis-label x-label"),
        class_="chart",
        role="img",
        aria_label=alt,
    )
    return element("div", chart, _legend(series), _mark_list(marks, placed=not data.get("ticks")))


def x_scale(series: Sequence[Mapping[str, Any]], marks: Sequence[Mapping[str, Any]]) -> Scale:
    """Return the axis of what was seen: exactly as long as the series and their marks."""
    values = finite(x for item in series for x in item["x"]) + finite(m["x"] for m in marks)
    nice = linear_scale(values, count=5)
    low, high = min(values), max(values)
    if not low < high:
        return nice
    ticks = [tick for tick in nice.ticks if low <= tick <= high]
    return Scale(low=low, high=high, ticks=ticks)


def y_scale(series: Sequence[Mapping[str, Any]], *, log: bool) -> Scale:
    """Return the axis of the values; logarithmic only where that is worth it."""
    values = [y for item in series for y in item["y"]]
    positive = [value for value in finite(values) if value > 0]
    if log and positive and max(positive) > _LOG_FROM * min(positive):
        return log_scale(positive, count=6)
    return linear_scale((positive or values) if log else values, count=5)


def _plot(
    series: Sequence[Mapping[str, Any]],
    marks: Sequence[Mapping[str, Any]],
    across: Scale,
    up: Scale,
) -> Html:
    grid = [
        element("line", x1="0", x2="100%", y1=place, y2=place, class_="grid")
        for place in (_down(up, tick) for tick in up.ticks)
    ]
    curves = [
        element("path", d=curve_path(item, across, up), class_=f"curve style-{index % STYLES}")
        for index, item in enumerate(series)
    ]
    stretched = element(
        "svg",
        curves,
        width="100%",
        height="100%",
        viewBox=f"0 0 {BOX} {BOX}",
        preserveAspectRatio="none",
        overflow="visible",
    )
    flags = [_mark(index, mark, across) for index, mark in enumerate(marks, start=1)]
    return element("svg", grid, stretched, flags, width="100%", height="100%", overflow="visible")


def curve_path(item: Mapping[str, Any], across: Scale, up: Scale, most: int = 400) -> str:
    """Return the path of one series in a box of `BOX` by `BOX`, of at most about `most` points.

    A value that cannot be drawn interrupts the line.
    """
    steps: list[str] = []
    pen = "M"
    for x, y in thin(item["x"], [math.nan if y is None else y for y in item["y"]], most):
        if not (math.isfinite(x) and math.isfinite(y)) or y < up.low:
            pen = "M"
            continue
        steps.append(f"{pen}{BOX * across.at(x):.1f} {BOX * (1 - up.at(y)):.1f}")
        pen = "L"
    if len(steps) == 1:
        steps.append("h0.1")
    return " ".join(steps)


def _mark(index: int, mark: Mapping[str, Any], across: Scale) -> Html:
    place = across.percent(mark["x"])
    return element(
        "g",
        element("line", x1=place, x2=place, y1="0", y2="100%", class_="mark"),
        element("circle", cx=place, cy="0", r="8", class_="mark-flag"),
        element("text", str(index), x=place, y="0", dy="3.5", class_="mark-number"),
    )


def _texts(ticks: Sequence[Mapping[str, Any]], scale: Scale) -> list[Html]:
    """Return the texts that a figure brings for its axis."""
    return [
        element(
            "span",
            str(tick["text"]),
            style=f"left:{scale.percent(tick['at'])}",
            class_=end_of(scale.at(tick["at"])),
        )
        for tick in ticks
    ]


def _down(scale: Scale, value: float) -> str:
    return f"{100 * (1 - scale.at(value)):.2f}%"


def _legend(series: Sequence[Mapping[str, Any]]) -> Html:
    entries = []
    for index, item in enumerate(series):
        style = f"curve style-{index % STYLES}"
        line = element("line", x1="0", x2="28", y1="6", y2="6", class_=style)
        swatch = element("svg", line, width="28", height="12", aria_hidden="true")
        entries.append(element("li", swatch, short(words(str(item["name"])))))
    return element("ul", entries, class_="legend")


def _mark_list(marks: Sequence[Mapping[str, Any]], *, placed: bool) -> Html | None:
    """Return what the marks say, and where they are: on an axis of texts their text says that."""
    if not marks:
        return None
    entries = [
        element(
            "li",
            str(mark["text"]),
            element("small", f" at {mark['x']:,.6g}") if placed else None,
        )
        for mark in marks
    ]
    return element("ol", entries, class_="marks")
