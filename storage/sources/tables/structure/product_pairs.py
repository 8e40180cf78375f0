"""Sums of two products: hours and overtime with their rates, two positions of an order.

A regression on the products of all pairs of columns says in one step which two give a column, and
how often each counts: 1.5 for overtime. What is left is computed exactly, then on all rows.

S rows of the sample, P columns, M products of two, T ways to add two products.
"""

from collections.abc import Collection, Iterator
from itertools import combinations
from typing import Final, NamedTuple, Self

import numpy as np

from storage.records.constraint import Constraint
from storage.sources.tables.structure.columns import Floats, Ints, TableColumns
from storage.sources.tables.structure.evidence import formula_support
from storage.sources.tables.structure.products import rounding_words
from storage.sources.tables.structure.rule import FoundRule
from storage.sources.tables.structure.simple_numbers import simple_number

MOST_COLUMNS: Final = 20
"""Of more columns, they are looked for among the first."""

_FEWEST_VALUES: Final = 20
_STEPS: Final = 5.0
_MOST_LEFT: Final = 20
_FEWEST_ROWS: Final = 200
_UNEXPLAINED: Final = 1e-9
"""A regression whose residuals are so small a share of the squares is looked at exactly."""
_APART: Final = 1e-7
"""Two products whose Gram determinant is smaller are one."""
_SURE: Final = 4.0


class ProductTerms(NamedTuple):
    """Products of all pairs of columns, and T ways to add two that differ."""

    pairs_M2: Ints
    products_SM: Floats
    """Of length one."""
    one_T: Ints
    other_T: Ints
    both_T: Floats
    """How much the two go together, from -1 to 1."""

    @classmethod
    def of(cls, values_SP: Floats) -> Self:
        """Multiply the columns of a sample."""
        places = range(values_SP.shape[1])
        pairs_M2 = np.array(list(combinations(places, 2)), dtype=np.int64)
        products_SM = values_SP[:, pairs_M2].prod(axis=2)
        size_M = np.linalg.norm(products_SM, axis=0)
        products_SM = products_SM / np.where(size_M > 0, size_M, 1.0)
        gram_MM = products_SM.T @ products_SM
        one_T, other_T = np.triu_indices(len(pairs_M2), 1)
        both_T = gram_MM[one_T, other_T]
        kept_T = (1 - both_T**2 > _APART) & (size_M > 0)[one_T] & (size_M > 0)[other_T]
        return cls(pairs_M2, products_SM, one_T[kept_T], other_T[kept_T], both_T[kept_T])


def find_product_pairs(
    columns: TableColumns, skipped: Collection[str], derived: Collection[str]
) -> tuple[FoundRule, ...]:
    """Return sums of two products, of those on the same columns the one whose result comes last.

    Args:
        columns: of the table.
        skipped: columns that are not looked at, as other rules tell them.
        derived: columns that other rules make.
    """
    rows = columns.sample_S
    sampled = {
        name: values_S
        for name, one in columns.quantities.items()
        if name not in skipped
        and not np.isnan(values_S := one.values_N[rows]).any()
        and values_S.std() > 0
    }
    names = list(sampled)[:MOST_COLUMNS]
    if len(names) < 4 or len(rows) < _FEWEST_ROWS:
        return ()
    values_SP = np.stack([sampled[name] for name in names], axis=1)
    terms = ProductTerms.of(values_SP)
    found: dict[frozenset[str], FoundRule] = {}
    for place, name in reversed(list(enumerate(names))):
        one = columns.quantities[name]
        few = len(np.unique(values_SP[:, place])) < _FEWEST_VALUES
        if name in derived or few or values_SP[:, place].std() < _STEPS * one.step:
            continue
        for used, weights in _left(terms, values_SP, place, one.step):
            rule = _rule(columns, (name, *(names[at] for at in used)), weights)
            if rule is not None:
                found.setdefault(frozenset(rule.constraint.columns), rule)
    return tuple(found.values())


def _left(
    terms: ProductTerms, values_SP: Floats, place: int, step: float
) -> Iterator[tuple[tuple[int, ...], tuple[float, float]]]:
    """Yield the columns of two products that give a result in the sample, and their weights."""
    result_S = values_SP[:, place]
    size = float(result_S @ result_S)
    shared_M = terms.products_SM.T @ result_S / np.sqrt(size)
    free_M = (terms.pairs_M2 != place).all(axis=1)
    a_T, b_T = shared_M[terms.one_T], shared_M[terms.other_T]
    left_T = 1 - (a_T**2 + b_T**2 - 2 * a_T * b_T * terms.both_T) / (1 - terms.both_T**2)
    bound = _UNEXPLAINED + 4 * len(result_S) * step**2 / 12 / size
    small_T = np.flatnonzero((left_T <= bound) & free_M[terms.one_T] & free_M[terms.other_T])
    for at in small_T[np.argsort(left_T[small_T])][:_MOST_LEFT].tolist():
        pairs = terms.pairs_M2[[terms.one_T[at], terms.other_T[at]]]
        terms_S2 = values_SP[:, pairs].prod(axis=2)
        weights = _weights(terms_S2, result_S, step)
        if weights is not None:
            yield tuple(pairs.ravel().tolist()), weights


def _weights(terms_S2: Floats, result_S: Floats, step: float) -> tuple[float, float] | None:
    """Return how many times two terms count, as people write it; None where they do not fit.

    Equal rows count once: they are rounded alike, so that many make no weight surer.
    """
    rows_S3 = np.unique(np.column_stack([terms_S2, result_S]), axis=0)
    terms_S2, result_S = rows_S3[:, :2], rows_S3[:, 2]
    weights_2, *_ = np.linalg.lstsq(terms_S2, result_S, rcond=None)
    off_S = np.abs(result_S - terms_S2 @ weights_2)
    size = float(np.abs(result_S).max())
    if off_S.max() > step + 1e-9 * size:
        return None
    spread = max(step / np.sqrt(12), 1e-10 * size)
    errors_2 = _SURE * spread * np.sqrt(np.diag(np.linalg.pinv(terms_S2.T @ terms_S2)))
    first, second = (
        simple_number(weight, max(error, 1e-9 * abs(weight)))
        for weight, error in zip(weights_2, errors_2, strict=True)
    )
    return (first, second) if first and second else None


def _rule(
    columns: TableColumns, used: tuple[str, ...], weights: tuple[float, float]
) -> FoundRule | None:
    """Return the rule if all rows keep it and enough of them tell it."""
    factors = [columns.quantities[name].values_N for name in used[1:]]
    terms = [weight * factors[2 * at] * factors[2 * at + 1] for at, weight in enumerate(weights)]
    one = columns.quantities[used[0]]
    support = formula_support(one, terms[0] + terms[1], terms)
    if support is None:
        return None
    said = () if weights == (1.0, 1.0) else weights
    constraint = Constraint(kind="products", columns=used, weights=said)
    texts = [_term(weight, *used[1 + 2 * at : 3 + 2 * at]) for at, weight in enumerate(weights)]
    formula = " ".join(texts).removeprefix("plus ")
    why = f"{used[0]} is {formula}{rounding_words(one.decimals)}, in all rows"
    return FoundRule(constraint=constraint, why=why, support=support)


def _term(weight: float, first: str, second: str) -> str:
    times = "" if abs(weight) == 1 else f"{abs(weight):.10g} times "
    return f"{'minus' if weight < 0 else 'plus'} {times}{first} times {second}"
