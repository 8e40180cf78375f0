"""Changes and margins: how much larger a column is than another one, as a share of one of them.

(new - old) / old is new / old - 1, and (price - cost) / price is 1 - cost / price; both may be in
percent. So a column plus or minus 1 or 100 is looked for among the ratios of two. P columns.
"""

from collections.abc import Collection
from dataclasses import replace
from itertools import permutations
from typing import Final

import numpy as np

from storage.records.constraint import Constraint
from storage.sources.tables.structure.columns import Quantity, TableColumns
from storage.sources.tables.structure.evidence import formula_support
from storage.sources.tables.structure.products import (
    Combinations,
    at_zero,
    computed,
    remaining,
    rounding_words,
)
from storage.sources.tables.structure.rule import FoundRule

MOST_COLUMNS: Final = 60
"""Of more columns, they are looked for among the first."""

_FEWEST_VALUES: Final = 10
_WHOLES: Final = (1.0, 100.0)


def find_changes(
    columns: TableColumns, skipped: Collection[str], derived: Collection[str]
) -> tuple[FoundRule, ...]:
    """Return ratios of two columns less 1, or 1 less a ratio, as shares or in percent.

    Args:
        columns: of the table.
        skipped: columns that are not looked at, as other rules tell them.
        derived: columns that other rules make.
    """
    names = columns.numbers(skipped, MOST_COLUMNS)
    if len(names) < 3:
        return ()
    ratios = Combinations.of_two(permutations(range(len(names)), 2), divides=True)
    rows = columns.sample_S
    sample_SP = np.stack([columns.quantities[name].values_N[rows] for name in names], axis=1)
    found = []
    for place, name in enumerate(names):
        result = columns.quantities[name]
        few = len(np.unique(result.values_N[rows])) < _FEWEST_VALUES
        for whole in () if few or name in derived else _WHOLES:
            for sign in (1.0, -1.0):
                ratio = _as_ratio(result, whole, sign)
                others = ratios.without(place)
                for over, under in remaining(ratio, ratio.values_N[rows], sample_SP, others):
                    used = (name, names[over], names[under])
                    rule = _rule(columns, used, whole, sign)
                    found += [] if rule is None else [rule]
    return tuple(found)


def _as_ratio(result: Quantity, whole: float, sign: float) -> Quantity:
    """Return what the ratio would be."""
    values_N = (sign * result.values_N + whole) / whole
    more = 2 if whole > 1 else 0
    decimals = None if result.decimals is None else result.decimals + more
    return replace(result, values_N=values_N, decimals=decimals)


def _rule(
    columns: TableColumns, used: tuple[str, str, str], whole: float, sign: float
) -> FoundRule | None:
    """Return the rule if all rows keep it and enough of them tell it."""
    result, *inputs = (columns.quantities[name] for name in used)
    given_N, rows = computed("ratio", inputs, sign * whole) - sign * whole, columns.sample_S
    told_S = ~np.isnan(result.values_N[rows] + given_N[rows])
    if (result.differs(given_N[rows], rows) & told_S).any():
        return None
    given_N = at_zero(columns, result, given_N, inputs)
    support = formula_support(result, given_N, [], inputs)
    if support is None:
        return None
    constraint = Constraint(kind="ratio", columns=used, scale=sign * whole, offset=-sign * whole)
    name, over, under = used
    ratio = f"{over} divided by {under}"
    share = f"{ratio} less 1" if sign > 0 else f"1 less {ratio}"
    percent = ", in percent" if whole > 1 else ""
    why = f"{name} is {share}{percent}{rounding_words(result.decimals)}, in all rows"
    return FoundRule(constraint=constraint, why=why, support=support)
