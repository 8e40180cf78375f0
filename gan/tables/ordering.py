"""Where values of columns stand among each other: ranks of all values, and days of moments."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from gan.tables.columns.values import plain
from storage.records.moment_parts import days

Array = np.ndarray[Any, Any]


def common_ranks(vocabularies: Sequence[Any]) -> list[Array]:
    """Return for each Arrow array its values' ranks among all values; -1 for null.

    Numbers are compared with numbers, and dates with timestamps; those with other than their own
    kind of value never meet.
    """
    encoded = [each.dictionary_encode() for each in vocabularies]
    values = [_sortable(each.dictionary) for each in encoded]
    order: dict[type, list[Any]] = {}
    for each in values:
        for value in each:
            order.setdefault(_family(value), []).append(value)
    ranks = {
        family: {value: rank for rank, value in enumerate(sorted(set(found)))}
        for family, found in order.items()
    }
    return [
        np.array([*(ranks[_family(value)][value] for value in distinct), -1], dtype=np.int64)[
            each.indices.fill_null(len(distinct)).to_numpy()
        ]
        for each, distinct in zip(encoded, values, strict=True)
    ]


def value_days(vocabulary: Any) -> Array:
    """Return the day of every value; 0 for null, and where these are no moments."""
    kind = vocabulary.type
    if not (pa.types.is_date(kind) or pa.types.is_timestamp(kind)):
        return np.zeros(len(vocabulary), dtype=np.int64)
    numbers = days(plain(vocabulary)).cast(pa.int32()).fill_null(0)
    found: Array = numbers.to_numpy(zero_copy_only=False).astype(np.int64)
    return found


def _sortable(vocabulary: Any) -> list[Any]:
    """Return values as Python compares them: moments without zone, no NaN."""
    kind = vocabulary.type
    if pa.types.is_timestamp(kind):
        vocabulary = vocabulary.cast(pa.timestamp("us", tz=kind.tz), safe=False)
    elif pa.types.is_time(kind):
        vocabulary = vocabulary.cast(pa.time64("us"), safe=False)
    return [_moment(value) for value in vocabulary.to_pylist()]


def _moment(value: Any) -> Any:
    """Return dates and times with a zone as plain moments, other values as they are."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - of no zone
    return value


def _family(value: Any) -> type:
    """Return a type that stands for all types with which a value can be compared."""
    if isinstance(value, datetime):
        return datetime
    return float if hasattr(value, "__float__") else type(value)
