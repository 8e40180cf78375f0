"""What every synthetic row must have: the recipe's `synthesis.given`, and the classes it leaves."""

from collections.abc import Sequence
from typing import Self

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from storage.classes import ClassCounts, Label
from storage.errors import PlanError


class GivenConfig(BaseModel):
    """What every synthetic row must have in one column; tables only."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    column: str = Field(title="Column", min_length=1)
    """As the source names it."""
    values: tuple[str, ...] = Field(default=(), title="Values")
    """Any of these, as text: `">50K"`, `"3"`, `"true"`, `"2026-01-31"`; empty with low or high."""
    low: str | None = Field(default=None, title="Low")
    """Smallest value, as text; numbers, dates and times only."""
    high: str | None = Field(default=None, title="High")
    """Largest value, as text."""

    @model_validator(mode="after")
    def _values_or_range(self) -> Self:
        if bool(self.values) == (self.low is not None or self.high is not None):
            msg = (
                f"synthesis.given for column {self.column!r} needs either values, or low, high or "
                "both"
            )
            raise ValueError(msg)
        return self


def check_given(given: Sequence[GivenConfig], schema: pa.Schema, modality: str) -> None:
    """Check that conditions name columns of a table, each once.

    Raises:
        PlanError: they do not.
    """
    if not given:
        return
    if modality != "tables":
        msg = (
            f"synthesis.given names column {given[0].column!r}, but the records are {modality}: "
            "conditions are for tables; choose classes with synthesis.class_fractions"
        )
        raise PlanError(msg)
    names = [each.column for each in given]
    for position, name in enumerate(names):
        if name not in schema.names:
            msg = (
                f"synthesis.given names column {name!r}, which the table does not have; its "
                f"columns are {', '.join(schema.names)}"
            )
            raise PlanError(msg)
        if name in names[:position]:
            msg = f"synthesis.given names column {name!r} twice: say it in one entry"
            raise PlanError(msg)


def given_classes(
    given: Sequence[GivenConfig], label: str | None, real_counts: ClassCounts
) -> ClassCounts:
    """Return the classes that the condition on the label leaves, all when there is none.

    Raises:
        PlanError: it leaves no class, or names one that the training data does not have.
    """
    found = [each for each in given if each.column == label]
    if not found or not real_counts:
        return real_counts
    known = {_text(one): one for one, _ in real_counts}
    unknown = [value for value in found[0].values if value not in known]
    if unknown:
        msg = (
            f"synthesis.given names the class {unknown[0]!r} of column {label!r}, which the "
            f"training data does not have; its classes are {', '.join(known)}"
        )
        raise PlanError(msg)
    left = tuple(pair for pair in real_counts if _allows(found[0], pair[0]))
    if not left:
        msg = (
            f"synthesis.given leaves no class of column {label!r}: low {found[0].low}, high "
            f"{found[0].high}; its classes are {', '.join(known)}"
        )
        raise PlanError(msg)
    return left


def _allows(given: GivenConfig, label: Label) -> bool:
    if given.values:
        return _text(label) in given.values
    if isinstance(label, str | bool):
        msg = (
            f"synthesis.given gives column {given.column!r} a range, but its classes are not "
            "numbers: give values"
        )
        raise PlanError(msg)
    try:
        low = given.low is None or float(given.low) <= label
        return low and (given.high is None or label <= float(given.high))
    except ValueError as error:
        msg = f"synthesis.given of column {given.column!r} is no range of numbers: {error}"
        raise PlanError(msg) from error


def _text(label: Label) -> str:
    """Return a class as a recipe writes it."""
    return str(label).lower() if isinstance(label, bool) else str(label)
