"""Figures that fill a plane: a heatmap of a symmetric matrix, and a scatter plot over a density.

The heatmap shows the lower triangle, each name at the end of its row. A column is read downwards
from its own name: row and column of a name meet on the diagonal.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from flows.report.html import Html, compact, element, join, number, short

LEVELS = 6
"""Steps of the colour; between the ends they are equally wide."""
_WIDTH = 370
"""About how many pixels the cells of a full row take."""
_SMALLEST, _LARGEST = 11, 30
WIDE = 32
"""A matrix of more names takes the width of the page."""
_NAME_SPACE = 180
"""Pixels at most to the right of the last diagonal cell for its name."""
_LETTER = 7
"""About how many pixels a letter takes."""
_LONGEST = 28
"""Longer names are cut; the whole name is in the cell's own text."""


def heatmap(data: Mapping[str, Any], alt: str) -> Html:
    """Return a chart of `heatmap` data (see `gan.report.Figure`) with the scale of its colours."""
    names = [str(name) for name in data["names"]]
    if not names:
        return element("p", "No values were recorded.", class_="empty")
    side = min(max(_WIDTH // len(names), _SMALLEST), _LARGEST)
    low, high = float(data["low"]), float(data["high"])
    cells = [
        _cell(names[row], names[column], value, (column * side, row * side, side), (low, high))
        for row, values in enumerate(data["values"])
        for column, value in enumerate(values)
    ]
    texts = [
        element(
            "text",
            name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…",
            x=(row + 1) * side + 6,
            y=(row + 0.5) * side,
            font_size=min(max(side - 1, 9), 12),
        )
        for row, name in enumerate(names)
    ]
    longest = min(max(map(len, names)), _LONGEST)
    space = min(_NAME_SPACE, 16 + _LETTER * longest)
    width, height = len(names) * side + space, len(names) * side
    drawing = element(
        "svg",
        cells,
        texts,
        width=width,
        height=height,
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_label=alt,
    )
    matrix = element(
        "div", drawing, class_="wide", role="region", aria_label="Matrix", tabindex="0"
    )
    return join(_key(low, high, str(data["unit"])), matrix)


def level_of(value: float | None, low: float, high: float) -> int | None:
    """Return the step of the colour, 0 (at or below `low`) to LEVELS (at or above `high`)."""
    if value is None or not math.isfinite(value):
        return None
    place = (value - low) / (high - low)
    return min(max(math.ceil(place * LEVELS - 1e-9), 0), LEVELS)


def _cell(
    row: str,
    column: str,
    value: float | None,
    place: tuple[int, int, int],
    ends: tuple[float, float],
) -> Html:
    x, y, side = place
    level = level_of(value, *ends)
    name = row if row == column else f"{row} and {column}"
    text = "nothing was measured" if level is None else number(value)
    return element(
        "rect",
        element("title", f"{name}: {text}"),
        x=x,
        y=y,
        width=side - 1,
        height=side - 1,
        class_="heat-none" if level is None else f"heat heat-{level}",
    )


def _key(low: float, high: float, unit: str) -> Html:
    """Return the steps of the colour with what they mean."""
    bounds = [low + (high - low) * step / LEVELS for step in range(LEVELS + 1)]
    texts = [f"up to {_round(bounds[0])}"]
    texts += [_round(bound) for bound in bounds[1:-1]]
    texts.append(f"over {_round(bounds[-2])}")
    marks = [(f"heat-{step}", text) for step, text in enumerate(texts)]
    title = element("li", short(unit), class_="axis-label")
    return element("ul", title, _swatches(marks), class_="legend heat-key")


def _swatches(marks: Sequence[tuple[str, str]]) -> list[Html]:
    """Return one entry of a legend for every class and text."""
    return [
        element("li", element("span", class_=f"swatch {mark}"), short(text)) for mark, text in marks
    ]


def _round(value: float) -> str:
    return compact(float(f"{value:.3g}"))


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
            element("div", short(str(data["y_label"])), class_="axis-label"),
            drawing,
            element("div", short(str(data["x_label"])), class_="axis-label x-label"),
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
    return element("ul", _swatches(marks), class_="legend")
