"""From rows of steps to entities that are understood: read, grouped, completed, cut.

Shape legend: N entities, T steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.records.series import SeriesMetadata, to_nested
from storage.sources.builder import PrepareJob, Source
from storage.sources.checks import MIN_RECORDS, missing_column
from storage.sources.config import SourceConfig
from storage.sources.paths import is_selector
from storage.sources.series.columns import ColumnRoles, Described, describe_columns
from storage.sources.series.panel import (
    Panel,
    as_panel,
    check_filled,
    constant_columns,
    value_codes,
)
from storage.sources.series.regular import Rhythm, completed, find_rhythm
from storage.sources.series.source import SeriesSource, entity_columns
from storage.sources.series.windows import WINDOW, Windows, cut, propose_window
from storage.sources.tables.dialect import KEY, Dialect
from storage.sources.tables.rows import Rows, read_rows
from storage.sources.tables.source import no_label


@dataclass(frozen=True, kw_only=True)
class Series:
    """N entities, or windows as entities, and what is known of them."""

    config: SourceConfig
    rows: Rows
    """As they were read."""
    panel: Panel
    described: Described
    whole: Panel
    """The entities that windows were cut from; `panel` where there is no window."""
    windows: Windows | None
    held_out_N: NDArray[np.bool_]
    """Whether an entity came from `split.holdout_uri`."""

    @property
    def metadata(self) -> SeriesMetadata:
        """What the columns are."""
        return self.described.metadata

    def nested(self) -> pa.Table:
        """Return the records, N rows."""
        found = self.metadata
        entities = self.panel.firsts([one.name for one in (found.entity, *found.statics)])
        steps = self.panel.steps.select([one.name for one in (found.time, *found.variables)])
        records = to_nested(entities, steps, self.panel.lengths_N, found)
        metadata = {**dict(self.rows.metadata), **(records.schema.metadata or {})}
        return records.replace_schema_metadata(metadata)


def read_series(job: PrepareJob) -> Series:
    """Read everything and check it.

    Raises:
        SourceError: the source is unfit, or its holdout does not go with it.
    """
    sources, config = [_series(source) for source in job.sources], job.config
    rows = read_rows(replace(job, sources=tuple(one.rows for one in sources), progress=None))
    entity, time = check_names(sources[0].entity, sources[0].time, rows.table, config)
    rows = _with_whole_numbers(rows, [name for name in (entity, time) if name is not None])
    table, entity = keyed(rows.table, entity, config.uri)
    panel = as_panel(table, rows.held_out, entity=entity, time=time, uri=config.uri)
    static = constant_columns(panel) - sources[0].variables - {time}
    _check_label(config, static, entity, time)
    rhythm = find_rhythm(panel, time)
    split = config.split
    whole, windows = completed(panel, time, rhythm, static), None
    panel, key = whole, entity or _free_name(table, "window")
    if config.window.length is not None:
        aligned = len(whole.lengths_N) < MIN_RECORDS and not (split.column or split.group_by)
        windows = cut(whole, config.window, time, rhythm, aligned=aligned, uri=config.uri)
        panel = _numbered(windows.panel, key)
        windows = replace(windows, panel=panel)
    _check_amount(config, panel, rhythm)
    parts = ColumnRoles(key, time, static)
    described = describe_columns(panel, rhythm, parts, config, job.min_group)
    row_N = panel.row_T[panel.starts_N]
    return Series(
        config=config,
        rows=rows,
        panel=panel,
        described=described,
        whole=whole,
        windows=windows,
        held_out_N=rows.held_out[row_N],
    )


def _series(source: Source) -> SeriesSource:
    if not isinstance(source, SeriesSource):
        raise TypeError(source)
    return source


def check_names(
    entity: str | None, time: str | None, table: pa.Table, config: SourceConfig
) -> tuple[str | None, str]:
    """Return the columns of entity and time; no entity where the source is cut into windows.

    Raises:
        SourceError: nothing says one, or there is no such column.
    """
    names = table.column_names
    if time is None:
        msg = (
            f"Nothing says when the steps of the source {config.uri!r} are; name in source.time "
            "the column of dates, times or whole numbers that puts them in order "
            f"(ganmill init {config.uri} looks for it)."
        )
        raise SourceError(msg)
    if entity is None and config.window.length is None:
        msg = (
            f"Nothing says whose the steps of the source {config.uri!r} are; name the column in "
            "source.entity, or, where all are one series, cut it with source.window, such as "
            "{length: 168, stride: 24} "
            f"(ganmill init {config.uri} looks for either)."
        )
        raise SourceError(msg)
    named = entity_columns(entity, names)
    for place, name in (*(("source.entity", one) for one in named), ("source.time", time)):
        if name not in names:
            raise missing_column(config.uri, name, names, place=place)
    if time in named:
        msg = (
            f"source.entity and source.time both name {time!r} of the source {config.uri!r}; one "
            "says whose a step is, the other when it is: name two columns."
        )
        raise SourceError(msg)
    return entity, time


def _with_whole_numbers(rows: Rows, names: Sequence[str]) -> Rows:
    """Return rows whose key and moments, where floats are all whole, are whole numbers.

    Pandas makes `12.0` of 12 where a value was missing once; shards hold floats as the source does.
    """
    table, stored = whole_numbers(rows.table, names)
    if not stored:
        return rows
    text = rows.metadata.get(KEY)
    dialect = Dialect(csv=False) if text is None else Dialect.from_json(text)
    styles = {name: replace(dialect.style(name), stored=kind) for name, kind in stored.items()}
    changed = replace(dialect, styles={**dialect.styles, **styles})
    return replace(rows, table=table, metadata={**rows.metadata, KEY: changed.to_json()})


def whole_numbers(table: pa.Table, names: Sequence[str]) -> tuple[pa.Table, dict[str, str]]:
    """Return floats of some columns that are all whole as whole numbers, and their types."""
    stored = {}
    for name in names:
        column = table.column(name) if name in table.column_names else None
        if column is None or not pa.types.is_floating(column.type) or column.null_count:
            continue
        if pc.all(pc.equal(pc.floor(column), column)).as_py():
            stored[name] = str(column.type)
            place = table.column_names.index(name)
            table = table.set_column(place, name, column.cast(pa.int64(), safe=False))
    return table, stored


def keyed(table: pa.Table, entity: str | None, uri: str) -> tuple[pa.Table, str | None]:
    """Return the rows with one column for the key, and its name.

    Several columns together get a number for each of their combinations, in the order of the rows,
    and stay what they are: static. A part of paths gets a name.

    Raises:
        SourceError: one of several is empty in a row.
    """
    names = entity_columns(entity, table.column_names)
    if len(names) == 1 and is_selector(names[0]):
        key = _free_name(table, "entity")
        renamed = [key if name == entity else name for name in table.column_names]
        return table.rename_columns(renamed), key
    if len(names) < 2:
        return table, entity
    code_T = np.zeros(len(table), np.int64)
    for name in names:
        check_filled(table, name, "source.entity", uri)
        codes = value_codes(table.column(name))
        _, code_T = np.unique(code_T * (codes.max() + 1) + codes, return_inverse=True)
    numbers = value_codes(pa.chunked_array([pa.array(code_T)]))
    key = _free_name(table, "_".join(names))
    return table.add_column(0, key, pa.array(numbers)), key


def _check_label(
    config: SourceConfig, static: frozenset[str], entity: str | None, time: str
) -> None:
    """Check that the label is one of each entity.

    Raises:
        SourceError: it names the entity or the moment, or changes from step to step.
    """
    label = config.label
    if label is None or (label in static and label not in (entity, time)):
        return
    why = "is the one of source.entity or source.time"
    if label not in (entity, time):
        why = "changes within entities"
    msg = (
        f"The label column {label!r} of the source {config.uri!r} {why}, and a label is one value "
        "of a whole entity; name a column that is the same in all its steps, or set source.label "
        "to null."
    )
    raise SourceError(msg, proposals=[no_label(f"{label} {why}")])


def _free_name(table: pa.Table, name: str) -> str:
    """Return a name that no column has, as near to this one as can be."""
    while name in table.column_names:
        name += "_"
    return name


def _numbered(panel: Panel, key: str) -> Panel:
    """Return windows with numbers for names, as several are of what was one entity."""
    numbers = pa.array(panel.entity_T)
    names = panel.steps.column_names
    if key in names:
        steps = panel.steps.set_column(names.index(key), key, numbers)
    else:
        steps = panel.steps.add_column(0, key, numbers)
    return replace(panel, steps=steps)


def _check_amount(config: SourceConfig, panel: Panel, rhythm: Rhythm) -> None:
    """Check that there are enough entities to train and to judge.

    Raises:
        SourceError: there are fewer; windows are proposed where they would be enough.
    """
    found = len(panel.lengths_N)
    if found >= MIN_RECORDS:
        return
    proposal, remedy = None, "add entities"
    if config.window.length is None:
        proposal = propose_window(panel.lengths_N, rhythm.step)
    else:
        remedy = "lower source.window.length or stride, or add steps"
    if proposal is not None:
        remedy += f", or cut their series into windows with {WINDOW}: {proposal.value}"
    what = "entities" if config.window.length is None else "windows"
    msg = (
        f"The source {config.uri!r} holds {found:,} {what}, and at least {MIN_RECORDS} are needed "
        f"to train and to judge; {remedy}."
    )
    raise SourceError(msg, proposals=[] if proposal is None else [proposal])
