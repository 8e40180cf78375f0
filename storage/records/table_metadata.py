"""What is known of a table besides its values, in the metadata of its Arrow schema.

The key `ganmill-table` holds JSON:

    {"schema": "ganmill-table/1", "min_group": 10,
     "columns": [{"name", "kind", "why", "vocabulary", "form"}],      in the order of the table
     "constraints": [{"kind", "columns", "low", "high", "strict", others where they are used}],
     "named": how many of them a person named, where others were found}

`form` is the text pattern of keys and of replaced text, see `storage.records.text_patterns`.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

import pyarrow as pa

from storage.records.constraint import Constraint
from storage.records.schema import Column

KEY: Final = b"ganmill-table"
SCHEMA: Final = "ganmill-table/1"


@dataclass(frozen=True, kw_only=True)
class TableMetadata:
    """What is known of a table besides its values."""

    columns: tuple[Column, ...]
    """In the order of the table."""
    constraints: tuple[Constraint, ...] = ()
    min_group: int = 10
    """A value that fewer rows hold is not shown."""
    named: int | None = None
    """How many of the constraints a person named, the first ones; the others were found in the
    data. None = all."""

    @property
    def named_constraints(self) -> tuple[Constraint, ...]:
        """The constraints that a person named."""
        return self.constraints[: self.named]

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
    if metadata.named is not None and metadata.named < len(metadata.constraints):
        described["named"] = metadata.named
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
    return TableMetadata(
        columns=columns,
        constraints=constraints,
        min_group=raw["min_group"],
        named=raw.get("named"),
    )


def without_columns(schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    """Return the schema without some columns; what it says of the others stays."""
    kept = pa.schema([field for field in schema if field.name not in names], schema.metadata)
    described = read_table_metadata(schema)
    if described is None or not names:
        return kept
    columns = tuple(column for column in described.columns if column.name not in names)
    return with_table_metadata(kept, replace(described, columns=columns))
