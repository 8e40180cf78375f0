"""Series made ready: steps read, brought to entities, understood, split by content, mapped again.

An entry holds `<split>.arrow`, Arrow IPC in one batch of nested records: one row per entity, whose
schema says what its columns mean.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from storage.errors import SourceError
from storage.records.proposal import Proposal
from storage.records.schema import Column
from storage.records.series import SeriesMetadata, lengths_of, read_series_metadata
from storage.sources.builder import Builder, Built, PrepareJob, Source, write_splits
from storage.sources.checks import check_classes, check_trained_classes, class_needs
from storage.sources.config import SourceConfig
from storage.sources.files import ARRAY_FILES, PARQUET_FILES, SERIES_FILES, SourceFiles
from storage.sources.given import GivenRecords, GivenRequest
from storage.sources.paths import is_selector
from storage.sources.series.examples import SERIES_EXAMPLES
from storage.sources.series.given import read_given_series
from storage.sources.series.nested import (
    CASE_READERS,
    NestedSource,
    has_lists_of_moments,
    is_list,
)
from storage.sources.series.reading import Series, read_series
from storage.sources.series.regular import in_words
from storage.sources.series.source import READS, SeriesSource
from storage.sources.series.splits import divide
from storage.sources.series.survey import recognise_series, survey_series
from storage.sources.split import SPLITS, TRAIN
from storage.sources.split_classes import Classes, code_classes
from storage.sources.survey import Survey
from storage.sources.tables.build import BUILDER as TABLES
from storage.sources.tables.chosen import first_rows
from storage.sources.tables.label import MAX_CLASSES, check_label_kind, classes_of
from storage.sources.tables.source import TableSource, dropped_columns
from storage.sources.tables.typed_files import TypedTable


class SeriesBuilder(Builder):
    """Reads steps whole: they fit into memory."""

    files = (*TABLES.files, SERIES_FILES, ARRAY_FILES)
    examples = SERIES_EXAMPLES

    def open(self, config: SourceConfig, found: SourceFiles) -> Source | None:
        """Take files whose recipe says entity, time or window, and nested ones."""
        if found.kind in CASE_READERS:
            _check_constraints(config)
            return NestedSource(config, found)
        if config.modality == "auto" and not _says(config):
            if found.kind is not PARQUET_FILES:
                return None
            if not has_lists_of_moments(found.parquet.schema, dropped_columns(config)):
                return None
        _check_constraints(config)
        rows = TABLES.open(_with_path_of_entity(config), found)
        if not isinstance(rows, TableSource):
            raise TypeError(rows)
        return (
            NestedSource(config, found)
            if _has_lists(rows, found, config)
            else SeriesSource(config, rows)
        )

    def settings(self, config: SourceConfig, min_group: int) -> dict[str, Any]:
        """Return what tables' rows depend on, and whose steps they are."""
        of_rows = TABLES.settings(config, min_group)
        del of_rows["structure"], of_rows["constraints"]
        said = {name: getattr(config, name) for name in ("entity", "time")}
        return {
            **of_rows,
            "modality": "series",
            **said,
            "window": config.window.model_dump(mode="json"),
        }

    def recognise(
        self,
        source: Source,
        config: SourceConfig,
        min_group: int,  # noqa: ARG002
    ) -> tuple[Proposal, ...]:
        """Look whether rows are steps of entities."""
        if config.modality != "auto" or not isinstance(source, TableSource):
            return ()
        return recognise_series(first_rows(source, config), config)

    def survey(self, source: Source, config: SourceConfig, min_group: int) -> Survey:
        """Return what the values tell."""
        if not isinstance(source, SeriesSource):
            raise TypeError(source)
        return survey_series(source, config, min_group)

    def describe(self, schema: pa.Schema) -> str:
        """Return how many columns there are of either sort, and the step."""
        metadata = _metadata(schema)
        variables, statics = len(metadata.variables), len(metadata.statics)
        step = in_words(metadata.step)
        return (
            f"entities of {statics} static column{'s' if statics != 1 else ''} and {variables} "
            f"variable{'s' if variables != 1 else ''}, "
            f"{step if metadata.step is None else f'a step of {step}'}"
        )

    def unused(self, config: SourceConfig, schema: pa.Schema) -> Mapping[str, str]:
        """Say which settings of `source.csv` and `source.columns` change nothing here."""
        return TABLES.unused(config, schema)

    def columns(self, schema: pa.Schema) -> tuple[Column, ...]:
        """Return them in long form, as the source orders them."""
        found = _metadata(schema)
        known = (found.entity, found.time, *found.statics, *found.variables)
        by_name = {one.name: one for one in known}
        return tuple(by_name[name] for name in found.order)

    def measures(self, records: pa.Table) -> Mapping[str, int]:
        """Count the steps."""
        return {"steps": int(lengths_of(records, _metadata(records.schema)).sum())}

    def read_given(self, request: GivenRequest) -> GivenRecords:
        """Read steps and bring them to the known columns, types and entities."""
        return read_given_series(request)

    def build(self, job: PrepareJob, folder: Path) -> Built:
        """Read, group, understand, decide the splits, and write one file per split."""
        series, config = read_series(job), job.config
        statics = series.metadata.statics
        check_label_kind(config, statics)
        records = series.nested()
        division = divide(series, _classes(series, records, job.min_group))
        parts = write_splits(folder, records, division.splits_N)
        counts = {name: classes_of(config, part, statics) for name, part in parts.items()}
        counts = counts if 0 < len(counts[TRAIN]) <= MAX_CLASSES else dict.fromkeys(SPLITS, ())
        check_classes(config, counts, job.min_group, "series")
        if not _is_public(series):
            check_trained_classes(config, counts[TRAIN], job.min_group, "series")
        if job.progress is not None:
            job.progress(len(records), len(records))
        return Built(
            split_rule=division.rule,
            rows={name: len(part) for name, part in parts.items()},
            class_counts=counts,
            skipped=series.rows.skipped,
            notes=(
                *series.rows.notes,
                *series.panel.notes,
                *series.described.notes,
                *division.notes,
            ),
        )


BUILDER = SeriesBuilder()


def _with_path_of_entity(config: SourceConfig) -> SourceConfig:
    """Return the config by which rows have the part of their paths that names the entity."""
    entity, split = config.entity, config.split
    if entity is None or split.group_by is not None or not is_selector(entity):
        return config
    return config.model_copy(update={"split": split.model_copy(update={"group_by": entity})})


def _has_lists(rows: TableSource, found: SourceFiles, config: SourceConfig) -> bool:
    """Whether files that can hold lists have some that are not dropped."""
    if found.kind is PARQUET_FILES:
        fields = found.parquet.schema
    elif isinstance(rows, TypedTable):
        fields = rows.stored_schema()
    else:
        return False
    dropped = dropped_columns(config)
    return any(is_list(field.type) for field in fields if field.name not in dropped)


def _says(config: SourceConfig) -> bool:
    """Whether the recipe says something that only series have."""
    fields = type(config).model_fields
    return any(getattr(config, name) != fields[name].default for name in READS)


def _check_constraints(config: SourceConfig) -> None:
    """Refuse what holds between columns of one row: steps are not kept to it.

    Raises:
        SourceError: the recipe names constraints.
    """
    if config.constraints:
        names = ", ".join(config.constraints[0].columns)
        msg = (
            f"source.constraints names {names}, and constraints are kept in rows of tables, not in "
            f"the steps of series, which {config.uri!r} holds; remove source.constraints, or set "
            "source.modality to tables."
        )
        raise SourceError(msg)


def _metadata(schema: pa.Schema) -> SeriesMetadata:
    found = read_series_metadata(schema)
    if found is None:
        raise TypeError(schema)
    return found


def _is_public(series: Series) -> bool:
    label = series.config.label
    return any(one.name == label and one.vocabulary == "public" for one in series.metadata.statics)


def _classes(series: Series, records: pa.Table, min_group: int) -> Classes | None:
    """Return the class of every entity; None where the label is a quantity or there is none."""
    counts = classes_of(series.config, records, series.metadata.statics)
    if not 0 < len(counts) <= MAX_CLASSES:
        return None
    train = 1 if _is_public(series) else min_group
    return code_classes(
        records.column(str(series.config.label)), class_needs("series", train=train)
    )
