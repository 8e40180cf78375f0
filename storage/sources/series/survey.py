"""What is proposed for series: whose steps rows are, windows, the label, what is left out."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.records.proposal import Proposal, left_out
from storage.records.schema import Column
from storage.sources.checks import MIN_RECORDS
from storage.sources.config import SourceConfig
from storage.sources.series.columns import NAMING, by_entity
from storage.sources.series.panel import Panel, as_panel, constant_columns
from storage.sources.series.reading import check_names, keyed, whole_numbers
from storage.sources.series.recognise import find_series, kinds_of
from storage.sources.series.regular import Rhythm, find_rhythm, in_words
from storage.sources.series.source import SeriesSource
from storage.sources.series.windows import propose_window
from storage.sources.survey import Survey, SurveyedColumn
from storage.sources.tables.dialect import KEY, Dialect
from storage.sources.tables.kinds import infer_kind, key_pattern
from storage.sources.tables.source import TableRead, unusable_values, why_unusable
from storage.sources.tables.survey import detected, enough_keys, guess_label
from storage.sources.tables.text_columns import read_text_columns
from storage.sources.tables.types import plain_table

_GROWING: Final = 0.5
"""Where the last moment of so many entities is the last of all, they may go on."""
_SHOWN: Final = 8


def plain_rows(read: TableRead, config: SourceConfig) -> TableRead:
    """Return rows with plain types, texts of dates and numbers as such."""
    table, notes = plain_table(read.table, config.uri)
    return read_text_columns(replace(read, table=table, notes=(*read.notes, *notes)), config)


def recognise_series(read: TableRead, config: SourceConfig) -> tuple[Proposal, ...]:
    """Return the settings by which rows are steps of entities; nothing where they are not."""
    table = plain_rows(read, config).table
    kept = [name for name in table.column_names if table.column(name).null_count < len(table)]
    table = table.select(kept)
    found = find_series(table, kinds_of(table))
    if found is None:
        return ()
    why = "the rows are steps of series; tables: each row is made by itself"
    return (Proposal(setting="source.modality", value="series", why=why), *found.proposals)


def survey_series(source: SeriesSource, config: SourceConfig, min_group: int) -> Survey:
    """Say what series are taken for.

    Raises:
        SourceError: they are unfit, or nothing says whose the steps are.
    """
    read = plain_rows(source.rows.read(), config)
    table, useless = _useful(read.table)
    entity, time, made = _named(source, table)
    if time is None or (entity is None and not _is_long(table, time)):
        entity, time = check_names(entity, time, table, config)
    said = entity
    table, _ = whole_numbers(table, [name for name in (entity, time) if name is not None])
    table, entity = keyed(table, entity, config.uri)
    nobody = np.zeros(len(table), np.bool_)
    panel = as_panel(table, nobody, entity=entity, time=time, uri=config.uri)
    rhythm = find_rhythm(panel, time)
    static = constant_columns(panel) - source.variables - {entity, time}
    names = [name for name in table.column_names if name not in (entity, time)]
    columns, dropped = _columns(panel, names, static, config)
    kinds = {one.name: one.kind for one in columns if one.name in static}
    label, why = guess_label(panel.firsts(list(kinds)), kinds)
    if label is None:
        why = "no column with one value per entity looks like one"
    why = why.replace("the last column", "the last column with one value per entity")
    if config.label is not None:
        label, why = config.label, "as you said"
    text = read.metadata.get(KEY)
    dialect = None if text is None else Dialect.from_json(text)
    csv = dialect if dialect is not None and dialect.csv else None
    windows = _windows(panel, rhythm, config)
    keys = _keys(panel, entity, min_group) if not windows else []
    return Survey(
        label=label,
        label_why=why,
        proposals=(
            *made,
            *windows,
            *_growing(panel, said, time, config),
            *useless,
            *dropped,
            *keys,
        ),
        facts=(*([csv.describe()] if csv else ()), *_facts(panel, rhythm, columns, static)),
        columns=tuple(columns),
        detected=detected(csv) if csv else {},
        formats="as nested: one row per entity, with lists; or long: one row per step",
    )


def _useful(table: pa.Table) -> tuple[pa.Table, list[Proposal]]:
    """Return the columns that hold something, and the proposals to leave out the others."""
    why = {
        name: "no value in any row"
        for name in table.column_names
        if table.column(name).null_count == len(table)
    }
    why |= why_unusable(unusable_values(table))
    return table.drop_columns(list(why)), [left_out(name, text) for name, text in why.items()]


def _named(
    source: SeriesSource, table: pa.Table
) -> tuple[str | None, str | None, tuple[Proposal, ...]]:
    """Return the columns of entity and time, and proposals for what nothing said."""
    entity, time = source.entity, source.time
    if entity is not None and time is not None:
        return entity, time, ()
    found = find_series(table, kinds_of(table))
    if found is None:
        return entity, time, ()
    if entity not in (None, found.entity) or time not in (None, found.time):
        return entity, time, ()
    made = tuple(
        one
        for one in found.proposals
        if (one.setting == "source.entity" and entity is None)
        or (one.setting == "source.time" and time is None)
    )
    return found.entity, found.time, made


def _is_long(table: pa.Table, time: str) -> bool:
    """Whether rows of one series would be windows enough."""
    return time in table.column_names and propose_window(np.array([len(table)]), None) is not None


def _columns(
    panel: Panel, names: Sequence[str], static: frozenset[str], config: SourceConfig
) -> tuple[list[SurveyedColumn], list[Proposal]]:
    """Return what the columns are, and the proposals to leave out those that name steps."""
    said = {one.name: one.asked_kind for one in config.columns if one.asked_kind != "auto"}
    found, dropped = [], []
    for name in names:
        is_static = name in static
        values = panel.firsts([name]).column(name) if is_static else by_entity(panel, name)
        finding = infer_kind(name, values)
        kind = said.get(name, finding.kind)
        if name not in said and (kind == "text" or (kind in NAMING and not is_static)):
            dropped.append(left_out(name, finding.why))
            continue
        place = "static" if is_static else "variable"
        found.append(SurveyedColumn(name=name, kind=kind, why=f"{place}: {finding.why}"))
    return found, dropped


def _windows(panel: Panel, rhythm: Rhythm, config: SourceConfig) -> list[Proposal]:
    """Propose windows where there are too few entities."""
    if config.window.length is not None or len(panel.lengths_N) >= MIN_RECORDS:
        return []
    proposal = propose_window(panel.lengths_N, rhythm.step)
    return [] if proposal is None else [proposal]


def _keys(panel: Panel, entity: str | None, min_group: int) -> list[Proposal]:
    """Propose no more entities than there are different keys."""
    if entity is None:
        return []
    form = key_pattern(panel.firsts([entity]).column(entity), min_group)
    return enough_keys([Column(name=entity, kind="key", form=form)])


def _growing(panel: Panel, entity: str | None, time: str, config: SourceConfig) -> list[Proposal]:
    """Propose the split by the key where entities may go on, as their content changes then."""
    split = config.split
    one_column = entity in panel.steps.column_names
    if not one_column or split.column or split.group_by or len(panel.lengths_N) < MIN_RECORDS:
        return []
    ends = panel.steps.column(time).take(pa.array(panel.starts_N + panel.lengths_N - 1))
    lasting = pc.mean(pc.equal(ends, pc.max(ends)).cast(pa.float64())).as_py()
    if lasting < _GROWING or config.window.length is not None:
        return []
    why = (
        f"{lasting:.0%} of the entities last until the end and may go on: by its name each stays "
        "on its side of the split while it grows"
    )
    return [Proposal(setting="source.split.group_by", value=entity, why=why)]


def _facts(
    panel: Panel, rhythm: Rhythm, columns: Sequence[SurveyedColumn], static: frozenset[str]
) -> list[str]:
    lengths_N = panel.lengths_N
    step = in_words(rhythm.step)
    step = "at irregular moments" if rhythm.step is None else f"{step} apart"
    statics = [one.name for one in columns if one.name in static]
    variables = [one.name for one in columns if one.name not in static]
    return [
        f"{len(panel.steps):,} steps {step}, {_range(lengths_N)}",
        f"static, one value per entity: {_few(statics)}",
        f"variables, one value per step: {_few(variables)}",
    ]


def _range(lengths_N: NDArray[np.int64]) -> str:
    """Return how many entities there are, and how long they are."""
    if len(lengths_N) == 1:
        return "of one series"
    low, high = int(lengths_N.min()), int(lengths_N.max())
    each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return f"{each} of each of {len(lengths_N):,} entities"


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN]) or 'none'}{more}"
