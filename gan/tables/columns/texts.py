"""Values as a person writes them, read as a column's type: `3`, `2.50`, `true`, `2026-01-31`."""

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

NULL = "null"
"""The missing value, unless the column has a level of that name."""
OFFSET = re.compile(r"(Z|[+-]\d\d:?\d\d)$")
WHOLE = re.compile(r"(?<=\d)\.0+$")
"""What floats that are whole have behind the number."""


def read_value(text: str, kind: Any) -> Any:
    """Return a text as an Arrow scalar of a type; None when it is none.

    A time stamp without an offset is of the column's zone.
    """
    try:
        if pa.types.is_decimal(kind):
            return pa.scalar(Decimal(text), kind)
        if pa.types.is_timestamp(kind) and kind.tz is not None:
            return _read_zoned(text, kind)
        if pa.types.is_integer(kind):
            text = WHOLE.sub("", text)
        return pa.scalar(text).cast(kind)
    except (pa.ArrowException, InvalidOperation, ValueError):
        return None


def _read_zoned(text: str, kind: Any) -> Any:
    """Return a moment; without an offset it is of the column's zone."""
    if OFFSET.search(text) and ":" in text:
        return pa.scalar(text).cast(kind)
    naive = pa.array([text]).cast(pa.timestamp(kind.unit))
    return pc.assume_timezone(naive, kind.tz, ambiguous="earliest", nonexistent="latest")[0]


def equals(values: Any, text: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which values of an Arrow array a text of a rule means; `null` is the missing value."""
    scalar = read_value(text, values.type)
    if text == NULL:
        found = values.is_null()
    elif scalar is None:
        return np.zeros(len(values), dtype=bool)
    else:
        found = pc.fill_null(pc.equal(values, scalar), fill_value=False)
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=bool)


def is_readable(text: str, kind: Any) -> bool:
    """Say whether a text is a value of a type, or null."""
    return text == NULL or read_value(text, kind) is not None


def read_values(texts: Sequence[str], kind: Any) -> Any:
    """Return texts as an Arrow array of a type, null where they are none of its values."""
    scalars = [read_value(text, kind) for text in texts]
    nothing = pa.scalar(None, kind)
    return pa.array([nothing if each is None else each for each in scalars], type=kind)
