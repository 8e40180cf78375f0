"""Small multiples: many little charts, each comparing two distributions.

The first distribution is an outline, the second is filled, so that they differ by more than colour.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from flows.report.markup import Html, element, join

_BOX = 1000
_TALLEST = 940
"""The highest bar, so that its outline stays inside."""
_MARGIN = 0.1
"""Texts of ticks nearer to an end are aligned with it."""


def panels(data: Mapping[str, Any], alt: str) -> Html:
    """Return a chart of `panels` data (see `gan.report.Figure`) with its legend."""
    if not data["panels"]:
        return element("p", "No values were recorded.", class_="empty")
    names = [str(name) for name in data["names"]]
    charts = [_panel(panel, names) for panel in data["panels"]]
    grid = element("div", charts, class_="panels", role="group", aria_label=alt)
    return join(_legend(names), grid)


def _legend(names: Sequence[str]) -> Html:
    entries = [
        element("li", element("span", class_=f"swatch side-{index}", aria_hidden="true"), name)
        for index, name in enumerate(names)
    ]
    return element("ul", entries, class_="legend")


def _panel(panel: Mapping[str, Any], names: Sequence[str]) -> Html:
    chart = _bins(panel, names) if "bins" in panel else _levels(panel["levels"], names)
    head = (element("b", str(panel["title"])), element("small", str(panel["note"])))
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
            element("title", _told(one, names)),
            x=f"{_BOX * one['start']:.1f}",
            width=f"{_BOX * (one['end'] - one['start']):.1f}",
            y=f"{_BOX - pair[1]:.1f}",
            height=f"{pair[1]:.1f}",
            class_="side-1",
        )
        for one, pair in zip(bins, scaled, strict=True)
    ]
    drawing = element(
        "svg",
        filled,
        element("path", d=_outline(bins, [pair[0] for pair in scaled]), class_="side-0"),
        viewBox=f"0 0 {_BOX} {_BOX}",
        preserveAspectRatio="none",
        width="100%",
        height="100%",
        role="img",
        aria_label="; ".join(_told(one, names) for one in bins),
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
    """Return the steps over the bins as one path that starts and ends on the ground."""
    steps = [f"M{_BOX * bins[0]['start']:.1f} {_BOX}"]
    for one, height in zip(bins, heights, strict=True):
        steps.append(f"V{_BOX - height:.1f} H{_BOX * one['end']:.1f}")
    return " ".join([*steps, f"V{_BOX}"])


def _levels(levels: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Html:
    """Draw one row per level: its name, and both shares as lying bars."""
    largest = max((value for one in levels for value in one["values"]), default=0.0) or 1.0
    rows = [_level(one, largest, names) for one in levels]
    return element("div", rows, class_="levels")


def _level(one: Mapping[str, Any], largest: float, names: Sequence[str]) -> Html:
    first, second = (f"{100 * value / largest:.2f}%" for value in one["values"])
    drawing = element(
        "svg",
        element("title", _told(one, names)),
        element("rect", x="0", y="3", height="10", width=second, class_="side-1"),
        element("rect", x="0", y="1", height="14", width=first, class_="side-0"),
        width="100%",
        height="16",
        overflow="visible",
        role="img",
        aria_label=_told(one, names),
    )
    label = str(one["label"])
    return element(
        "div",
        element("span", label, class_="level-name", title=label),
        element("div", drawing),
        class_="level",
    )


def _told(one: Mapping[str, Any], names: Sequence[str]) -> str:
    shares = (f"{name} {value:.1%}" for name, value in zip(names, one["values"], strict=True))
    return f"{one['label']}: {', '.join(shares)}"
