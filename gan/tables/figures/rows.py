"""Some synthetic rows, and the columns with the largest errors in numbers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from gan.report import Figure, Metric
from gan.tables.figures.columns import (
    NULL,
    DrawnColumn,
    as_numbers,
    as_text,
    count_levels,
    kth_extremes,
    place_text,
)

Array = np.ndarray[Any, Any]

ROWS = 10
TURNED_ROWS = 8
"""Of a table that is turned: so many stand side by side."""
WIDE = 10
"""A table with more columns is turned: one line per column."""
MOST_COLUMNS = 60
WORST = 12
_DATED = frozenset({"date", "timestamp", "time"})
_SPANS = {"date": (1.0, "days"), "timestamp": (86_400.0, "days"), "time": (3600.0, "h")}


def some_rows(fakes: pa.Table) -> Figure:
    """Return synthetic rows as they are, spread over all that were made."""
    names = fakes.column_names[:MOST_COLUMNS]
    turned = len(names) > WIDE
    count = min(TURNED_ROWS if turned else ROWS, fakes.num_rows)
    chosen = np.unique(np.linspace(0, fakes.num_rows - 1, count).astype(int))
    shown = fakes.take(chosen)
    cells = [
        [NULL if value is None else as_text(value) for value in shown[name].to_pylist()]
        for name in names
    ]
    more = ""
    if len(shown.column_names) > len(names):
        more = f" The first {len(names)} of {len(shown.column_names)} columns."
    if turned:
        columns = ["column", *(str(row + 1) for row in range(len(chosen)))]
        rows = [[name, *values] for name, values in zip(names, cells, strict=True)]
        right = [*range(1, len(columns))]
    else:
        columns, rows = names, [list(row) for row in zip(*cells, strict=True)]
        right = [i for i, name in enumerate(names) if _is_number(shown.schema.field(name).type)]
    lines = ", one per column of this table" if turned else ""
    return Figure(
        id="samples",
        section="samples",
        caption=f"{len(chosen)} synthetic rows as they come{lines}.{more}",
        alt=f"{len(chosen)} synthetic rows of {len(names)} columns",
        kind="table",
        data={"columns": columns, "rows": rows, "right": right, "dense": turned},
    )


def worst_columns(
    columns: Sequence[DrawnColumn], real: pa.Table, fakes: pa.Table, errors: Mapping[str, Metric]
) -> Figure | None:
    """Return the columns with the largest errors, both sides summed up; None without errors."""
    known = [column for column in columns if column.name in errors]
    known.sort(key=lambda column: -errors[column.name].value)
    if not known:
        return None
    rows = []
    for column in known[:WORST]:
        metric = errors[column.name]
        ceiling = None if metric.ceiling is None else metric.ceiling.value
        summaries = _summaries(column, real[column.name], fakes[column.name])
        rows.append([column.name, metric.value, ceiling, metric.ratio, *summaries])
    return Figure(
        id="worst-columns",
        section="columns",
        caption="The columns with the largest errors. Numbers are summed up as mean ± standard "
        "deviation between the rarest values, levels by the share of the commonest real one.",
        alt=f"Table of {len(rows)} columns; the largest error is that of {rows[0][0]}",
        kind="table",
        data={
            "columns": ["column", "error", "real", "÷ real", "real (train)", "synthetic"],
            "rows": rows,
            "right": [4, 5],
        },
    )


def _summaries(column: DrawnColumn, real: Any, fakes: Any) -> tuple[str, str]:
    """Return both sides of a column in a few words."""
    if column.form == "levels":
        return _level_summaries(column, count_levels(real), count_levels(fakes))
    values = as_numbers(real)
    known = np.sort(values[~np.isnan(values)])
    extremes = kth_extremes(known, column.group)
    if extremes is None:
        return "too few rows", "too few rows"
    first, second = (
        _number_summary(column, np.clip(x, *extremes)) for x in (values, as_numbers(fakes))
    )
    return first, second


def _number_summary(column: DrawnColumn, values: Array) -> str:
    """Return mean and spread, and the share of nulls when it is not that of a few rows."""
    missing = int(np.isnan(values).sum())
    if missing == len(values):
        return "all null"
    mean, spread = float(np.nanmean(values)), float(np.nanstd(values))
    summaries = f"{_mean_text(column.kind, mean)} ± {_spread_text(column.kind, spread)}"
    if missing >= column.group:
        summaries += f", {missing / len(values):.1%} null"
    return summaries


def _mean_text(kind: str, mean: float) -> str:
    return place_text(kind, mean) if kind in _DATED else number_text(mean, 4)


def _spread_text(kind: str, spread: float) -> str:
    if kind not in _SPANS:
        return number_text(spread, 3)
    size, unit = _SPANS[kind]
    return f"{number_text(spread / size, 3)} {unit}"


def number_text(value: float, digits: int = 4) -> str:
    """Return a number with about so many significant digits, without an exponent where possible."""
    size = abs(value)
    if size and not 1e-4 <= size < 1e12:
        return f"{value:.{digits - 1}e}"
    places = digits - 1 - math.floor(math.log10(size)) if size else 0
    return f"{value:,.{max(places, 0)}f}"


def _level_summaries(
    column: DrawnColumn, real: Mapping[str, int], fakes: Mapping[str, int]
) -> tuple[str, str]:
    shown = [name for name in real if real[name] >= column.group]
    if not shown:
        return "no common level", "no common level"
    top = max(shown, key=lambda name: (real[name], name))
    first, second = (
        f"{top} {counts.get(top, 0) / max(sum(counts.values()), 1):.1%}" for counts in (real, fakes)
    )
    return first, second


def _is_number(kind: Any) -> bool:
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))
