"""Whether a table is read in a stream, and which of its rows are kept.

Shape legend: K rows of the sample.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.records.proposal import left_out
from storage.sources.builder import PrepareJob, SourceDescription
from storage.sources.checks import check_amount, listed
from storage.sources.config import SourceConfig
from storage.sources.files import CSV_FILES
from storage.sources.memory import COPIES
from storage.sources.split import row_digests
from storage.sources.streams.limits import allowed_bytes, kept_rows
from storage.sources.streams.sample import SAMPLE_WORDS, add_digests, choose_rows
from storage.sources.streams.spill import Spill
from storage.sources.tables.csv_source import DelimitedTable
from storage.sources.tables.csv_stream import CsvRows
from storage.sources.tables.parquet_table import ParquetTable
from storage.sources.tables.row_stream import ParquetRows, RowStream, refusal
from storage.sources.tables.source import TableRead, TableSource

SURVEYED_ROWS: Final = 200_000
PART_OF_ROWS: Final = "only the first"
"""How the note begins that a survey did not look at all rows."""


@dataclass(frozen=True, kw_only=True)
class ChosenRows:
    """The sample, as blocks hold it."""

    pieces: tuple[pa.Table, ...]
    """In the order of the source; of every kind of block there is one, which may be empty."""
    places_K: NDArray[np.int64]
    """Where the K rows are in the source, in the order in which they are kept."""
    rows: int
    """Of the source."""
    most: int

    def order(self) -> NDArray[np.int64]:
        """Return the place of each kept row in the pieces, one after the other."""
        return np.argsort(np.argsort(self.places_K)).astype(np.int64)


class SampledTable(TableSource):
    """The rows of a sample, read as the source would be if it held no others."""

    def __init__(
        self,
        source: TableSource,
        stream: RowStream,
        chosen: ChosenRows,
        evidence: Sequence[pa.Table],
        label: str | None,
    ) -> None:
        self.uri = stream.uri
        self._source, self._stream = source, stream
        self._read = self._labelled(stream, chosen, evidence, label)

    def _labelled(
        self,
        stream: RowStream,
        chosen: ChosenRows,
        evidence: Sequence[pa.Table],
        label: str | None,
    ) -> TableRead:
        more = sum(map(len, evidence))
        read = stream.read((*chosen.pieces, *evidence), more)
        kept = len(chosen.places_K)
        order = np.concatenate([chosen.order(), np.arange(kept, kept + more)])
        table = read.table.take(pa.array(order))
        self.kept_K: NDArray[np.bool_] = np.ones(kept, np.bool_)
        """Which of the sample's rows have a label."""
        if label in table.column_names and table.column(label).null_count:
            valid = table.column(label).is_valid().to_numpy().astype(np.bool_)
            self.kept_K = valid[:kept]
            valid[kept:] = True
            table = table.filter(pa.array(valid))
        _check_filled(self.uri, table)
        return replace(read, table=table)

    @cached_property
    def digest(self) -> str:
        """That of the source."""
        return self._source.digest

    @cached_property
    def description(self) -> SourceDescription:
        """That of the source."""
        return self._source.description

    def verify_unchanged(self) -> None:
        """Check that the source is still the same."""
        self._source.verify_unchanged()

    def schema(self) -> pa.Schema:
        """Return the types of the rows."""
        return self._read.table.schema

    def names(self) -> list[str]:
        """Return what a recipe may call a column of the source."""
        return self._stream.names()

    def path_parts(self) -> frozenset[str]:
        """Return the columns that only divide the rows."""
        return self._stream.path_parts()

    def read(self) -> TableRead:
        """Return the sample, with the evidence at its end."""
        return self._read


def _check_filled(uri: str, table: pa.Table) -> None:
    """Check that every column has a value in some row of the sample."""
    empty = [n for n in table.column_names if table.column(n).null_count == len(table) > 0]
    if empty:
        entries = ", ".join(f"{{name: {name}, kind: text, text: drop}}" for name in empty)
        msg = (
            f"The source {uri!r} has no value in {listed(empty)} in any of the {len(table):,} rows "
            f"of the sample; leave it out with source.columns: [{entries}], or raise "
            "source.max_rows."
        )
        proposals = [left_out(name, "no value in any row of the sample") for name in empty]
        raise SourceError(msg, proposals=proposals)


def auto_limits(job: PrepareJob) -> dict[str, Any]:
    """Return what `source.max_rows: auto` depends on, where not all rows of a source fit."""
    source = job.sources[0]
    if isinstance(source, ParquetTable):
        fits = source.rows <= kept_rows(job.config, source.row_bytes)
    else:
        fits = not isinstance(source, DelimitedTable) or source.needed_bytes <= allowed_bytes()
    return {} if fits else {"max_rows": [allowed_bytes(), job.seen_rows]}


def open_stream(job: PrepareJob) -> RowStream | None:
    """Return the blocks of a source of more rows than are kept; None: all are.

    Raises:
        SourceError: its split takes all rows in memory.
    """
    source, config = job.sources[0], job.config
    if isinstance(source, ParquetTable):
        few = source.rows <= kept_rows(config, source.row_bytes)
    elif isinstance(source, DelimitedTable) and source.kind is CSV_FILES:
        if config.max_rows == "auto":
            few = source.needed_bytes <= allowed_bytes()
        else:
            few = CsvRows(source.found, config).has_at_most(config.max_rows)
    else:
        return None
    if few:
        return None
    setting = refusal(config.split)
    if setting is not None:
        msg = (
            f"The source {source.uri!r} has more rows than source.max_rows ({config.max_rows}) "
            f"keeps, and {setting} takes all of them at once; leave it out to divide by content, "
            "raise source.max_rows, or read a part with source.include."
        )
        raise SourceError(msg)
    if isinstance(source, ParquetTable):
        return ParquetRows(source)
    return CsvRows(source.found, config)


def first_rows(source: TableSource, config: SourceConfig) -> TableRead:
    """Return the rows that a survey looks at: all, or the first ones where not all are kept."""
    stream = open_stream(PrepareJob(config=config, sources=(source,), min_group=1, progress=None))
    if stream is None:
        return source.read()
    pieces, rows = list[pa.Table](), 0
    for block in stream.blocks():
        pieces.append(block)
        rows += len(block)
        if rows >= SURVEYED_ROWS:
            break
    read = stream.read(pieces, 0)
    return replace(read, notes=(*read.notes, f"{PART_OF_ROWS} {rows:,} rows were looked at"))


def choose_sample(job: PrepareJob, stream: RowStream, folder: Path) -> ChosenRows:
    """Read all rows of a stream twice: for their digests, and for those that are chosen.

    Raises:
        SourceError: a file is damaged, or changed meanwhile.
    """
    size_bytes = 0
    with Spill(folder, "rows", SAMPLE_WORDS) as spill:
        for block in stream.blocks():
            size_bytes += block.nbytes
            add_digests(spill, row_digests(block, block.column_names), spill.rows)
        check_amount(job.config, spill.rows, "tables")
        rows, row_bytes = spill.rows, COPIES * size_bytes // spill.rows
        most = kept_rows(job.config, row_bytes, job.seen_rows)
        places_K = choose_rows(spill, most)
    wanted, pieces, first = np.sort(places_K), list[pa.Table](), 0
    for block in stream.blocks():
        low, high = np.searchsorted(wanted, [first, first + len(block)])
        if high > low or not any(one.schema.equals(block.schema) for one in pieces):
            pieces.append(block.take(pa.array(wanted[low:high] - first)))
        first += len(block)
    if first != rows:
        msg = f"The source {stream.uri!r} changed while it was read; run again when nothing writes."
        raise SourceError(msg)
    return ChosenRows(pieces=tuple(pieces), places_K=places_K, rows=rows, most=most)
