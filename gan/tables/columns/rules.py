"""Constraints that hold by construction: ranges, sums, and combinations that are one column.

They were checked before, by themselves and with each other (`gan.tables.contradictions`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from gan.errors import DataError
from storage.records.schema import Constraint, TableMetadata

Limits = tuple[Decimal | None, Decimal | None]
"""Smallest and largest value, None where it is open."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the constraints mean for the codec."""

    limits: Mapping[str, Limits]
    """Column → smallest and largest value."""
    joint: Mapping[str, tuple[str, ...]]
    """Column → the columns that are one with it, in the order of the table."""
    totals: Mapping[str, tuple[str, ...]]
    """Total → its parts."""


def read_rules(metadata: TableMetadata, label: str | None) -> Rules:
    """Return what the constraints mean for the codec.

    Raises:
        DataError: the label is the total of a sum, which is not learnt.
    """
    limits: dict[str, Limits] = {}
    joint: dict[str, tuple[str, ...]] = {}
    totals: dict[str, tuple[str, ...]] = {}
    for constraint in metadata.constraints:
        first, *rest = constraint.columns
        if constraint.kind == "range":
            limits[first] = _narrow(limits.get(first, (None, None)), constraint)
        elif constraint.kind == "sum":
            totals[first] = tuple(rest)
        elif constraint.kind == "combinations":
            names = _in_order(constraint.columns, metadata)
            joint |= dict.fromkeys(names, names)
    if label in totals:
        msg = (
            f"label column {label!r} is the sum of {', '.join(totals[str(label)])} and not learnt: "
            "remove the constraint, or choose another label"
        )
        raise DataError(msg)
    return Rules(limits=limits, joint=joint, totals=totals)


def _in_order(names: tuple[str, ...], metadata: TableMetadata) -> tuple[str, ...]:
    """Return the columns that vary, in the order of the table; none when fewer than two do."""
    found = tuple(c.name for c in metadata.columns if c.name in names and c.kind != "constant")
    return found if len(found) > 1 else ()


def _narrow(limits: Limits, constraint: Constraint) -> Limits:
    """Return the intersection with one more range, its bounds as they were written."""
    low, high = (
        None if bound is None else Decimal(repr(bound))
        for bound in (constraint.low, constraint.high)
    )
    return (
        max((bound for bound in (limits[0], low) if bound is not None), default=None),
        min((bound for bound in (limits[1], high) if bound is not None), default=None),
    )
