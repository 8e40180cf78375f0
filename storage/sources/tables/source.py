"""What a source of rows offers to the code that checks and splits it."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from storage.sources.config import SourceConfig
from storage.sources.source import Source, missing_column


@dataclass(frozen=True, kw_only=True)
class TableRead:
    """The rows of a source."""

    table: pa.Table
    """In the order of the files, without `unread_columns`."""
    notes: tuple[str, ...] = ()
    """Sentences about what was decided."""
    metadata: Mapping[bytes, bytes] = field(default_factory=dict)
    """What goes along in the schema of the records, such as the dialect of CSV."""


class TableSource(Source):
    """Rows that fit into memory."""

    modality = "tables"

    @abstractmethod
    def schema(self) -> pa.Schema:
        """Return names and types as the source holds them; CSV files are read for it."""

    @abstractmethod
    def read(self) -> TableRead:
        """Return every row."""

    def check(self, config: SourceConfig) -> None:
        """Check that the label is there; everything else is checked when the rows are read."""
        if config.label is not None:
            self.column_type(config.label)

    def column_type(self, name: str) -> pa.DataType:
        """Return the type as the source holds it."""
        schema = self.schema()
        if name not in schema.names:
            raise missing_column(self.uri, name, schema.names)
        return schema.types[schema.names.index(name)]


def dropped_columns(config: SourceConfig) -> frozenset[str]:
    """Return the columns that the recipe leaves out whatever they hold."""
    return frozenset(
        column.name for column in config.columns if column.kind == "text" and column.text == "drop"
    )


def unread_columns(config: SourceConfig) -> frozenset[str]:
    """Return the dropped columns that do not decide the split either: they need not be read."""
    return dropped_columns(config) - {config.split.column, config.split.group_by}
