"""Charts as inline SVG and HTML that need no script: lines, bars against their bounds, panels.

An SVG stretches with the page while strokes and texts keep their size, so that a chart is as
readable on a phone as on paper.

A row of bars shows the value as a dot with its 95 % whisker, the region inside the pass bounds as a
tint and the block bounds as ticks, on an axis that all rows share. The axis is logarithmic when the
values reach beyond ten, and a bound far off the values is not drawn. A row gives its bounds as
`pass_low`, `pass_high`, `block_low` and `block_high`, each a number or null; or, where there is one
of a kind, as `pass_bound` and `block_bound`: a block bound below the pass bound means that more is
better.

A panel compares two distributions: the first is an outline, the second is filled, so that they
differ by more than colour.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from flows.report.html import (
    Html,
    Scale,
    compact,
    element,
    finite,
    fold,
    interval,
    join,
    linear_scale,
    log_scale,
    number,
    short,
    thin,
    words,
)
from gan.report import CEILING_UNIT

STYLES = 6
"""Line styles (colour and dashes) in the style sheet; further series start again."""
BOX = 1000
"""Side of the square that curves are drawn in; it is stretched to its place."""
_LOG_FROM = 4.0
"""A logarithmic axis is only worth it when the values differ by more than this factor."""


def lines(data: Mapping[str, Any], alt: str) -> Html:
    """Return a chart of `lines` data (see `gan.report.Figure`) with its legend and marks."""
    series = [item for item in data["series"] if finite(item["y"])]
    if not series:
        return element("p", "No values were recorded.", class_="empty")
    marks = list(data.get("marks", ()))
    across, up = x_scale(series, marks), y_scale(series, log=bool(data.get("log_y")))
    below = _texts(data["ticks"], across) if data.get("ticks") else _x_ticks(across)
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


def _x_ticks(scale: Scale) -> list[Html]:
    places = {tick: scale.at(tick) for tick in scale.ticks}
    return [
        element("span", compact(tick), style=f"left:{scale.percent(tick)}", class_=_end(place))
        for tick, place in places.items()
    ]


def _texts(ticks: Sequence[Mapping[str, Any]], scale: Scale) -> list[Html]:
    """Return the texts that a figure brings for its axis."""
    return [
        element(
            "span",
            str(tick["text"]),
            style=f"left:{scale.percent(tick['at'])}",
            class_=_end(scale.at(tick["at"])),
        )
        for tick in ticks
    ]


def _end(place: float) -> str | None:
    """Keep the texts at both ends of an axis inside the chart."""
    if place < _AT_END:
        return "first"
    return "last" if place > 1 - _AT_END else None


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


_MOST_BARS = 12
"""Rows in view; of more the others are behind a click, which says how many are out of bounds."""
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
    scale, unit = _scale(rows, reference), str(data.get("unit", ""))
    shown, rest = _first_rows(rows)
    parts = [
        element(
            "div",
            [_row(row, scale, reference) for row in part],
            _axis(scale, unit),
            class_="bars",
            role="img",
            aria_label=alt,
        )
        for part in (shown, rest)
        if part
    ]
    return join(parts[0], fold(_more(rest), parts[1]) if rest else None)


def _more(rows: Sequence[Mapping[str, Any]]) -> str:
    bad = sum(not _is_calm(row) for row in rows)
    outside = f", {bad:,} of them outside a pass bound" if bad else ""
    return f"{len(rows):,} more{outside}"


def _is_calm(row: Mapping[str, Any]) -> bool:
    return _bounds(row).state(row["value"]) in ("pass", "plain")


def _first_rows(
    rows: Sequence[Mapping[str, Any]],
) -> tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]:
    """Return the rows that are in view, and the rest: those outside a pass bound come first."""
    if len(rows) <= _MOST_BARS:
        return rows, ()
    places = sorted(range(len(rows)), key=lambda place: _is_calm(rows[place]))[:_MOST_BARS]
    shown = [row for place, row in enumerate(rows) if place in places]
    return shown, [row for place, row in enumerate(rows) if place not in places]


def bars_key(figures: Sequence[Mapping[str, Any]]) -> Html:
    """Return the sentence that explains the charts of these `bars` data."""
    rows = [row for data in figures for row in data["bars"]]
    entries = ["dot: the value, with its 95 % interval"]
    bounds = [_bounds(row) for row in rows]
    if finite(bound for one in bounds for bound in (one.pass_low, one.pass_high)):
        entries.append("tinted: inside the pass bounds")
    if finite(bound for one in bounds for bound in (one.block_low, one.block_high)):
        entries.append("thick tick: a block bound")
    references = {reference["text"] for data in figures if (reference := _reference(data))}
    if references:
        entries.append(f"long line: {', '.join(sorted(references))}")
    return element("p", "; ".join(entries) + ".", class_="key")


def _reference(data: Mapping[str, Any]) -> Mapping[str, Any] | None:
    known: Mapping[str, Any] | None = data.get("reference")
    if known is None and data.get("unit") == CEILING_UNIT:
        return {"value": 1.0, "text": "the ceiling"}
    return known


@dataclass(frozen=True, kw_only=True)
class _Bounds:
    """The bounds of one row; None where there is none."""

    pass_low: float | None = None
    pass_high: float | None = None
    block_low: float | None = None
    block_high: float | None = None

    @property
    def known(self) -> list[float]:
        """Every bound that there is."""
        return finite([self.pass_low, self.pass_high, self.block_low, self.block_high])

    def state(self, value: float) -> str:
        """Return the colour class of a value: where it stands between the bounds."""
        if not self.known:
            return "plain"
        if _within(value, self.pass_low, self.pass_high):
            return "pass"
        return "warn" if _within(value, self.block_low, self.block_high) else "block"


def _within(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)


def _bounds(row: Mapping[str, Any]) -> _Bounds:
    names = [field.name for field in fields(_Bounds)]
    if any(name in row for name in names):
        return _Bounds(**{name: row.get(name) for name in names})
    passing, blocking = row.get("pass_bound"), row.get("block_bound")
    if passing is not None and blocking is not None and blocking < passing:
        return _Bounds(pass_low=passing, block_low=blocking)
    return _Bounds(pass_high=passing, block_high=blocking)


def _scale(rows: Sequence[Mapping[str, Any]], reference: Mapping[str, Any] | None) -> Scale:
    values = finite(row.get(key) for row in rows for key in ("value", "low", "high"))
    values += finite([reference["value"]]) if reference else []
    bounds = [bound for row in rows for bound in _bounds(row).known]
    largest = max((abs(value) for value in values), default=1.0) or 1.0
    values += [bound for bound in bounds if abs(bound) <= _FAR * largest]
    positive = [value for value in values if value > 0]
    wide = bool(positive) and max(positive) > _DECADE * max(min(positive), 1.0)
    if wide and min(values) >= 0:
        floor = max(positive) / 1000
        return log_scale([max(value, floor) for value in positive])
    return linear_scale(values, zero=True)


def _row(row: Mapping[str, Any], scale: Scale, reference: Mapping[str, Any] | None) -> Html:
    value, bounds = row["value"], _bounds(row)
    passes, blocks = (bounds.pass_low, bounds.pass_high), (bounds.block_low, bounds.block_high)
    numbers = join(
        element("b", number(value)),
        " ",
        element("small", interval(row["low"], row["high"])),
    )
    drawing = element(
        "svg",
        _pass_region(bounds, scale),
        element("line", x1="0", x2="100%", y1="50%", y2="50%", class_="grid"),
        _tick(reference["value"], scale, "reference", "0") if reference else None,
        [_tick(bound, scale, "pass-bound", "15%") for bound in finite(passes)],
        [_tick(bound, scale, "block-bound", "15%") for bound in finite(blocks)],
        _whisker(row, scale),
        element(
            "circle", cx=scale.percent(value), cy="50%", r="5", class_=f"dot {bounds.state(value)}"
        )
        if finite([value])
        else None,
        width="100%",
        height="100%",
        overflow="visible",
    )
    return element(
        "div",
        element("div", short(words(str(row["label"]))), class_="bar-label"),
        element("div", numbers, class_="bar-value"),
        element("div", drawing, class_="bar-track"),
        class_="bar-row",
    )


def _pass_region(bounds: _Bounds, scale: Scale) -> Html | None:
    """Tint what lies inside the pass bounds."""
    low, high = bounds.pass_low, bounds.pass_high
    if low is None and high is None:
        return None
    start = 0.0 if low is None else scale.at(low)
    end = 1.0 if high is None else scale.at(high)
    return element(
        "rect",
        x=f"{100 * start:.2f}%",
        width=f"{100 * (end - start):.2f}%",
        y="15%",
        height="70%",
        class_="pass-region",
    )


def _tick(value: float, scale: Scale, name: str, top: str) -> Html | None:
    if not scale.low <= value <= scale.high:
        return None
    place = scale.percent(value)
    bottom = "100%" if top == "0" else "85%"
    return element("line", x1=place, x2=place, y1=top, y2=bottom, class_=name)


def _whisker(row: Mapping[str, Any], scale: Scale) -> Html | None:
    if len(finite([row["low"], row["high"]])) < len(("low", "high")):
        return None
    low, high = scale.percent(row["low"]), scale.percent(row["high"])
    return element("line", x1=low, x2=high, y1="50%", y2="50%", class_="whisker")


def _axis(scale: Scale, unit: str) -> Html:
    return element(
        "div",
        element("div", _x_ticks(scale), class_="x-ticks"),
        element("div", short(unit), class_="bar-value axis-label"),
        class_="bar-row bar-axis",
    )


_TALLEST = 940
"""The highest bar, so that its outline stays inside."""
_MOST_PANELS = 8
"""More than these are behind a click; the worst come first."""
_AT_END = 0.02
_MARGIN = 0.1
"""Texts of ticks nearer to an end are aligned with it."""


def panels(data: Mapping[str, Any], alt: str) -> Html:
    """Return a chart of `panels` data (see `gan.report.Figure`) with its legend."""
    if not data["panels"]:
        return element("p", "No values were recorded.", class_="empty")
    names = [str(name) for name in data["names"]]
    charts = [_panel(panel, names) for panel in data["panels"]]
    shown, rest = charts[:_MOST_PANELS], charts[_MOST_PANELS:]
    grid = element("div", shown, class_="panels", role="group", aria_label=alt)
    more = fold(f"{len(rest):,} more", element("div", rest, class_="panels")) if rest else None
    entries = [
        element(
            "li", element("span", class_=f"swatch side-{index}", aria_hidden="true"), short(name)
        )
        for index, name in enumerate(names)
    ]
    return join(element("ul", entries, class_="legend"), grid, more)


def _panel(panel: Mapping[str, Any], names: Sequence[str]) -> Html:
    chart = _bins(panel, names) if "bins" in panel else _levels(panel["levels"], names)
    title, note = short(str(panel["title"])), short(str(panel["note"]))
    head = (element("b", title), element("small", note))
    return element("div", element("p", head, class_="panel-head"), chart, class_="panel")


def _bins(panel: Mapping[str, Any], names: Sequence[str]) -> Html:
    """Draw bars whose areas are the shares, on a common axis."""
    bins: Sequence[Mapping[str, Any]] = panel["bins"]
    heights = [[value / (one["end"] - one["start"]) for value in one["values"]] for one in bins]
    tallest = max((height for pair in heights for height in pair), default=0.0) or 1.0
    scaled = [[_TALLEST * height / tallest for height in pair] for pair in heights]
    filled = [
        element(
            "rect",
            element("title", _shares(one, names)),
            x=f"{BOX * one['start']:.1f}",
            width=f"{BOX * (one['end'] - one['start']):.1f}",
            y=f"{BOX - pair[1]:.1f}",
            height=f"{pair[1]:.1f}",
            class_="side-1",
        )
        for one, pair in zip(bins, scaled, strict=True)
    ]
    drawing = element(
        "svg",
        filled,
        element("path", d=_outline(bins, [pair[0] for pair in scaled]), class_="side-0"),
        viewBox=f"0 0 {BOX} {BOX}",
        preserveAspectRatio="none",
        width="100%",
        height="100%",
        role="img",
        aria_label="; ".join(_shares(one, names) for one in bins),
    )
    ticks = [
        element(
            "span", str(tick["text"]), style=f"left:{100 * tick['at']:.2f}%", class_=_edge(tick)
        )
        for tick in panel["ticks"]
    ]
    return join(
        element("div", drawing, class_="panel-plot"), element("div", ticks, class_="x-ticks")
    )


def _edge(tick: Mapping[str, Any]) -> str | None:
    """Keep the texts of the outermost ticks inside the panel."""
    if tick["at"] < _MARGIN:
        return "first"
    return "last" if tick["at"] > 1 - _MARGIN else None


def _outline(bins: Sequence[Mapping[str, Any]], heights: Sequence[float]) -> str:
    """Return the steps over the bins as one path that starts and ends at zero."""
    steps = [f"M{BOX * bins[0]['start']:.1f} {BOX}"]
    for one, height in zip(bins, heights, strict=True):
        steps.append(f"V{BOX - height:.1f} H{BOX * one['end']:.1f}")
    return " ".join([*steps, f"V{BOX}"])


def _levels(levels: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Html:
    """Draw one row per level: its name, and both shares as lying bars."""
    largest = max((value for one in levels for value in one["values"]), default=0.0) or 1.0
    return element("div", [_level(one, largest, names) for one in levels], class_="levels")


def _level(one: Mapping[str, Any], largest: float, names: Sequence[str]) -> Html:
    first, second = (f"{100 * value / largest:.2f}%" for value in one["values"])
    drawing = element(
        "svg",
        element("title", _shares(one, names)),
        element("rect", x="0", y="3", height="10", width=second, class_="side-1"),
        element("rect", x="0", y="1", height="14", width=first, class_="side-0"),
        width="100%",
        height="16",
        overflow="visible",
        role="img",
        aria_label=_shares(one, names),
    )
    label = str(one["label"])
    return element(
        "div",
        element("span", label, class_="level-name", title=label),
        element("div", drawing),
        class_="level",
    )


def _shares(one: Mapping[str, Any], names: Sequence[str]) -> str:
    shares = (f"{name} {value:.1%}" for name, value in zip(names, one["values"], strict=True))
    return f"{one['label']}: {', '.join(shares)}"
