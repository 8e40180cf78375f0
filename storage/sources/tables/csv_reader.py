"""CSV files to one Arrow table with exact types, and how they are written."""

from dataclasses import dataclass

import pyarrow as pa

from storage.sources.config import SourceConfig
from storage.sources.files import SourceFiles
from storage.sources.tables.dialect import Dialect


@dataclass(frozen=True, kw_only=True)
class CsvTable:
    """What CSV files hold."""

    table: pa.Table
    """Rows in the order of the files; its schema carries the dialect."""
    dialect: Dialect
    notes: tuple[str, ...]
    """Sentences about what was decided; the first describes the dialect."""


def read_csv_files(found: SourceFiles, config: SourceConfig) -> CsvTable:
    """Read the files of a source; gzip is recognised by its content.

    Raises:
        SourceError: they are broken, mixed, ambiguous, or not as the recipe says.
        LakeError: the store fails.
    """
    raise NotImplementedError(found, config)
