"""Sources of series: the rows of a table, each a step of an entity.

What reads tables reads the rows. Which columns name the entity and the moment is said by the
recipe, or by the files themselves where they are nested.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Final

import pyarrow as pa

from storage.records.proposal import Proposal
from storage.sources.builder import Source, SourceDescription
from storage.sources.config import SourceConfig
from storage.sources.tables.source import TableSource

READS: Final = frozenset({"entity", "time", "window"})
"""The settings of `source` that only series know."""


def entity_columns(entity: str | None, names: Sequence[str]) -> list[str]:
    """Return the columns that `source.entity` names: one, or several between commas."""
    if entity is None or entity in names:
        return [] if entity is None else [entity]
    return [part.strip() for part in entity.split(",")]


class SeriesSource(Source):
    """Entities as rows of steps; `rows` reads them."""

    modality = "series"
    reads_settings = READS

    def __init__(self, config: SourceConfig, rows: TableSource) -> None:
        self.uri = rows.uri
        self.ignored_files = rows.ignored_files
        self.left_out = rows.left_out
        self.rows = rows
        self._config = config

    @property
    def entity(self) -> str | None:
        """The column that names the entity; None where nothing says it."""
        return self._config.entity

    @property
    def time(self) -> str | None:
        """The column of the moments; None where nothing says it."""
        return self._config.time

    @property
    def variables(self) -> frozenset[str]:
        """Columns that have a value per step whatever they hold."""
        return frozenset()

    def evidence(self, config: SourceConfig) -> tuple[Proposal, ...]:
        """Return what the paths of the files say."""
        return self.rows.evidence(config)

    @property
    def partitions(self) -> tuple[str, ...]:
        """Columns that folders of the form `name=value` say."""
        return self.rows.partitions

    @property
    def listing_notes(self) -> tuple[str, ...]:
        """Sentences on how the files were found."""
        return self.rows.listing_notes

    @property
    def announcement(self) -> str | None:
        """Say how large the rows are."""
        return self.rows.announcement

    @cached_property
    def digest(self) -> str:
        """Digest of the rows' files."""
        return self.rows.digest

    @cached_property
    def description(self) -> SourceDescription:
        """Counts of the entities; the rows are read for it."""
        found = self.rows.description
        return SourceDescription(
            kind=found.kind,
            modality=self.modality,
            files=found.files,
            size_bytes=found.size_bytes,
            ignored_files=self.ignored_files,
            rows=self._count(),
            columns=found.columns,
        )

    def _count(self) -> int:
        named = entity_columns(self.entity, self.rows.schema().names)
        if not named:
            return 1
        return len(self.rows.read().table.select(named).group_by(named).aggregate([]))

    def column_type(self, name: str) -> pa.DataType:
        """Return the type as the rows hold it."""
        return self.rows.column_type(name)

    def check(self, config: SourceConfig) -> None:
        """Check what rows are checked for before they are read."""
        self.rows.check(config)

    def verify_unchanged(self) -> None:
        """Check that the files are what the digest says."""
        self.rows.verify_unchanged()
