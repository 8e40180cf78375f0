"""What formulas say of the columns that they name: numbers of every row, before rounding.

    product     scale · columns[1] · columns[2] · …
    ratio       scale · columns[1] / (columns[2] · columns[3] · …)
    linear      offset + Σ weights · columns[1:]
    difference  columns[1] - columns[2], moments, in the unit
    products    Σ weights · columns[1] · columns[2], then columns[3] · columns[4], …
    largest     the largest of columns[1:], or smallest
    piecewise   straight between cuts, of columns[1], less columns[2]
    rates       columns[2] · the weight of the level of columns[1]
    function    a logarithm, exponential or root of scale · columns[1] · columns[2] · …

A null among the inputs gives none. A null that counts as nothing is 0 in a linear formula, 1 in
a product and among the divisors, and neither the largest nor the smallest.

Shapes: N rows.
"""

from collections.abc import Mapping
from functools import reduce
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from gan.errors import DataError
from gan.tables.columns.moments import seconds_between
from gan.tables.columns.rounding import Rounding, as_floats, noise_of
from gan.tables.columns.texts import equals
from gan.tables.columns.values import NumberError, plain
from storage.records.constraint import Constraint
from storage.records.functions import function_values
from storage.records.moment_parts import UNIT_SECONDS, WHOLE_UNITS, days, whole_months
from storage.records.piecewise import piecewise

Array = np.ndarray[Any, Any]


class Computed(NamedTuple):
    """What a formula gives."""

    numbers_N: Array
    """float64; NaN where an input is null or the formula has no value."""
    size_N: Array
    """float64: the size of its largest term, for what floats lose when terms cancel out."""
    known_N: Array
    """bool: whether no input is null."""


def compute(rule: Constraint, columns: Mapping[str, Any], *, skips_null: bool = False) -> Computed:
    """Return the numbers of a formula.

    Args:
        rule: of a kind above.
        columns: plain Arrow columns by name.
        skips_null: whether a null among the inputs counts as nothing.
    """
    if rule.kind == "difference":
        return _passed(rule, columns)
    if rule.kind == "rates":
        rates_N, numbers_N = rates_of(rule, columns), as_floats(columns[rule.columns[2]])
        found_N = rates_N * numbers_N
        return Computed(found_N, np.abs(found_N), ~np.isnan(found_N))
    inputs = [as_floats(columns[name]) for name in rule.columns[1:]]
    way = _OTHERS.get(rule.kind, _product_ratio_or_sum)
    return way(rule, inputs, skips_null=skips_null)


def rates_of(rule: Constraint, columns: Mapping[str, Any]) -> Array:
    """Return the rate of every row's level, NaN for one that has none."""
    level = plain(columns[rule.columns[1]])
    rates_N = np.full(len(level), np.nan)
    for text, weight in zip(rule.levels, rule.weights, strict=True):
        rates_N[equals(level, text)] = weight
    return rates_N


def _product_ratio_or_sum(rule: Constraint, inputs: list[Array], *, skips_null: bool) -> Computed:
    """Return a product, a ratio or a linear formula of its inputs."""
    if rule.rate:
        last = len(rule.factors) - 1
        inputs[last] = 1 + rule.rate * inputs[last]
    known_N = ~np.any([np.isnan(each) for each in inputs], axis=0)
    if skips_null:
        neutral = 0.0 if rule.kind == "linear" else 1.0
        first = 1 if rule.kind == "ratio" else 0
        none_N = np.all([np.isnan(each) for each in inputs], axis=0)
        neutrals = [neutral] * len(inputs)
        if rule.kind == "product":
            neutrals[len(rule.factors) :] = [0.0] * len(rule.added)
        inputs = [
            *inputs[:first],
            *(
                np.where(np.isnan(each) & ~none_N, nothing, each)
                for each, nothing in zip(inputs[first:], neutrals[first:], strict=True)
            ),
        ]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if rule.kind == "product":
            many = len(rule.factors)
            numbers_N = reduce(np.multiply, inputs[:many]) * rule.scale
            if rule.weights:
                added = zip(rule.weights, inputs[many:], strict=True)
                terms = [numbers_N, *(weight * each for weight, each in added)]
                return Computed(reduce(np.add, terms), np.max(np.abs(terms), axis=0), known_N)
        elif rule.kind == "ratio":
            numbers_N = rule.scale * inputs[0] / reduce(np.multiply, inputs[1:])
            size_N = np.maximum(np.abs(numbers_N), abs(rule.offset))
            return Computed(numbers_N + rule.offset, size_N, known_N)
        else:
            terms = [weight * each for weight, each in zip(rule.weights, inputs, strict=True)]
            numbers_N = reduce(np.add, terms) + rule.offset
            size_N = np.max(np.abs([*terms, np.full(len(terms[0]), rule.offset)]), axis=0)
            return Computed(numbers_N, size_N, known_N)
    return Computed(numbers_N, np.abs(numbers_N), known_N)


def _passed(rule: Constraint, columns: Mapping[str, Any]) -> Computed:
    """Return the time from one moment to another, in the unit."""
    later, earlier = (columns[name] for name in rule.columns[1:])
    if str(rule.unit) in WHOLE_UNITS:
        numbers_N = np.floor(whole_months(later, earlier) / WHOLE_UNITS[str(rule.unit)])
        return Computed(numbers_N, np.abs(numbers_N), ~np.isnan(numbers_N))
    if rule.whole_days:
        later, earlier = days(later), days(earlier)
    seconds_N, known_N = seconds_between(later, earlier)
    numbers_N = np.where(known_N, seconds_N / UNIT_SECONDS[rule.unit or "seconds"], np.nan)
    return Computed(numbers_N, np.abs(numbers_N), known_N)


def _extreme(rule: Constraint, inputs: list[Array], *, skips_null: bool) -> Computed:
    """Return the largest or the smallest of some inputs."""
    known_N = ~np.any([np.isnan(each) for each in inputs], axis=0)
    among = (np.fmax, np.fmin) if skips_null else (np.maximum, np.minimum)
    numbers_N = reduce(among[rule.kind == "smallest"], inputs)
    return Computed(numbers_N, np.abs(numbers_N), known_N)


def _pieces(rule: Constraint, inputs: list[Array], *, skips_null: bool) -> Computed:
    """Return a function of an input, or of the difference of two, that is straight in pieces."""
    del skips_null  # there is one argument
    arguments_N = inputs[0] - inputs[1] if len(inputs) > 1 else inputs[0]
    numbers_N = piecewise(arguments_N, rule.cuts, rule.weights, rule.offset)
    size_N = np.max(np.abs([*inputs, numbers_N]), axis=0)
    return Computed(numbers_N, size_N, ~np.isnan(arguments_N))


def _products(rule: Constraint, inputs: list[Array], *, skips_null: bool) -> Computed:
    """Return the sum of products of two."""
    known_N = ~np.any([np.isnan(each) for each in inputs], axis=0)
    factors = zip(rule.pairs, inputs[::2], inputs[1::2], strict=True)
    terms = [weight * first_N * second_N for (weight, *_), first_N, second_N in factors]
    if skips_null:
        none_N = np.all(np.isnan(terms), axis=0)
        terms = [np.where(np.isnan(term_N) & ~none_N, 0.0, term_N) for term_N in terms]
    return Computed(np.sum(terms, axis=0), np.max(np.abs(terms), axis=0), known_N)


def _function(rule: Constraint, inputs: list[Array], *, skips_null: bool) -> Computed:
    """Return a logarithm, an exponential or a root of the product of some inputs."""
    del skips_null  # of nothing there is none
    known_N = ~np.any([np.isnan(each) for each in inputs], axis=0)
    numbers_N = function_values(rule.function or "log", inputs, rule.scale)
    return Computed(numbers_N, np.abs(numbers_N), known_N)


class _Computes(Protocol):
    def __call__(self, rule: Constraint, inputs: list[Array], *, skips_null: bool) -> Computed: ...


_OTHERS: Mapping[str, _Computes] = {
    "largest": _extreme,
    "smallest": _extreme,
    "piecewise": _pieces,
    "products": _products,
    "function": _function,
}
"""Kind of formula → what computes it of its inputs, and of whether a null counts as nothing."""


def learn_rounding(rule: Constraint, columns: Mapping[str, Any], name: str) -> Rounding:
    """Return how a formula's numbers become the values of one of its columns.

    Args:
        rule: the formula.
        columns: plain Arrow columns of real rows.
        name: of the column; infinite values in it are not compared.

    Raises:
        DataError: its numbers are too large.
    """
    numbers_N, involved = compute(rule, columns).numbers_N, {n: columns[n] for n in rule.columns}
    column = columns[name]
    if pa.types.is_floating(column.type):
        values = column.to_numpy(zero_copy_only=False)
        column = pa.array(values, type=column.type, mask=~np.isfinite(values))
    try:
        return Rounding.learn(numbers_N, column, noise_of(involved))
    except NumberError as error:
        msg = f"column {name!r} {error}"
        raise DataError(msg) from error
