"""The distribution of every column, real outlined and synthetic filled, the worst columns first."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from gan.report import Figure, Metric
from gan.tables.figures.bins import Layout, lay_out, pool
from gan.tables.figures.columns import NULL, Drawn, as_numbers, count_levels, place_text

Array = np.ndarray[Any, Any]

MOST_PANELS = 24
MOST_LEVELS = 8
OTHERS = "all others"
_TICKS = 4
_LONG_TICKS = 3
"""Ticks of dates, whose texts are long."""


def overlays(
    columns: Sequence[Drawn], real: pa.Table, fakes: pa.Table, errors: Mapping[str, Metric]
) -> Figure | None:
    """Return one little chart per column, at most 24; None where nothing can be drawn.

    Args:
        columns: what may be drawn.
        real: the training rows.
        fakes: the synthetic rows.
        errors: column → its marginal error.
    """
    ordered = sorted(columns, key=lambda column: -_error(errors.get(column.name)))
    panels = []
    for column in ordered[:MOST_PANELS]:
        body = _panel(column, real[column.name], fakes[column.name])
        if body is not None:
            panels.append({"title": column.name, "note": _note(errors.get(column.name)), **body})
    if not panels:
        return None
    count = f"{len(panels)} of {len(columns)} columns, " if len(columns) > len(panels) else ""
    group = max(column.group for column in columns)
    held = f"Bins and levels with fewer than {group} real rows are joined." if group > 1 else ""
    return Figure(
        id="column-overlays",
        section="columns",
        caption=f"Distribution of each column in train and in the synthetic rows: {count}the one "
        f"with the largest error first. {held} The first and the last bin are open.",
        alt=f"{len(panels)} small charts, each compares the real and the synthetic distribution "
        f"of a column, from {panels[0]['title']} to {panels[-1]['title']}",
        kind="panels",
        data={"names": ["real (train)", "synthetic"], "panels": panels},
    )


def _error(metric: Metric | None) -> float:
    return 0.0 if metric is None else metric.value


def _note(metric: Metric | None) -> str:
    if metric is None:
        return ""
    real = "" if metric.ceiling is None else f", real {metric.ceiling.value:.3f}"
    return f"error {metric.value:.3f}{real}"


def _panel(column: Drawn, real: Any, fakes: Any) -> dict[str, Any] | None:
    if column.form == "levels":
        return _level_panel(column, count_levels(real), count_levels(fakes))
    values = as_numbers(real)
    layout = lay_out(column, values)
    return None if layout is None else _bin_panel(column, layout, values, as_numbers(fakes))


def _bin_panel(column: Drawn, layout: Layout, real: Array, fakes: Array) -> dict[str, Any] | None:
    """Return bins as wide as their steps; the open ones as wide as one step."""
    counts = (layout.counts(real), layout.counts(fakes))
    first, last = _used(counts)
    ranges = [
        (start + first, stop + first) for start, stop in pool(counts[0][first:last], column.group)
    ]
    held = [int(counts[0][start:stop].sum()) for start, stop in ranges]
    if any(0 < count < column.group for count in held):
        return None
    totals = [max(int(count.sum()), 1) for count in counts]
    size = last - first
    bins = [
        {
            "label": _range_text(column, layout, start, stop),
            "start": (start - first) / size,
            "end": (stop - first) / size,
            "values": [
                round(float(count[start:stop].sum()) / total, 5)
                for count, total in zip(counts, totals, strict=True)
            ],
        }
        for start, stop in ranges
    ]
    return {"bins": bins, "ticks": _ticks(column, layout, first, last)}


def _used(counts: tuple[Array, Array]) -> tuple[int, int]:
    """Return the range of bins that any row is in."""
    used = np.flatnonzero(counts[0] + counts[1])
    return int(used[0]), int(used[-1]) + 1


def _range_text(column: Drawn, layout: Layout, start: int, stop: int) -> str:
    """Return which values a range of bins has; bin i lies below edge i."""
    edges, shift = layout.edges, _shift(column, layout)
    low = None if start == 0 else place_text(column.kind, edges[start - 1] + shift)
    high = None if stop > len(edges) else place_text(column.kind, edges[stop - 1] - shift)
    if low is None or high is None:
        if low is None and high is None:
            return "all values"
        return f"up to {high}" if low is None else f"from {low}"
    return low if low == high else f"{low} to {high}"


def _shift(column: Drawn, layout: Layout) -> float:
    """Return how far whole numbers lie from the edges between them."""
    return 0.5 if column.whole and not layout.log else 0.0


def _ticks(column: Drawn, layout: Layout, first: int, last: int) -> list[dict[str, Any]]:
    """Return a few edges as texts under the axis; whole numbers stand under their own place."""
    edges, shift = layout.edges, _shift(column, layout)
    inner = [edge for edge in range(first, last + 1) if 0 < edge <= len(edges)]
    count = _LONG_TICKS if column.kind in ("date", "timestamp") else _TICKS
    spread = np.unique(np.linspace(0, len(inner) - 1, min(count, len(inner))).astype(int))
    inside = shift / (edges[1] - edges[0]) if len(edges) > 1 else 0.0
    ticks = []
    for edge in (inner[place] for place in spread):
        at = (edge - first + inside) / (last - first)
        if at <= 1:
            text = place_text(column.kind, edges[edge - 1] + shift)
            ticks.append({"at": round(float(at), 4), "text": text})
    return ticks


def _level_panel(
    column: Drawn, real: dict[str, int], fakes: dict[str, int]
) -> dict[str, Any] | None:
    """Return the commonest levels, and all others in one."""
    common = common_levels(real, column.group, MOST_LEVELS)
    totals = [max(sum(counts.values()), 1) for counts in (real, fakes)]
    levels: list[dict[str, Any]] = [
        {
            "label": name,
            "values": [real[name] / totals[0], fakes.get(name, 0) / totals[1]],
        }
        for name in common
    ]
    rest = [sum(n for name, n in counts.items() if name not in common) for counts in (real, fakes)]
    if any(rest):
        shares = [count / total for count, total in zip(rest, totals, strict=True)]
        levels.append({"label": OTHERS, "values": shares})
    for level in levels:
        level["values"] = [round(value, 5) for value in level["values"]]
    return {"levels": levels} if common else None


def common_levels(counts: Mapping[str, int], group: int, most: int) -> list[str]:
    """Return the commonest levels, `null` last, so that each has at least `group` rows.

    What is left over has no row or at least `group` as well, so its share says nothing of few rows.
    """
    ordered = sorted(counts, key=lambda name: (-counts[name], name))
    common = [name for name in ordered if counts[name] >= group][:most]
    rest = sum(counts.values()) - sum(counts[name] for name in common)
    while common and 0 < rest < group:
        rest += counts[common.pop()]
    return sorted(common, key=lambda name: name == NULL)
