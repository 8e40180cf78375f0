"""Tables made ready: read, checked, understood, split by row content, and mapped again.

An entry holds `<split>.arrow`, Arrow IPC in one batch, whose schema says what its columns mean.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from storage.classes import ClassCounts, count_classes
from storage.errors import SourceError
from storage.sources.builder import Builder, Built, Job
from storage.sources.class_checks import check_classes, check_trained_classes
from storage.sources.config import SourceConfig
from storage.sources.sides import Collected, Decision, decide
from storage.sources.tables.column_checks import check_kept
from storage.sources.tables.kinds import Inferred, infer
from storage.sources.tables.meaning import ColumnMeaning, with_meaning
from storage.sources.tables.rows import Rows, read_rows
from storage.sources.tables.source import dropped_columns
from storage.sources.tables.suspects_constraints import Likely, certain_sums
from storage.split import SPLITS, TRAIN, row_digests

MAX_CLASSES: Final = 50
"""A label of text or whole numbers with more values is a quantity or a name, not a class."""

CLASS_KINDS: Final = frozenset({"category", "boolean", "integer"})
"""Kinds whose values can be classes."""

NO_CONTENT: Final = frozenset({"key", "text"})
"""Kinds whose values name a row instead of describing it; they do not decide its side."""


class TablesBuilder(Builder):
    """Reads a table whole: it fits into memory."""

    def libraries(self) -> Mapping[str, str]:
        """Return pyarrow's version, which reads the files."""
        return {"pyarrow": pa.__version__}

    def build(self, job: Job, folder: Path) -> Built:
        """Read, understand, decide the sides, and write one file per split."""
        rows = read_rows(job)
        if job.progress is not None:
            job.progress(len(rows.table), len(rows.table))
        inferred = infer(rows.table, _present(job.config, rows.table), job.min_group)
        table = rows.table.select([column.name for column in inferred.columns])
        check_kept(job.config, table.column_names)
        _check_label_kind(job.config, inferred.columns)
        decision = _decide(job.config, rows, table, inferred)
        sums = _found_sums(job.config, table, inferred.columns)
        schema = with_meaning(
            table.schema.with_metadata(dict(rows.metadata)),
            inferred.columns,
            (*job.config.constraints, *(found.constraint for found in sums)),
            job.min_group,
        )
        table = table.replace_schema_metadata(schema.metadata)
        counts: dict[str, ClassCounts] = {}
        files: dict[str, tuple[str, ...]] = {}
        for side, name in enumerate(SPLITS):
            part = table.filter(pa.array(decision.sides == side))
            _write(folder / f"{name}.arrow", part)
            files[name] = (f"{name}.arrow",)
            counts[name] = _classes(job.config, part, inferred.columns)
        counts = counts if _are_classes(counts[TRAIN]) else dict.fromkeys(SPLITS, ())
        check_classes(job.config, counts, job.min_group, "tables")
        if not _is_public(job.config.label, inferred.columns):
            check_trained_classes(job.config, counts[TRAIN], job.min_group)
        return Built(
            split_rule=decision.rule,
            files=files,
            rows={name: int((decision.sides == side).sum()) for side, name in enumerate(SPLITS)},
            class_counts=counts,
            skipped=rows.skipped,
            notes=(*rows.notes, *inferred.notes, *map(_sum_note, sums), *decision.notes),
        )

    def load(self, folder: Path, index: Mapping[str, Any]) -> dict[str, pa.Table]:
        """Map the file of every split."""
        return {name: _mapped(folder / f"{name}.arrow") for name in index["splits"]}


def _present(config: SourceConfig, table: pa.Table) -> SourceConfig:
    """Return the config without what it says of columns that have left the table."""
    kept = tuple(column for column in config.columns if column.name in table.column_names)
    return config.model_copy(update={"columns": kept})


def _found_sums(
    config: SourceConfig, table: pa.Table, columns: Sequence[ColumnMeaning]
) -> tuple[Likely, ...]:
    """Return the sums to keep though nobody named them; the label is never made from others."""
    if config.sums == "named":
        return ()
    taken = {name for constraint in config.constraints for name in constraint.columns}
    return certain_sums(table, columns, taken | ({config.label} if config.label else set()))


def _sum_note(found: Likely) -> str:
    return f"{found.why}, so it is made from them; `source.sums: named` leaves it alone."


def _decide(config: SourceConfig, rows: Rows, table: pa.Table, inferred: Inferred) -> Decision:
    """Give every row its side by its content, which the rule describes."""
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
    collected = Collected(
        digests=digests, final_digests=digests, deciding=rows.deciding, held_out=rows.held_out
    )
    decision = decide(config.split, collected, refuse_leaks=True)
    left_out = without.union(inferred.dropped, dropped_columns(config))
    rule = {**decision.rule, "without": sorted(left_out)}
    return Decision(sides=decision.sides, rule=rule, notes=decision.notes)


def _check_label_kind(config: SourceConfig, columns: Sequence[ColumnMeaning]) -> None:
    if config.label is None:
        return
    kind = next(column.kind for column in columns if column.name == config.label)
    if kind in {*NO_CONTENT, "constant"}:
        msg = (
            f"The label column {config.label!r} of the source {config.uri!r} is taken for "
            f"{kind}, which nothing can be told from; name another column, say its kind in "
            "source.columns, or set source.label to null."
        )
        raise SourceError(msg)


def _classes(
    config: SourceConfig, table: pa.Table, columns: Sequence[ColumnMeaning]
) -> ClassCounts:
    """Count the rows of every class; empty where the label is a quantity or there is none."""
    kinds = {column.name: column.kind for column in columns}
    if config.label is None or kinds[config.label] not in CLASS_KINDS:
        return ()
    column = table.column(config.label)
    types = (pa.types.is_string, pa.types.is_integer, pa.types.is_boolean)
    if not any(test(column.type) for test in types):
        return ()
    return count_classes(column)


def _are_classes(train: ClassCounts) -> bool:
    return 0 < len(train) <= MAX_CLASSES


def _is_public(label: str | None, columns: Sequence[ColumnMeaning]) -> bool:
    return any(one.name == label and one.vocabulary == "public" for one in columns)


def _write(path: Path, table: pa.Table) -> None:
    """Write the rows as one batch, so that they are mapped in one chunk; durable on return."""
    table = table.combine_chunks()
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _mapped(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


BUILDER = TablesBuilder()
