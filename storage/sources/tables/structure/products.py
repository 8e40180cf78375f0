"""Products and ratios: a column that is others multiplied or divided, rounded as it is.

Both may have a factor, such as 0.01 where a rate is in percent. Each row allows the factors that
give its value once rounded; the simplest number is taken that all rows allow.

Every product of two or three columns, every square, and every ratio with one divisor or two (one of
them twice for a square), is tried on one row of the sample, which leaves few, these on the next
row, and so on; what is left is verified on all rows. The rows are such in which the result is not
zero.

P columns, C combinations of them, N rows.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final, Literal, Self

import numpy as np

from storage.records.constraint import Constraint
from storage.sources.tables.structure.columns import Floats, Ints, Quantity, TableColumns
from storage.sources.tables.structure.evidence import formula_support
from storage.sources.tables.structure.rule import FoundRule, listed_names
from storage.sources.tables.structure.simple_numbers import number_text, simple_number

Operation = Literal["product", "ratio"]

MOST_COLUMNS: Final = 120
"""Of more columns, products and ratios are looked for among the first."""

MOST_OF_THREE: Final = 50
"""The same, for those of three columns."""

_PROBES: Final = 24
_MOST_LEFT: Final = 40
_FEWEST_VALUES: Final = 3
_STEPS: Final = 5.0
"""A result with a factor varies by so many of its steps, or some factor fits any formula."""

_UNROUNDED: Final = 16
"""Decimals of a column that no number of decimals writes."""

_POINTS: Final = 10
"""So many different inputs must tell each number of a formula with a factor."""


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

    @classmethod
    def of_two(cls, pairs: Iterable[tuple[int, int]], *, divides: bool) -> Self:
        """Return the products, or ratios, of pairs of columns."""
        over_C, first_C = np.array(list(pairs), dtype=np.int64).T
        return cls(
            over_C=over_C, first_C=first_C, second_C=np.full_like(over_C, -1), divides=divides
        )

    def without(self, place: int) -> Self:
        """Return those that do not use a column."""
        used_C = (self.over_C == place) | (self.first_C == place) | (self.second_C == place)
        left = (array_C[~used_C] for array_C in (self.over_C, self.first_C, self.second_C))
        over_C, first_C, second_C = left
        return replace(self, over_C=over_C, first_C=first_C, second_C=second_C)


Remaining = Callable[[Quantity, Floats, Floats, Combinations], Iterator[tuple[int, ...]]]
"""From a result, its values and all columns' in the sample to the combinations that are left."""


def find_products(columns: TableColumns, skipped: Collection[str]) -> tuple[FoundRule, ...]:
    """Return products, then ratios, the simplest first.

    Args:
        columns: of the table.
        skipped: columns that are not looked at, as other rules tell them.
    """
    rules = []
    for kind, chosen in candidates(columns, skipped, remaining):
        result, *inputs = (columns.quantities[name] for name in chosen)
        if kind == "product" and len(set(chosen)) < 3 and not _has_points(columns, inputs):
            continue
        given_N = at_zero(columns, result, computed(kind, inputs), inputs)
        support = formula_support(result, given_N, [], inputs)
        if support is not None:
            constraint = Constraint(kind=kind, columns=chosen)
            why = _sentence(constraint, result)
            rules.append(FoundRule(constraint=constraint, why=why, support=support))
    return likeliest(rules, columns)


def find_scaled(columns: TableColumns, skipped: Collection[str]) -> tuple[FoundRule, ...]:
    """Return products, then ratios, that have a factor, the simplest first.

    Args:
        columns: of the table.
        skipped: columns that are not looked at, as other rules tell them.
    """
    rules = []
    for kind, chosen in candidates(columns, skipped, remaining_scaled):
        result, *inputs = (columns.quantities[name] for name in chosen)
        for scale in _scales(result, computed(kind, inputs), columns.sample_S):
            if not _has_points(columns, inputs):
                break
            given_N = at_zero(columns, result, computed(kind, inputs, scale), inputs)
            support = formula_support(result, given_N, [], inputs)
            if support is not None:
                constraint = Constraint(kind=kind, columns=chosen, scale=scale)
                why = _sentence(constraint, result)
                rules.append(FoundRule(constraint=constraint, why=why, support=support))
                break
    return likeliest(rules, columns)


def _has_points(columns: TableColumns, inputs: Sequence[Quantity]) -> bool:
    """Whether the inputs have points enough: a square, or what has a factor, meets few of any."""
    rows = columns.sample_S
    points = np.unique(np.stack([one.values_N[rows] for one in inputs], axis=1), axis=0)
    return len(points) >= _POINTS * (len(inputs) + 1)


def _scales(result: Quantity, given_N: Floats, rows: Ints) -> Iterator[float]:
    """Return the simplest factors by which all rows are met, rounded to the nearest, down, up."""
    values_S, given_S = result.values_N[rows], given_N[rows]
    telling = ~np.isnan(values_S * given_S) & (given_S != 0)
    if not telling.any():
        return
    values_S, given_S = values_S[telling], given_S[telling]
    slack_S = result.noise * np.abs(values_S) + 1e-12
    for below, above in ((-0.5, 0.5), (0.0, 1.0), (-1.0, 0.0)):
        ends = np.stack([values_S + below * result.step, values_S + above * result.step])
        limits = np.sort((ends + np.array([[-1.0], [1.0]]) * slack_S) / given_S, axis=0)
        low, high = float(limits[0].max()), float(limits[1].min())
        scale = simple_number((low + high) / 2, (high - low) / 2) if low < high else None
        if scale and scale != 1:
            yield scale
        if not result.step:
            return


def likeliest(rules: Iterable[FoundRule], columns: TableColumns) -> tuple[FoundRule, ...]:
    """Return of the rules on the same columns the one that was computed; products come first.

    That is the one that needs no rounding, or else the one whose result has the most decimals:
    where shares have three, a count is a share times the total by rounding alone; what is not
    rounded at all has most. Of equal ones the result is the column that comes last.
    """
    best: dict[frozenset[str], tuple[bool, int, bool, int, FoundRule]] = {}
    for rule in rules:
        kind: Operation = "product" if rule.constraint.kind == "product" else "ratio"
        name, *others = rule.constraint.columns
        inputs, result = [columns.quantities[other] for other in others], columns.quantities[name]
        given_N = computed(kind, inputs, rule.constraint.scale)
        off_N = np.abs(result.values_N - given_N)
        rounds = bool((off_N > 10 * result.noise * np.abs(given_N) + 1e-12).any())
        decimals = _UNROUNDED if result.decimals is None else result.decimals
        ranked = (rounds, -decimals, kind == "ratio", -columns.names.index(name), rule)
        place = frozenset(rule.constraint.columns)
        best[place] = min(best.get(place, ranked), ranked, key=lambda one: one[:-1])
    chosen = [rule for *_, rule in best.values()]
    return tuple(sorted(chosen, key=lambda r: (r.constraint.kind, len(r.constraint.columns))))


def candidates(
    columns: TableColumns, skipped: Collection[str], left: Remaining
) -> Iterator[tuple[Operation, tuple[str, ...]]]:
    """Return products and ratios that hold in some rows of the sample.

    Args:
        columns: of the table.
        skipped: columns that are not looked at, as other rules tell them.
        left: which combinations give a result in all probed rows.
    """
    names = columns.numbers(skipped, MOST_COLUMNS)
    if len(names) < 3:
        return
    rows = columns.sample_S
    sample_SP = np.stack([columns.quantities[name].values_N[rows] for name in names], axis=1)
    for combined in _ways(len(names)):
        kind: Operation = "ratio" if combined.divides else "product"
        for place, name in enumerate(names):
            result = columns.quantities[name]
            values_S = result.values_N[rows]
            if len(np.unique(values_S)) >= _FEWEST_VALUES:
                some = left(result, values_S, sample_SP, combined.without(place))
                yield from ((kind, (name, *(names[p] for p in used))) for used in some)


def _ways(count: int) -> Iterator[Combinations]:
    """Return products of two and three columns, ratios of two and three."""
    places, some = range(count), range(min(count, MOST_OF_THREE))
    twos = np.array(list(combinations(places, 2)), dtype=np.int64)
    squares = np.repeat(np.arange(count)[:, None], 2, axis=1)
    products = np.concatenate([twos, squares])
    yield _combined(products[:, 0], products[:, 1], np.full(len(products), -1), divides=False)
    threes = np.array(list(combinations(some, 3)), dtype=np.int64).reshape(-1, 3)
    yield _combined(*threes.T, divides=False)
    both = np.concatenate([twos, twos[:, ::-1]])
    yield _combined(both[:, 0], both[:, 1], np.full(len(both), -1), divides=True)
    pairs = [(one, other) for one in some for other in some if one <= other]
    divided = [(top, *pair) for pair in pairs for top in some if top not in pair]
    yield _combined(*np.array(divided, dtype=np.int64).reshape(-1, 3).T, divides=True)


def _combined(over_C: Ints, first_C: Ints, second_C: Ints, *, divides: bool) -> Combinations:
    return Combinations(over_C=over_C, first_C=first_C, second_C=second_C, divides=divides)


def remaining(
    result: Quantity, values_S: Floats, sample_SP: Floats, combined: Combinations
) -> Iterator[tuple[int, ...]]:
    """Return the combinations that give the result in all probed rows."""
    chosen = np.arange(len(combined.over_C))
    probes = _probed(values_S)
    for row in probes:
        given_C = combined.at(np.append(sample_SP[row], 1.0), chosen)
        chosen = chosen[~(np.abs(given_C - values_S[row]) > _slack(result, values_S[row]))]
        if not len(chosen):
            break
    yield from _used(combined, chosen if probes else chosen[:0])


def remaining_scaled(
    result: Quantity, values_S: Floats, sample_SP: Floats, combined: Combinations
) -> Iterator[tuple[int, ...]]:
    """Return the combinations that one factor turns into the result in all probed rows."""
    if np.nanstd(values_S) < _STEPS * result.step:
        return
    chosen = np.arange(len(combined.over_C))
    low_C, high_C = np.full(len(chosen), -np.inf), np.full(len(chosen), np.inf)
    probes = _probed(values_S)
    for row in probes:
        given_C = combined.at(np.append(sample_SP[row], 1.0), chosen)
        slack = _slack(result, values_S[row])
        with np.errstate(divide="ignore", invalid="ignore"):
            middle_C, reach_C = values_S[row] / given_C, slack / np.abs(given_C)
            low_C = np.fmax(low_C, np.where(np.isinf(given_C), -np.inf, middle_C - reach_C))
            high_C = np.fmin(high_C, np.where(np.isinf(given_C), np.inf, middle_C + reach_C))
        keep_C = (low_C <= high_C) & (given_C != 0)
        chosen, low_C, high_C = chosen[keep_C], low_C[keep_C], high_C[keep_C]
        if not len(chosen):
            break
    yield from _used(combined, chosen if probes else chosen[:0])


def _probed(values_S: Floats) -> list[int]:
    """Return rows in which the result is not zero, evenly spread."""
    telling = np.flatnonzero(~np.isnan(values_S) & (values_S != 0))
    places = np.linspace(0, len(telling) - 1, min(_PROBES, len(telling))).astype(int)
    return [int(row) for row in telling[places]]


def _slack(result: Quantity, value: float) -> float:
    """Return how far a computed number may be from a value."""
    return float(result.step * (1 + 1e-6) + result.noise * abs(value) + 1e-12)


def _used(combined: Combinations, chosen: Ints) -> Iterator[tuple[int, ...]]:
    """Return the columns of combinations, of many the first ones."""
    for way in chosen[:_MOST_LEFT].tolist():
        used = (combined.over_C[way], combined.first_C[way], combined.second_C[way])
        yield tuple(int(p) for p in used if p >= 0)


def computed(kind: Operation, inputs: Sequence[Quantity], scale: float = 1.0) -> Floats:
    """Return what a product or a ratio gives; NaN where it divides by zero."""
    first, *others = (one.values_N for one in inputs)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for each_N in others:
            first = first * each_N if kind == "product" else first / each_N
    return np.where(np.isfinite(first), first * scale, np.nan)


def at_zero(
    columns: TableColumns, result: Quantity, given_N: Floats, inputs: Sequence[Quantity]
) -> Floats:
    """Return what a formula gives; where it divides by zero, the one value that all rows have.

    That may be zero in any number of rows; where a row has none, the formula gives none.
    """
    known_N = np.all([~np.isnan(one.values_N) for one in inputs], axis=0)
    zero_N = known_N & np.isnan(given_N) & ~np.isnan(result.values_N)
    values = np.unique(result.values_N[zero_N]) if zero_N.any() else np.empty(0)
    if len(values) != 1 or (values[0] != 0 and zero_N.sum() < columns.least_shown):
        return given_N
    return np.where(zero_N, values[0], given_N)


def _sentence(constraint: Constraint, result: Quantity) -> str:
    name, first, *others = constraint.columns
    if constraint.kind == "product":
        formula = " times ".join([first, *others])
    else:
        formula = f"{first} divided by {listed_names(others)}"
    factor = "" if constraint.scale == 1 else f"{number_text(constraint.scale)} times "
    return f"{name} is {factor}{formula}{rounding_words(result.decimals)}, in all rows"


def rounding_words(decimals: int | None) -> str:
    """Return how a sentence says that a formula is rounded."""
    if not decimals:
        return "" if decimals is None else ", rounded"
    return f", rounded to {decimals} decimal{'s' if decimals > 1 else ''}"
