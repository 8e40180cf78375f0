"""Tables made ready: read, checked, understood, split by row content, and mapped again.

An entry holds `<split>.arrow`, Arrow IPC in one batch, whose schema says what its columns mean.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.records.proposal import Proposal
from storage.records.schema import (
    Column,
    TableMetadata,
    with_table_metadata,
)
from storage.sources.builder import Builder, Built, PrepareJob, Source, write_splits
from storage.sources.checks import (
    advice,
    check_amount,
    check_classes,
    check_trained_classes,
    class_needs,
    first_few,
    listed,
)
from storage.sources.config import SourceConfig
from storage.sources.files import (
    ARROW_FILES,
    CSV_FILES,
    EXCEL_FILES,
    JSON_FILES,
    ORC_FILES,
    PARQUET_FILES,
    SourceFiles,
)
from storage.sources.given import GivenRecords, GivenRequest
from storage.sources.paths import is_text, names_splits, split_by_column
from storage.sources.split import SPLITS, TRAIN, row_digests
from storage.sources.split_assignment import SplitAssignment, SplitInputs, assign_splits
from storage.sources.split_classes import Classes, code_classes
from storage.sources.survey import Survey
from storage.sources.tables.csv_source import DelimitedTable
from storage.sources.tables.dialect import KEY, Dialect
from storage.sources.tables.examples import TABLE_EXAMPLES
from storage.sources.tables.given import read_given_rows
from storage.sources.tables.kinds import Inferred, infer
from storage.sources.tables.label import (
    MAX_CLASSES,
    NO_CONTENT,
    check_label_kind,
    classes_of,
    labelled_rows,
    read_classes,
)
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
from storage.sources.tables.structure.find import Structure, find_structure
from storage.sources.tables.structure.notes import structure_notes
from storage.sources.tables.survey import GROUPED, survey_table
from storage.sources.tables.text_columns import read_text_columns
from storage.sources.tables.typed_files import READERS, TypedTable
from storage.sources.tables.types import plain_table, unified
from storage.sources.tables.unused import unused_settings


class TablesBuilder(Builder):
    """Reads a table whole: it fits into memory."""

    files = (PARQUET_FILES, CSV_FILES, JSON_FILES, ARROW_FILES, ORC_FILES, EXCEL_FILES)
    examples = TABLE_EXAMPLES

    def open(self, config: SourceConfig, found: SourceFiles) -> Source:
        """Take CSV, and every Parquet file that reaches it.

        Raises:
            SourceError: `source.sheet` is for other files.
        """
        if config.sheet is not None and found.kind is not EXCEL_FILES:
            msg = (
                f"source.sheet {config.sheet!r} has no effect on the {found.kind.name} files of "
                f"{config.uri!r}; remove it."
            )
            raise SourceError(msg)
        if found.kind in (CSV_FILES, EXCEL_FILES):
            return DelimitedTable(config, found)
        return (
            TypedTable(config, found)
            if found.kind in READERS
            else ParquetTable(config, found.parquet)
        )

    def settings(self, config: SourceConfig, min_group: int) -> dict[str, Any]:
        """Return label, kinds, constraints and dialect; `min_group` travels with the rows."""
        later: dict[str, str] = (
            {} if config.label_nulls == "few" else {"label_nulls": config.label_nulls}
        )
        if any(one.text != "refuse" and one.kind != "text" for one in config.columns):
            later["text"] = "of every kind"  # which it was without effect on, once
        later |= {} if config.sheet is None else {"sheet": config.sheet}
        return {
            "modality": "tables",
            "label": config.label,
            **later,
            "min_group": min_group,
            "structure": config.structure,
            "csv": config.csv.to_json(),
            "columns": [column.model_dump(mode="json") for column in config.columns],
            "constraints": [one.to_json() for one in config.constraints],
        }

    def survey(self, source: Source, config: SourceConfig, min_group: int) -> Survey:
        """Return what the values tell."""
        read = _source(source).read()
        surveyed = survey_table(read, config, min_group)
        split = source.evidence(config) or said_split(read.table, config)
        others = [one for one in surveyed.proposals if not (split and one.setting == GROUPED)]
        return replace(surveyed, proposals=(*split, *others))

    def unused(self, config: SourceConfig, schema: pa.Schema) -> Mapping[str, str]:
        """Say which settings of `source.csv` and `source.columns` change nothing here."""
        return unused_settings(config, schema)

    def describe(self, schema: pa.Schema) -> str:
        """Return the width of the table."""
        return f"rows of {len(schema)} columns"

    def read_given(self, request: GivenRequest) -> GivenRecords:
        """Read rows and bring them to the known columns and types."""
        return read_given_rows(request)

    def build(self, job: PrepareJob, folder: Path) -> Built:
        """Read, understand, decide the splits, and write one file per split."""
        rows = read_rows(job)
        if job.progress is not None:
            job.progress(len(rows.table), len(rows.table))
        unused = said_split(rows.table, job.config)
        inferred = infer(rows.table, _present(job.config, rows.table), job.min_group)
        table = rows.table.select([column.name for column in inferred.columns])
        check_kept(job.config, table.column_names)
        check_label_kind(job.config, inferred.columns)
        classes = _label_classes(job, table, inferred.columns)
        assignment = _assign_splits(job.config, rows, table, inferred, classes)
        structure = _structure(job, table, inferred.columns, assignment.splits_N)
        kept = structure.kept if job.config.structure == "found" else ()
        metadata = TableMetadata(
            columns=tuple(inferred.columns),
            constraints=(*job.config.constraints, *(rule.constraint for rule in kept)),
            min_group=job.min_group,
            named=len(job.config.constraints),
        )
        schema = with_table_metadata(table.schema.with_metadata(dict(rows.metadata)), metadata)
        table = table.replace_schema_metadata(schema.metadata)
        parts = write_splits(folder, table, assignment.splits_N)
        counts = {
            name: classes_of(job.config, part, inferred.columns) for name, part in parts.items()
        }
        counts = counts if 0 < len(counts[TRAIN]) <= MAX_CLASSES else dict.fromkeys(SPLITS, ())
        check_classes(job.config, counts, job.min_group, "tables")
        if not _is_public(job.config.label, inferred.columns):
            check_trained_classes(job.config, counts[TRAIN], job.min_group, "tables")
        return Built(
            split_rule=assignment.rule,
            rows={name: len(part) for name, part in parts.items()},
            class_counts=counts,
            skipped=rows.skipped,
            notes=(
                *rows.notes,
                *map(advice, unused),
                *inferred.notes,
                *structure_notes(structure, kept=job.config.structure == "found"),
                *assignment.notes,
            ),
            details=_reading(job.sources[0]),
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
    check_named(job.config, _source(job.sources[0]).names())
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
    read = read_text_columns(replace(reads[0], table=table, notes=tuple(notes)), job.config)
    read = read_classes(read, job.config, job.min_group)
    table, notes = read.table, list(read.notes)
    held_out = np.arange(len(table)) >= own
    labelled, skipped = labelled_rows(job.config, table, own)
    if not labelled.all():
        table, held_out = table.filter(pa.array(labelled)), held_out[labelled]
        which = f", {first_few(skipped, '; ')}" if skipped else ""
        notes.append(
            f"Skipped for want of a value of {job.config.label!r}: {int((~labelled).sum())} of "
            f"{len(labelled)} rows{which}."
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
        metadata=read.metadata,
    )


def _reading(source: Source) -> dict[str, Any]:
    """Return, for the keys, which columns of the rows the files themselves do not hold."""
    return {"reading": {"partitions": list(source.partitions)}} if source.partitions else {}


def said_split(table: pa.Table, config: SourceConfig) -> tuple[Proposal, ...]:
    """Return the setting for a column that says a split and that the recipe does not use."""
    if config.split.column is not None or config.split.holdout_uri is not None:
        return ()
    for name in filter(names_splits, table.column_names):
        if is_text(table.schema.field(name).type):
            proposal = split_by_column(name, table.column(name).unique().to_pylist())
            if proposal is not None:
                return (proposal,)
    return ()


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
    return replace(read, table=table, notes=(*read.notes, *notes))


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


def _assign_splits(
    config: SourceConfig,
    rows: Rows,
    table: pa.Table,
    inferred: Inferred,
    classes: Classes | None,
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
        digests=digests,
        final_digests=digests,
        deciding=rows.deciding,
        held_out=rows.held_out,
        classes=classes,
    )
    assignment = assign_splits(config.split, collected, refuse_leaks=True)
    left_out = without.union(inferred.dropped, dropped_columns(config))
    rule = {**assignment.rule, "without": sorted(left_out), **_formats(rows.metadata)}
    standards = [one.name for one in inferred.columns if one.form is not None and "\\{" in one.form]
    rule |= {"standards": sorted(standards)} if standards else {}
    return replace(assignment, rule=rule)


def _formats(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    """Return the columns of which records hold other values than the source's cells, if any.

    They are part of the rule, as equal cells were records of other values before.
    """
    text = metadata.get(KEY)
    styles = {} if text is None else Dialect.from_json(text).styles
    names = [name for name, style in styles.items() if style.formatted]
    return {"formats": sorted(names)} if names else {}


def _is_public(label: str | None, columns: Sequence[Column]) -> bool:
    return any(one.name == label and one.vocabulary == "public" for one in columns)


def _label_classes(job: PrepareJob, table: pa.Table, columns: Sequence[Column]) -> Classes | None:
    """Return the class of every row; None where the label is a quantity or there is none."""
    counts = classes_of(job.config, table, tuple(columns))
    if not 0 < len(counts) <= MAX_CLASSES:
        return None
    train = 1 if _is_public(job.config.label, columns) else job.min_group
    return code_classes(table.column(job.config.label), class_needs("tables", train=train))


def _structure(
    job: PrepareJob, table: pa.Table, columns: Sequence[Column], splits_N: NDArray[np.uint8]
) -> Structure:
    """Return what holds between the columns, unless nobody wants to know."""
    if job.config.structure == "off":
        return Structure()
    return find_structure(
        table,
        columns,
        label=job.config.label,
        constraints=job.config.constraints,
        min_group=job.min_group,
        train_N=splits_N == SPLITS.index(TRAIN),
    )
