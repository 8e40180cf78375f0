"""Points in a plane, over the density of another group."""

from collections.abc import Mapping, Sequence
from typing import Any

from flows.report.markup import Html, element, join

_BOX = 1000
_FAINTEST, _REACH = 0.06, 0.54
"""Opacity of an almost empty cell, and how much more the densest has."""


def scatter(data: Mapping[str, Any], alt: str) -> Html:
    """Return a chart of `scatter` data (see `gan.report.Figure`) with its legend."""
    groups: Sequence[Mapping[str, Any]] = data["groups"]
    density: Mapping[str, Any] | None = data.get("density")
    drawing = element(
        "svg",
        _cells(density["cells"]) if density else None,
        [_points(group, index, data) for index, group in enumerate(groups)],
        viewBox=f"0 0 {_BOX} {_BOX}",
        width="100%",
        role="img",
        aria_label=alt,
        class_="scatter",
    )
    return join(
        _legend(groups, density),
        element(
            "div",
            element("div", str(data["y_label"]), class_="axis-label"),
            drawing,
            element("div", str(data["x_label"]), class_="axis-label x-label"),
            class_="scatter-frame",
        ),
    )


def _cells(cells: Sequence[Sequence[float]]) -> list[Html]:
    """Return the filled cells, the denser the stronger."""
    densest = max((cell[-1] for cell in cells), default=0.0) or 1.0
    return [
        element(
            "rect",
            x=f"{_BOX * left:.1f}",
            y=f"{_BOX * (1 - top):.1f}",
            width=f"{_BOX * (right - left):.1f}",
            height=f"{_BOX * (top - bottom):.1f}",
            fill_opacity=f"{_FAINTEST + _REACH * (value / densest) ** 0.5:.2f}",
            class_="density",
        )
        for left, bottom, right, top, value in cells
    ]


def _points(group: Mapping[str, Any], index: int, data: Mapping[str, Any]) -> Html:
    """Return one path of dots; points outside of the area are left out."""
    wide, high = data["x_high"] - data["x_low"], data["y_high"] - data["y_low"]
    places = [
        ((x - data["x_low"]) / wide, (y - data["y_low"]) / high)
        for x, y in zip(group["x"], group["y"], strict=True)
    ]
    steps = [
        f"M{_BOX * x:.0f} {_BOX * (1 - y):.0f}h0" for x, y in places if 0 <= x <= 1 and 0 <= y <= 1
    ]
    return element("path", d="".join(steps), class_=f"points cloud-{index}")


def _legend(groups: Sequence[Mapping[str, Any]], density: Mapping[str, Any] | None) -> Html:
    marks = [("density", str(density["name"]))] if density else []
    marks += [(f"cloud-{index}", str(group["name"])) for index, group in enumerate(groups)]
    entries = [
        element("li", element("span", class_=f"swatch {mark}"), name) for mark, name in marks
    ]
    return element("ul", entries, class_="legend")
