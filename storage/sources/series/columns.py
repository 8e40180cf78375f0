"""What the columns of series are: the key, the moments, statics and variables.

Kinds are those of tables. Statics are inferred from one value per entity, and texts of variables
from one value per entity and text, so that rare is what few entities have, however often.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from storage.errors import SourceError
from storage.records.proposal import left_out
from storage.records.schema import Column, Kind
from storage.records.series import SeriesMetadata
from storage.sources.checks import first_few
from storage.sources.config import ColumnConfig, SourceConfig
from storage.sources.series.panel import Panel, value_codes
from storage.sources.series.regular import Rhythm, in_words
from storage.sources.tables.kinds import check_kind, infer, infer_columns, infer_kind, key_pattern

NAMING: frozenset[Kind] = frozenset({"key", "text"})
"""Kinds of which no column has one value per step: each would name a step."""


@dataclass(frozen=True, kw_only=True)
class Described:
    """The columns of series, and what was decided."""

    metadata: SeriesMetadata
    dropped: tuple[str, ...]
    """Columns that the recipe leaves out."""
    notes: tuple[str, ...]


class ColumnRoles(NamedTuple):
    """What is known of columns by their place."""

    entity: str
    """The column of the key."""
    time: str
    """The column of the moments."""
    static: frozenset[str]
    """Columns with one value per entity."""


def describe_columns(
    panel: Panel,
    rhythm: Rhythm,
    parts: ColumnRoles,
    config: SourceConfig,
    min_group: int,
) -> Described:
    """Return what every column is, the recipe's kind where it says one.

    Args:
        panel: the entities.
        rhythm: of their moments.
        parts: which column is what.
        config: of the source.
        min_group: a shape that fewer have is not shown.

    Raises:
        SourceError: a kind that a column cannot have, free text, a variable that names its steps,
            or no variable at all.
    """
    entity, time, static = parts
    names = [name for name in panel.steps.column_names if name not in (entity, time)]
    statics = [name for name in names if name in static]
    variables = [name for name in names if name not in static]
    found = infer(panel.firsts(statics), _of(config, statics), min_group)
    values = {name: by_entity(panel, name) for name in variables}
    told = _of(config, variables)
    _check_variables(values, told)
    inferred = infer_columns(values, told, min_group)
    if not inferred.columns:
        msg = (
            f"The source {config.uri!r} has no variable: besides {entity!r} and {time!r} every "
            "column has one value per entity; name another column in source.entity, or set "
            "source.modality to tables."
        )
        raise SourceError(msg)
    dropped = (*found.dropped, *inferred.dropped)
    metadata = SeriesMetadata(
        entity=_key(panel, entity, config, min_group),
        time=_moments(panel, time, rhythm, config),
        statics=tuple(replace(one, why=f"one per entity: {one.why}") for one in found.columns),
        variables=tuple(replace(one, why=f"per step: {one.why}") for one in inferred.columns),
        order=tuple(name for name in panel.steps.column_names if name not in dropped),
        step=rhythm.step,
        zone=rhythm.zone,
        min_group=min_group,
    )
    notes = (*found.notes, *inferred.notes)
    return Described(metadata=metadata, dropped=dropped, notes=notes)


def _of(config: SourceConfig, names: Collection[str]) -> SourceConfig:
    """Return the config with what it says of these columns."""
    kept = tuple(column for column in config.columns if column.name in names)
    return config.model_copy(update={"columns": kept})


def by_entity(panel: Panel, name: str) -> pa.ChunkedArray:
    """Return the values of a variable; of texts each once per entity."""
    column = panel.steps.column(name)
    if not pa.types.is_string(column.type):
        return column
    codes_T = value_codes(column)
    pairs_T = panel.entity_T * (int(codes_T.max()) + 2) + codes_T + 1
    _, first = np.unique(pairs_T, return_index=True)
    return column.take(pa.array(np.sort(first)))


def _check_variables(values: Mapping[str, pa.ChunkedArray], config: SourceConfig) -> None:
    """Check that no variable names its steps, as a key or free text does.

    Raises:
        SourceError: one does.
    """
    said = {one.name: one for one in config.columns}
    named = {}
    for name, column in values.items():
        one = said.get(name, ColumnConfig(name=name))
        if one.text == "drop":
            continue
        finding = infer_kind(name, column)
        kind = finding.kind if one.asked_kind == "auto" else one.asked_kind
        if kind in NAMING:
            named[name] = f"{kind}: {finding.why}"
    if not named:
        return
    entries = ", ".join(f"{{name: {name}, kind: text, text: drop}}" for name in named)
    shown = first_few([f"{name!r} ({why})" for name, why in named.items()])
    msg = (
        f"The source {config.uri!r} has columns that would name every step instead of describing "
        f"it: {shown}; no names are made for steps, so leave them out with source.columns: "
        f"[{entries}], or say kind: category where values do repeat."
    )
    raise SourceError(msg, proposals=[left_out(name, why) for name, why in named.items()])


def _key(panel: Panel, entity: str, config: SourceConfig, min_group: int) -> Column:
    keys = panel.firsts([entity]).column(entity)
    if not (pa.types.is_string(keys.type) or pa.types.is_integer(keys.type)):
        msg = (
            f"The column {entity!r} of source.entity in the source {config.uri!r} is {keys.type}, "
            "and names are text or whole numbers; store it so, or name another column."
        )
        raise SourceError(msg)
    _check_said(config, entity, ("key",), "source.entity")
    form = key_pattern(keys, min_group)
    return Column(name=entity, kind="key", why=f"names {len(keys):,} entities", form=form)


def _moments(panel: Panel, time: str, rhythm: Rhythm, config: SourceConfig) -> Column:
    column = panel.steps.column(time)
    kinds: tuple[Kind, ...] = ("date", "timestamp", "time", "integer")
    kind = next(one for one in kinds if check_kind(column.slice(0, 1), one) is None)
    _check_said(config, time, (kind,), "source.time")
    if rhythm.step is None:
        return Column(name=time, kind=kind, why="the moments of the steps, irregular")
    clock = f" on the clocks of {rhythm.zone}" if rhythm.zone else ""
    why = f"the moments of the steps, {in_words(rhythm.step)} apart{clock}"
    return Column(name=time, kind=kind, why=why)


def _check_said(config: SourceConfig, name: str, kinds: Collection[str], place: str) -> None:
    """Check that what the recipe says of a column goes with its part.

    Raises:
        SourceError: it leaves the column out, or says another kind.
    """
    said = next((one for one in config.columns if one.name == name), ColumnConfig(name=name))
    if said.text != "refuse" or said.asked_kind not in ("auto", *kinds):
        what = "left out" if said.text == "drop" else said.asked_kind
        msg = (
            f"The column {name!r} of {place} is said to be {what} in source.columns, and it is "
            f"{' or '.join(kinds)}; remove that entry, or name another column in {place}."
        )
        raise SourceError(msg)
