"""Tables made ready: read, checked, understood, split by row content, and mapped again.

An entry holds `<split>.arrow`, Arrow IPC in one batch, whose schema says what its columns mean.
More rows of a table that is known already, those whose nulls shall be filled, are read with its
types.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.records.schema import (
    ClassCounts,
    Column,
    Kind,
    TableMetadata,
    count_classes,
    with_table_metadata,
)
from storage.sources.builder import (
    MAX_SKIPPED_FRACTION,
    Builder,
    Built,
    PrepareJob,
    Source,
    check_amount,
    check_classes,
    check_trained_classes,
    first_few,
    listed,
    write_splits,
)
from storage.sources.config import ColumnConfig, SourceConfig
from storage.sources.files import CSV_FILES, PARQUET_FILES, SourceFiles
from storage.sources.open import open_source
from storage.sources.split import SPLITS, TRAIN, row_digests
from storage.sources.split_assignment import SplitAssignment, SplitInputs, assign_splits
from storage.sources.survey import Survey
from storage.sources.tables.csv_source import DelimitedTable
from storage.sources.tables.dialect import KEY, Dialect
from storage.sources.tables.examples import TABLE_EXAMPLES
from storage.sources.tables.kinds import Inferred, infer
from storage.sources.tables.source import (
    ParquetTable,
    TableRead,
    TableSource,
    check_distinct_names,
    check_kept,
    check_label,
    check_named,
    check_values,
    dropped_columns,
)
from storage.sources.tables.suggest import Suggestion, certain_sums
from storage.sources.tables.survey import survey_table
from storage.sources.tables.types import plain_table, unified
from storage.stores.settings import StorageProfile

MAX_CLASSES: Final = 50
"""A label of text or whole numbers with more values is a quantity or a name, not a class."""

CLASS_KINDS: Final = frozenset({"category", "boolean", "integer"})
"""Kinds whose values can be classes."""

NO_CONTENT: Final = frozenset({"key", "text"})
"""Kinds whose values name a row instead of describing it; they do not decide its split."""


class TablesBuilder(Builder):
    """Reads a table whole: it fits into memory."""

    files = (PARQUET_FILES, CSV_FILES)
    examples = TABLE_EXAMPLES

    def open(self, config: SourceConfig, found: SourceFiles) -> Source:
        """Take CSV, and every Parquet file that reaches it."""
        if found.kind is CSV_FILES:
            return DelimitedTable(config, found)
        return ParquetTable(config, found.parquet)

    def settings(self, config: SourceConfig, min_group: int) -> dict[str, Any]:
        """Return label, kinds, constraints and dialect; `min_group` travels with the rows."""
        return {
            "modality": "tables",
            "label": config.label,
            "min_group": min_group,
            "sums": config.sums,
            "csv": config.csv.model_dump(mode="json"),
            "columns": [column.model_dump(mode="json") for column in config.columns],
            "constraints": [one.model_dump(mode="json") for one in config.constraints],
        }

    def survey(self, source: Source, config: SourceConfig, min_group: int) -> Survey:
        """Return what the values tell."""
        return survey_table(_source(source), config, min_group)

    def unused(self, config: SourceConfig, schema: pa.Schema) -> Mapping[str, str]:
        """Say which settings of `source.csv` change nothing, as there is no CSV or no date."""
        said = config.csv.model_dump(exclude_none=True)
        text = (schema.metadata or {}).get(KEY)
        if text is None:
            return {f"source.csv.{name}": "the source is no CSV" for name in said}
        if "date_format" in said and not Dialect.from_json(text).date_formats:
            return {"source.csv.date_format": "no column holds dates"}
        return {}

    def describe(self, schema: pa.Schema) -> str:
        """Return the width of the table."""
        return f"rows of {len(schema)} columns"

    def build(self, job: PrepareJob, folder: Path) -> Built:
        """Read, understand, decide the splits, and write one file per split."""
        rows = read_rows(job)
        if job.progress is not None:
            job.progress(len(rows.table), len(rows.table))
        inferred = infer(rows.table, _present(job.config, rows.table), job.min_group)
        table = rows.table.select([column.name for column in inferred.columns])
        check_kept(job.config, table.column_names)
        _check_label_kind(job.config, inferred.columns)
        assignment = _assign_splits(job.config, rows, table, inferred)
        sums = _found_sums(job.config, table, inferred.columns)
        sum_notes = [
            f"{why}, so it is made from them; `source.sums: named` leaves it alone."
            for _, why in sums
        ]
        metadata = TableMetadata(
            columns=tuple(inferred.columns),
            constraints=(*job.config.constraints, *(constraint for constraint, _ in sums)),
            min_group=job.min_group,
        )
        schema = with_table_metadata(table.schema.with_metadata(dict(rows.metadata)), metadata)
        table = table.replace_schema_metadata(schema.metadata)
        parts = write_splits(folder, table, assignment.splits_N)
        counts = {
            name: _classes(job.config, part, inferred.columns) for name, part in parts.items()
        }
        counts = counts if 0 < len(counts[TRAIN]) <= MAX_CLASSES else dict.fromkeys(SPLITS, ())
        check_classes(job.config, counts, job.min_group, "tables")
        if not any(
            one.name == job.config.label and one.vocabulary == "public" for one in inferred.columns
        ):
            check_trained_classes(job.config, counts[TRAIN], job.min_group)
        return Built(
            split_rule=assignment.rule,
            rows={name: len(part) for name, part in parts.items()},
            class_counts=counts,
            skipped=rows.skipped,
            notes=(*rows.notes, *inferred.notes, *sum_notes, *assignment.notes),
        )


BUILDER = TablesBuilder()


def _present(config: SourceConfig, table: pa.Table) -> SourceConfig:
    """Return the config without what it says of columns that have left the table."""
    kept = tuple(column for column in config.columns if column.name in table.column_names)
    return config.model_copy(update={"columns": kept})


@dataclass(frozen=True, kw_only=True)
class Rows:
    """N rows, checked, before their columns are understood."""

    table: pa.Table
    """Without what is dropped and the column of `split.column`; every row has a label."""
    deciding: pa.Array | None
    """The column of `split.column` or `split.group_by`, of the rows that are not held out."""
    held_out: NDArray[np.bool_]
    """(N,), whether the row came from `split.holdout_uri`."""
    skipped: tuple[str, ...]
    """Rows without a value of the label."""
    notes: tuple[str, ...]
    metadata: Mapping[bytes, bytes]
    """For the schema of the records."""


def read_rows(job: PrepareJob) -> Rows:
    """Read everything and check it.

    Raises:
        SourceError: the source is unfit, or its holdout does not go with it.
    """
    reads = [_read(_source(source)) for source in job.sources]
    table, notes = reads[0].table, [note for read in reads for note in read.notes]
    check_named(job.config, _source(job.sources[0]).schema().names)
    left_out = _left_out(job.config, _source(job.sources[0]).path_parts())
    kept = table.drop_columns(left_out)
    check_kept(job.config, kept.column_names)
    check_values(job.config, kept)
    own = len(table)
    if len(reads) > 1:
        tables = [table, _like(table, reads[1].table, job, left_out)]
        table, more = unified(tables, ["source.uri", "split.holdout_uri"], job.config.uri)
        notes += more
    check_amount(job.config, len(table), "tables")
    held_out = np.arange(len(table)) >= own
    labelled, skipped = _labelled(job, table, own)
    if skipped:
        table, held_out = table.filter(pa.array(labelled)), held_out[labelled]
        notes.append(
            f"Skipped for want of a value of {job.config.label!r}: {len(skipped)} of "
            f"{len(labelled)} rows, {first_few(skipped, '; ')}."
        )
    check_label(job.config, table)
    split = job.config.split
    name = split.column or split.group_by
    deciding = None if name is None else table.column(name).combine_chunks()
    if split.column is not None:
        notes.append(f"The column {split.column!r} divides the rows and is not kept.")
    return Rows(
        table=table.drop_columns(left_out),
        deciding=None if deciding is None else deciding.filter(pa.array(~held_out)),
        held_out=held_out,
        skipped=tuple(skipped),
        notes=tuple(dict.fromkeys(notes)),
        metadata=reads[0].metadata,
    )


def _source(source: Source) -> TableSource:
    if not isinstance(source, TableSource):
        raise TypeError(source)
    return source


def _left_out(config: SourceConfig, path_parts: frozenset[str]) -> list[str]:
    """Return the columns that were read for the split alone."""
    deciding = {config.split.column, config.split.group_by} - {None}
    dropped = (deciding & (dropped_columns(config) | path_parts)) | ({config.split.column} - {None})
    return sorted(str(name) for name in dropped)


def _read(source: TableSource) -> TableRead:
    read = source.read()
    check_distinct_names(source.uri, read.table.column_names)
    table, notes = plain_table(read.table, source.uri)
    return TableRead(table=table, notes=(*read.notes, *notes), metadata=read.metadata)


def _like(table: pa.Table, holdout: pa.Table, job: PrepareJob, left_out: Sequence[str]) -> pa.Table:
    """Return the columns of the holdout that the source has, in its order.

    What decides the split alone may be absent there, and is null then.
    """
    for name in set(left_out) - set(holdout.column_names):
        empty = pa.nulls(len(holdout), table.schema.field(name).type)
        holdout = holdout.append_column(name, empty)
    absent = [name for name in table.column_names if name not in holdout.column_names]
    if absent:
        msg = (
            f"The source {job.sources[1].uri!r} of split.holdout_uri lacks the columns "
            f"{listed(absent)} that {job.config.uri!r} has; add them, or drop them with "
            "source.columns."
        )
        raise SourceError(msg)
    return holdout.select(table.column_names)


def _labelled(job: PrepareJob, table: pa.Table, own: int) -> tuple[NDArray[np.bool_], list[str]]:
    """Return which rows have a label, and the names of the others."""
    label = job.config.label
    if label is None or not table.column(label).null_count:
        return np.ones(len(table), np.bool_), []
    column = table.column(label)
    labelled: NDArray[np.bool_] = column.is_valid().to_numpy().astype(np.bool_)
    if column.null_count > MAX_SKIPPED_FRACTION * len(table):
        msg = (
            f"The label column {label!r} of the source {job.config.uri!r} is null in "
            f"{column.null_count} of {len(table)} rows, more than {MAX_SKIPPED_FRACTION:.0%}; fill "
            "or remove these rows, or set source.label to null."
        )
        raise SourceError(msg)
    rows = np.flatnonzero(~labelled).tolist()
    names = [f"row {row}" if row < own else f"holdout row {row - own}" for row in rows]
    return labelled, [f"{name} (no label)" for name in names]


def _assign_splits(
    config: SourceConfig, rows: Rows, table: pa.Table, inferred: Inferred
) -> SplitAssignment:
    """Return the split of every row by its content, which the rule describes."""
    without = {column.name for column in inferred.columns if column.kind in NO_CONTENT}
    if config.label is not None:
        without.add(config.label)
    content = [name for name in table.column_names if name not in without]
    if not content:
        msg = (
            f"The source {config.uri!r} has nothing but keys, text and the label "
            f"({', '.join(map(repr, table.column_names))}); add columns that describe the rows."
        )
        raise SourceError(msg)
    digests = row_digests(table, content)
    collected = SplitInputs(
        digests=digests, final_digests=digests, deciding=rows.deciding, held_out=rows.held_out
    )
    assignment = assign_splits(config.split, collected, refuse_leaks=True)
    left_out = without.union(inferred.dropped, dropped_columns(config))
    rule = {**assignment.rule, "without": sorted(left_out)}
    return replace(assignment, rule=rule)


def _check_label_kind(config: SourceConfig, columns: Sequence[Column]) -> None:
    if config.label is None:
        return
    kind = next(column.kind for column in columns if column.name == config.label)
    if kind in {*NO_CONTENT, "constant"}:
        msg = (
            f"The label column {config.label!r} of the source {config.uri!r} is taken for "
            f"{kind}, which nothing can be predicted from; name another column, give its kind in "
            "source.columns, or set source.label to null."
        )
        raise SourceError(msg)


def _found_sums(
    config: SourceConfig, table: pa.Table, columns: Sequence[Column]
) -> tuple[Suggestion, ...]:
    """Return the sums to keep though nobody named them; the label is never made from others."""
    if config.sums == "named":
        return ()
    taken = {name for constraint in config.constraints for name in constraint.columns}
    return certain_sums(table, columns, taken | ({config.label} if config.label else set()))


def _classes(config: SourceConfig, table: pa.Table, columns: Sequence[Column]) -> ClassCounts:
    """Count the rows of every class; empty where the label is a quantity or there is none."""
    kinds = {column.name: column.kind for column in columns}
    if config.label is None or kinds[config.label] not in CLASS_KINDS:
        return ()
    column = table.column(config.label)
    types = (pa.types.is_string, pa.types.is_integer, pa.types.is_boolean)
    if not any(test(column.type) for test in types):
        return ()
    return count_classes(column)


def read_like(
    config: SourceConfig, uri: str, schema: pa.Schema, profile: StorageProfile | None = None
) -> TableRead:
    """Return the rows of CSV or Parquet files with the types of a known table.

    Columns that the schema does not have come along as they are.

    Args:
        config: of the known table's source; what it says of storage and CSV holds here too.
        uri: a file, folder or glob, local or on S3.
        schema: names and types of the known table.
        profile: credentials; None = those that `config.storage` names.

    Raises:
        SourceError: there are no such rows, a column is missing, or a value is of another type.
        SettingsError, LakeError: as `open_source`.
    """
    columns = tuple(_column_config(field) for field in schema)
    wanted = SourceConfig(
        uri=uri,
        storage=config.storage,
        modality="tables",
        label=None,
        csv=config.csv,
        columns=columns,
    )
    source = open_source(wanted, profile)
    if not isinstance(source, TableSource):
        msg = f"The source {uri!r} holds {source.modality}; give CSV or Parquet files of rows."
        raise SourceError(msg)
    read = source.read()
    check_distinct_names(uri, read.table.column_names)
    absent = [name for name in schema.names if name not in read.table.column_names]
    if absent:
        msg = (
            f"The source {uri!r} lacks the column {absent[0]!r} of the known table; add it, empty "
            "where it is not known."
        )
        raise SourceError(msg)
    table, notes = plain_table(read.table, uri)
    for place, name in enumerate(table.column_names):
        if name in schema.names:
            kind = schema.field(name).type
            table = table.set_column(place, name, _cast(table[name], kind, name, uri))
    return TableRead(table=table, notes=(*read.notes, *notes), metadata=read.metadata)


def _column_config(field: pa.Field) -> ColumnConfig:
    """Return the configuration with which CSV is read as the known column's type."""
    tests: tuple[tuple[Any, Kind], ...] = (
        (pa.types.is_integer, "integer"),
        (pa.types.is_floating, "float"),
        (pa.types.is_decimal, "decimal"),
        (pa.types.is_boolean, "boolean"),
        (pa.types.is_date, "date"),
        (pa.types.is_time, "time"),
        (pa.types.is_timestamp, "timestamp"),
    )
    for test, kind in tests:
        if test(field.type):
            return ColumnConfig(name=field.name, kind=kind)
    return ColumnConfig(name=field.name, kind="text", text="pattern")


def _cast(column: pa.ChunkedArray, kind: pa.DataType, name: str, uri: str) -> pa.ChunkedArray:
    try:
        return column.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        msg = (
            f"The column {name!r} of the source {uri!r} is {column.type} and cannot be read as "
            f"{kind}, which it is in the known table; correct its values."
        )
        raise SourceError(msg) from error
