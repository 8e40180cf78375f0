"""Products and ratios: a column that is others multiplied or divided, rounded as it is.

Every product of two or three columns, and every ratio with one divisor or two (one of them twice
for a square), is tried on one row of the sample, which leaves few, these on the next row, and so
on; what is left is verified on all rows. The rows are such in which the result is not zero.

P columns, C combinations of them, N rows.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final, Literal, Self

import numpy as np

from storage.records.schema import Constraint
from storage.sources.tables.structure.columns import Floats, Ints, Quantity, TableColumns
from storage.sources.tables.structure.evidence import formula_support
from storage.sources.tables.structure.rule import FoundRule, listed_names

Operation = Literal["product", "ratio"]

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

    def without(self, place: int) -> Self:
        """Return those that do not use a column."""
        used_C = (self.over_C == place) | (self.first_C == place) | (self.second_C == place)
        left = (array_C[~used_C] for array_C in (self.over_C, self.first_C, self.second_C))
        over_C, first_C, second_C = left
        return replace(self, over_C=over_C, first_C=first_C, second_C=second_C)


def find_products(columns: TableColumns, skipped: Collection[str]) -> tuple[FoundRule, ...]:
    """Return products, then ratios, the simplest first.

    Args:
        columns: of the table.
        skipped: columns that are not looked at, as other rules tell them.
    """
    rules = []
    for kind, chosen in candidates(columns, columns.quantities, skipped):
        result, *inputs = (columns.quantities[name] for name in chosen)
        given_N = _at_zero(columns, result, computed(kind, inputs), inputs)
        support = formula_support(result, given_N, [], inputs)
        if support is not None:
            constraint = Constraint(kind=kind, columns=chosen)
            why = _sentence(constraint, result)
            rules.append(FoundRule(constraint=constraint, why=why, support=support))
    return likeliest(rules, columns, columns.quantities)


def likeliest(
    rules: Iterable[FoundRule], columns: TableColumns, results: Mapping[str, Quantity]
) -> tuple[FoundRule, ...]:
    """Return of the rules on the same columns the one that was computed; products come first.

    That is the one that needs no rounding, or else the one whose result has the most decimals:
    where shares have three, a count is a share times the total by rounding alone. Of equal ones the
    result is the column that comes last.
    """
    best: dict[frozenset[str], tuple[bool, int, bool, int, FoundRule]] = {}
    for rule in rules:
        kind: Operation = "product" if rule.constraint.kind == "product" else "ratio"
        name, *others = rule.constraint.columns
        given_N = computed(kind, [columns.quantities[other] for other in others])
        size_N = np.abs(given_N)
        off_N = np.abs(results[name].values_N - given_N)
        rounds = bool((off_N > 10 * results[name].noise * size_N + 1e-12).any())
        decimals = columns.quantities[name].decimals or 0
        ranked = (rounds, -decimals, kind == "ratio", -columns.names.index(name), rule)
        place = frozenset(rule.constraint.columns)
        best[place] = min(best.get(place, ranked), ranked, key=lambda one: one[:-1])
    chosen = [rule for *_, rule in best.values()]
    return tuple(sorted(chosen, key=lambda r: (r.constraint.kind, len(r.constraint.columns))))


def candidates(
    columns: TableColumns, results: Mapping[str, Quantity], skipped: Collection[str]
) -> Iterator[tuple[Operation, tuple[str, ...]]]:
    """Return products and ratios that hold in some rows of the sample.

    Args:
        columns: of the table.
        results: its columns of numbers, or the same in other units, that the formulas give.
        skipped: columns that are not looked at, as other rules tell them.
    """
    names = [name for name in columns.quantities if name not in skipped][:MOST_COLUMNS]
    if len(names) < 3:
        return
    rows = columns.sample_S
    sample_SP = np.stack([columns.quantities[name].values_N[rows] for name in names], axis=1)
    for combined in _ways(len(names)):
        kind: Operation = "ratio" if combined.divides else "product"
        for place, name in enumerate(names):
            values_S = results[name].values_N[rows]
            if len(np.unique(values_S)) >= _FEWEST_VALUES:
                left = _left(results[name], values_S, sample_SP, combined.without(place))
                yield from ((kind, (name, *(names[p] for p in used))) for used in left)


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
    result: Quantity, values_S: Floats, sample_SP: Floats, combined: Combinations
) -> Iterator[tuple[int, ...]]:
    """Return the combinations that give the result in all probed rows."""
    telling = np.flatnonzero(~np.isnan(values_S) & (values_S != 0))
    probes = telling[np.linspace(0, len(telling) - 1, min(_PROBES, len(telling))).astype(int)]
    chosen = np.arange(len(combined.over_C))
    for row in probes.tolist() if len(telling) else []:
        given_C = combined.at(np.append(sample_SP[row], 1.0), chosen)
        slack = result.step * (1 + 1e-6) + result.noise * abs(values_S[row]) + 1e-12
        chosen = chosen[~(np.abs(given_C - values_S[row]) > slack)]
        if not len(chosen):
            return
    for way in chosen[:_MOST_LEFT].tolist():
        used = (combined.over_C[way], combined.first_C[way], combined.second_C[way])
        yield tuple(int(p) for p in used if p >= 0)


def computed(kind: Operation, inputs: Sequence[Quantity]) -> Floats:
    """Return what a product or a ratio gives; NaN where it divides by zero."""
    first, *others = (one.values_N for one in inputs)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for each_N in others:
            first = first * each_N if kind == "product" else first / each_N
    return np.where(np.isfinite(first), first, np.nan)


def _at_zero(
    columns: TableColumns, result: Quantity, given_N: Floats, inputs: Sequence[Quantity]
) -> Floats:
    """Return what a formula gives, where it divides by zero the one value that all rows have."""
    known_N = np.all([~np.isnan(one.values_N) for one in inputs], axis=0)
    zero_N = known_N & np.isnan(given_N)
    values = np.unique(result.values_N[zero_N])
    if len(values) != 1 or zero_N.sum() < columns.least_shown:
        return given_N
    return np.where(zero_N, values[0], given_N)


def _sentence(constraint: Constraint, result: Quantity) -> str:
    name, first, *others = constraint.columns
    if constraint.kind == "product":
        formula = " times ".join([first, *others])
    else:
        formula = f"{first} divided by {listed_names(others)}"
    return f"{name} is {formula}{_rounding(result.decimals)}, in all rows"


def _rounding(decimals: int | None) -> str:
    if not decimals:
        return "" if decimals is None else ", rounded"
    return f", rounded to {decimals} decimal{'s' if decimals > 1 else ''}"
