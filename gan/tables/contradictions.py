"""Which constraints cannot be kept together, found before anything is trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from graphlib import CycleError, TopologicalSorter
from itertools import combinations, pairwise
from math import inf, isfinite, isnan

import numpy as np

from gan.errors import ConfigError
from gan.tables.columns.rules import TOGETHER, bound_text, describe, find_decided, in_turn
from storage.records.constraint import Constraint
from storage.records.functions import function_values
from storage.records.piecewise import piecewise
from storage.records.table_metadata import TableMetadata

NUMBERS = frozenset({"integer", "float", "decimal"})
MOMENTS = frozenset({"date", "timestamp"})
TIMES = frozenset({"time"})
LEARNT = NUMBERS | MOMENTS | TIMES | {"boolean", "category"}

FITTING: Mapping[str, tuple[frozenset[str], ...]] = {
    "range": (NUMBERS,),
    "sum": (NUMBERS,),
    "inequality": (NUMBERS, MOMENTS, TIMES),
    "product": (NUMBERS,),
    "ratio": (NUMBERS,),
    "linear": (NUMBERS,),
    "largest": (NUMBERS,),
    "smallest": (NUMBERS,),
    "piecewise": (NUMBERS,),
    "products": (NUMBERS,),
    "function": (NUMBERS,),
    "lookup": (LEARNT,),
    "one_of": (NUMBERS | {"boolean", "category", "constant"},),
    "conditional": (LEARNT,),
}
"""Kind of constraint → families of columns, of which all its columns must be of one."""
EACH_FITTING: Mapping[str, tuple[tuple[frozenset[str], ...], ...]] = {
    "difference": ((NUMBERS, MOMENTS, MOMENTS),),
    "band": ((LEARNT, NUMBERS), (LEARNT, NUMBERS, NUMBERS), (LEARNT, MOMENTS, MOMENTS)),
    "part": ((LEARNT, MOMENTS),),
    "rates": ((NUMBERS, LEARNT, NUMBERS),),
}
"""Kind of constraint → the family of each of its columns, in one way or several."""
REPEATING = frozenset({"product", "products", "ratio"})
"""Kinds that may name an input twice: a square, or a divisor."""

DERIVED = frozenset({"key", "text"})
"""Kinds of columns that are not learnt: they can only be constrained to be unique."""

Bound = tuple[float, Constraint | None]
"""A limit and the constraint that it comes from."""

Step = tuple[str, str, Constraint]
"""`below, above` and the inequality that puts one below the other."""


Interval = tuple[float, float]

ROUNDED = 1.0
"""A formula's value may move so far when it is rounded."""


def _times(one: Interval, other: Interval) -> Interval:
    """Return what products of two numbers reach; everything where that is not known."""
    ends = [a * b for a in one for b in other]
    return (-inf, inf) if any(map(isnan, ends)) else (min(ends), max(ends))


def _reach_of_sum(constraint: Constraint, inputs: Sequence[Interval]) -> Interval:
    weights = constraint.weights or (1.0,) * len(inputs)
    ends = [
        sorted((w * low, w * high)) for w, (low, high) in zip(weights, inputs, strict=True) if w
    ]
    offset = constraint.offset
    return offset + sum(low for low, _ in ends), offset + sum(high for _, high in ends)


def _reach_of_product(constraint: Constraint, inputs: Sequence[Interval]) -> Interval:
    many = len(constraint.factors)
    factors, added = list(inputs[:many]), inputs[many:]
    if constraint.rate:
        low, high = sorted(1 + constraint.rate * end for end in factors[-1])
        factors[-1] = low, high
    low, high = reduce(_times, factors, (constraint.scale, constraint.scale))
    for weight, ends in zip(constraint.weights, added, strict=True):
        least, most = sorted(weight * end for end in ends)
        low, high = low + least, high + most
    return low, high


def _reach_of_ratio(constraint: Constraint, inputs: Sequence[Interval]) -> Interval:
    low, high = reduce(_times, inputs[1:])
    if low <= 0 <= high or not (isfinite(low) and isfinite(high)):
        return -inf, inf
    parts, offset = [(1 / high, 1 / low), inputs[0]], constraint.offset
    low, high = reduce(_times, parts, (constraint.scale, constraint.scale))
    return low + offset, high + offset


def _reach_of_extreme(constraint: Constraint, inputs: Sequence[Interval]) -> Interval:
    chosen = max if constraint.kind == "largest" else min
    return chosen(low for low, _ in inputs), chosen(high for _, high in inputs)


def _reach_of_pieces(constraint: Constraint, inputs: Sequence[Interval]) -> Interval:
    low, high = inputs[0]
    if len(inputs) > 1:
        low, high = low - inputs[1][1], high - inputs[1][0]
    if not (isfinite(low) and isfinite(high)):
        return -inf, inf
    ends_E = np.array([low, *(cut for cut in constraint.cuts if low < cut < high), high])
    reached_E = piecewise(ends_E, constraint.cuts, constraint.weights, constraint.offset)
    return float(reached_E.min()), float(reached_E.max())


def _reach_of_products(constraint: Constraint, inputs: Sequence[Interval]) -> Interval:
    low = high = 0.0
    for (weight, *_), first, second in zip(
        constraint.pairs, inputs[::2], inputs[1::2], strict=True
    ):
        least, most = _times((weight, weight), _times(first, second))
        low, high = low + least, high + most
    return low, high


def _reach_of_function(constraint: Constraint, inputs: Sequence[Interval]) -> Interval:
    """Return what a function reaches: all of them rise; everything where an end is not known."""
    function = constraint.function or "log"
    sides = [reduce(_times, inputs)]
    if function == "length":
        sizes = [sorted((abs(low), abs(high))) for low, high in inputs]
        around = [low < 0 < high for low, high in inputs]
        sides = [(0.0 if both else s[0], s[1]) for s, both in zip(sizes, around, strict=True)]
    ends = [[np.array([end]) for end in side] for side in zip(*sides, strict=True)]
    low, high = (float(function_values(function, each, constraint.scale)[0]) for each in ends)
    return (-inf, inf) if isnan(low) or isnan(high) else (min(low, high), max(low, high))


def _reach_of_rates(constraint: Constraint, inputs: Sequence[Interval]) -> Interval:
    ends = [_times((weight, weight), inputs[1]) for weight in constraint.weights]
    return min(low for low, _ in ends), max(high for _, high in ends)


FORMULAS = {
    "largest": _reach_of_extreme,
    "smallest": _reach_of_extreme,
    "piecewise": _reach_of_pieces,
    "products": _reach_of_products,
    "function": _reach_of_function,
    "rates": _reach_of_rates,
    "sum": _reach_of_sum,
    "linear": _reach_of_sum,
    "product": _reach_of_product,
    "ratio": _reach_of_ratio,
}
"""Kind of constraint → what its numbers reach where those that it is computed from have ranges."""


def check_constraints(metadata: TableMetadata) -> None:
    """Check that the constraints name columns of fitting kinds and do not contradict each other.

    Raises:
        ConfigError: they do; the sentence names both.
    """
    constraints = metadata.constraints
    for each in constraints:
        _check_columns(each, metadata)
    _check_together(constraints)
    decided = in_turn(find_decided(constraints), constraints)
    bounds = ValueBounds()
    for each in constraints:
        if each.kind == "range":
            bounds.narrow(each)
    for step in ordered(constraints):
        bounds.follow(*step)
    for _, each in decided:
        bounds.meet(each)


def _check_columns(constraint: Constraint, metadata: TableMetadata) -> None:
    """Check that columns exist, appear once, and are of kinds that the constraint is for."""
    names = constraint.columns
    known = {column.name: column.kind for column in metadata.columns}
    for position, name in enumerate(names):
        if name not in known:
            msg = (
                f"{describe(constraint)} names column {name!r}, which the table does not have; its "
                f"columns are {', '.join(known)}"
            )
            raise ConfigError(msg)
        before = names[: min(position, 1)] if constraint.kind in REPEATING else names[:position]
        if name in before:
            msg = f"{describe(constraint)} names column {name!r} twice: name it once"
            raise ConfigError(msg)
    _check_kinds(constraint, known)
    compared = names[1:] if constraint.kind == "difference" else names
    if constraint.whole_days and not all(known[name] in MOMENTS for name in compared):
        other = next(name for name in compared if known[name] not in MOMENTS)
        msg = (
            f"{describe(constraint)} says whole_days, and column {other!r} is of kind "
            f"{known[other]}: it is for dates and timestamps, leave it out"
        )
        raise ConfigError(msg)
    wrong = [name for name in names if known[name] in DERIVED]
    names_a_row = constraint.kind == "unique" and "key" in {known[name] for name in names}
    if wrong and not names_a_row:
        msg = (
            f"{describe(constraint)} constrains column {wrong[0]!r}, whose values are not learnt "
            f"because its kind is {known[wrong[0]]}: remove it, or declare another kind"
        )
        raise ConfigError(msg)


def _check_kinds(constraint: Constraint, known: Mapping[str, str]) -> None:
    """Check that the columns are of kinds that the constraint is for."""
    names = constraint.columns
    families = FITTING.get(constraint.kind, ())
    ways = [way for way in EACH_FITTING.get(constraint.kind, ()) if len(way) == len(names)]
    fits = any(all(known[name] in family for name in names) for family in families)
    fits |= any(
        all(known[name] in family for name, family in zip(names, way, strict=True)) for way in ways
    )
    if fits or not (families or ways):
        return
    kinds = ", ".join(f"{name!r} is of kind {known[name]}" for name in dict.fromkeys(names))
    each_of = ways[0] if ways else ()
    texts = [" or ".join(sorted(family)) for family in families or each_of]
    msg = (
        f"{describe(constraint)} is for columns of kind {'; '.join(texts)}"
        f"{', in this order' if each_of else ''}, but {kinds}: "
        "remove it, or correct the kinds in source.columns"
    )
    raise ConfigError(msg)


def _check_together(constraints: Sequence[Constraint]) -> None:
    """Check that no column is learnt as one with the columns of two constraints."""
    joined = [each for each in constraints if each.kind in TOGETHER]
    for one, other in combinations(joined, 2):
        shared = sorted(set(one.columns) & set(other.columns))
        if shared:
            msg = (
                f"{describe(one)} and {describe(other)} share column {shared[0]!r}: name all "
                "their columns in one, as combinations"
            )
            raise ConfigError(msg)


def ordered(constraints: Sequence[Constraint]) -> list[Step]:
    """Return every step of the inequalities, from the lowest columns upwards.

    Raises:
        ConfigError: following them leads in a circle.
    """
    steps = [
        (below, above, each)
        for each in constraints
        if each.kind == "inequality"
        for below, above in pairwise(each.columns)
    ]
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for below, above, _ in steps:
        sorter.add(above, below)
    try:
        rank = {name: number for number, name in enumerate(sorter.static_order())}
    except CycleError as error:
        raise ConfigError(_circle(steps, error.args[1])) from error
    return sorted(steps, key=lambda step: rank[step[1]])


def _circle(steps: Sequence[Step], names: Sequence[str]) -> str:
    """Return the sentence on inequalities that lead in a circle."""
    pairs = {frozenset(pair) for pair in pairwise(names)}
    involved = {describe(each): None for below, above, each in steps if {below, above} in pairs}
    return (
        f"{' and '.join(involved)} lead in a circle through {', '.join(map(repr, names[:-1]))}: "
        "turn one of them round or remove it"
    )


@dataclass(kw_only=True)
class ValueBounds:
    """The smallest and largest value that each column may have, and why."""

    lows: dict[str, Bound] = field(default_factory=dict)
    highs: dict[str, Bound] = field(default_factory=dict)

    def low(self, name: str) -> Bound:
        """Return the lower limit of a column."""
        return self.lows.get(name, (float("-inf"), None))

    def high(self, name: str) -> Bound:
        """Return the upper limit of a column."""
        return self.highs.get(name, (float("inf"), None))

    def narrow(self, constraint: Constraint) -> None:
        """Add a range.

        Raises:
            ConfigError: it is empty, or does not meet another range of the column.
        """
        name = constraint.columns[0]
        if constraint.low is not None and constraint.low > self.low(name)[0]:
            self.lows[name] = (constraint.low, constraint)
        if constraint.high is not None and constraint.high < self.high(name)[0]:
            self.highs[name] = (constraint.high, constraint)
        self._meets(self.low(name), self.high(name), constraint, strict=False)

    def follow(self, below: str, above: str, constraint: Constraint) -> None:
        """Add a step of an inequality: what is above is at least as large.

        Raises:
            ConfigError: ranges leave no room for it.
        """
        low, high = self.low(below), self.high(above)
        self._meets(low, high, constraint, strict=constraint.strict)
        if low[0] > self.low(above)[0]:
            self.lows[above] = low

    def meet(self, constraint: Constraint) -> None:
        """Check a rule that decides a column against the ranges of the column and of its inputs.

        Raises:
            ConfigError: they leave no value.
        """
        name, *inputs = constraint.columns
        if constraint.kind == "conditional":
            self._meet_value(constraint)
        reach = FORMULAS.get(constraint.kind)
        if reach is None:
            return
        least, most = reach(
            constraint, [(self.low(each)[0], self.high(each)[0]) for each in inputs]
        )
        slack = 0.0 if constraint.kind == "sum" else ROUNDED
        what = "the parts are" if constraint.kind == "sum" else "the others give"
        if least - slack > self.high(name)[0]:
            self._refuse(constraint, self.high(name)[1], f"{what} at least {bound_text(least)}")
        if most + slack < self.low(name)[0]:
            self._refuse(constraint, self.low(name)[1], f"{what} at most {bound_text(most)}")

    def _meet_value(self, constraint: Constraint) -> None:
        """Check the value of a condition against the range of its column."""
        try:
            value = float(str(constraint.value))
        except ValueError:
            return
        (low, below), (high, above) = (
            side(constraint.columns[0]) for side in (self.low, self.high)
        )
        if value < low:
            self._refuse(constraint, below, f"{bound_text(value)} is below {bound_text(low)}")
        if value > high:
            self._refuse(constraint, above, f"{bound_text(value)} is above {bound_text(high)}")

    def _meets(self, low: Bound, high: Bound, constraint: Constraint, *, strict: bool) -> None:
        if low[0] < high[0] or (low[0] == high[0] and not strict):
            return
        others = [each for _, each in (low, high) if each is not None and each is not constraint]
        if not others:
            msg = f"{describe(constraint)} is empty: its low must be at most its high"
            raise ConfigError(msg)
        self._refuse(
            constraint, others[0], f"{bound_text(low[0])} is not below {bound_text(high[0])}"
        )

    def _refuse(self, one: Constraint, other: Constraint | None, why: str) -> None:
        which = describe(one) if other is None else f"{describe(one)} and {describe(other)}"
        msg = f"{which} contradict each other ({why}): correct or remove one of them"
        raise ConfigError(msg)
