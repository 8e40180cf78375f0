"""Tables made ready: read, checked, understood, split by row content, and mapped again.

An entry holds `<split>.arrow`, Arrow IPC in one batch, whose schema says what its columns mean.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from storage.errors import SourceError
from storage.records.table_metadata import TableMetadata, with_table_metadata
from storage.sources.builder import Builder, Built, PrepareJob, Source, write_splits
from storage.sources.checks import advice, check_classes, check_trained_classes
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
from storage.sources.split import SPLITS, TRAIN
from storage.sources.streams.seen import SeenRecords
from storage.sources.survey import Survey
from storage.sources.tables.chosen import PART_OF_ROWS, auto_limits, first_rows, open_stream
from storage.sources.tables.csv_source import DelimitedTable
from storage.sources.tables.examples import TABLE_EXAMPLES
from storage.sources.tables.given import read_given_rows
from storage.sources.tables.kinds import infer
from storage.sources.tables.known import KnownTable, is_public, label_classes, structure_of
from storage.sources.tables.label import MAX_CLASSES, check_label_kind, classes_of
from storage.sources.tables.parquet_table import ParquetTable
from storage.sources.tables.rows import (
    assign_rows,
    present_columns,
    read_rows,
    said_split,
    table_source,
)
from storage.sources.tables.sampled import understand_stream
from storage.sources.tables.source import check_kept
from storage.sources.tables.structure.notes import structure_notes
from storage.sources.tables.survey import GROUPED, survey_table
from storage.sources.tables.typed_files import READERS, TypedTable
from storage.sources.tables.unused import unused_settings


class TablesBuilder(Builder):
    """Reads a table whole where it fits into memory, else a sample of it in a stream."""

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

    def limits(self, job: PrepareJob) -> dict[str, Any]:
        """Return the setting; or, where not all rows fit, memory and budget."""
        return auto_limits(job) if job.config.max_rows == "auto" else super().limits(job)

    def survey(self, source: Source, config: SourceConfig, min_group: int) -> Survey:
        """Return what the values tell."""
        read = first_rows(table_source(source), config)
        surveyed = survey_table(read, config, min_group)
        split = source.evidence(config) or said_split(read.table, config)
        others = [one for one in surveyed.proposals if not (split and one.setting == GROUPED)]
        part = [note for note in read.notes if note.startswith(PART_OF_ROWS)]
        return replace(surveyed, proposals=(*split, *others), facts=(*surveyed.facts, *part))

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
        stream = open_stream(job)
        if stream is not None:
            known = understand_stream(job, stream, folder)
        else:
            known = _understood(job)
            if job.progress is not None:
                job.progress(len(known.table), len(known.table))
        columns, table = known.inferred.columns, known.table
        kept = known.structure.kept if job.config.structure == "found" else ()
        metadata = TableMetadata(
            columns=columns,
            constraints=(*job.config.constraints, *(rule.constraint for rule in kept)),
            min_group=job.min_group,
            named=len(job.config.constraints),
        )
        schema = with_table_metadata(table.schema.with_metadata(dict(known.metadata)), metadata)
        table = table.replace_schema_metadata(schema.metadata)
        parts = write_splits(folder, table, known.assignment.splits_N)
        counts = {name: classes_of(job.config, part, columns) for name, part in parts.items()}
        counts = counts if 0 < len(counts[TRAIN]) <= MAX_CLASSES else dict.fromkeys(SPLITS, ())
        check_classes(job.config, counts, job.min_group, "tables")
        if not is_public(job.config.label, columns):
            check_trained_classes(job.config, counts[TRAIN], job.min_group, "tables")
        return Built(
            split_rule=known.assignment.rule,
            rows={name: len(part) for name, part in parts.items()},
            class_counts=counts,
            skipped=known.skipped,
            notes=(
                *known.notes,
                *known.inferred.notes,
                *structure_notes(known.structure, kept=job.config.structure == "found"),
                *known.assignment.notes,
            ),
            details=_details(job.sources[0], known.seen),
        )


BUILDER = TablesBuilder()


def _details(source: Source, seen: SeenRecords | None) -> dict[str, Any]:
    """Return what the index says besides: what was sampled, and what the keys must know.

    That is which columns of the rows the files themselves do not hold, and how many were chosen.
    """
    reading: dict[str, Any] = {}
    if source.partitions:
        reading["partitions"] = list(source.partitions)
    if seen is not None:
        reading["sample"] = seen.key()
    details = {"reading": reading} if reading else {}
    return details if seen is None else {**details, "seen": seen.to_json()}


def _understood(job: PrepareJob) -> KnownTable:
    """Read all rows into memory and understand them."""
    rows = read_rows(job)
    unused = said_split(rows.table, job.config)
    inferred = infer(rows.table, present_columns(job.config, rows.table), job.min_group)
    table = rows.table.select([column.name for column in inferred.columns])
    check_kept(job.config, table.column_names)
    check_label_kind(job.config, inferred.columns)
    classes = label_classes(job, table, inferred.columns)
    assignment = assign_rows(job.config, rows, table, inferred, classes)
    return KnownTable(
        table=table,
        inferred=inferred,
        assignment=assignment,
        structure=structure_of(job, table, inferred.columns, assignment.splits_N),
        metadata=rows.metadata,
        skipped=rows.skipped,
        notes=(*rows.notes, *map(advice, unused)),
    )
