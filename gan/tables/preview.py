"""A picture of a table: its first rows, and the distribution of every column by class.

Everything in it is of the records that are given; nothing else is known here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from gan.errors import DataError
from gan.tables.canvas import (
    INK,
    PALETTE,
    QUIET,
    SMALL,
    TEXT,
    Box,
    Canvas,
    fit,
    width_of,
)
from gan.tables.figures.columns import as_levels, as_numbers, as_text, count_levels, place_text

Array = np.ndarray[Any, Any]

WIDTH, MARGIN = 1600, 48
ROW, PANEL, GAP = 32, 148, 32
MOST_PANELS = 48
MOST_COLORS = len(PALETTE)
MOST_LEVELS = 5
BINS = (8, 24)
"""Fewest and most bins of a histogram; between them the root of the number of rows."""
_CELL = (70, 190)
"""Narrowest and widest column of the rows, in pixels."""
_SPACE = 26
"""Between two columns of the rows."""
_FEW = 12
"""Numbers with fewer distinct values are drawn as levels."""
_TAIL = 0.005


@dataclass(frozen=True)
class Classes:
    """Which colour each row has."""

    names: tuple[str, ...]
    index_N: Array


def preview(records: pa.Table, label: str | None, per_class: int) -> bytes:
    """Return a PNG with the first `per_class` rows, and every column's distribution by class.

    Columns that do not fit are counted in words.

    Raises:
        DataError: there is no record, or no such label column.
    """
    if records.num_rows == 0:
        msg = "there is nothing to show: 0 records were given"
        raise DataError(msg)
    if label is not None and label not in records.column_names:
        msg = f"the records have no label column {label!r}, only {', '.join(records.column_names)}"
        raise DataError(msg)
    classes = _classes(records, label)
    names = _ordered(records.column_names, label)
    shown = names[:MOST_PANELS]
    across = panels_across(len(shown))
    rows = min(per_class, records.num_rows)
    top = MARGIN + ROW * (rows + 1) + GAP
    head = 60 if classes.names else 24
    lines = math.ceil(len(shown) / across)
    height = top + head + lines * (PANEL + GAP) - GAP + MARGIN
    canvas = Canvas(WIDTH, height)
    _rows(canvas, records.slice(0, rows), names)
    _legend(canvas, classes, label, top + 20)
    step = (WIDTH - 2 * MARGIN + GAP) / across
    for place, name in enumerate(shown):
        left = MARGIN + (place % across) * step
        upper = top + head + (place // across) * (PANEL + GAP)
        _panel(
            canvas, (left, upper, left + step - GAP, upper + PANEL), records[name], name, classes
        )
    return canvas.png()


def panels_across(count: int) -> int:
    """Return how many panels stand side by side, so that the last line is as full as possible."""
    if count <= 4:
        return max(count, 2)
    return max(range(4, 9), key=lambda across: (-(-count % across) / across, across))


def _ordered(names: Sequence[str], label: str | None) -> list[str]:
    """Return the names, the label first."""
    return sorted(names, key=lambda name: name != label)


def _classes(records: pa.Table, label: str | None) -> Classes:
    """Return each row's class: up to six classes have a colour of their own."""
    if label is None or len(count_levels(records[label])) > MOST_COLORS:
        return Classes((), np.zeros(records.num_rows, dtype=np.intp))
    levels = as_levels(records[label])
    names = tuple(sorted(set(levels)))
    index = {name: place for place, name in enumerate(names)}
    return Classes(names, np.array([index[level] for level in levels], dtype=np.intp))


def _rows(canvas: Canvas, records: pa.Table, names: Sequence[str]) -> None:
    """Write the rows as a table, as many columns as fit, spread over the whole width."""
    texts = {name: _texts(records[name]) for name in names}
    widths: list[float] = []
    for name in names:
        needed = max(width_of(text) for text in (name, *texts[name]))
        widths.append(min(max(needed, _CELL[0]), _CELL[1]))
    right = WIDTH - MARGIN
    count, more = _fitting(widths, right - MARGIN)
    room = right - MARGIN - sum(widths[:count]) - (width_of(more) if more else 0)
    space = room / max(count - (0 if more else 1), 1)
    left = float(MARGIN)
    for name, width in zip(names[:count], widths, strict=False):
        _cells(canvas, (left, left + width), (name, *texts[name]), records[name].type)
        left += width + space
    canvas.text((right, MARGIN + ROW / 2), more, colour=QUIET, align="r")
    canvas.rule(MARGIN, right, MARGIN + ROW, QUIET)
    for row in range(1, records.num_rows + 1):
        canvas.rule(MARGIN, right, MARGIN + ROW * (row + 1))


def _texts(column: Any) -> list[str]:
    return ["" if value is None else as_text(value) for value in column.to_pylist()]


def _fitting(widths: Sequence[float], room: float) -> tuple[int, str]:
    """Return how many columns fit, and what is said of the others."""
    if sum(widths) + _SPACE * (len(widths) - 1) <= room:
        return len(widths), ""
    taken, count = width_of(f"{len(widths)} more"), 0
    while taken + widths[count] + _SPACE <= room:
        taken += widths[count] + _SPACE
        count += 1
    return count, f"{len(widths) - count} more"


def _cells(canvas: Canvas, ends: tuple[float, float], texts: Sequence[str], kind: Any) -> None:
    """Write one column, its name first; numbers stand at the right."""
    left, right = ends
    x, align = (right, "r") if is_number(kind) else (left, "l")
    for row, text in enumerate(texts):
        place = (x, MARGIN + ROW * (row + 0.5))
        canvas.text(place, fit(text, right - left), align=align, colour=INK if row else QUIET)


def _legend(canvas: Canvas, classes: Classes, label: str | None, y: float) -> None:
    if not classes.names:
        return
    x = float(MARGIN)
    canvas.text((x, y), f"{label}:", size=TEXT, colour=QUIET)
    x += width_of(f"{label}:") + 18
    for colour, name in zip(PALETTE, classes.names, strict=False):
        canvas.bar((x, y - 7, x + 14, y + 7), colour)
        canvas.text((x + 22, y), name)
        x += 22 + width_of(name) + 26


def _panel(canvas: Canvas, box: Box, column: Any, name: str, classes: Classes) -> None:
    """Draw one column: its name, and a histogram, its levels, or a few of its values."""
    left, top, right, bottom = box
    canvas.text((left, top + 10), fit(name, right - left))
    body = (left, top + 28, right, bottom)
    counts = count_levels(column)
    if is_number(column.type) and len(counts) >= _FEW:
        _histogram(canvas, body, column, classes)
    elif len(counts) > max(_FEW, len(column) // 2):
        _values(canvas, body, column)
    else:
        _levels(canvas, body, column, counts, classes)


def _histogram(canvas: Canvas, box: Box, column: Any, classes: Classes) -> None:
    """Draw stacked bars between the column's outermost half per cent."""
    left, top, right, bottom = box
    ground = bottom - 20
    values = as_numbers(column)
    known_N = ~np.isnan(values)
    low, high = np.quantile(values[known_N], (_TAIL, 1 - _TAIL))
    whole = pa.types.is_integer(column.type) or pa.types.is_date(column.type)
    bins_N, count = _bins(values[known_N], low, high, whole=whole)
    colours = max(len(classes.names), 1)
    found = np.bincount(bins_N * colours + classes.index_N[known_N], minlength=count * colours)
    stacks = found.reshape(count, colours)
    heights = stacks * ((ground - top - 4) / stacks.sum(axis=1).max())
    width = (right - left) / count
    for place, stack in enumerate(heights):
        y = float(ground)
        for colour, height in zip(PALETTE, stack, strict=False):
            x = left + place * width
            canvas.bar((x, y - height, x + width - 1, y), colour)
            y -= height
    canvas.rule(left, right, ground, QUIET)
    kind = axis_kind(column.type)
    canvas.text((left, bottom - 7), short(kind, low), size=SMALL, colour=QUIET)
    canvas.text((right, bottom - 7), short(kind, high), size=SMALL, colour=QUIET, align="r")


def _bins(values_N: Array, low: float, high: float, *, whole: bool) -> tuple[Array, int]:
    """Return every value's bin and how many bins there are; whole numbers get whole steps."""
    count = min(max(math.isqrt(len(values_N)), BINS[0]), BINS[1])
    if whole:
        low, high = math.floor(low), math.ceil(high)
        step = float(math.ceil((high - low + 1) / count))
        count = math.ceil((high - low + 1) / step)
    else:
        step = ((high - low) or 1.0) / count
    bins_N = np.clip(np.floor((values_N - low) / step), 0, count - 1)
    return bins_N.astype(np.intp), count


def _levels(
    canvas: Canvas, box: Box, column: Any, counts: dict[str, int], classes: Classes
) -> None:
    """Draw the commonest levels as lying stacked bars."""
    left, top, right, bottom = box
    levels = np.array(as_levels(column), dtype=object)
    common = sorted(counts, key=lambda level: (-counts[level], level))
    most = MOST_LEVELS if len(common) <= MOST_LEVELS else MOST_LEVELS - 1
    height = (bottom - top) / MOST_LEVELS
    middle = left + min(110.0, (right - left) * 0.46)
    for line, level in enumerate(common[:most]):
        y = top + (line + 0.5) * height
        shown = fit(level, middle - left - 10, SMALL)
        canvas.text((middle - 8, y), shown, size=SMALL, colour=QUIET, align="r")
        x = middle
        for index, colour in enumerate(PALETTE[: max(len(classes.names), 1)]):
            count = int((classes.index_N[levels == level] == index).sum())
            width = (right - middle) * count / counts[common[0]]
            canvas.bar((x, y - 6, x + width, y + 6), colour)
            x += width
    if len(common) > most:
        text = f"{len(common) - most} more"
        canvas.text((middle - 8, bottom - height / 2), text, size=SMALL, colour=QUIET, align="r")


def _values(canvas: Canvas, box: Box, column: Any) -> None:
    """Write a few values of a column whose values hardly repeat."""
    left, top, right, bottom = box
    height = (bottom - top) / MOST_LEVELS
    for line, level in enumerate(as_levels(column.slice(0, MOST_LEVELS - 1))):
        shown = fit(level, right - left, SMALL)
        canvas.text((left, top + (line + 0.5) * height), shown, size=SMALL, colour=QUIET)


def is_number(kind: Any) -> bool:
    """Say whether values of an Arrow type lie on an axis."""
    types = pa.types
    tests = (types.is_integer, types.is_floating, types.is_decimal, types.is_temporal)
    return any(test(kind) for test in tests)


def axis_kind(kind: Any) -> str:
    """Return how places on the axis of an Arrow type are written."""
    types = pa.types
    tests = {"date": types.is_date, "time": types.is_time, "timestamp": types.is_timestamp}
    return next((name for name, test in tests.items() if test(kind)), "number")


def short(kind: str, value: float) -> str:
    """Return an end of an axis in a few characters."""
    return place_text(kind, float(f"{value:.3g}") if kind == "number" else float(value))
