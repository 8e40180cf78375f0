"""A rule between columns, as it was found; and what it makes of which columns.

The sentence of a rule names no value that fewer rows hold than may be shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

from storage.records.constraint import Constraint

_FIRST_DERIVED: Final = frozenset(
    {
        *("sum", "product", "ratio", "linear", "band", "lookup", "conditional", "part"),
        *("largest", "smallest", "piecewise", "products", "function", "rates"),
    }
)


@dataclass(frozen=True, kw_only=True)
class FoundRule:
    """Something between columns that holds in all rows, and that shuffled rows would break."""

    constraint: Constraint
    why: str
    """A sentence without its end, such as `total is net plus tax in all rows`."""
    support: int
    """Rows that tell it: it holds in them though nothing simpler does."""
    left_out: str | None = None
    """Why it is not kept, where it cannot be; a sentence without its end."""

    inexact: bool = False
    """Of a difference: the number is rounded, so that no moment can be made from it."""

    def unkept(self, reason: str) -> Self:
        """Return the rule as one that is named and not kept."""
        return replace(self, left_out=reason)


def derived_columns(constraint: Constraint) -> tuple[str, ...]:
    """Return the columns that a constraint decides, wholly or in some rows."""
    if constraint.kind in _FIRST_DERIVED:
        return constraint.columns[:1]
    if constraint.kind == "difference":
        return constraint.columns[1:2]
    return {"combinations": constraint.columns[1:], "one_of": constraint.columns}.get(
        constraint.kind, ()
    )


def deciding_columns(constraint: Constraint) -> tuple[str, ...]:
    """Return the columns from which it decides the others."""
    if constraint.kind in ("one_of", "range", "inequality", "unique"):
        return ()
    derived = derived_columns(constraint)
    return tuple(name for name in constraint.columns if name not in derived)


def listed_names(names: Sequence[str], word: str = "and") -> str:
    """Return `a`, `a and b`, `a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} {word} {last}" if first else last


def lookup_sentence(names: Sequence[str], deciding: Sequence[str]) -> str:
    """Return the sentence on columns that others decide."""
    verb = "decides" if len(deciding) == 1 else "decide"
    return f"{listed_names(deciding)} {verb} {listed_names(names)} in all rows"


def condition_sentence(names: Sequence[str], constraint: Constraint) -> str:
    """Return the sentence on columns that are one value under a condition."""
    other = constraint.columns[1]
    verb = "is" if len(names) == 1 else "are"
    held = f"{listed_names(names)} {verb} {_value(constraint.value or 'null')}"
    where = f"{other} is {_value(listed_names(constraint.when, 'or'))}"
    if constraint.exactly:
        return f"{held} exactly where {where}, in all rows"
    return f"{held} in all rows where {where}"


def _value(text: str) -> str:
    return "missing" if text == "null" else text
