"""The rows of a source, and of its separate holdout where there is one, as one table."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.sources.builder import Job
from storage.sources.class_checks import MAX_SKIPPED_FRACTION, check_amount
from storage.sources.config import SourceConfig
from storage.sources.source import Source
from storage.sources.tables.column_checks import (
    check_distinct_names,
    check_kept,
    check_label,
    check_named,
    check_values,
)
from storage.sources.tables.source import TableRead, TableSource, dropped_columns
from storage.sources.tables.types import plain_table, unified

_SHOWN = 3


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


def read_rows(job: Job) -> Rows:
    """Read everything and check it.

    Raises:
        SourceError: the source is unfit, or its holdout does not go with it.
    """
    reads = [_read(_source(source)) for source in job.sources]
    table, notes = reads[0].table, [note for read in reads for note in read.notes]
    check_named(job.config, _source(job.sources[0]).schema().names)
    kept = table.drop_columns(_left_out(job.config))
    check_kept(job.config, kept.column_names)
    check_values(job.config, kept)
    own = len(table)
    if len(reads) > 1:
        tables = [table, _like(table, reads[1].table, job)]
        table, said = unified(tables, ["source.uri", "split.holdout_uri"], job.config.uri)
        notes += said
    check_amount(job.config, len(table), "tables")
    held_out = np.arange(len(table)) >= own
    labelled, skipped = _labelled(job, table, own)
    if skipped:
        table, held_out = table.filter(pa.array(labelled)), held_out[labelled]
        notes.append(_skipped_note(job, skipped, len(labelled)))
    check_label(job.config, table)
    split = job.config.split
    name = split.column or split.group_by
    deciding = None if name is None else table.column(name).combine_chunks()
    if split.column is not None:
        notes.append(f"The column {split.column!r} divides the rows and is not kept.")
    return Rows(
        table=table.drop_columns(_left_out(job.config)),
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


def _left_out(config: SourceConfig) -> list[str]:
    """Return the columns that were read for the split alone."""
    deciding = {config.split.column, config.split.group_by} - {None}
    dropped = (deciding & dropped_columns(config)) | ({config.split.column} - {None})
    return sorted(str(name) for name in dropped)


def _read(source: TableSource) -> TableRead:
    read = source.read()
    check_distinct_names(source.uri, read.table.column_names)
    table, notes = plain_table(read.table, source.uri)
    return TableRead(table=table, notes=(*read.notes, *notes), metadata=read.metadata)


def _like(table: pa.Table, holdout: pa.Table, job: Job) -> pa.Table:
    """Return the columns of the holdout that the source has, in its order.

    What decides the split alone may be absent there, and is null then.
    """
    for name in set(_left_out(job.config)) - set(holdout.column_names):
        empty = pa.nulls(len(holdout), table.schema.field(name).type)
        holdout = holdout.append_column(name, empty)
    absent = [name for name in table.column_names if name not in holdout.column_names]
    if absent:
        shown = ", ".join(repr(name) for name in absent[:_SHOWN])
        msg = (
            f"The source {job.sources[1].uri!r} of split.holdout_uri lacks the columns {shown} "
            f"that {job.config.uri!r} has; add them, or drop them with source.columns."
        )
        raise SourceError(msg)
    return holdout.select(table.column_names)


def _labelled(job: Job, table: pa.Table, own: int) -> tuple[NDArray[np.bool_], list[str]]:
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


def _skipped_note(job: Job, skipped: list[str], total: int) -> str:
    more = f" and {len(skipped) - _SHOWN} more" if len(skipped) > _SHOWN else ""
    return (
        f"Skipped for want of a value of {job.config.label!r}: {len(skipped)} of {total} rows, "
        f"{'; '.join(skipped[:_SHOWN])}{more}."
    )
