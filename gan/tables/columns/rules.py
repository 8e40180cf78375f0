"""What rules between columns say: in words, which column each decides, and in which order.

A sum, a product, a ratio, a linear or piecewise formula, a function, the largest or smallest, a
band, a lookup or a part decides its first column, which is computed and not learnt. So does a
difference its second, the later moment: its number and the earlier moment are learnt; where another
rule decides that moment already, or it is the label, or whole days, months or years are counted,
the number is computed instead. A condition decides its first column only in some rows: it is
learnt, and overwritten there.
"""

from collections.abc import Callable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from gan.errors import ConfigError
from storage.records.constraint import Constraint

NUMERIC = frozenset(
    {"product", "products", "ratio", "linear", "difference", "largest", "smallest", "piecewise"}
    | {"function", "rates"}
)
"""Kinds that compute a number and round it as the column is."""
FIRST_DECIDED = (NUMERIC - {"difference"}) | {"sum", "band", "lookup", "conditional", "part"}
"""Kinds that decide their first column."""
TOGETHER = frozenset({"combinations", "one_of"})
"""Kinds whose columns are learnt as one."""
MOST_NAMED = 3
"""So many values of a condition are named."""

Decided = tuple[str, Constraint]
"""A column and the constraint that decides it."""


def describe(constraint: Constraint) -> str:
    """Return the constraint in a few words that name its columns, such as for an error."""
    return f"the constraint {in_words(constraint)}"


def in_words(constraint: Constraint) -> str:
    """Return what a constraint says."""
    return _WORDS[constraint.kind](constraint, [repr(name) for name in constraint.columns])


def bound_text(value: float | None) -> str:
    """Return a bound as a person writes it."""
    return str(value) if value is None else f"{value:.15g}"


def _range(one: Constraint, names: Sequence[str]) -> str:
    return f"range of {names[0]} from {bound_text(one.low)} to {bound_text(one.high)}"


def _inequality(one: Constraint, names: Sequence[str]) -> str:
    sign = " < " if one.strict else " <= "
    return f"inequality {sign.join(names)}{' by day' if one.whole_days else ''}"


def _linear(one: Constraint, names: Sequence[str]) -> str:
    terms = [
        name if weight == 1 else f"{weight:.15g} * {name}"
        for weight, name in zip(one.weights, names[1:], strict=True)
    ]
    terms += [f"{one.offset:.15g}"] if one.offset else []
    return f"linear formula {names[0]} = {' + '.join(terms)}"


def _scale(one: Constraint) -> str:
    return _times(one.scale)


def _product(one: Constraint, names: Sequence[str]) -> str:
    first, *factors = names[: len(names) - len(one.weights)]
    if one.rate:
        factors[-1] = f"(1 {'-' if one.rate < 0 else '+'} {_times(abs(one.rate))}{factors[-1]})"
    added = "".join(
        f" {'-' if weight < 0 else '+'} {_times(abs(weight))}{name}"
        for weight, name in zip(one.weights, names[1 + len(factors) :], strict=True)
    )
    return f"product {first} = {_scale(one)}{' * '.join(factors)}{added}"


def _ratio(one: Constraint, names: Sequence[str]) -> str:
    more = f" + {one.offset:.15g}" if one.offset else ""
    return f"ratio {names[0]} = {_scale(one)}{' / '.join(names[1:])}{more}"


def _times(number: float) -> str:
    return f"{number:.15g} * " if number != 1 else ""


def _piecewise(one: Constraint, names: Sequence[str]) -> str:
    cuts = ", ".join(f"{cut:.15g}" for cut in one.cuts)
    return f"piecewise formula {names[0]} of {' - '.join(names[1:])} that bends at {cuts}"


def _products(one: Constraint, names: Sequence[str]) -> str:
    terms = [f"{_times(weight)}{first!r} * {other!r}" for weight, first, other in one.pairs]
    return f"products {names[0]} = {' + '.join(terms)}"


def _function(one: Constraint, names: Sequence[str]) -> str:
    inputs = (", " if one.function == "length" else " * ").join(names[1:])
    return f"function {names[0]} = {one.function} of {_times(one.scale)}{inputs}"


def _conditional(one: Constraint, names: Sequence[str]) -> str:
    values = [repr(value) for value in one.when[:MOST_NAMED]]
    more = f" or {len(one.when) - MOST_NAMED} more" if len(one.when) > MOST_NAMED else ""
    where = "exactly where" if one.exactly else "where"
    return (
        f"condition {names[0]} is {one.value!r} {where} {names[1]} is {' or '.join(values)}{more}"
    )


def _part(one: Constraint, names: Sequence[str]) -> str:
    more = f" plus {one.offset:.15g}" if one.offset else ""
    part = one.part if one.pattern is None else f"text {one.pattern!r}"
    more += "" if one.until is None else f" on {one.until}"
    return f"part {names[0]} = {part} of {names[1]}{more}"


_WORDS: Mapping[str, Callable[[Constraint, Sequence[str]], str]] = {
    "range": _range,
    "inequality": _inequality,
    "combinations": lambda _, names: f"combinations of {', '.join(names)}",
    "sum": lambda _, names: f"sum {names[0]} = {' + '.join(names[1:])}",
    "unique": lambda _, names: f"unique {', '.join(names)}",
    "product": _product,
    "ratio": _ratio,
    "linear": _linear,
    "difference": lambda one, names: (
        f"difference {names[0]} = {names[1]} - {names[2]} in {one.unit}"
    ),
    "band": lambda _, names: f"bands {names[0]} of {' - '.join(names[1:])}",
    "lookup": lambda _, names: f"lookup of {names[0]} by {', '.join(names[1:])}",
    "one_of": lambda _, names: f"exactly one of {', '.join(names)}",
    "conditional": _conditional,
    "part": _part,
    "largest": lambda _, names: f"largest {names[0]} of {', '.join(names[1:])}",
    "smallest": lambda _, names: f"smallest {names[0]} of {', '.join(names[1:])}",
    "piecewise": _piecewise,
    "products": _products,
    "function": _function,
    "rates": lambda _, names: f"rates {names[0]} = {names[2]} * a rate by {names[1]}",
}


def find_decided(constraints: Sequence[Constraint], label: str | None = None) -> list[Decided]:
    """Return which column each rule decides; those that two rules decide are there twice."""
    found = [(each.columns[0], each) for each in constraints if each.kind in FIRST_DECIDED]
    for each in constraints:
        if each.kind == "difference":
            number, later, _ = each.columns
            taken = later == label or later in {name for name, _ in found}
            found.append((number if taken else later, each))
    return found


def inputs_of(name: str, rule: Constraint) -> tuple[str, ...]:
    """Return the columns that a rule computes a column from."""
    return tuple(dict.fromkeys(each for each in rule.columns if each != name))


def in_turn(decided: Sequence[Decided], constraints: Sequence[Constraint]) -> list[Decided]:
    """Return the decided columns such that each comes after those it is computed from.

    Args:
        decided: columns with their rules.
        constraints: all of them: those whose columns are learnt as one decide these, too.

    Raises:
        ConfigError: two rules decide one column, or a column is computed from itself.
    """
    _check_owners(decided, constraints)
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for name, rule in decided:
        sorter.add(name, *inputs_of(name, rule))
    try:
        rank = {name: number for number, name in enumerate(sorter.static_order())}
    except CycleError as error:
        circle = error.args[1]
        involved = dict.fromkeys(
            describe(rule) for name, rule in decided for pair in pairwise(circle) if name in pair
        )
        msg = (
            f"{' and '.join(involved)} compute columns from each other in a circle through "
            f"{', '.join(map(repr, circle[:-1]))}: remove one of them"
        )
        raise ConfigError(msg) from error
    return sorted(decided, key=lambda pair: rank[pair[0]])


def _check_owners(decided: Sequence[Decided], constraints: Sequence[Constraint]) -> None:
    """Check that one rule decides a column."""
    owners: dict[str, Constraint] = {}
    for name, rule in decided:
        if name in owners and not _apart(owners[name], rule):
            raise _twice(rule, owners[name], name)
        owners[name] = rule
    joint = [each for each in constraints if each.kind in TOGETHER or each.kind == "unique"]
    for each in joint:
        for name in each.columns:
            if name in owners:
                raise _twice(each, owners[name], name)


def _apart(one: Constraint, other: Constraint) -> bool:
    """Return whether two conditions on one column never hold together."""
    both = {one.kind, other.kind} == {"conditional"} and one.columns == other.columns
    return both and not set(one.when) & set(other.when) and one.value != other.value


def _twice(one: Constraint, other: Constraint, name: str) -> ConfigError:
    msg = f"{describe(one)} and {describe(other)} both decide column {name!r}: keep one of them"
    return ConfigError(msg)
