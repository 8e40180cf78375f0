"""Whether rules that a sample told hold in every block of a larger table.

A number agrees with what a rule computes as it does in the sample: rounded to the nearest, down or
up, on the column's own grid. As in synthetic rows, what is missing breaks no formula. What columns
decide others is remembered over the blocks, up to a limit.

N rows of a block.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from itertools import pairwise
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.records.constraint import Constraint
from storage.records.functions import function_values
from storage.records.moment_parts import UNIT_SECONDS, WHOLE_UNITS, days, whole_months
from storage.records.piecewise import piecewise
from storage.sources.tables.structure.columns import (
    Floats,
    Mask,
    Quantity,
    as_text,
    read_quantity,
    seconds_of,
)
from storage.sources.tables.structure.moment_parts import off_part, plain_column

MOST_DECIDED: Final = 1 << 20
"""Combinations of values that are remembered; a rule on more is not kept."""

_WAYS: Final = (0.5, 1.0)
_NO_NUMBER: Final = 1e300
_TOO_MANY: Final = "it is about more combinations of values than are compared over all rows"
_BROKEN: Final = "rows outside the sample break it"


class RuleCheck:
    """One constraint, compared with block after block."""

    def __init__(self, constraint: Constraint, sample: pa.Table) -> None:
        """Learn from the sample how exactly its numbers agree.

        Args:
            constraint: on columns of the table.
            sample: rows in which it holds.
        """
        self.constraint = constraint
        self.broken: str | None = None
        """Why it does not hold in all rows so far; None: it does."""
        self._decided: pa.Table | None = None
        self._compare = self._way()
        self._grid: Quantity | None = None
        self._slack = 0.0
        if constraint.kind in _FORMULAS:
            self._grid = read_quantity(sample.column(constraint.columns[0]))
            self._slack = self._learnt(sample)

    def add(self, block: pa.Table) -> None:
        """Compare some more rows."""
        if self.broken is None and self._compare is not None and self._compare(block):
            self.broken = self.broken or _BROKEN

    def _way(self) -> Callable[[pa.Table], bool] | None:
        """Return what says whether a block breaks it; None for `unique`, which is counted apart."""
        ways: Mapping[str, Callable[[pa.Table], bool]] = {
            "range": self._leaves_range,
            "inequality": self._out_of_order,
            "band": self._off_band,
            "lookup": self._decides_otherwise,
            "combinations": self._decides_otherwise,
            "one_of": self._not_one,
            "conditional": self._off_condition,
            "part": self._off_part,
        }
        kind = self.constraint.kind
        return self._off_formula if kind in _FORMULAS else ways.get(kind)

    def _learnt(self, sample: pa.Table) -> float:
        """Return by how many steps numbers of the sample may be off: half of one, or a whole."""
        off_N, slack_N = self._off(sample)
        return next((way for way in _WAYS if not (off_N > self._allowed(way) + slack_N).any()), 1.0)

    def _allowed(self, way: float) -> float:
        step = 0.0 if self._grid is None else self._grid.step
        return way * step * (1 + 1e-6)

    def _off(self, block: pa.Table) -> tuple[Floats, Floats]:
        """Return how far off the values are, and what noise allows; 0 where one is missing."""
        names, noise = self.constraint.columns, 1e-9 if self._grid is None else self._grid.noise
        values_N = _floats(block, names[0])
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            computed_N, size_N = _FORMULAS[self.constraint.kind](self.constraint, block)
            off_N = np.abs(values_N - computed_N)
            slack_N = 4 * noise * np.fmax(np.abs(values_N), size_N) + 1e-12
        known_N = np.isfinite(off_N)
        return np.where(known_N, off_N, 0.0), np.where(known_N, slack_N, 0.0)

    def _off_formula(self, block: pa.Table) -> bool:
        off_N, slack_N = self._off(block)
        return bool((off_N > self._allowed(self._slack) + slack_N).any())

    def _leaves_range(self, block: pa.Table) -> bool:
        values_N = _floats(block, self.constraint.columns[0])
        low = -np.inf if self.constraint.low is None else self.constraint.low
        high = np.inf if self.constraint.high is None else self.constraint.high
        return bool(((values_N < low) | (values_N > high)).any())

    def _out_of_order(self, block: pa.Table) -> bool:
        by_day = self.constraint.whole_days or any(
            pa.types.is_date(block.schema.field(name).type) for name in self.constraint.columns
        )
        values = [_moments_or_numbers(block, n, by_day=by_day) for n in self.constraint.columns]
        if self.constraint.strict:
            return any(bool((low_N >= high_N).any()) for low_N, high_N in pairwise(values))
        return any(bool((low_N > high_N).any()) for low_N, high_N in pairwise(values))

    def _off_band(self, block: pa.Table) -> bool:
        level, *names = self.constraint.columns
        values_N, levels = _less(block, names), _texts(block.column(level))
        places_N = np.searchsorted(np.array(self.constraint.cuts), values_N, side="right")
        wanted = pa.array(self.constraint.levels).take(pa.array(places_N))
        same = pc.fill_null(pc.equal(levels, wanted), fill_value=True)
        given_N = block.column(level).is_valid().to_numpy() & ~np.isnan(values_N)
        return bool((~same.to_numpy(zero_copy_only=False) & given_N).any())

    def _decides_otherwise(self, block: pa.Table) -> bool:
        """Say whether equal deciding values go with other ones than so far."""
        names = list(self.constraint.columns)
        deciding = names[1:] if self.constraint.kind == "lookup" else names[:1]
        found = block.select(names).group_by(names).aggregate([])
        if self._decided is not None:
            found = pa.concat_tables([self._decided, found.select(names)])
            found = found.group_by(names).aggregate([])
        self._decided = found.select(names)
        if len(found) > MOST_DECIDED:
            self.broken = _TOO_MANY
            return True
        return len(found.group_by(deciding).aggregate([])) < len(found)

    def _not_one(self, block: pa.Table) -> bool:
        columns = [_floats(block, name) for name in self.constraint.columns]
        ones_N = np.nansum([values_N == 1 for values_N in columns], axis=0)
        null_N = np.any([np.isnan(values_N) for values_N in columns], axis=0)
        return bool(((ones_N != 1) & ~null_N).any())

    def _off_condition(self, block: pa.Table) -> bool:
        target, decides = (_texts(block.column(name)) for name in self.constraint.columns)
        has_N = _among(target, (str(self.constraint.value),))
        when_N = _among(decides, self.constraint.when)
        broken_N = (when_N & ~has_N) | (~when_N & has_N & self.constraint.exactly)
        return bool(broken_N.any())

    def _off_part(self, block: pa.Table) -> bool:
        return bool(off_part(self.constraint, *map(block.column, self.constraint.columns)).any())


def _linear(constraint: Constraint, block: pa.Table) -> tuple[Floats, Floats]:
    """Return a weighted sum of columns, and the size of its terms."""
    parts = [_floats(block, name) for name in constraint.columns[1:]]
    weights = constraint.weights or (1.0,) * len(parts)
    terms = [weight * part_N for weight, part_N in zip(weights, parts, strict=True)]
    size_N: Floats = np.sum(np.abs(terms), axis=0) + abs(constraint.offset)
    return np.sum(terms, axis=0) + constraint.offset, size_N


def _product(constraint: Constraint, block: pa.Table) -> tuple[Floats, Floats]:
    parts = [_floats(block, name) for name in constraint.factors]
    if constraint.rate:
        parts[-1] = 1 + constraint.rate * parts[-1]
    terms = [constraint.scale * np.prod(parts, axis=0)]
    terms += [weight * _floats(block, name) for weight, name in constraint.added]
    return np.sum(terms, axis=0), np.sum(np.abs(terms), axis=0)


def _ratio(constraint: Constraint, block: pa.Table) -> tuple[Floats, Floats]:
    over_N, *divisors = (_floats(block, name) for name in constraint.columns[1:])
    computed_N: Floats = constraint.scale * over_N / np.prod(divisors, axis=0)
    return computed_N + constraint.offset, np.abs(computed_N) + abs(constraint.offset)


def _difference(constraint: Constraint, block: pa.Table) -> tuple[Floats, Floats]:
    end, start = (plain_column(block.column(name)) for name in constraint.columns[1:])
    unit = constraint.unit or "seconds"
    if unit in WHOLE_UNITS:
        computed_N = np.floor(whole_months(end, start) / WHOLE_UNITS[unit])
        return computed_N, np.abs(computed_N)
    if constraint.whole_days:
        end, start = days(end), days(start)
    computed_N = (seconds_of(end) - seconds_of(start)) / UNIT_SECONDS[unit]
    return computed_N, np.abs(computed_N)


def _extreme(constraint: Constraint, block: pa.Table) -> tuple[Floats, Floats]:
    chosen = np.maximum if constraint.kind == "largest" else np.minimum
    computed_N: Floats = reduce(chosen, [_floats(block, name) for name in constraint.columns[1:]])
    return computed_N, np.abs(computed_N)


def _pieces(constraint: Constraint, block: pa.Table) -> tuple[Floats, Floats]:
    numbers_N = _less(block, constraint.columns[1:])
    computed_N = piecewise(numbers_N, constraint.cuts, constraint.weights, constraint.offset)
    sizes = [np.abs(_floats(block, name)) for name in constraint.columns[1:]]
    return computed_N, np.max([*sizes, np.abs(computed_N)], axis=0)


def _products(constraint: Constraint, block: pa.Table) -> tuple[Floats, Floats]:
    terms = [
        weight * _floats(block, one) * _floats(block, other)
        for weight, one, other in constraint.pairs
    ]
    return np.sum(terms, axis=0), np.sum(np.abs(terms), axis=0)


def _function(constraint: Constraint, block: pa.Table) -> tuple[Floats, Floats]:
    parts = [_floats(block, name) for name in constraint.columns[1:]]
    computed_N = function_values(constraint.function or "log", parts, constraint.scale)
    return computed_N, np.abs(computed_N)


def _rates(constraint: Constraint, block: pa.Table) -> tuple[Floats, Floats]:
    """Return a column times the rate of a level; a number that none is for another level."""
    texts = pc.fill_null(_texts(block.column(constraint.columns[1])), "null")
    places = pc.index_in(texts, value_set=pa.array(constraint.levels, pa.string()))
    known_N = places.is_valid().to_numpy(zero_copy_only=False)
    rates_N = np.array(constraint.weights)[pc.fill_null(places, 0).to_numpy(zero_copy_only=False)]
    computed_N = rates_N * _floats(block, constraint.columns[2])
    return np.where(known_N, computed_N, _NO_NUMBER), np.abs(computed_N)


_FORMULAS: Final[Mapping[str, Callable[[Constraint, pa.Table], tuple[Floats, Floats]]]] = {
    "sum": _linear,
    "linear": _linear,
    "product": _product,
    "ratio": _ratio,
    "difference": _difference,
    "largest": _extreme,
    "smallest": _extreme,
    "piecewise": _pieces,
    "products": _products,
    "function": _function,
    "rates": _rates,
}


def _floats(block: pa.Table, name: str) -> Floats:
    column = block.column(name)
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return np.asarray(pc.cast(column, pa.float64(), safe=False).to_numpy(), np.float64)


def _less(block: pa.Table, names: Sequence[str]) -> Floats:
    """Return a column, or how much more it is than another; of moments in seconds."""
    first_N, *others = (_moments_or_numbers(block, name, by_day=False) for name in names)
    return first_N - others[0] if others else first_N


def _moments_or_numbers(block: pa.Table, name: str, *, by_day: bool) -> Floats:
    column = block.column(name)
    if pa.types.is_time(column.type):
        return np.asarray(column.cast(pa.time64("us")).cast(pa.int64()).to_numpy(), np.float64)
    if not (pa.types.is_date(column.type) or pa.types.is_timestamp(column.type)):
        return _floats(block, name)
    seconds_N = seconds_of(column)
    return np.floor(seconds_N / 86_400) if by_day else seconds_N


def _texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return values as constraints write them; nulls stay."""
    coded = column.combine_chunks().dictionary_encode()
    values = [as_text(value) for value in coded.dictionary.to_pylist()]
    return pa.array(values, pa.string()).take(coded.indices)


def _among(texts: pa.Array, words: Sequence[str]) -> Mask:
    """Return which texts are one of some words, of which `null` is a missing value."""
    found = pc.is_in(texts, value_set=pa.array([w for w in words if w != "null"], pa.string()))
    mask: Mask = found.to_numpy(zero_copy_only=False)
    if "null" in words:
        mask = mask | texts.is_null().to_numpy(zero_copy_only=False)
    return mask
