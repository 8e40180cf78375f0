"""Rows of mixed columns as points, so that distances between rows mean something.

A number is its rank among train's, from 0 to √3, so that two random rows lie ½ apart (squared) on
average; two different levels, or a value and a null, lie 1 apart. That is Gower's idea (1971,
Biometrics 27, 857), every column with the same weight whatever its unit, with squared differences.

Shapes: N rows, F coordinates.
"""

import math
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

MOST_LEVELS = 63
"""Levels with a coordinate of their own; the rest share one."""
RANK_SCALE = math.sqrt(3.0)
LEVEL_SCALE = math.sqrt(0.5)


@dataclass(frozen=True, kw_only=True, eq=False)
class Axis:
    """The coordinates of one column."""

    column: JudgedColumn
    sorted_values: Array
    """Train's numbers in order; empty for levels."""
    levels: Any
    nulls: bool
    """Whether train has any: then null is a level."""

    def points(self, records: pa.Table) -> Array:
        """Return the column's coordinates; float64 (N, F of this column)."""
        values = records[self.column.name]
        if self.column.form == "levels":
            found = as_levels(values, self.levels)
            codes_N = np.where(found < 0, len(self.levels), found)
            codes_N = np.where(is_null(values), len(self.levels) + 1, codes_N)
            return LEVEL_SCALE * np.eye(len(self.levels) + 2)[codes_N]
        numbers = as_numbers(values)
        null_N = np.isnan(numbers)
        ranks_N = np.where(null_N, 0.5, self._ranks(np.nan_to_num(numbers)))
        if not self.nulls:
            return (RANK_SCALE * ranks_N)[:, None]
        return np.column_stack([RANK_SCALE * ranks_N, null_N])

    def _ranks(self, numbers: Array) -> Array:
        """Return the share of train below, equal values counted half."""
        below = np.searchsorted(self.sorted_values, numbers, side="left")
        upto = np.searchsorted(self.sorted_values, numbers, side="right")
        ranks: Array = (below + upto) / (2 * max(len(self.sorted_values), 1))
        return ranks


@dataclass(frozen=True, kw_only=True, eq=False)
class Space:
    """The coordinates of all columns."""

    axes: tuple[Axis, ...]

    def points(self, records: pa.Table) -> Array:
        """Return `points_NF`, float64."""
        return np.concatenate([axis.points(records) for axis in self.axes], axis=1)


def fit_space(train: pa.Table, columns: Sequence[JudgedColumn]) -> Space:
    """Return the space of train's ranks and levels."""
    return Space(axes=tuple(_fit(train, column) for column in columns))


def _fit(train: pa.Table, column: JudgedColumn) -> Axis:
    values = train[column.name]
    if column.form == "levels":
        levels, _ = levels_by_count(values)
        kept = levels.slice(0, MOST_LEVELS)
        return Axis(column=column, sorted_values=np.zeros(0), levels=kept, nulls=True)
    numbers = as_numbers(values)
    known = np.sort(numbers[~np.isnan(numbers)])
    nulls = len(known) < len(numbers)
    return Axis(column=column, sorted_values=known, levels=pa.array([], pa.string()), nulls=nulls)
