"""Totals, tails and distinct values of the numeric columns, real and synthetic side by side.

What a finance or a demand model adds up or is afraid of: the mean of all rows, the mean of the
highest and of the lowest hundredth, and how many different values there are among equally many
rows. A mean counts as off where it differs by more than SPREADS standard errors of the difference;
that of a tail mean is the asymptotic one of the expected shortfall,
`(Var(X | X > q) + (1 - p)(E[X | X > q] - q)²) / np` (Manistre and Hancock 2005, "Variance of the
CTE estimator", formula 5).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from gan.report import Figure
from gan.tables.figures.columns import Array, DrawnColumn, as_numbers
from gan.tables.figures.rows import number_text

TAIL = 0.01
"""Share of the rows in a tail."""
SPREADS = 3.0
"""Standard errors that a mean may be off."""
DISTINCT = 1.25
"""Times as many or as few different values as real rows have."""
MOST_COLUMNS = 40
QUANTITIES = frozenset({"integer", "float", "decimal"})


class MeanEstimate(NamedTuple):
    """A mean and its standard error."""

    mean: float
    error: float


def tails(columns: Sequence[DrawnColumn], real: pa.Table, fakes: pa.Table) -> Figure | None:
    """Return a table of totals and tails, what is off first; None without numeric columns.

    Args:
        columns: that figures show.
        real: the training rows.
        fakes: synthetic rows.
    """
    found = []
    for column in columns:
        if column.kind in QUANTITIES and column.form == "number":
            sides = [as_numbers(rows[column.name]) for rows in (real, fakes)]
            known = [side[~np.isnan(side)] for side in sides]
            if min(map(len, known)) > 0:
                found.append(_row(column, *known))
    if not found:
        return None
    found.sort(key=lambda row: row[-1] == "")
    off = sum(row[-1] != "" for row in found)
    shown = found[:MOST_COLUMNS]
    more = f" The first {len(shown)} of {len(found)} columns." if len(found) > len(shown) else ""
    return Figure(
        id="tails",
        section="columns",
        caption="Totals and tails: means of all rows and of the lowest and highest hundredth, and "
        "different values among equally many rows; real (train) → synthetic. Off is what differs "
        f"by more than {SPREADS:g} standard errors, or by a quarter in different values.{more}",
        alt=f"Table of totals and tails of {len(shown)} columns, {off} of {len(found)} are off",
        kind="table",
        data={
            "columns": ["column", "mean", "lowest 1 %", "highest 1 %", "different values", "off"],
            "rows": shown,
            "right": [1, 2, 3, 4],
            "shown": off,
        },
    )


def _row(column: DrawnColumn, real_N: Array, fake_M: Array) -> list[str]:
    """Return one line of the table."""
    cells, off = [column.name], list[str]()
    pairs: dict[str, tuple[MeanEstimate | None, MeanEstimate | None]] = {
        "mean": (_mean(real_N), _mean(fake_M)),
        "lowest": (
            _tail(real_N, column.group, lowest=True),
            _tail(fake_M, column.group, lowest=True),
        ),
        "highest": (_tail(real_N, column.group), _tail(fake_M, column.group)),
    }
    for name, (first, second) in pairs.items():
        if first is None or second is None:
            cells.append("too few rows")
            continue
        cells.append(f"{number_text(first.mean)} → {number_text(second.mean)}")
        if abs(second.mean - first.mean) > SPREADS * math.hypot(first.error, second.error):
            off.append(name)
    rows = min(len(real_N), len(fake_M))
    real, fake = (len(np.unique(side[_spread(len(side), rows)])) for side in (real_N, fake_M))
    cells.append(f"{real:,} → {fake:,}")
    if not real / DISTINCT <= fake <= real * DISTINCT:
        off.append("different values")
    return [*cells, ", ".join(off)]


def _spread(rows: int, wanted: int) -> Array:
    """Return so many rows, evenly spread over all."""
    return np.arange(wanted) * rows // wanted


def _mean(values_N: Array) -> MeanEstimate:
    return MeanEstimate(float(values_N.mean()), float(values_N.std()) / math.sqrt(len(values_N)))


def _tail(values_N: Array, group: int, *, lowest: bool = False) -> MeanEstimate | None:
    """Return the mean of the highest values, or lowest; None where fewer than `group` are half."""
    sign = -1.0 if lowest else 1.0
    count = max(round(TAIL * len(values_N)), group, 2)
    if count > len(values_N) / 2:
        return None
    farthest = np.partition(sign * values_N, len(values_N) - count)[-count:]
    mean, limit = float(farthest.mean()), float(farthest.min())
    inner = (1 - count / len(values_N)) * (mean - limit) ** 2
    return MeanEstimate(sign * mean + 0.0, math.sqrt((float(farthest.var()) + inner) / count))
