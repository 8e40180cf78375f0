"""Series that somebody brings, as records of known ones: long rows or nested, either way.

Their rows are read as rows of a known table are, and brought to entities; steps that are missing
are put in where the known series have a step and theirs have the same.
"""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from storage.errors import SourceError
from storage.records.series import SeriesMetadata, read_series_metadata, to_long, to_nested
from storage.records.table_metadata import TableMetadata, with_table_metadata
from storage.sources.checks import listed
from storage.sources.config import SourceConfig
from storage.sources.given import GivenRecords, GivenRequest, said_of_data
from storage.sources.open import open_source
from storage.sources.series.panel import Panel, as_panel, constant_columns
from storage.sources.series.regular import completed, find_rhythm
from storage.sources.series.source import SeriesSource
from storage.sources.tables.given import read_given_rows
from storage.sources.tables.known_table import rows_config
from storage.sources.tables.source import TableSource
from storage.stores.settings import StorageProfile


def read_given_series(request: GivenRequest) -> GivenRecords:
    """Return the series in the form of the known ones.

    Raises:
        SourceError: there are no such rows, a column is missing, a value is of another type, or
            what is one value per entity changes within one.
        SettingsError, LakeError: as `open_source`.
    """
    schema = request.known.schema
    metadata = read_series_metadata(schema)
    if metadata is None:
        raise TypeError(schema)
    rows = read_given_rows(
        replace(request, known=_long_rows(request.known, metadata)),
        lambda *arguments: _open_steps(metadata, *arguments),
    )
    _check_complete(request, metadata, rows)
    with said_of_data():
        panel = as_panel(
            rows.records,
            np.zeros(len(rows.records), np.bool_),
            entity=metadata.entity.name,
            time=metadata.time.name,
            uri=request.uri,
        )
    statics = [one.name for one in metadata.statics]
    _check_static(request, panel, statics)
    panel = _completed(panel, metadata, statics)
    steps = panel.steps.select([one.name for one in (metadata.time, *metadata.variables)])
    entities = panel.firsts([metadata.entity.name, *statics])
    records = to_nested(entities, steps, panel.lengths_N, metadata)
    records = records.replace_schema_metadata(schema.metadata).cast(schema)
    return replace(rows, records=records, notes=(*rows.notes, *panel.notes))


def _long_rows(known: pa.Table, metadata: SeriesMetadata) -> pa.Table:
    """Return no row of the known series in long form, described as a table."""
    long = to_long(known.slice(0, 0), metadata)
    described = (metadata.entity, metadata.time, *metadata.statics, *metadata.variables)
    by_name = {one.name: one for one in described}
    columns = tuple(by_name[name] for name in metadata.order)
    schema = long.schema.with_metadata(known.schema.metadata)
    table = TableMetadata(columns=columns, min_group=metadata.min_group)
    return long.replace_schema_metadata(with_table_metadata(schema, table).metadata)


def _open_steps(
    metadata: SeriesMetadata,
    config: SourceConfig,
    uri: str,
    schema: pa.Schema,
    profile: StorageProfile | None,
) -> tuple[TableSource, SourceConfig]:
    """Return what reads the steps, of nested files too, and as what the columns are read."""
    wanted = rows_config(config, uri, schema)
    said = {"modality": "series", "entity": metadata.entity.name, "time": metadata.time.name}
    source = open_source(wanted.model_copy(update=said), profile)
    if not isinstance(source, SeriesSource):
        msg = f"The source {uri!r} holds {source.modality}; give rows of steps, or nested files."
        raise SourceError(msg)
    return source.rows, wanted


def _check_complete(request: GivenRequest, metadata: SeriesMetadata, rows: GivenRecords) -> None:
    """Check that no column is missing.

    Raises:
        SourceError: one is.
    """
    if rows.absent:
        named = metadata.entity.name in rows.absent
        why = ", and so nobody knows whose the steps are" if named else ""
        msg = (
            f"The data set {request.uri!r} lacks {listed(rows.absent)} that the source "
            f"{request.config.uri!r} has{why}; add what is missing under the names of the source."
        )
        raise SourceError(msg)


def _check_static(request: GivenRequest, panel: Panel, statics: list[str]) -> None:
    """Check that what is one value per entity is so here.

    Raises:
        SourceError: it is not.
    """
    constant = constant_columns(panel)
    changing = [name for name in statics if name not in constant]
    if changing:
        msg = (
            f"In the data set {request.uri!r} {listed(changing)} changes within an entity, and in "
            f"the source {request.config.uri!r} it has one value for all steps of one; make it so."
        )
        raise SourceError(msg)


def _completed(panel: Panel, metadata: SeriesMetadata, statics: list[str]) -> Panel:
    time = metadata.time.name
    rhythm = find_rhythm(panel, time)
    if rhythm.step != metadata.step or rhythm.zone != metadata.zone:
        return panel
    return completed(panel, time, rhythm, frozenset(statics))
