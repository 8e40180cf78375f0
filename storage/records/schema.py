"""What records are, whoever handles them: kinds of columns, classes, conditions."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, model_validator

CLASS_NAMES: Final = b"ganmill-classes"
"""The key in the metadata of a schema: JSON, column → names of its classes 0, 1, …."""

FROZEN = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
"""Of every part of a recipe."""

Label = str | int | bool
"""A value of the label column."""

ClassCounts = tuple[tuple[Label, int], ...]
"""(label, count) sorted by label; empty where nothing conditions the generation."""


def count_classes(labels: pa.Array | pa.ChunkedArray | None) -> ClassCounts:
    """Count the records of every class."""
    if labels is None:
        return ()
    counts = pc.value_counts(labels)
    pairs = zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True)
    return tuple(sorted(pairs))


def read_class_counts(raw: Sequence[Sequence[Any]]) -> ClassCounts:
    """Return class counts as JSON holds them, in pairs."""
    return tuple((label, count) for label, count in raw)


def with_class_names(schema: pa.Schema, label: str, names: Sequence[str]) -> pa.Schema:
    """Return the schema with the names of the classes 0, 1, … of its label column."""
    text = json.dumps({label: list(names)}, ensure_ascii=False).encode()
    return schema.with_metadata({**(schema.metadata or {}), CLASS_NAMES: text})


def read_class_names(schema: pa.Schema) -> dict[str, tuple[str, ...]]:
    """Return column → names of its classes 0, 1, …, as far as the schema says them."""
    text = (schema.metadata or {}).get(CLASS_NAMES)
    return {} if text is None else {name: tuple(one) for name, one in json.loads(text).items()}


def class_title(names: Sequence[str], label: Label) -> str:
    """Return how a class is shown: by itself, with its name where it is a number that has one."""
    if isinstance(label, int) and not isinstance(label, bool) and 0 <= label < len(names):
        return f"{label} ({names[label]})"
    return str(label)


def soft_label_columns(
    names: Sequence[str], label: str, classes: Sequence[Label]
) -> tuple[str, ...]:
    """Return the columns for what a teacher says: one per class, or one for a number.

    Underscores are added to a name that a column has already.

    Args:
        names: of all columns.
        label: the column that the teacher predicts.
        classes: its classes, in the order of the columns; empty for a number.
    """
    wanted = [f"{label}_probability_{_class_text(one)}" for one in classes]
    taken, found = set(names), list[str]()
    for name in wanted or [f"{label}_expected"]:
        while name in taken:
            name += "_"  # noqa: PLW2901 - the wanted name is the first guess
        found.append(name)
        taken.add(name)
    return tuple(found)


def _class_text(label: Label) -> str:
    return str(label).lower() if isinstance(label, bool) else str(label)


Kind = Literal[
    "integer",
    "float",
    "decimal",
    "boolean",
    "category",
    "date",
    "time",
    "timestamp",
    "constant",
    "key",
    "text",
]
"""What the values of a column are. `key`: a name of the row, such as an id, that is made afresh."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table."""

    name: str
    kind: Kind
    why: str = ""
    """How the kind was found, for `init` and `check`; names no value of the data."""
    vocabulary: str = "private"
    """`private`, or `public`: even values that few rows hold may be shown."""
    form: str | None = None
    """The text pattern of keys and of replaced text, see above."""


class Condition(BaseModel):
    """What every synthetic record must have in one column; for rows and for what is static."""

    model_config = FROZEN

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
