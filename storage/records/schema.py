"""What records are, whoever handles them: kinds of columns, constraints, classes, conditions.

The columns of a table are described in the metadata of its Arrow schema. The key `ganmill-table`
holds JSON:

    {"schema": "ganmill-table/1", "min_group": 10,
     "columns": [{"name", "kind", "why", "vocabulary", "form"}],      in the order of the table
     "constraints": [{"kind", "columns", "low", "high", "strict", maybe "whole_days"}]}

`form` is the text pattern of keys and of replaced text, see `storage.records.text_patterns`.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal, Self

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, model_validator

KEY: Final = b"ganmill-table"
SCHEMA: Final = "ganmill-table/1"
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


class Constraint(BaseModel):
    """Something that holds in every real row and must hold in every synthetic one."""

    model_config = FROZEN

    kind: Literal["range", "inequality", "combinations", "sum", "unique"] = Field(title="Kind")
    """range: low <= columns[0] <= high. inequality: columns[0] <= columns[1] (<= columns[2] ...).
    combinations: only the combinations of these columns that train has. sum: columns[0] is the sum
    of the others. unique: no two rows agree in these columns."""
    columns: tuple[str, ...] = Field(title="Columns", min_length=1)
    """The columns it is about."""
    low: float | None = Field(None, title="Low")
    """range only: the smallest value."""
    high: float | None = Field(None, title="High")
    """range only: the largest value."""
    strict: bool = Field(False, title="Strict")
    """inequality only: less than, instead of at most."""
    whole_days: bool = Field(False, title="Whole days")
    """inequality of timestamps only: their days are compared, as they always are where one of two
    columns holds dates."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        least = {"range": 1, "inequality": 2, "combinations": 2, "sum": 2, "unique": 1}[self.kind]
        if len(self.columns) < least or (self.kind == "range" and len(self.columns) > 1):
            msg = (
                f"a constraint of kind {self.kind!r} names {len(self.columns)} columns "
                f"({', '.join(self.columns)}); it takes {'exactly 1' if least == 1 else least}"
            )
            raise ValueError(msg)
        if (self.kind == "range") != (self.low is not None or self.high is not None):
            msg = (
                f"a constraint of kind {self.kind!r} has low {self.low} and high {self.high}; "
                "give low, high or both exactly when the kind is range"
            )
            raise ValueError(msg)
        said = [name for name in ("strict", "whole_days") if getattr(self, name)]
        if said and self.kind != "inequality":
            msg = (
                f"a constraint of kind {self.kind!r} says {said[0]}, which only an inequality can; "
                "leave it out"
            )
            raise ValueError(msg)
        return self

    def to_json(self) -> dict[str, Any]:
        """Return what it says, for schemas and keys; a later field is there where it is used."""
        plain = self.model_dump(mode="json")
        return plain if self.whole_days else {k: v for k, v in plain.items() if k != "whole_days"}


@dataclass(frozen=True, kw_only=True)
class TableMetadata:
    """What is known of a table besides its values."""

    columns: tuple[Column, ...]
    """In the order of the table."""
    constraints: tuple[Constraint, ...] = ()
    min_group: int = 10
    """A value that fewer rows hold is not shown."""

    def column(self, name: str) -> Column:
        """Return the column of that name.

        Raises:
            KeyError: there is none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


def with_table_metadata(schema: pa.Schema, metadata: TableMetadata) -> pa.Schema:
    """Return the schema with the description of its columns; other metadata stays."""
    described = {
        "schema": SCHEMA,
        "min_group": metadata.min_group,
        "columns": [asdict(column) for column in metadata.columns],
        "constraints": [constraint.to_json() for constraint in metadata.constraints],
    }
    text = json.dumps(described, ensure_ascii=False, sort_keys=True).encode()
    return schema.with_metadata({**(schema.metadata or {}), KEY: text})


def read_table_metadata(schema: pa.Schema) -> TableMetadata | None:
    """Return the description of the columns; None for records without one.

    Raises:
        ValueError: it is of another version, or not of exactly these columns.
    """
    text = (schema.metadata or {}).get(KEY)
    if text is None:
        return None
    raw = json.loads(text)
    columns = tuple(Column(**column) for column in raw["columns"])
    if raw["schema"] != SCHEMA or [column.name for column in columns] != schema.names:
        msg = (
            f"the description of the columns ({raw['schema']}) does not fit the columns "
            f"{', '.join(schema.names)}: prepare the records again"
        )
        raise ValueError(msg)
    constraints = tuple(Constraint(**item) for item in raw["constraints"])
    return TableMetadata(columns=columns, constraints=constraints, min_group=raw["min_group"])


def without_columns(schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    """Return the schema without some columns; what it says of the others stays."""
    kept = pa.schema([field for field in schema if field.name not in names], schema.metadata)
    described = read_table_metadata(schema)
    if described is None or not names:
        return kept
    columns = tuple(column for column in described.columns if column.name not in names)
    return with_table_metadata(kept, replace(described, columns=columns))


class Condition(BaseModel):
    """What every synthetic row must have in one column; tables only."""

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
