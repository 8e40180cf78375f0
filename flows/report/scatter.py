"""Points in a plane, over the shares of another group in the cells of a grid."""

from collections.abc import Mapping, Sequence
from typing import Any

from flows.report.markup import Html, element, join

_BOX = 1000
_STRONGEST = 0.55
"""Opacity of the fullest cell."""
_FAINTEST = 0.08


def scatter(data: Mapping[str, Any], alt: str) -> Html:
    """Return a chart of `scatter` data (see `gan.report.Figure`) with its legend."""
    groups: Sequence[Mapping[str, Any]] = data["groups"]
    grid: Mapping[str, Any] | None = data.get("grid")
    drawing = element(
        "svg",
        _cells(grid["shares"]) if grid else None,
        [_points(group, index, data) for index, group in enumerate(groups)],
        viewBox=f"0 0 {_BOX} {_BOX}",
        width="100%",
        role="img",
        aria_label=alt,
        class_="scatter",
    )
    return join(
        _legend(groups, grid),
        element(
            "div",
            element("div", str(data["y_label"]), class_="axis-label"),
            drawing,
            element("div", str(data["x_label"]), class_="axis-label x-label"),
            class_="scatter-frame",
        ),
    )


def _cells(shares: Sequence[Sequence[float]]) -> list[Html]:
    """Return the filled cells, the first row at the bottom; empty ones are not drawn."""
    fullest = max((share for row in shares for share in row), default=0.0)
    height = _BOX / len(shares)
    drawn = []
    for row, values in enumerate(shares):
        width = _BOX / len(values)
        for column, share in enumerate(values):
            if share > 0:
                strength = _FAINTEST + (_STRONGEST - _FAINTEST) * (share / fullest) ** 0.5
                drawn.append(
                    _cell(column * width, _BOX - (row + 1) * height, (width, height), strength)
                )
    return drawn


def _cell(x: float, y: float, size: tuple[float, float], strength: float) -> Html:
    return element(
        "rect",
        x=f"{x:.1f}",
        y=f"{y:.1f}",
        width=f"{size[0] + 0.5:.1f}",
        height=f"{size[1] + 0.5:.1f}",
        fill_opacity=f"{strength:.2f}",
        class_="density",
    )


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
    return element("path", d="".join(steps), class_=f"points side-{index}")


def _legend(groups: Sequence[Mapping[str, Any]], grid: Mapping[str, Any] | None) -> Html:
    entries = [
        element("li", element("span", class_=f"swatch dot-{index}"), str(group["name"]))
        for index, group in enumerate(groups)
    ]
    if grid:
        entries.insert(
            0, element("li", element("span", class_="swatch density"), str(grid["name"]))
        )
    return element("ul", entries, class_="legend")
