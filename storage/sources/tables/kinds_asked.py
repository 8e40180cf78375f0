"""Whether a column can be of the kind that a recipe says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from storage.sources.table_config import Kind
from storage.sources.tables.forms import shown_shape


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The answer."""

    problem: str | None
    """Why not; None = it can."""


_Test = Callable[[Any], bool]


def _any(*tests: _Test) -> _Test:
    return lambda kind: any(test(kind) for test in tests)


_TYPES: Final[dict[str, _Test]] = {
    "integer": pa.types.is_integer,
    "float": _any(pa.types.is_floating, pa.types.is_integer, pa.types.is_decimal),
    "decimal": pa.types.is_decimal,
    "boolean": pa.types.is_boolean,
    "category": lambda _: True,
    "date": pa.types.is_date,
    "time": pa.types.is_time,
    "timestamp": pa.types.is_timestamp,
    "constant": lambda _: True,
    "key": _any(pa.types.is_string, pa.types.is_integer),
    "text": pa.types.is_string,
}
"""Kind → whether a type can have it."""


def ask(column: pa.ChunkedArray, kind: Kind) -> Asked:
    """Return whether the column can be of the kind; the reason shows no value, only a form."""
    if not _TYPES[kind](column.type):
        return Asked(problem=_stored(column))
    present = column.drop_null()
    if kind == "constant" and len(pc.unique(present)) + bool(column.null_count) > 1:
        return Asked(problem="it has more than one value")
    if kind == "key":
        return Asked(problem=_not_unique(column, present))
    return Asked(problem=None)


def _stored(column: pa.ChunkedArray) -> str:
    present = column.drop_null()
    if pa.types.is_string(column.type) and len(present):
        shape = shown_shape(present[0].as_py())
        return f"it is stored as text, and its first value has the form {shape}"
    return f"it is stored as {column.type}"


def _not_unique(column: pa.ChunkedArray, present: pa.ChunkedArray) -> str | None:
    if column.null_count:
        return f"{column.null_count} rows have none, and every row needs one"
    repeated = len(present) - pc.count_distinct(present).as_py()
    return f"{repeated} rows repeat the one of another row" if repeated else None
