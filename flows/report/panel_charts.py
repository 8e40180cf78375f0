"""Panels that compare two distributions, as inline SVG and HTML that need no script.

The first distribution is an outline, the second is filled, so that they differ by more than colour.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from flows.report.html import Html, element, fold, join, short
from flows.report.scales import BOX, end_of

_TALLEST = 940
"""The highest bar, so that its outline stays inside."""
_MOST_PANELS = 8
"""More than these are behind a click; the worst come first."""
_MARGIN = 0.1
"""Texts of ticks nearer to an end of a panel are aligned with it."""


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
            "span",
            str(tick["text"]),
            style=f"left:{100 * tick['at']:.2f}%",
            class_=end_of(tick["at"], _MARGIN),
        )
        for tick in panel["ticks"]
    ]
    return join(
        element("div", drawing, class_="panel-plot"), element("div", ticks, class_="x-ticks")
    )


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
