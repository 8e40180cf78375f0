"""Bands: a column of levels, or of few numbers, that says in which interval another one lies.

The rows of every level lie in an interval of their own. A cut is the roundest number between two
levels, so that it is a limit that somebody set and seldom a value of a row; one that few rows hold
is never shown.

N rows, S of the sample, L levels.
"""

from collections.abc import Collection, Iterator
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.records.constraint import Constraint
from storage.sources.tables.structure.columns import (
    Floats,
    Ints,
    Quantity,
    TableColumns,
    as_text,
)
from storage.sources.tables.structure.evidence import levels_support
from storage.sources.tables.structure.rule import FoundRule

_DECIDED: Final = frozenset({"category", "boolean", "integer", "float", "decimal"})
_MOST_LEVELS: Final = 60
_HEAD: Final = 100
_FINER: Final = 2
"""The column that is cut has so many values for every level, or the two only rename each other."""

_RARE: Final = "some level of it is held by too few rows to be shown"


def find_bands(columns: TableColumns, skipped: Collection[str]) -> tuple[FoundRule, ...]:
    """Return bands, of one column those of the finest other one first.

    Args:
        columns: of the table.
        skipped: columns that are not looked at, as other rules tell them.
    """
    found = []
    for name in columns.names:
        if name in skipped or columns.kinds[name] not in _DECIDED:
            continue
        levels = columns.levels(name)
        valued = len(levels.values) - levels.values.null_count
        if 2 <= valued <= _MOST_LEVELS:
            found += list(_bands(columns, name, skipped))
    return tuple(found)


def _bands(columns: TableColumns, name: str, skipped: Collection[str]) -> Iterator[FoundRule]:
    levels = columns.levels(name)
    known_N = levels.codes_N != (-1 if levels.null is None else levels.null)
    known = int(known_N.sum())
    alike = np.zeros(known, dtype=np.int32)
    support = levels_support(levels.codes_N[known_N], alike, levels.counts_L)
    for other, quantity in columns.quantities.items() if support is not None else ():
        if other in (name, *skipped):
            continue
        for rows in (columns.spread(_HEAD), columns.sample_S, np.arange(columns.rows)):
            limits = _limits(columns, name, quantity, rows)
            if limits is None:
                break
        if limits is None:
            continue
        codes_L, low_L, high_L = limits
        values = np.unique(quantity.values_N[~np.isnan(quantity.values_N)])
        if len(values) >= _FINER * len(codes_L):
            hidden = _hidden(columns, other)
            cuts = [
                _cut(high_L[i], low_L[i + 1], hidden, quantity.step)
                for i in range(len(codes_L) - 1)
            ]
            why = f"{name} says in which of {len(codes_L)} intervals {other} lies, in all rows"
            constraint = Constraint(
                kind="band",
                columns=(name, other),
                cuts=tuple(cuts),
                levels=tuple(as_text(levels.values[code].as_py()) for code in codes_L.tolist()),
            )
            rule = FoundRule(constraint=constraint, why=why, support=support or 0)
            yield rule if columns.may_show(name)[codes_L].all() else rule.unkept(_RARE)


def _limits(
    columns: TableColumns, name: str, quantity: Quantity, rows: Ints
) -> tuple[Ints, Floats, Floats] | None:
    """Return the levels in the order of their intervals, with both ends; None where they overlap.

    Both columns must lack their values in the same rows.
    """
    levels = columns.levels(name)
    codes, values = levels.codes_N[rows], quantity.values_N[rows]
    known = codes != (-1 if levels.null is None else levels.null)
    if (np.isnan(values) == known).any() or not known.any():
        return None
    order = np.argsort(codes[known], kind="stable")
    ordered, values = codes[known][order], values[known][order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    low_L, high_L = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    rising = np.argsort(low_L, kind="stable")
    if len(rising) < 2 or (high_L[rising][:-1] >= low_L[rising][1:]).any():
        return None
    return ordered[starts][rising].astype(np.int64), low_L[rising], high_L[rising]


def _hidden(columns: TableColumns, name: str) -> Floats:
    """Return the values of a column that too few rows hold to be shown."""
    levels = columns.levels(name)
    rare = levels.values.filter(pa.array(~columns.may_show(name))).drop_null()
    return np.asarray(pc.cast(rare, pa.float64(), safe=False), dtype=np.float64)


def _cut(high: float, low: float, hidden: Floats, step: float) -> float:
    """Return the roundest number above one level's largest value, up to the next one's smallest.

    What is above zero is so by any step.

    Args:
        high: the largest value below.
        low: the smallest value above.
        hidden: values that the cut must not be; then it is the middle, where there is no value.
        step: of the values, or 0.
    """
    if high == 0 and step:
        return step if step == 1 else step / 2
    power = int(np.ceil(np.log10(max(abs(high), abs(low), low - high)))) + 1
    middle = float(high + (low - high) / 2)
    for exponent in range(power, power - 18, -1):
        for digit in (5, 2, 1):
            step = digit * 10.0**exponent
            cut = float(round(np.floor(low / step * (1 + 1e-15)) * step, max(-exponent, 0)))
            if high < cut <= low:
                return middle if np.isclose(hidden, cut, rtol=1e-12, atol=0).any() else cut
    return middle
