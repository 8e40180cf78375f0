"""The Parquet files of a source: their footers, and reading them."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from storage.errors import SourceError
from storage.sources.files import REMOTE_THREADS, SourceFiles

_READ_BUFFER_BYTES: Final = 4 << 20
"""Column chunks are streamed through buffers of this size instead of being read whole."""


@dataclass(frozen=True, kw_only=True)
class Footer:
    """What one file says of itself."""

    rows: int
    schema: pa.Schema


class ParquetFiles:
    """One or more Parquet files and what their footers say.

    Raises:
        SourceError: a file is no Parquet file, or there is no row in any.
    """

    def __init__(self, found: SourceFiles) -> None:
        self.found = found
        self.uri = found.uri
        keys = [info.key for info in found.files]
        with ThreadPoolExecutor(REMOTE_THREADS if found.remote else 4) as pool:
            self.footers = dict(zip(keys, pool.map(self._footer, keys), strict=True))
        self.first = next((key for key in keys if self.footers[key].rows), keys[0])
        if not self.rows:
            msg = f"The source {self.uri!r} is empty: its Parquet files hold no row; fill them."
            raise SourceError(msg)

    @property
    def rows(self) -> int:
        """Rows of all files."""
        return sum(footer.rows for footer in self.footers.values())

    @property
    def schema(self) -> pa.Schema:
        """Of the first file with rows."""
        return self.footers[self.first].schema

    def batches(self, key: str, rows: int, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield some columns of a file in batches of so many rows.

        Raises:
            SourceError: the file is damaged.
        """
        with self.reading(key) as file:
            yield from file.iter_batches(rows, columns=list(columns), use_threads=False)

    def lacks(self, key: str, name: str) -> SourceError:
        """Make the error for a file without a column that the first one has."""
        return SourceError(
            f"The file {key!r} of the source {self.uri!r} lacks the column {name!r} that "
            f"{self.first!r} has; leave it out with source.exclude."
        )

    @contextmanager
    def reading(self, key: str) -> Iterator[pq.ParquetFile]:
        """Open a file.

        Raises:
            SourceError: it is no Parquet file, or damaged where the caller reads.
        """
        try:
            with (
                self.found.store.open(key) as stream,
                pq.ParquetFile(stream, buffer_size=_READ_BUFFER_BYTES, pre_buffer=False) as file,
            ):
                yield file
        except (pa.ArrowException, OSError) as error:
            msg = (
                f"The file {key!r} of the source {self.uri!r} is no readable Parquet file "
                f"({str(error).splitlines()[0]}); replace it or leave it out with source.exclude."
            )
            raise SourceError(msg) from error

    def _footer(self, key: str) -> Footer:
        with self.reading(key) as file:
            return Footer(rows=file.metadata.num_rows, schema=file.schema_arrow)
