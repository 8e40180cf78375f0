"""The label of a table: which rows have one, and whether its values are classes or a quantity.

Shape legend: N rows.
"""

from dataclasses import replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.records.proposal import Proposal
from storage.records.schema import ClassCounts, Column, count_classes
from storage.sources.checks import MAX_SKIPPED_FRACTION, MIN_CLASS_RECORDS
from storage.sources.config import SourceConfig
from storage.sources.tables.dialect import KEY, Dialect
from storage.sources.tables.source import TableRead, no_label
from storage.sources.tables.types import LARGEST_WHOLE

MAX_CLASSES: Final = 50
"""A label of text or whole numbers with more values is a quantity or a name, not a class."""

MAX_FLOAT_CLASSES: Final = 20
"""A label of floats that are all whole with more values is a quantity."""

CLASS_KINDS: Final = frozenset({"category", "boolean", "integer"})
"""Kinds whose values can be classes."""

NO_CONTENT: Final = frozenset({"key", "text"})
"""Kinds whose values name a row instead of describing it."""

_QUANTITIES: Final = frozenset({"float", "decimal"})
_SPARE: Final = 2
"""A class has so many times the rows that train needs of it, as train is a part of the rows."""


def read_classes(read: TableRead, config: SourceConfig, min_group: int) -> TableRead:
    """Return the rows with whole numbers for a label of floats that are few and all whole.

    Pandas makes `1.0` of 1 where a value is missing. They are classes then, and shards hold floats
    as the source does. A kind in `source.columns` decides otherwise.
    """
    names = read.table.column_names
    if config.label not in names:
        return read
    label, place = str(config.label), names.index(str(config.label))
    column = read.table.column(place)
    kind = next((one.kind for one in config.columns if one.name == label), "auto")
    if not pa.types.is_floating(column.type) or kind in _QUANTITIES:
        return read
    counts = pc.value_counts(column.drop_null())
    values = counts.field("values")
    if not len(values) or not pc.all(pc.equal(pc.floor(values), values)).as_py():
        return read
    if pc.max(pc.abs(values)).as_py() > LARGEST_WHOLE:
        return read
    least = _SPARE * max(MIN_CLASS_RECORDS, min_group)
    rare = pc.min(counts.field("counts")).as_py() < least
    if kind == "auto" and (len(values) > MAX_FLOAT_CLASSES or rare):
        return read
    text = read.metadata.get(KEY)
    dialect = Dialect(csv=False) if text is None else Dialect.from_json(text)
    style = dialect.style(label)
    decimals = None if style.short else style.decimals or 1
    style = replace(style, decimals=decimals, stored=str(column.type))
    styles = {**dialect.styles, label: style}
    note = f"the label {label!r} has {len(values)} whole numbers, so they are classes"
    return TableRead(
        table=read.table.set_column(place, label, column.cast(pa.int64())),
        notes=(*read.notes, note),
        metadata={**read.metadata, KEY: replace(dialect, styles=styles).to_json()},
    )


def labelled_rows(
    config: SourceConfig, table: pa.Table, own: int
) -> tuple[NDArray[np.bool_], list[str]]:
    """Return which of N rows have a label, and the names of the others where they are few.

    Args:
        config: of the source.
        table: its rows, then those of its separate holdout.
        own: how many are the source's.

    Raises:
        SourceError: too many have none, and the recipe does not say what becomes of them.
    """
    label = config.label
    if label is None or not table.column(label).null_count:
        return np.ones(len(table), np.bool_), []
    column = table.column(label)
    labelled: NDArray[np.bool_] = column.is_valid().to_numpy().astype(np.bool_)
    few = check_unlabelled(config, column.null_count, len(table))
    rows = np.flatnonzero(~labelled).tolist() if few else []
    names = [f"row {row}" if row < own else f"holdout row {row - own}" for row in rows]
    return labelled, [f"{name} (no label)" for name in names]


def check_unlabelled(config: SourceConfig, lacking: int, rows: int) -> bool:
    """Return whether the rows without a label are few.

    Args:
        config: of the source.
        lacking: how many they are.
        rows: in all.

    Raises:
        SourceError: too many have none, and the recipe does not say what becomes of them.
    """
    label, few = config.label, lacking <= MAX_SKIPPED_FRACTION * rows
    if few or config.label_nulls == "drop":
        return few
    msg = (
        f"The label column {label!r} of the source {config.uri!r} is null in "
        f"{lacking} of {rows} rows, more than {MAX_SKIPPED_FRACTION:.0%}; set "
        "source.label_nulls to drop to leave these rows out, fill them, or set source.label "
        "to null to keep them, with the column as one like the others."
    )
    why = f"{lacking} of {rows} rows have no {label} and are left out; label: null keeps them"
    drop = Proposal(setting="source.label_nulls", value="drop", why=why)
    raise SourceError(msg, proposals=[drop])


def check_label_kind(config: SourceConfig, columns: tuple[Column, ...]) -> None:
    """Check that the label describes rows instead of naming them.

    Raises:
        SourceError: it is a key, text or constant.
    """
    if config.label is None:
        return
    kind = next(column.kind for column in columns if column.name == config.label)
    if kind in {*NO_CONTENT, "constant"}:
        msg = (
            f"The label column {config.label!r} of the source {config.uri!r} is taken for "
            f"{kind}, which nothing can be predicted from; name another column, give its kind in "
            "source.columns, or set source.label to null."
        )
        raise SourceError(msg, proposals=[no_label(f"{config.label} is taken for {kind}")])


def classes_of(config: SourceConfig, table: pa.Table, columns: tuple[Column, ...]) -> ClassCounts:
    """Count the rows of every class; empty where the label is a quantity or there is none."""
    kinds = {column.name: column.kind for column in columns}
    if config.label is None or kinds[config.label] not in CLASS_KINDS:
        return ()
    column = table.column(config.label)
    types = (pa.types.is_string, pa.types.is_integer, pa.types.is_boolean)
    if not any(test(column.type) for test in types):
        return ()
    return count_classes(column)
