"""A symmetric matrix as coloured cells: the lower triangle, each name at the end of its row.

A column is read downwards from its own name: row and column of a name meet on the diagonal.
"""

import math
from collections.abc import Mapping
from typing import Any

from flows.report.markup import Html, element, join
from flows.report.numbers import compact, number

LEVELS = 6
"""Steps of the colour; between the ends they are equally wide."""
_WIDTH = 620
"""About how many pixels the cells of a full row take."""
_SMALLEST, _LARGEST = 10, 34
_NAME_SPACE = 200
"""Pixels to the right of the last diagonal cell for its name."""
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
            _cut(name),
            x=(row + 1) * side + 6,
            y=(row + 0.5) * side,
            font_size=min(max(side - 1, 9), 12),
        )
        for row, name in enumerate(names)
    ]
    width, height = len(names) * side + _NAME_SPACE, len(names) * side
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
    told = "nothing was measured" if level is None else number(value)
    return element(
        "rect",
        element("title", f"{name}: {told}"),
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
    entries = [
        element("li", element("span", class_=f"swatch heat-{step}"), text)
        for step, text in enumerate(texts)
    ]
    return element(
        "ul", element("li", unit, class_="axis-label"), entries, class_="legend heat-key"
    )


def _round(value: float) -> str:
    return compact(float(f"{value:.3g}"))


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
