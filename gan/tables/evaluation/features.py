"""Rows as trees take them: numbers as they are, levels by number, null as NaN.

Shapes: N rows, F columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from gan.metrics.trees import MOST_LEVELS
from gan.tables.evaluation.columns import (
    JudgedColumn,
    as_levels,
    as_numbers,
    is_null,
    levels_by_count,
)

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Features:
    """The map from records to the trees' columns."""

    columns: tuple[JudgedColumn, ...]
    levels: tuple[Any, ...]
    """Arrow array of each column's levels, the commonest first; empty for numbers."""

    @property
    def is_levels(self) -> Array:
        """Which columns are levels; bool (F,)."""
        return np.array([column.form == "levels" for column in self.columns], dtype=bool)

    def without(self, name: str) -> "Features":
        """Return the same without one column, such as the target."""
        kept = [i for i, column in enumerate(self.columns) if column.name != name]
        return Features(
            columns=tuple(self.columns[i] for i in kept),
            levels=tuple(self.levels[i] for i in kept),
        )

    def of(self, records: pa.Table) -> Array:
        """Return `features_NF`, float64."""
        parts = [
            self._one(records[column.name], column, levels)
            for column, levels in zip(self.columns, self.levels, strict=True)
        ]
        return np.stack(parts, axis=1)

    def _one(self, values: Any, column: JudgedColumn, levels: Any) -> Array:
        if column.form == "number":
            return as_numbers(values)
        found = as_levels(values, levels).astype(np.float64)
        found[found < 0] = len(levels)
        found[is_null(values)] = np.nan
        return found


def fit_features(train: pa.Table, columns: Sequence[JudgedColumn]) -> Features:
    """Return the features; levels are train's, the rarest of very many share a number."""
    return Features(
        columns=tuple(columns),
        levels=tuple(
            levels_by_count(train[column.name])[0].slice(0, MOST_LEVELS - 1)
            if column.form == "levels"
            else pa.array([], pa.string())
            for column in columns
        ),
    )
