"""Parquet files without images as a source of rows."""

import re
from functools import cached_property
from typing import Final

import pyarrow as pa

from storage.sources.config import SourceConfig
from storage.sources.files import digest_files, verify_unchanged
from storage.sources.parquet_files import ParquetFiles
from storage.sources.source import SourceDescription
from storage.sources.tables.column_checks import check_distinct_names
from storage.sources.tables.source import TableRead, TableSource, unread_columns
from storage.sources.tables.types import plain_table, unified

_INDEX: Final = re.compile(r"__index_level_\d+__")
"""How pandas calls an index without a name that it stores."""


class ParquetTable(TableSource):
    """The rows of one or more Parquet files with equal columns."""

    def __init__(self, config: SourceConfig, files: ParquetFiles) -> None:
        self.uri = config.uri
        self._files = files
        self.ignored_files = files.found.ignored
        self._dropped = unread_columns(config)
        for footer in files.footers.values():
            check_distinct_names(self.uri, footer.schema.names)

    @cached_property
    def digest(self) -> str:
        """Digest of the sorted (relative path, size, content tag)."""
        return digest_files(self._files.found.store, self._files.found.files)

    @cached_property
    def description(self) -> SourceDescription:
        """Counts from the footers."""
        found = self._files.found
        return SourceDescription(
            kind="parquet",
            modality=self.modality,
            files=len(found.files),
            size_bytes=sum(info.size_bytes for info in found.files),
            ignored_files=self.ignored_files,
            rows=self._files.rows,
            columns=tuple(self._files.schema.names),
        )

    def schema(self) -> pa.Schema:
        """Return the first file's."""
        return self._files.schema

    def read(self) -> TableRead:
        """Return the rows of all files, with plain types."""
        index = [name for name in self.schema().names if _INDEX.fullmatch(name)]
        names = [name for name in self.schema().names if name not in {*self._dropped, *index}]
        notes = [f"Left out as the index that pandas stored: {name!r}." for name in index]
        tables, places = [], []
        for key, footer in self._files.footers.items():
            if footer.rows:
                table, said = plain_table(self._read(key, names), self.uri)
                tables.append(table)
                places.append(repr(key))
                notes += said
        table, said = unified(tables, places, self.uri)
        return TableRead(table=table, notes=tuple(dict.fromkeys([*notes, *said])))

    def verify_unchanged(self) -> None:
        """Compare every file with the listing."""
        verify_unchanged(self._files.found)

    def _read(self, key: str, names: list[str]) -> pa.Table:
        have = set(self._files.footers[key].schema.names)
        for name in names:
            if name not in have:
                raise self._files.lacks(key, name)
        with self._files.reading(key) as file:
            return file.read(columns=names).select(names)
