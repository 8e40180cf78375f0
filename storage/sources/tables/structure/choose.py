"""Which of the rules that hold are kept: one for a derived column, none in a circle.

Rules come in the order of their simplicity, kind by kind. Of those for one column the ones go first
whose inputs no rule derives. What another rule already tells is left out silently; what cannot be
kept for a reason that a person should know is named.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Final

from storage.records.constraint import Constraint
from storage.records.schema import Column
from storage.sources.tables.structure.rule import (
    FoundRule,
    deciding_columns,
    derived_columns,
    listed_names,
)

_OF_LABEL: Final = "the label is never made from others"
_OF_ANY_ORDER: Final = ("sum", "product", "largest", "smallest")
_OUT_OF_RANGE: Final = "source.constraints gives a column of it a range that it does not keep"


class Chosen:
    """The rules that are kept so far, and those that are only named."""

    def __init__(self, constraints: Sequence[Constraint], label: str | None) -> None:
        """Begin with what the recipe says.

        Args:
            constraints: of the recipe, which come first.
            label: it is never derived.
        """
        self.kept: list[FoundRule] = []
        self.named: list[FoundRule] = []
        self._second: list[FoundRule] = []
        self._label = label
        self._taken = set[str]()
        self._said = {_meaning(one) for one in constraints}
        self._combined = [set(one.columns) for one in constraints if one.kind == "combinations"]
        self._spoken = {name for one in constraints for name in _owned(one)}
        self._ranges = [one for one in constraints if one.kind == "range"]
        self._inputs: dict[str, set[str]] = {}
        for one in constraints:
            for name in derived_columns(one):
                self._inputs.setdefault(name, set()).update(deciding_columns(one))

    def take(self, rules: Iterable[FoundRule]) -> None:
        """Keep the rules that fit to those that are kept.

        Of several for one column those go first whose inputs no rule derives.
        """
        waiting: dict[tuple[str, ...], list[FoundRule]] = {}
        ordered, late = list(rules), list[FoundRule]()
        for rule in ordered:
            waiting.setdefault(derived_columns(rule.constraint), []).append(rule)
        for rule in ordered:
            others = waiting[derived_columns(rule.constraint)]
            others.remove(rule)
            if not self._is_plain(rule) and any(map(self._is_plain, others)):
                late.append(rule)
            else:
                self._consider(rule)
        for rule in late:
            self._consider(rule)

    def _is_plain(self, rule: FoundRule) -> bool:
        return not any(name in self._inputs for name in deciding_columns(rule.constraint))

    def _consider(self, rule: FoundRule) -> None:
        constraint = rule.constraint
        derived, inputs = self._sides(rule)
        if self._is_said(constraint) or self._implied(rule):
            return
        if rule.left_out is None:
            rule = self._objected(rule, derived)
        self._taken.update(derived)
        if rule.left_out is not None:
            self.named.append(rule)
            return
        for name in derived:
            self._inputs.setdefault(name, set()).update(inputs)
        self.kept.append(rule)

    def _is_said(self, constraint: Constraint) -> bool:
        """Whether the recipe says it already."""
        names = set(constraint.columns)
        combined = any(names <= one for one in self._combined)
        return combined or _meaning(constraint) in self._said

    def _implied(self, rule: FoundRule) -> bool:
        """Whether a kept rule decides one of its columns already, or would in a circle."""
        names = set(rule.constraint.columns)
        if rule.left_out and any(names == set(one.constraint.columns) for one in self.named):
            return True
        derived, inputs = self._sides(rule)
        if not self._taken.isdisjoint(derived):
            self._second.append(rule)
            return True
        return not self._sources(inputs).isdisjoint(derived)

    def seconds(self) -> tuple[FoundRule, ...]:
        """Return rules on a column that another rule makes, which do not follow from those kept.

        They follow where what makes the column is made of what their other columns are made of.
        Values under a condition are not told.
        """
        found: dict[tuple[str, ...], FoundRule] = {}
        for rule in self._second:
            derived, inputs = self._sides(rule)
            made, sources = self._free_of(derived), self._sources(inputs)
            follows = made <= self._free_of(inputs) or not sources.isdisjoint(derived)
            if rule.constraint.kind != "conditional" and rule.left_out is None and not follows:
                which = rule.unkept(f"another rule makes {listed_names(derived)} already")
                found.setdefault(derived, which)
        return tuple(found.values())

    def _free_of(self, names: Collection[str]) -> set[str]:
        """Return the columns that no rule makes and that columns are made of."""
        return {name for name in self._sources(names) if name not in self._inputs}

    def _sides(self, rule: FoundRule) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the columns that a rule derives, and those that it derives them from.

        Of a difference it is the later moment, or the number where that is free only.
        """
        derived = derived_columns(rule.constraint)
        if rule.constraint.kind == "difference":
            number, later, earlier = rule.constraint.columns
            bound = later == self._label or later in self._spoken or later in self._taken
            if rule.inexact or bound:
                return (number,), (later, earlier)
        return derived, deciding_columns(rule.constraint)

    def _sources(self, names: Collection[str]) -> set[str]:
        """Return the columns and all that they are derived from."""
        found, waiting = set[str](), list(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += self._inputs.get(name, ())
        return found

    def _objected(self, rule: FoundRule, derived: Sequence[str]) -> FoundRule:
        """Return the rule, with the reason why it is not kept where there is one."""
        if self._label in derived:
            return rule.unkept(_OF_LABEL)
        spoken = [name for name in derived if name in self._spoken]
        if spoken:
            which = listed_names(spoken)
            return rule.unkept(f"source.constraints decides {which}, and that comes first")
        ranged = {one.columns[0] for one in self._ranges}
        inputs = deciding_columns(rule.constraint)
        if rule.constraint.kind == "conditional":
            return rule.unkept(_OUT_OF_RANGE) if ranged & {*derived, *inputs} else rule
        if ranged & set(derived) and ranged & set(inputs):
            return rule.unkept(_OUT_OF_RANGE)
        return rule


def _owned(constraint: Constraint) -> tuple[str, ...]:
    """Return the columns that no other rule may decide; ranges and orders go with any."""
    if constraint.kind in ("combinations", "one_of", "unique"):
        return constraint.columns
    return derived_columns(constraint)


def _meaning(constraint: Constraint) -> tuple[str, tuple[str, ...]]:
    """Return what is equal for constraints that say the same; sums do not depend on the order."""
    if constraint.kind in (*_OF_ANY_ORDER, "one_of", "combinations") and not (
        constraint.rate or constraint.weights
    ):
        first = constraint.columns[:1] if constraint.kind in _OF_ANY_ORDER else ()
        rest = constraint.columns[len(first) :]
        return constraint.kind, (*first, *sorted(rest))
    return constraint.kind, constraint.columns


def told_by_lookups(rule: FoundRule, lookups: Iterable[FoundRule]) -> bool:
    """Whether one column outside a block decides all columns of it."""
    block = set(rule.constraint.columns)
    told: dict[str, set[str]] = {}
    for one in lookups:
        result, *deciding = one.constraint.columns
        if len(deciding) == 1 and deciding[0] not in block:
            told.setdefault(deciding[0], set()).add(result)
    return any(block <= decided for decided in told.values())


def joined(
    rules: Sequence[FoundRule], columns: Sequence[Column], apart: Collection[str | None]
) -> tuple[FoundRule, ...]:
    """Return the rules with categories that decide others told as combinations.

    A city, its region and its country are one column then; that takes categories alone, of which
    the first is derived from nothing else.

    Args:
        rules: one for a derived column.
        columns: what the columns are.
        apart: columns that cannot be one with others: the label, and those of the recipe's
            constraints.
    """
    categories = {one.name for one in columns if one.kind == "category"}.difference(apart)
    derived = {name for one in rules for name in derived_columns(one.constraint)}
    simple = {
        one.constraint.columns[0]: one
        for one in rules
        if one.constraint.kind == "lookup"
        and len(one.constraint.columns) == 2
        and categories.issuperset(one.constraint.columns)
    }
    order = [one.name for one in columns]

    def place(rule: FoundRule) -> int:
        return order.index(rule.constraint.columns[0])

    roots: dict[str, list[FoundRule]] = {}
    for name, rule in simple.items():
        root = rule.constraint.columns[1]
        while root in simple:
            root = simple[root].constraint.columns[1]
        if root not in derived:
            roots.setdefault(root, []).append(simple[name])
    gone = {id(rule) for group in roots.values() for rule in group}
    return (
        *(_combination(root, sorted(group, key=place)) for root, group in roots.items()),
        *(rule for rule in rules if id(rule) not in gone),
    )


def _combination(root: str, group: Sequence[FoundRule]) -> FoundRule:
    decided = [one.constraint.columns[0] for one in group]
    constraint = Constraint(kind="combinations", columns=(root, *decided))
    why = f"every value of {root} has one of {listed_names(decided)}"
    return replace(group[0], constraint=constraint, why=why)
