"""CSV files as a source of rows."""

from functools import cached_property

import pyarrow as pa

from storage.sources.config import SourceConfig
from storage.sources.files import SourceFiles, digest_files, verify_unchanged
from storage.sources.source import SourceDescription
from storage.sources.tables import csv_reader, dialect
from storage.sources.tables.source import TableRead, TableSource, unread_columns


class DelimitedTable(TableSource):
    """The rows of one or more CSV files of one dialect; read once, when first asked."""

    def __init__(self, config: SourceConfig, found: SourceFiles) -> None:
        self.uri = config.uri
        self._config = config
        self._found = found
        self.ignored_files = found.ignored

    @cached_property
    def digest(self) -> str:
        """Digest of the sorted (relative path, size, content tag)."""
        return digest_files(self._found.store, self._found.files)

    @cached_property
    def description(self) -> SourceDescription:
        """Counts of the rows; the files are read for it."""
        return SourceDescription(
            kind="csv",
            modality=self.modality,
            files=len(self._found.files),
            size_bytes=sum(info.size_bytes for info in self._found.files),
            ignored_files=self.ignored_files,
            rows=len(self._content.table),
            columns=tuple(self._content.table.column_names),
        )

    def check(self, config: SourceConfig) -> None:
        """Nothing is known before the files are read."""

    def schema(self) -> pa.Schema:
        """Return what was inferred from the text."""
        return self._content.table.schema

    def read(self) -> TableRead:
        """Return the rows with the dialect they were written in."""
        table = self._content.table
        kept = [name not in unread_columns(self._config) for name in table.column_names]
        return TableRead(
            table=table.select([i for i, keep in enumerate(kept) if keep]),
            notes=self._content.notes,
            metadata={dialect.KEY: self._content.dialect.to_json()},
        )

    def verify_unchanged(self) -> None:
        """Compare every file with the listing."""
        verify_unchanged(self._found)

    @cached_property
    def _content(self) -> csv_reader.CsvTable:
        return csv_reader.read_csv_files(self._found, self._config)
