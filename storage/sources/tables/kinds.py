"""What the values of every column are, with a reason that names no rare value."""

from dataclasses import dataclass

import pyarrow as pa

from storage.sources.config import SourceConfig
from storage.sources.tables.meaning import ColumnMeaning


@dataclass(frozen=True, kw_only=True)
class Inferred:
    """The columns of a table and what they are."""

    columns: tuple[ColumnMeaning, ...]
    """Those that stay, in the order of the table."""
    dropped: tuple[str, ...]
    """Those that the recipe leaves out."""
    notes: tuple[str, ...]
    """Sentences about what was decided."""


def infer(table: pa.Table, config: SourceConfig, min_group: int) -> Inferred:
    """Return the kind of every column, the recipe's where it says one.

    Raises:
        SourceError: the recipe names a column that is not there or a kind that it cannot be, or a
            column of free text is not dealt with.
    """
    raise NotImplementedError(table, config, min_group)
