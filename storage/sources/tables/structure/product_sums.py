"""Products to which another column is added: an order with its freight, pay with a bonus.

What is left of a column without another one is looked for among the products of two. P columns.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import combinations
from typing import Final

import numpy as np

from storage.records.constraint import Constraint
from storage.sources.tables.structure.columns import Quantity, TableColumns
from storage.sources.tables.structure.evidence import formula_support
from storage.sources.tables.structure.products import Combinations, remaining, rounding_words
from storage.sources.tables.structure.rule import FoundRule

MOST_COLUMNS: Final = 30
"""Of more columns, they are looked for among the first."""

_FEWEST_VALUES: Final = 10


def find_product_sums(
    columns: TableColumns, skipped: Collection[str], derived: Collection[str]
) -> tuple[FoundRule, ...]:
    """Return products of two columns plus or minus a third.

    Of several on the same columns the result is the one that comes last.

    Args:
        columns: of the table.
        skipped: columns that are not looked at, as other rules tell them.
        derived: columns that other rules make.
    """
    names = columns.numbers(skipped, MOST_COLUMNS)
    if len(names) < 4:
        return ()
    products = Combinations.of_two(combinations(range(len(names)), 2), divides=False)
    rows = columns.sample_S
    sample_SP = np.stack([columns.quantities[name].values_N[rows] for name in names], axis=1)
    found = list[FoundRule]()
    for result, other, sign in _rests(columns, names, derived):
        whole, added = (columns.quantities[names[each]] for each in (result, other))
        left = replace(whole, values_N=whole.values_N - sign * added.values_N)
        others = products.without(result).without(other)
        for one, two in remaining(left, left.values_N[rows], sample_SP, others):
            used = (names[result], names[one], names[two], names[other])
            rule = _rule(columns, used, sign)
            found += [] if rule is None else [rule]
    place = {name: at for at, name in enumerate(columns.names)}
    found.sort(key=lambda rule: -place[rule.constraint.columns[0]])
    last = {frozenset(rule.constraint.columns): rule for rule in reversed(found)}
    return tuple(last.values())


def _rests(
    columns: TableColumns, names: list[str], derived: Collection[str]
) -> Iterator[tuple[int, int, float]]:
    """Yield columns, and what may have been added to a product in them, how many times."""
    for result, name in enumerate(names):
        whole = columns.quantities[name]
        few = len(np.unique(whole.values_N[columns.sample_S])) < _FEWEST_VALUES
        if name in derived or few:
            continue
        for other in range(len(names)):
            if other != result and _is_no_finer(columns.quantities[names[other]], whole):
                yield from ((result, other, sign) for sign in (1.0, -1.0))


def _is_no_finer(one: Quantity, other: Quantity) -> bool:
    """Whether the sum of a rounded number and one of these is rounded alike."""
    if one.decimals is None or other.decimals is None:
        return one.decimals == other.decimals
    return one.decimals <= other.decimals


def _rule(columns: TableColumns, used: tuple[str, ...], sign: float) -> FoundRule | None:
    """Return the rule if all rows keep it and enough of them tell it."""
    result, one, two, other = (columns.quantities[name] for name in used)
    terms = [one.values_N * two.values_N, sign * other.values_N]
    support = formula_support(result, terms[0] + terms[1], terms)
    if support is None:
        return None
    constraint = Constraint(kind="product", columns=used, weights=(sign,))
    name, first, second, added = used
    word = "minus" if sign < 0 else "plus"
    formula = f"{first} times {second} {word} {added}"
    why = f"{name} is {formula}{rounding_words(result.decimals)}, in all rows"
    return FoundRule(constraint=constraint, why=why, support=support)
