"""Conditions as sets of cells: what a synthesized record must have in one column.

Values are text, read as the column's type: `3`, `2.50`, `true`, `>50K`, `2026-01-31`,
`2026-01-31T12:00:00`, `12:30:00`; a time stamp without an offset is of the column's zone. `null` is
the missing value, unless the column has a level of that name. A range keeps low <= value <= high
and excludes null.
"""

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.errors import ConfigError
from gan.tables.columns.made import Made
from gan.tables.columns.modelled import Modelled
from storage.records.schema import Condition

Array = np.ndarray[Any, Any]

NULL = "null"
OFFSET = re.compile(r"(Z|[+-]\d\d:?\d\d)$")
MOST_NAMED = 12
"""Of the levels that a column knows, a message names so many."""


def cell_mask(
    given: Sequence[Condition], columns: Sequence[Modelled], made: Sequence[Made]
) -> Array:
    """Return which cells meet all conditions: bool, the cells of one column after another's.

    Raises:
        ConfigError: see `TableCodec.allowed`.
    """
    masks = {column.name: np.ones(column.cells, dtype=bool) for column in columns}
    for condition in given:
        column = _owner(condition.column, columns, made)
        masks[column.name] &= _meets(condition, column)
        if not masks[column.name].any():
            msg = (
                f"synthesis.given leaves no value of column {condition.column!r}: the conditions "
                "on it, or on columns that belong together with it, contradict each other"
            )
            raise ConfigError(msg)
    return np.concatenate(list(masks.values()))


def _owner(name: str, columns: Sequence[Modelled], made: Sequence[Made]) -> Modelled:
    """Return the modelled column that stands for a column of the table."""
    for maker in made:
        if maker.name == name:
            msg = (
                f"synthesis.given names column {name!r}, which is a {maker.type_name} and not "
                "learnt: remove the condition"
            )
            raise ConfigError(msg)
    for column in columns:
        if name in column.fields:
            return column
    known = ", ".join(name for column in columns for name in column.fields)
    msg = f"synthesis.given names column {name!r}, which the table does not have: it has {known}"
    raise ConfigError(msg)


def _meets(condition: Condition, column: Modelled) -> Array:
    """Return which cells of a column meet one condition."""
    values = column.vocabulary(condition.column)
    meets = np.ones(len(values), dtype=bool)
    if condition.values:
        meets &= np.any([_equals(values, text, condition) for text in condition.values], axis=0)
    if condition.low is None and condition.high is None:
        return meets
    if _is_text(values.type):
        msg = (
            f"synthesis.given has a range on column {condition.column!r} of type {values.type}: "
            "give values, ranges are for numbers, dates and times"
        )
        raise ConfigError(msg)
    for text, compare in ((condition.low, pc.greater_equal), (condition.high, pc.less_equal)):
        if text is not None:
            meets &= _bounded(values, text, compare, condition.column)
    if not meets.any():
        found = pc.min_max(values)
        ends = f"from {condition.low or 'any'} to {condition.high or 'any'}"
        msg = (
            f"synthesis.given asks for values {ends} in column {condition.column!r}: the generator "
            f"knows {found['min']} to {found['max']}"
        )
        raise ConfigError(msg)
    return meets


def _equals(values: Any, text: str, condition: Condition) -> Array:
    """Return which values a text means."""
    scalar = _read(text, values.type)
    if scalar is not None:
        equal = _array(pc.equal(values, scalar))
        if equal.any():
            return equal
    if text == NULL and values.null_count:
        return _array(values.is_null())
    msg = (
        f"synthesis.given asks for {text!r} in column {condition.column!r}, which the generator "
        f"does not know: {_known(values)}"
    )
    raise ConfigError(msg)


def _known(values: Any) -> str:
    """Say what may be given instead."""
    levels = values.drop_null().unique()
    if not _is_text(values.type) and len(levels) > MOST_NAMED:
        found = pc.min_max(levels)
        return f"give a range (low, high) within {found['min']} to {found['max']}"
    if pa.types.is_boolean(levels.type):
        return "it knows true and false"
    names = [str(level) for level in levels.slice(0, MOST_NAMED)]
    more = f" and {len(levels) - MOST_NAMED} more" if len(levels) > MOST_NAMED else ""
    return f"it knows {', '.join(names)}{more}"


def _bounded(values: Any, text: str, compare: Any, name: str) -> Array:
    """Return which values lie on the right side of a bound."""
    scalar = _read(text, values.type)
    if scalar is None and not pa.types.is_temporal(values.type):
        values, scalar = values.cast(pa.float64()), _read(text, pa.float64())
    if scalar is None:
        msg = (
            f"synthesis.given has the bound {text!r} on column {name!r}, which cannot be read as "
            f"{values.type}: write it as {values.drop_null()[0]}"
        )
        raise ConfigError(msg)
    return _array(compare(values, scalar))


def _read(text: str, kind: Any) -> Any:
    """Return a text as a value of a type; None when it is none."""
    try:
        if pa.types.is_decimal(kind):
            return pa.scalar(Decimal(text), kind)
        if pa.types.is_timestamp(kind) and kind.tz is not None:
            return _read_zoned(text, kind)
        return pa.scalar(text).cast(kind)
    except (pa.ArrowException, InvalidOperation, ValueError):
        return None


def _read_zoned(text: str, kind: Any) -> Any:
    """Return a moment; without an offset it is of the column's zone."""
    if OFFSET.search(text) and ":" in text:
        return pa.scalar(text).cast(kind)
    naive = pa.array([text]).cast(pa.timestamp(kind.unit))
    return pc.assume_timezone(naive, kind.tz, ambiguous="earliest", nonexistent="latest")[0]


def _is_text(kind: Any) -> bool:
    return any(
        test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_boolean)
    )


def _array(mask: Any) -> Array:
    """Return an Arrow mask as numpy; null is False."""
    found: Array = mask.fill_null(False).to_numpy(zero_copy_only=False)
    return found
