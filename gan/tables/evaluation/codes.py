"""Codes for comparing distributions: quantile bins and levels of the real train.

They are the judge's own, not the codec's: what a generator cannot say is counted, too.

Shapes: N rows, D columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from gan.tables.evaluation.columns import (
    JudgedColumn,
    as_levels,
    as_numbers,
    is_null,
    levels_by_count,
)

Array = np.ndarray[Any, Any]

MOST_LEVELS = 50
"""Levels of a column that have a code of their own; the rest share one."""
LEAST_EXPECTED = 5
"""Rows of a comparison in which a level must be expected to have a code of its own."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ColumnCodes:
    """The codes of one column: bins or levels, then one for other values, then one for null."""

    column: JudgedColumn
    edges: Array
    """Upper ends of all bins but the last; empty for levels."""
    levels: Any
    """Arrow array; empty for numbers."""

    @property
    def size(self) -> int:
        """Number of codes."""
        return len(self.edges) + len(self.levels) + 2

    def of(self, records: pa.Table) -> Array:
        """Return the code of every row; int64 (N,)."""
        values = records[self.column.name]
        if self.column.form == "levels":
            found = as_levels(values, self.levels)
            codes_N = np.where(found < 0, len(self.levels), found)
        else:
            codes_N = np.searchsorted(self.edges, as_numbers(values), side="left")
        return np.where(is_null(values), self.size - 1, codes_N).astype(np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Codes:
    """The codes of all columns."""

    columns: tuple[ColumnCodes, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of codes of each column."""
        return tuple(column.size for column in self.columns)

    def of(self, records: pa.Table) -> Array:
        """Return `codes_ND`, int64."""
        return np.stack([column.of(records) for column in self.columns], axis=1)


def fit_codes(train: pa.Table, columns: Sequence[JudgedColumn], bins: int, rows: int) -> Codes:
    """Return codes of train.

    Args:
        train: the real training rows.
        columns: that are compared.
        bins: quantile bins of a number; equal quantiles are one.
        rows: that a comparison will have on each side; rarer levels share a code.
    """
    return Codes(columns=tuple(_fit(train, column, bins, rows) for column in columns))


def _fit(train: pa.Table, column: JudgedColumn, bins: int, rows: int) -> ColumnCodes:
    if column.form == "levels":
        levels, counts = levels_by_count(train[column.name])
        expected = counts / max(train.num_rows, 1) * rows
        kept = min(MOST_LEVELS, int((expected >= LEAST_EXPECTED).sum()))
        return ColumnCodes(column=column, edges=np.zeros(0), levels=levels.slice(0, kept))
    numbers = as_numbers(train[column.name])
    known = numbers[~np.isnan(numbers)]
    steps = np.linspace(0, 1, bins + 1)[1:-1]
    edges = np.quantile(known, steps, method="inverted_cdf") if len(known) else np.zeros(0)
    unique = np.unique(edges)
    top = known.max() if len(known) else 0.0
    return ColumnCodes(column=column, edges=unique[unique < top], levels=pa.array([], pa.string()))
