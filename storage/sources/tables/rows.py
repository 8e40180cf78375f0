"""The rows of a table, checked, before their columns are understood; and what decides their split.

N rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.records.proposal import Proposal
from storage.sources.builder import PrepareJob, Source
from storage.sources.checks import check_amount, first_few, listed
from storage.sources.config import SourceConfig
from storage.sources.paths import is_text, names_splits, split_by_column
from storage.sources.split import row_digests
from storage.sources.split_assignment import SplitAssignment, SplitInputs, assign_splits
from storage.sources.split_classes import Classes
from storage.sources.tables.dialect import KEY, Dialect
from storage.sources.tables.kinds import Inferred
from storage.sources.tables.label import NO_CONTENT, labelled_rows, read_classes
from storage.sources.tables.source import (
    TableRead,
    TableSource,
    check_distinct_names,
    check_kept,
    check_label,
    check_named,
    check_values,
    dropped_columns,
)
from storage.sources.tables.text_columns import read_text_columns
from storage.sources.tables.types import plain_table, unified


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
    labelled: NDArray[np.bool_]
    """Which rows of those that were read are kept, as they have a label."""


def read_rows(job: PrepareJob) -> Rows:
    """Read everything and check it.

    Raises:
        SourceError: the source is unfit, or its holdout does not go with it.
    """
    reads = [_read(table_source(source)) for source in job.sources]
    table, notes = reads[0].table, [note for read in reads for note in read.notes]
    check_named(job.config, table_source(job.sources[0]).names())
    left_out = _left_out(job.config, table_source(job.sources[0]).path_parts())
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
    own -= reads[0].evidence
    table, notes = read.table.slice(0, len(read.table) - reads[0].evidence), list(read.notes)
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
        labelled=labelled,
    )


def table_source(source: Source) -> TableSource:
    """Return a source of this modality as what it is."""
    if not isinstance(source, TableSource):
        raise TypeError(source)
    return source


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


def present_columns(config: SourceConfig, table: pa.Table) -> SourceConfig:
    """Return the config without what it says of columns that have left the table."""
    kept = tuple(column for column in config.columns if column.name in table.column_names)
    return config.model_copy(update={"columns": kept})


def content_columns(config: SourceConfig, inferred: Inferred) -> list[str]:
    """Return the columns that decide the split: those that describe rows, without the label.

    Raises:
        SourceError: there is none.
    """
    names = [column.name for column in inferred.columns]
    without = named_columns(config, inferred)
    content = [name for name in names if name not in without]
    if not content:
        msg = (
            f"The source {config.uri!r} has nothing but keys, text and the label "
            f"({', '.join(map(repr, names))}); add columns that describe the rows."
        )
        raise SourceError(msg)
    return content


def named_columns(config: SourceConfig, inferred: Inferred) -> set[str]:
    """Return the columns that name a row instead of describing it, and the label."""
    without = {column.name for column in inferred.columns if column.kind in NO_CONTENT}
    return without if config.label is None else {*without, config.label}


def assign_rows(
    config: SourceConfig,
    rows: Rows,
    table: pa.Table,
    inferred: Inferred,
    classes: Classes | None,
) -> SplitAssignment:
    """Return the split of every row by its content, which the rule describes."""
    digests = row_digests(table, content_columns(config, inferred))
    collected = SplitInputs(
        digests=digests,
        final_digests=digests,
        deciding=rows.deciding,
        held_out=rows.held_out,
        classes=classes,
    )
    assignment = assign_splits(config.split, collected, refuse_leaks=True)
    return with_reading(assignment, config, rows, inferred)


def with_reading(
    assignment: SplitAssignment, config: SourceConfig, rows: Rows, inferred: Inferred
) -> SplitAssignment:
    """Return the assignment with what its rule says of how the rows are read."""
    left_out = named_columns(config, inferred).union(inferred.dropped, dropped_columns(config))
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
