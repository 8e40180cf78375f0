"""A column of numbers whose cells are those of its bins, shared out to codes in another way.

What is drawn, shown and asked for is what it would be with codes for bins; only which values share
a code differs.

Shapes: N rows, M of them, C cells.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from gan.tables.columns.numeric import Numeric
from gan.tables.columns.values import Modelled, to_units

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Reordered(Modelled):
    """A column of numbers, dates or times with codes other than its bins."""

    own: Numeric
    order_C: Array
    """Cells of `own` in the order of this column's; those of one code rise."""

    @staticmethod
    def fields_of(own: Numeric, order_C: Array, sizes: Sequence[int] | Array) -> dict[str, Any]:
        """Return the fields that all such columns have.

        Args:
            own: the column with codes for bins.
            order_C: its cells in another order.
            sizes: how many of these each code has.
        """
        return {
            "name": own.name,
            "kind": "numeric",
            "fields": own.fields,
            "vocabularies": (own.vocabularies[0].take(pa.array(order_C)),),
            "first_cells": np.cumsum([0, *sizes], dtype=np.int32),
            "notes": own.notes,
            "own": own,
            "order_C": order_C,
        }

    @property
    def decimals(self) -> int | None:
        """Of floats, see `Numeric`."""
        return self.own.decimals

    @cached_property
    def cells_of_own(self) -> Array:
        """This column's cell of every cell of `own`."""
        return np.argsort(self.order_C, kind="stable").astype(np.int32)

    @cached_property
    def _place_of_cell(self) -> Array:
        """Code and value of every cell in one rising number."""
        units, _ = to_units(self.vocabularies[0], self.decimals)
        return self.code_of_cell + self._fraction(units)

    @cached_property
    def _ends(self) -> tuple[float, float]:
        """The smallest and the largest value, in units."""
        known, _ = to_units(self.own.vocabularies[0].drop_null(), self.decimals)
        return float(known.min()), float(known.max())

    def _fraction(self, units: Array) -> Array:
        """Return how far values lie between the ends, in [0, 1)."""
        low, high = self._ends
        found: Array = np.clip((units - low) / (high - low + 1), 0, 1 - 1e-9)
        return found

    def nearest(self, codes_M: Array, units_M: Array) -> Array:
        """Return the cells of given codes that are next to values from above, else the last."""
        near_M = np.searchsorted(self._place_of_cell, codes_M + self._fraction(units_M))
        low_M, high_M = self.first_cells[codes_M], self.first_cells[codes_M + 1] - 1
        found: Array = np.clip(near_M, low_M, high_M)
        return found
