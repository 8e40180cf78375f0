"""What the columns of a prepared table mean, carried in the metadata of its Arrow schema.

The metadata key `ganmill-table` holds JSON, which the codec on the other side reads again:

    {"schema": "ganmill-table/1", "min_group": 10,
     "columns": [{"name", "kind", "why", "vocabulary", "form"}],      in the order of the table
     "constraints": [{"kind", "columns", "low", "high", "strict"}]}

`form` is a pattern for keys and replaced text, one symbol per character: `9` a digit, `a` a small
letter, `A` a capital, `f` and `F` a hexadecimal digit; a backslash makes the next character stand
for itself, and everything else stands for itself.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import pyarrow as pa

from storage.sources.table_config import ConstraintConfig, Kind

KEY: Final = b"ganmill-table"
SCHEMA: Final = "ganmill-table/1"


@dataclass(frozen=True, kw_only=True)
class ColumnMeaning:
    """One column that the data set will have."""

    name: str
    kind: Kind
    why: str
    """How the kind was found, for `init` and `check`; names no value of the data."""
    vocabulary: str = "private"
    """`private` or `public`."""
    form: str | None = None
    """Of keys and replaced text."""


def with_meaning(
    schema: pa.Schema,
    columns: Sequence[ColumnMeaning],
    constraints: Sequence[ConstraintConfig],
    min_group: int,
) -> pa.Schema:
    """Return the schema with what its columns mean; other metadata stays."""
    meaning = {
        "schema": SCHEMA,
        "min_group": min_group,
        "columns": [asdict(column) for column in columns],
        "constraints": [constraint.model_dump(mode="json") for constraint in constraints],
    }
    text = json.dumps(meaning, ensure_ascii=False, sort_keys=True).encode()
    return schema.with_metadata({**(schema.metadata or {}), KEY: text})


def read_columns(schema: pa.Schema) -> tuple[ColumnMeaning, ...]:
    """Return what `with_meaning` said of the columns; empty for records without meaning."""
    text = (schema.metadata or {}).get(KEY)
    if text is None:
        return ()
    return tuple(ColumnMeaning(**column) for column in json.loads(text)["columns"])
