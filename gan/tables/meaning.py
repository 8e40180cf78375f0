"""What the columns of a table mean, as the metadata of its Arrow schema says it.

The key `ganmill-table` holds JSON:

    {"schema": "ganmill-table/1", "min_group": 10,
     "columns": [{"name", "kind", "why", "vocabulary", "form"}],      in the order of the table
     "constraints": [{"kind", "columns", "low", "high", "strict"}]}

`form` is a pattern for keys and replaced text, one symbol per character: `9` a digit, `a` a small
letter, `A` a capital, `f` and `F` a hexadecimal digit; a backslash makes the next character stand
for itself, and everything else stands for itself.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from gan.errors import DataError

KEY = b"ganmill-table"
SCHEMA = "ganmill-table/1"

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


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the records."""

    name: str
    kind: Kind
    vocabulary: str = "private"
    """`public`: even values that few rows hold may be shown."""
    form: str | None = None
    """Of keys and replaced text."""


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """Something that must hold in every row; see the module's docstring for the kinds.

    range: low <= columns[0] <= high. inequality: columns[0] <= columns[1] <= ... (< when strict).
    combinations: only those that train has. sum: columns[0] is the sum of the others. unique: no
    two rows of a data set agree in these columns.
    """

    kind: Literal["range", "inequality", "combinations", "sum", "unique"]
    columns: tuple[str, ...]
    low: float | None = None
    high: float | None = None
    strict: bool = False


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What is known of a table besides its values."""

    columns: tuple[Column, ...]
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


def read_meaning(schema: pa.Schema) -> Meaning:
    """Return what the schema's metadata says.

    Raises:
        DataError: it says nothing, or not for exactly these columns.
    """
    text = (schema.metadata or {}).get(KEY)
    if text is None:
        msg = "the records do not say what their columns mean: prepare them with ganmill first"
        raise DataError(msg)
    raw: dict[str, Any] = json.loads(text)
    columns = tuple(
        Column(**{key: item[key] for key in ("name", "kind", "vocabulary", "form")})
        for item in raw["columns"]
    )
    if raw["schema"] != SCHEMA or [column.name for column in columns] != schema.names:
        msg = (
            f"the meaning of the columns ({raw['schema']}) does not fit the columns "
            f"{', '.join(schema.names)}: prepare the records again"
        )
        raise DataError(msg)
    constraints = tuple(
        Constraint(**{**item, "columns": tuple(item["columns"])}) for item in raw["constraints"]
    )
    return Meaning(columns=columns, constraints=constraints, min_group=raw["min_group"])
