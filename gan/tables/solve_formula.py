"""Formulas solved for one of their inputs.

What several values meet is solved in one way or the other, as where in its rounding the result is
taken to lie says: an absolute difference to one side or the other. What any value meets, such as
one beyond a limit, is not solved for.

Shapes: N rows.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from storage.records.constraint import Constraint
from storage.records.functions import solved_function
from storage.records.piecewise import piecewise

Array = np.ndarray[Any, Any]


def solved_for(
    rule: Constraint,
    name: str,
    result_N: Array,
    inputs: Mapping[str, Array],
    *,
    shift_N: Array | None,
    skips_null: bool,
) -> Array | None:
    """Return an input of a formula; NaN where there is none or any, None where none is solved for.

    Args:
        rule: of a kind that computes a number.
        name: of the input.
        result_N: what the formula gives.
        inputs: floats by name, NaN where null.
        shift_N: where in its rounding the result lies, -0.5 to 0.5; None: in the middle.
        skips_null: whether a null among the inputs counts as nothing.
    """
    if rule.kind in ("largest", "smallest"):
        return _solved_extreme(rule, name, result_N, inputs)
    if rule.kind == "piecewise":
        return _solved_pieces(rule, name, result_N, inputs, shift_N)
    if rule.kind == "products":
        return _solved_products(rule, name, result_N, inputs)
    if rule.kind == "function":
        others = [inputs[each] for each in rule.columns[1:] if each != name]
        found_N = solved_function(rule.function or "log", result_N, others, rule.scale)
        return np.where(np.isfinite(found_N), found_N, np.nan)
    if rule.kind == "linear":
        none = 0.0
        inputs = {each: _without_null(one, none, skips_null) for each, one in inputs.items()}
        return _solved_linear(rule, name, result_N, inputs)
    added = [each for _, each in rule.added]
    numbers = {
        each: _without_null(one, float(each not in added), skips_null)
        for each, one in inputs.items()
    }
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if rule.kind == "product":
            return _solved_product(rule, name, result_N, numbers)
        return _solved_ratio(rule, name, result_N, numbers)


def _without_null(numbers_N: Array, nothing: float, skips_null: bool) -> Array:  # noqa: FBT001
    return np.where(np.isnan(numbers_N) & skips_null, nothing, numbers_N)


def _solved_extreme(
    rule: Constraint, name: str, result_N: Array, inputs: Mapping[str, Array]
) -> Array:
    """Return the result where none of the others is it; NaN where any that is not beyond does."""
    others = [inputs[each] for each in rule.columns[1:] if each != name]
    chosen = np.maximum if rule.kind == "largest" else np.minimum
    beyond_N = chosen.reduce(others) == result_N
    return np.where(beyond_N, np.nan, result_N)


def _solved_pieces(
    rule: Constraint,
    name: str,
    result_N: Array,
    inputs: Mapping[str, Array],
    shift_N: Array | None,
) -> Array:
    """Return the input by the last piece that reaches the result, or by the first one."""
    low_N, high_N = np.full((2, len(result_N)), np.nan)
    ends = [-np.inf, *rule.cuts, np.inf]
    heights = piecewise(np.array(rule.cuts), rule.cuts, rule.weights, rule.offset)
    for (low, high), slope, near in zip(
        pairwise(ends), rule.weights, (0, *range(len(rule.cuts))), strict=True
    ):
        if slope:
            found_N = rule.cuts[near] + (result_N - heights[near]) / slope
            inside_N = (found_N >= low) & (found_N <= high)
            low_N = np.where(inside_N & np.isnan(low_N), found_N, low_N)
            high_N = np.where(inside_N, found_N, high_N)
    arguments_N = high_N if shift_N is None else np.where(shift_N < 0, low_N, high_N)
    first, *others = rule.columns[1:]
    if not others:
        return arguments_N
    if name == first:
        return np.asarray(inputs[others[0]] + arguments_N)
    return np.asarray(inputs[first] - arguments_N)


def _solved_products(
    rule: Constraint, name: str, result_N: Array, inputs: Mapping[str, Array]
) -> Array | None:
    """Return a factor of one product, or of several; None where one has it twice."""
    rest_N, times_N = result_N, np.zeros(len(result_N))
    for weight, one, other in rule.pairs:
        if one == other == name:
            return None
        if name in (one, other):
            times_N = times_N + weight * inputs[other if one == name else one]
        else:
            rest_N = rest_N - weight * inputs[one] * inputs[other]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(times_N == 0, np.nan, rest_N / times_N))


def _solved_linear(
    rule: Constraint, name: str, result_N: Array, inputs: Mapping[str, Array]
) -> Array:
    rest_N, weight = result_N - rule.offset, 0.0
    for one, each in zip(rule.weights, rule.columns[1:], strict=True):
        weight += one if each == name else 0.0
        rest_N = rest_N - (0.0 if each == name else one * inputs[each])
    return rest_N / weight if weight else np.full(len(rest_N), np.nan)


def _solved_ratio(
    rule: Constraint, name: str, result_N: Array, numbers: Mapping[str, Array]
) -> Array | None:
    """Return what is divided or a divisor; None where a column is both."""
    top, *below = rule.columns[1:]
    result_N = result_N - rule.offset
    divisor_N = np.prod(
        [np.ones(len(result_N)), *(numbers[each] for each in below if each != name)], axis=0
    )
    if name == top:
        return None if name in below else np.asarray(result_N * divisor_N / rule.scale)
    times = below.count(name)
    return _root(rule.scale * numbers[top] / (result_N * divisor_N), times)


def _solved_product(
    rule: Constraint, name: str, result_N: Array, numbers: Mapping[str, Array]
) -> Array | None:
    """Return the input of a product; None where it is an input in two ways."""
    rest_N = result_N - np.sum(
        [np.zeros(len(result_N)), *(w * numbers[each] for w, each in rule.added if each != name)],
        axis=0,
    )
    weight = sum(weight for weight, each in rule.added if each == name)
    *plain, last = (*rule.factors,) if rule.rate else (*rule.factors, "")
    times = plain.count(name)
    if (weight != 0) + (times > 0) + (bool(last) and name == last) > 1:
        return None
    others_N = rule.scale * np.prod(
        [np.ones(len(result_N)), *(numbers[each] for each in plain if each != name)], axis=0
    )
    if last and name != last:
        others_N = others_N * (1 + rule.rate * numbers[last])
    if weight:
        return np.asarray((rest_N - others_N) / weight)
    if times:
        return _root(rest_N / others_N, times)
    return np.asarray((rest_N / others_N - 1) / rule.rate)


def _root(numbers_N: Array, times: int) -> Array:
    """Return the numbers that are these when multiplied so many times with themselves."""
    if times == 1:
        return numbers_N
    return np.where(numbers_N >= 0, np.abs(numbers_N) ** (1 / times), np.nan)
