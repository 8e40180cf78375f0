"""Products with a rate: discounts, taxes on top, growth.

A column is another one, or two multiplied, times 1 plus or minus a rate, which is a share or in
percent. Each column that may be a rate is turned into such factors; from there the search is that
of other products. A row whose rate is zero tells nothing.

P columns, R factors made of rates, N rows.
"""

from collections.abc import Collection, Iterator
from itertools import combinations
from typing import Final, NamedTuple

import numpy as np

from storage.records.constraint import Constraint
from storage.sources.tables.structure.columns import Floats, Ints, Quantity, TableColumns
from storage.sources.tables.structure.evidence import formula_support
from storage.sources.tables.structure.products import (
    Combinations,
    likeliest,
    remaining,
    rounding_words,
)
from storage.sources.tables.structure.rule import FoundRule

MOST_COLUMNS: Final = 60
"""Of more columns, products with a rate are looked for among the first."""

MOST_RATES: Final = 60
"""Of more factors made of rates, the first are tried; of two other columns with one, half of it."""

_FEWEST_VALUES: Final = 3
_WAYS: Final = ((1.0, (1.0, -1.0)), (100.0, (0.01, -0.01)))
"""The largest rate, and how many times it is what is added to 1: shares, percent."""


class Rate(NamedTuple):
    """A column as a factor."""

    name: str
    times: float


def find_rated(columns: TableColumns, skipped: Collection[str]) -> tuple[FoundRule, ...]:
    """Return products one factor of which is 1 plus or minus a rate, the simplest first.

    Args:
        columns: of the table.
        skipped: columns that are not looked at, as other rules tell them.
    """
    names = columns.numbers(skipped, MOST_COLUMNS)
    rates = [rate for name in names for rate in _rates(name, columns.quantities[name])]
    rates = rates[:MOST_RATES]
    if len(names) < 3 or not rates:
        return ()
    rows, found = columns.sample_S, list[FoundRule]()
    plain_SP = np.stack([columns.quantities[name].values_N[rows] for name in names], axis=1)
    rated_SR = np.stack([_factor(columns, rate)[rows] for rate in rates], axis=1)
    sample_SP = np.concatenate([plain_SP, rated_SR], axis=1)
    for combined in _ways(len(names), len(rates)):
        for place, name in enumerate(names):
            result = columns.quantities[name]
            values_S = result.values_N[rows]
            if len(np.unique(values_S)) < _FEWEST_VALUES:
                continue
            own = [len(names) + at for at, rate in enumerate(rates) if rate.name == name]
            others = combined.without(place)
            for each in own:
                others = others.without(each)
            for used in remaining(result, values_S, sample_SP, others):
                parts = [names[at] for at in used if at < len(names)]
                rate = rates[next(at for at in used if at >= len(names)) - len(names)]
                rule = _rule(columns, name, parts, rate)
                found += [] if rule is None or rate.name in parts else [rule]
    return likeliest(found, columns)


def _rates(name: str, quantity: Quantity) -> Iterator[Rate]:
    """Yield the factors that a column of small numbers may be."""
    present = quantity.values_N[~np.isnan(quantity.values_N)]
    largest = float(np.abs(present).max(initial=0.0))
    for most, ways in _WAYS:
        if most / 100 < largest <= most:
            yield from (Rate(name, times) for times in ways)


def _factor(columns: TableColumns, rate: Rate) -> Floats:
    factor_N: Floats = 1 + rate.times * columns.quantities[rate.name].values_N
    return factor_N


def _ways(count: int, rates: int) -> Iterator[Combinations]:
    """Yield a column times a rate, then two columns times one."""
    places, rated = np.arange(count), count + np.arange(rates)
    over_C, first_C = (grid.ravel() for grid in np.meshgrid(places, rated, indexing="ij"))
    yield _combined(over_C, first_C, np.full(len(over_C), -1))
    pairs = np.array(list(combinations(range(count), 2)), dtype=np.int64).reshape(-1, 2)
    pair_C, second_C = (
        grid.ravel() for grid in np.meshgrid(np.arange(len(pairs)), rated, indexing="ij")
    )
    yield _combined(pairs[pair_C, 0], pairs[pair_C, 1], second_C)


def _combined(over_C: Ints, first_C: Ints, second_C: Ints) -> Combinations:
    return Combinations(over_C=over_C, first_C=first_C, second_C=second_C, divides=False)


def _rule(columns: TableColumns, name: str, parts: list[str], rate: Rate) -> FoundRule | None:
    """Return the rule if all rows keep it and enough of them tell it."""
    result = columns.quantities[name]
    inputs = [columns.quantities[part] for part in parts]
    given_N = _factor(columns, rate)
    for one in inputs:
        given_N = given_N * one.values_N
    support = formula_support(result, given_N, [], inputs)
    if support is None:
        return None
    sign, times = ("minus" if rate.times < 0 else "plus"), abs(rate.times)
    percent = "" if times == 1 else f"{times:.10g} times "
    constraint = Constraint(kind="product", columns=(name, *parts, rate.name), rate=rate.times)
    formula = " times ".join([*parts, f"(1 {sign} {percent}{rate.name})"])
    why = f"{name} is {formula}{rounding_words(result.decimals)}, in all rows"
    return FoundRule(constraint=constraint, why=why, support=support)
