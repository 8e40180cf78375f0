"""Whether values are such as the columns of the real table have.

`broken` is what no real row can be: null where no real row is, an infinite number, a key of another
form or a repeated one, another value of a constant. `unseen` is what train has not and other real
rows may have: levels, and numbers outside train's range.

Shapes: N rows.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.tables.columns.types import plain
from gan.tables.evaluation.columns import as_levels, as_numbers, is_null, levels_by_count
from gan.tables.evaluation.ground import Ground
from gan.tables.keys import ALPHABETS
from storage.records.schema import Column

Array = np.ndarray[Any, Any]


class Levels(NamedTuple):
    """The levels of a column in train."""

    values: Any
    """Arrow array."""
    counts: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Validity:
    """What the columns of the real table are like."""

    made: tuple[Column, ...]
    """Keys, constants and replaced text."""
    constants: Mapping[str, Any]
    """Column → its one value, an Arrow array with at most one entry."""
    full: tuple[str, ...]
    """Columns without a null in any real row."""
    levels: Mapping[str, Levels]
    ranges: Mapping[str, tuple[float, float]]
    """Column → smallest and largest number of train."""

    def broken(self, records: pa.Table) -> dict[str, Array]:
        """Return, for what is wrong, in which rows; bool (N,) each."""
        found = {f"{name} is null": is_null(records[name]) for name in self.full}
        for name in self.ranges:
            numbers = as_numbers(records[name])
            found[f"{name} is infinite"] = np.isinf(numbers)
        for column in self.made:
            found |= self._made(column, records[column.name])
        return {text: mask for text, mask in found.items() if mask.any()}

    def unseen(self, records: pa.Table) -> dict[str, Array]:
        """Return, for what train has not, in which rows; bool (N,) each."""
        found = {}
        for name, known in self.levels.items():
            positions = as_levels(records[name], known.values)
            found[f"{name} has a new level"] = (positions < 0) & ~is_null(records[name])
        for name, (low, high) in self.ranges.items():
            numbers = as_numbers(records[name])
            found[f"{name} is out of range"] = (numbers < low) | (numbers > high)
        return {text: mask for text, mask in found.items() if mask.any()}

    def _made(self, column: Column, values: Any) -> dict[str, Array]:
        name, found = column.name, {}
        if name in self.constants:
            known = self.constants[name]
            found[f"{name} is not constant"] = (as_levels(values, known) < 0) & ~is_null(values)
        if column.form is not None:
            texts = pc.cast(plain(values), pa.string())
            matched = pc.fill_null(pc.match_substring_regex(texts, form_pattern(column.form)), True)
            found[f"{name} is of another form"] = ~matched.to_numpy(zero_copy_only=False)
        if column.kind == "key":
            found[f"{name} is a repeated key"] = _repeats(plain(values))
        return found


def form_pattern(form: str) -> str:
    """Return the regular expression of a form, from begin to end of the text."""
    parts, symbols = [], iter(form)
    for symbol in symbols:
        if symbol == "\\":
            parts.append(re.escape(next(symbols, symbol)))
        else:
            parts.append(f"[{ALPHABETS[symbol]}]" if symbol in ALPHABETS else re.escape(symbol))
    return f"^{''.join(parts)}$"


def fit_validity(ground: Ground) -> Validity:
    """Read from the real rows what their columns are like."""
    splits = ground.splits
    parts = (splits.train, splits.validation, splits.holdout)
    made = tuple(column for column in ground.metadata.columns if ground.column(column.name) is None)
    return Validity(
        made=made,
        constants={
            column.name: levels_by_count(splits.train[column.name])[0]
            for column in made
            if column.kind == "constant"
        },
        full=tuple(
            name
            for name in splits.train.column_names
            if not any(is_null(part[name]).any() for part in parts)
        ),
        levels={
            column.name: Levels(*levels_by_count(splits.train[column.name]))
            for column in ground.columns
            if column.form == "levels"
        },
        ranges={
            column.name: _range(as_numbers(splits.train[column.name]))
            for column in ground.columns
            if column.form == "number"
        },
    )


def _range(numbers: Array) -> tuple[float, float]:
    known = numbers[~np.isnan(numbers)]
    return (float(known.min()), float(known.max())) if len(known) else (-np.inf, np.inf)


def _repeats(values: Any) -> Array:
    """Return where a value was there before; nulls are none."""
    coded = values.dictionary_encode().indices
    codes_N = pc.fill_null(coded, -1).to_numpy(zero_copy_only=False)
    first = np.unique(codes_N, return_index=True)[1]
    again_N = np.ones(len(codes_N), dtype=bool)
    again_N[first] = False
    again_N[codes_N < 0] = False
    return again_N
