"""Rates that a level says: what a coupon takes off, a bonus for some, the currency of an amount.

A column is another one times a number that belongs to a level. In the rows of each level every row
allows the numbers that give its value once rounded; the simplest one is taken that all rows allow.
All pairs of columns are tried at once on some rows, then on the sample, then on all.

S rows, P pairs of columns, L levels.
"""

from collections.abc import Collection, Iterator
from typing import Final

import numpy as np

from storage.records.constraint import Constraint
from storage.sources.tables.structure.columns import (
    LEAST_SHARE,
    Floats,
    Ints,
    Quantity,
    TableColumns,
    as_text,
)
from storage.sources.tables.structure.evidence import formula_support
from storage.sources.tables.structure.rule import FoundRule
from storage.sources.tables.structure.simple_numbers import simple_number

MOST_COLUMNS: Final = 40
"""Of more numbers, they are looked for among the first."""

_MOST_LEVELS: Final = 12
_HEAD: Final = 200
_FEWEST_VALUES: Final = 20
_STEPS: Final = 5.0
_POINTS: Final = 20
"""In the rows of a level with a rate there are so many different numbers, and results that vary by
steps enough, or some rate fits any."""

_FEWEST_ROWS: Final = 30
_DECIDES: Final = frozenset({"category", "boolean", "integer"})


def find_level_rates(
    columns: TableColumns, skipped: Collection[str], derived: Collection[str]
) -> tuple[FoundRule, ...]:
    """Return columns that are another one times a rate by level; the fewest levels come first.

    Args:
        columns: of the table.
        skipped: columns that are not looked at, as other rules tell them.
        derived: columns that other rules make.
    """
    names = columns.numbers(skipped, MOST_COLUMNS)
    results = [n for n in names if n not in derived and _varies(columns.quantities[n])]
    pairs = [(one, other) for one in reversed(results) for other in names if one != other]
    levels = [name for name in columns.names if name not in skipped and _is_level(columns, name)]
    levels.sort(key=lambda name: len(columns.levels(name).values))
    if not pairs or not levels:
        return ()
    head = columns.spread(_HEAD)
    ends_2SP = _allowed(columns, pairs, head)
    found: dict[str, FoundRule] = {}
    for level in levels:
        codes = columns.levels(level).codes_N[head]
        order = np.argsort(codes, kind="stable")
        starts = np.flatnonzero(np.append(True, np.diff(codes[order]) != 0))
        low_LP = np.maximum.reduceat(ends_2SP[0][order], starts, axis=0)
        high_LP = np.minimum.reduceat(ends_2SP[1][order], starts, axis=0)
        for at in np.flatnonzero((low_LP <= high_LP).all(axis=0)).tolist():
            result, number = pairs[at]
            if result not in found and level not in (result, number):
                rule = _rule(columns, result, level, number)
                found |= {} if rule is None else {result: rule}
    return tuple(found.values())


def _varies(one: Quantity) -> bool:
    present = one.values_N[~np.isnan(one.values_N)]
    return len(np.unique(present)) >= _FEWEST_VALUES


def _is_level(columns: TableColumns, name: str) -> bool:
    """Whether a column has a few levels, all of which may be shown."""
    levels = columns.levels(name)
    few = 2 <= len(levels.values) <= _MOST_LEVELS and columns.kinds[name] in _DECIDES
    return few and bool(columns.may_show(name).all()) and levels.counts_L.min() >= _FEWEST_ROWS


def _allowed(columns: TableColumns, pairs: list[tuple[str, str]], rows: Ints) -> list[Floats]:
    """Return for every row and pair the least and the largest rate; any where none can be told."""
    quantities = columns.quantities
    results = [quantities[result] for result, _ in pairs]
    values_SP = np.stack([one.values_N[rows] for one in results], axis=1)
    numbers_SP = np.stack([quantities[number].values_N[rows] for _, number in pairs], axis=1)
    slack_P = np.array([one.step / 2 * (1 + 1e-6) + 1e-12 for one in results])
    slack_SP = slack_P + np.array([one.noise for one in results]) * np.abs(values_SP)
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.sort([(values_SP + sign * slack_SP) / numbers_SP for sign in (-1, 1)], axis=0)
    unknown_SP = np.isnan(values_SP + numbers_SP) | (numbers_SP == 0)
    return [
        np.where(unknown_SP, end, each) for end, each in zip((-np.inf, np.inf), ends, strict=True)
    ]


def _rule(columns: TableColumns, result: str, level: str, number: str) -> FoundRule | None:
    """Return the rule if all rows keep it and enough of them tell it."""
    one, levels = columns.quantities[result], columns.levels(level)
    rates = list(_rates(columns, result, level, number))
    if len(rates) < len(levels.values) or len(set(rates)) < 2:
        return None
    other_N = columns.quantities[number].values_N
    computed_N = np.array(rates)[levels.codes_N] * other_N
    support = formula_support(one, computed_N)
    told_N = ~np.isnan(one.values_N) & (one.values_N != other_N) & (one.values_N != 0)
    if support is None or told_N.sum() < LEAST_SHARE * columns.rows:
        return None
    constraint = Constraint(
        kind="rates",
        columns=(result, level, number),
        levels=tuple(as_text(value) for value in levels.values.to_pylist()),
        weights=tuple(rates),
    )
    why = f"{result} is {number} times a rate that {level} says, in all rows"
    return FoundRule(constraint=constraint, why=why, support=min(support, int(told_N.sum())))


def _rates(columns: TableColumns, result: str, level: str, number: str) -> Iterator[float]:
    """Yield the rate of every level while there is one."""
    one, codes_N = columns.quantities[result], columns.levels(level).codes_N
    low_N, high_N = (
        each[:, 0] for each in _allowed(columns, [(result, number)], np.arange(columns.rows))
    )
    numbers_N = columns.quantities[number].values_N
    for code in range(len(columns.levels(level).values)):
        rows_N = (codes_N == code) & np.isfinite(low_N)
        low, high = low_N[rows_N].max(initial=-np.inf), high_N[rows_N].min(initial=np.inf)
        if not (np.isfinite(low) and low <= high):
            return
        rate = simple_number((low + high) / 2, (high - low) / 2)
        values_N = one.values_N[rows_N]
        points = len(np.unique(numbers_N[rows_N])) >= _POINTS
        if rate is None or (rate and not (points and values_N.std() >= _STEPS * one.step)):
            return
        yield rate
