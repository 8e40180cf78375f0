"""What a recipe says about a table: how its CSV is written, what its columns are, what holds."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

FROZEN = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

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


class CsvConfig(BaseModel):
    """How the CSV files of the source are written; what is not said is detected and printed."""

    model_config = FROZEN

    delimiter: str | None = Field(None, title="Delimiter", min_length=1, max_length=1)
    """One character, such as `;`; null = detected."""
    encoding: str | None = Field(None, title="Encoding", min_length=1)
    """For example `utf-8` or `cp1252`; null = detected."""
    decimal: Literal[".", ","] | None = Field(None, title="Decimal mark")
    """The mark before the fraction; null = detected."""
    nulls: tuple[str, ...] | None = Field(None, title="Null words")
    """What stands for a missing value, besides the empty field; null = detected."""
    date_format: str | None = Field(None, title="Date format", min_length=1)
    """For example `%d.%m.%Y`, for every column of dates; null = detected column by column."""


class ColumnConfig(BaseModel):
    """What one column of a table is, where the inference shall not decide."""

    model_config = FROZEN

    name: str = Field(title="Column", min_length=1)
    """As the source names it."""
    kind: Kind | Literal["auto"] = Field("auto", title="Kind")
    """What its values are; `auto` = inferred."""
    text: Literal["refuse", "drop", "pattern"] = Field("refuse", title="Free text")
    """A column of free text is refused, left out, or filled with patterns of letters and digits."""
    vocabulary: Literal["private", "public"] = Field("private", title="Vocabulary")
    """`public`: every value may be shown, however rare; for codes that everyone knows."""


class ConstraintConfig(BaseModel):
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
        return self
