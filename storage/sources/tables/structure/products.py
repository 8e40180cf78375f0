"""Products and ratios: a column that is others multiplied or divided, rounded as it is.

Every product of two or three columns, and every ratio with one divisor or two (one of them twice
for a square), is tried on one row of the sample, which leaves few, these on the next row, and so
on; what is left is verified on all rows. The rows are such in which the result is not zero.

P columns, C combinations of them, N rows.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from storage.records.schema import Constraint
from storage.sources.tables.structure.columns import Floats, Ints, Quantity, TableColumns
from storage.sources.tables.structure.evidence import formula_support
from storage.sources.tables.structure.rule import FoundRule, listed_names

MOST_COLUMNS: Final = 120
"""Of more columns, products and ratios are looked for among the first."""

MOST_OF_THREE: Final = 50
"""The same, for those of three columns."""

_PROBES: Final = 24
_MOST_LEFT: Final = 40
_FEWEST_VALUES: Final = 3


@dataclass(frozen=True, kw_only=True)
class Combinations:
    """C ways to compute a number from columns; -1 is no column."""

    over_C: Ints
    """The first factor, or what is divided."""
    first_C: Ints
    second_C: Ints
    divides: bool

    def at(self, row_P: Floats, chosen: Ints) -> Floats:
        """Return what the chosen ones give in a row, which ends with a one for no column."""
        factor_C = row_P[self.first_C[chosen]] * row_P[self.second_C[chosen]]
        with np.errstate(divide="ignore", invalid="ignore"):
            top_C = row_P[self.over_C[chosen]]
            given_C: Floats = top_C / factor_C if self.divides else top_C * factor_C
        return given_C

    def uses(self, place: int) -> Ints:
        """Return those that do not use a column."""
        used_C = (self.over_C == place) | (self.first_C == place) | (self.second_C == place)
        return np.flatnonzero(~used_C)


def find_products(columns: TableColumns, skipped: Collection[str]) -> tuple[FoundRule, ...]:
    """Return products, then ratios, the simplest first.

    Args:
        columns: of the table.
        skipped: columns that are not looked at, as other rules tell them.
    """
    names = [name for name in columns.quantities if name not in skipped][:MOST_COLUMNS]
    if len(names) < 3:
        return ()
    sample_SP = np.stack([columns.quantities[n].values_N[columns.sample_S] for n in names], axis=1)
    rules: list[FoundRule] = []
    for combined in _ways(len(names)):
        for place, name in enumerate(names):
            if len(np.unique(sample_SP[:, place])) < _FEWEST_VALUES:
                continue
            for inputs in _left(columns.quantities[name], sample_SP, place, combined):
                kind = "ratio" if combined.divides else "product"
                chosen = (name, *(names[p] for p in inputs))
                rule = verify_product(columns, Constraint(kind=kind, columns=chosen))
                rules += [] if rule is None else [rule]
    order = {"product": 0, "ratio": 1}
    rules.sort(key=lambda r: (order[r.constraint.kind], len(r.constraint.columns)))
    return tuple(rules)


def _ways(count: int) -> Iterator[Combinations]:
    """Return products of two and three columns, ratios of two and three."""
    places, some = range(count), range(min(count, MOST_OF_THREE))
    twos = np.array(list(combinations(places, 2)), dtype=np.int64)
    yield _combined(twos[:, 0], twos[:, 1], np.full(len(twos), -1), divides=False)
    threes = np.array(list(combinations(some, 3)), dtype=np.int64).reshape(-1, 3)
    yield _combined(*threes.T, divides=False)
    both = np.concatenate([twos, twos[:, ::-1]])
    yield _combined(both[:, 0], both[:, 1], np.full(len(both), -1), divides=True)
    pairs = [(one, other) for one in some for other in some if one <= other]
    divided = [(top, *pair) for pair in pairs for top in some if top not in pair]
    yield _combined(*np.array(divided, dtype=np.int64).reshape(-1, 3).T, divides=True)


def _combined(over_C: Ints, first_C: Ints, second_C: Ints, *, divides: bool) -> Combinations:
    return Combinations(over_C=over_C, first_C=first_C, second_C=second_C, divides=divides)


def _left(
    result: Quantity, sample_SP: Floats, place: int, combined: Combinations
) -> Iterator[tuple[int, ...]]:
    """Return the combinations that give the result in all probed rows."""
    values_S = sample_SP[:, place]
    telling = np.flatnonzero(~np.isnan(values_S) & (values_S != 0))
    probes = telling[np.linspace(0, len(telling) - 1, min(_PROBES, len(telling))).astype(int)]
    chosen = combined.uses(place)
    for row in probes.tolist() if len(telling) else []:
        given_C = combined.at(np.append(sample_SP[row], 1.0), chosen)
        slack = result.step * (0.5 + 1e-6) + result.noise * abs(values_S[row]) + 1e-12
        chosen = chosen[~(np.abs(given_C - values_S[row]) > slack)]
        if not len(chosen):
            return
    for way in chosen[:_MOST_LEFT].tolist():
        used = (combined.over_C[way], combined.first_C[way], combined.second_C[way])
        yield tuple(int(p) for p in used if p >= 0)


def verify_product(columns: TableColumns, constraint: Constraint) -> FoundRule | None:
    """Return a product or a ratio as a rule where it holds in all rows and they tell it."""
    result, first, *others = (columns.quantities[name] for name in constraint.columns)
    computed_N = first.values_N.copy()
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for each in others:
            if constraint.kind == "product":
                computed_N = computed_N * each.values_N
            else:
                computed_N = np.where(each.values_N == 0, np.nan, computed_N / each.values_N)
    support = formula_support(result, computed_N, [], [first, *others])
    if support is None:
        return None
    return FoundRule(constraint=constraint, why=_sentence(constraint, result), support=support)


def _sentence(constraint: Constraint, result: Quantity) -> str:
    name, first, *others = constraint.columns
    if constraint.kind == "product":
        formula = " times ".join([first, *others])
    else:
        formula = f"{first} divided by {listed_names(others)}"
    digits = result.decimals
    rounded = "" if digits is None else f", rounded to {digits} decimals" if digits else ", rounded"
    return f"{name} is {formula}{rounded}, in all rows"
