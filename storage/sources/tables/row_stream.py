"""Tables of more rows than are kept: read block by block, as often as it takes.

A block holds rows as the source does: columns of plain types, of CSV their texts. What types the
texts have is decided on a sample, and then every row of every block is read so.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import pyarrow as pa

from storage.sources.split import SplitConfig
from storage.sources.tables.parquet_table import ParquetTable, PlainParts
from storage.sources.tables.source import TableRead


class RowStream(ABC):
    """The rows of a source in blocks."""

    uri: str
    """As the user wrote it."""
    csv: bool
    """Whether blocks hold the texts of CSV."""

    @abstractmethod
    def names(self) -> list[str]:
        """Return what a recipe may call a column of the source."""

    @abstractmethod
    def path_parts(self) -> frozenset[str]:
        """Return the columns that are parts of paths and divide the rows, and are not kept."""

    @abstractmethod
    def blocks(self) -> Iterator[pa.Table]:
        """Yield all rows in the order of the files.

        Raises:
            SourceError: a file is damaged, or its columns are not those of the others.
            LakeError: the store fails.
        """

    @abstractmethod
    def read(self, rows: Sequence[pa.Table], evidence: int) -> TableRead:
        """Return some rows of the blocks as a source of so many rows would return them.

        Args:
            rows: of all kinds of blocks one at least, which may be empty.
            evidence: how many of the last rows are no records.

        Raises:
            SourceError: columns are of mixed types, ambiguous, or not as the recipe says.
        """


class ParquetRows(RowStream):
    """The rows of Parquet files, page by page."""

    csv = False

    def __init__(self, table: ParquetTable) -> None:
        self.uri = table.uri
        self._table = table
        self._parts = PlainParts(table.uri, table.dropped)

    def names(self) -> list[str]:
        """Return the columns, and the structs and lists that they are parts of."""
        return self._table.names()

    def path_parts(self) -> frozenset[str]:
        """Return what `split` names of the paths."""
        return self._table.path_parts()

    def blocks(self) -> Iterator[pa.Table]:
        """Yield blocks with plain types."""
        self._parts = PlainParts(self.uri, self._table.dropped)
        yield from self._table.blocks(self._parts)

    def read(self, rows: Sequence[pa.Table], evidence: int) -> TableRead:
        """Return the rows as one table."""
        places = [f"block {number}" for number in range(len(rows))]
        return self._parts.read(rows, places, evidence=evidence)


def refusal(split: SplitConfig) -> str | None:
    """Return the setting of a split that takes all rows in memory; None: it is by content."""
    for name in ("column", "group_by", "holdout_uri"):
        if getattr(split, name) is not None:
            return f"source.split.{name}"
    return None
