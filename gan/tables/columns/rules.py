"""Constraints that hold by construction: ranges, sums, and combinations that are one column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa

from gan.errors import DataError
from gan.tables.meaning import Constraint, Meaning

Limits = tuple[Decimal | None, Decimal | None]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the constraints mean for the codec."""

    limits: Mapping[str, Limits]
    """Column → smallest and largest value."""
    joint: Mapping[str, tuple[str, ...]]
    """Column → the columns that are one with it, in the order of the table."""
    totals: Mapping[str, tuple[str, ...]]
    """Total → its parts, in an order in which every total comes after its parts."""


def read_rules(meaning: Meaning, schema: pa.Schema, label: str | None) -> Rules:
    """Return what the constraints mean for the codec.

    Raises:
        DataError: a constraint names an unknown column or one of a kind that it cannot be about,
            or two of them contradict each other.
    """
    kinds = {column.name: column.kind for column in meaning.columns}
    for constraint in meaning.constraints:
        _check_names(constraint, kinds, schema)
    totals = _totals(meaning, label)
    joint = _joint(meaning, kinds)
    both = sorted(set(totals) & set(joint))
    if both:
        msg = (
            f"column {both[0]!r} is the total of a sum and part of a combination, which "
            "cannot both hold by construction: remove one of the two constraints"
        )
        raise DataError(msg)
    return Rules(limits=_limits(meaning), joint=joint, totals=totals)


def _check_names(constraint: Constraint, kinds: Mapping[str, str], schema: pa.Schema) -> None:
    """Refuse unknown columns, and columns without numbers where numbers are needed."""
    for name in constraint.columns:
        if name not in kinds:
            msg = (
                f"a constraint of kind {constraint.kind!r} names column {name!r}, which the table "
                f"does not have: it has {', '.join(kinds)}"
            )
            raise DataError(msg)
        kind = schema.field(name).type
        types = pa.types
        number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
        learnt = kinds[name] not in ("key", "text")
        if constraint.kind in ("range", "sum") and not (number and learnt):
            msg = (
                f"a constraint of kind {constraint.kind!r} names column {name!r}, a "
                f"{kinds[name]} of type {kind}: it is about numbers, remove it"
            )
            raise DataError(msg)


def _limits(meaning: Meaning) -> dict[str, Limits]:
    """Return the intersection of the ranges of each column."""
    limits: dict[str, Limits] = {}
    for constraint in meaning.constraints:
        if constraint.kind != "range":
            continue
        name = constraint.columns[0]
        low, high = limits.get(name, (None, None))
        lows = [bound for bound in (low, _exact(constraint.low)) if bound is not None]
        highs = [bound for bound in (high, _exact(constraint.high)) if bound is not None]
        low, high = max(lows, default=None), min(highs, default=None)
        if low is not None and high is not None and low > high:
            msg = (
                f"the ranges of column {name!r} contradict each other: no value is at least {low} "
                f"and at most {high}, correct them"
            )
            raise DataError(msg)
        limits[name] = (low, high)
    return limits


def _exact(bound: float | None) -> Decimal | None:
    """Return a bound as it was written."""
    return None if bound is None else Decimal(repr(bound))


def _joint(meaning: Meaning, kinds: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the columns that are one; combinations with a column in common are merged."""
    groups: list[set[str]] = []
    for constraint in meaning.constraints:
        if constraint.kind != "combinations":
            continue
        merged = {name for name in constraint.columns if kinds[name] != "constant"}
        foreign = sorted(name for name in merged if kinds[name] in ("key", "text"))
        if foreign:
            msg = (
                f"a combination names column {foreign[0]!r} of kind {kinds[foreign[0]]}, whose "
                "values are fresh: remove it from the constraint"
            )
            raise DataError(msg)
        apart = [group for group in groups if not group & merged]
        merged = merged.union(*(group for group in groups if group & merged))
        groups = [*apart, merged]
    order = list(kinds)
    tuples = [tuple(sorted(group, key=order.index)) for group in groups if len(group) > 1]
    return {name: names for names in tuples for name in names}


def _totals(meaning: Meaning, label: str | None) -> dict[str, tuple[str, ...]]:
    """Return the totals and their parts, parts first."""
    found: dict[str, tuple[str, ...]] = {}
    for constraint in meaning.constraints:
        if constraint.kind != "sum":
            continue
        total, *parts = constraint.columns
        if total in found or total == label:
            why = "is the label" if total == label else "is the total of two sums"
            msg = f"column {total!r} {why} and cannot be derived: remove the constraint on its sum"
            raise DataError(msg)
        found[total] = tuple(parts)
    ordered: dict[str, tuple[str, ...]] = {}
    while len(ordered) < len(found):
        ready = [total for total in found if total not in ordered and _ready(total, found, ordered)]
        if not ready:
            circle = ", ".join(sorted(set(found) - set(ordered)))
            msg = f"the sums of {circle} are made of each other: remove one of these constraints"
            raise DataError(msg)
        ordered |= {total: found[total] for total in ready}
    return ordered


def _ready(total: str, found: Mapping[str, Sequence[str]], ordered: Mapping[str, Any]) -> bool:
    """Say whether all parts of a total are there."""
    return all(part in ordered or part not in found for part in found[total])
