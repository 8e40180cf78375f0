"""What may be drawn of a column, and its values as numbers or as levels."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.tables.evaluation.columns import judged_columns
from storage.records.schema import TableMetadata

Array = np.ndarray[Any, Any]

NULL = "null"
LONGEST = 40
"""Longer texts are cut."""
_DAY_S = 86_400.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = 1e-6


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One column that figures show; keys, texts and constants are none."""

    name: str
    kind: str
    form: Literal["levels", "number"]
    """Whether its values lie on an axis, as the judge sees it."""
    group: int
    """Fewest real rows behind anything that is shown of this column."""

    @property
    def whole(self) -> bool:
        """Whether the axis knows no place between two neighbouring units."""
        return self.kind in ("integer", "date")


def drawn_columns(
    metadata: TableMetadata, train: pa.Table, label: str | None, *, confidential: bool
) -> tuple[Drawn, ...]:
    """Return the columns that figures show, in the order of the table.

    Raises:
        DataError: there is none.
    """
    found = []
    for judged in judged_columns(metadata, train, label):
        column = metadata.column(judged.name)
        hidden = confidential and column.vocabulary != "public"
        group = max(metadata.min_group, 1) if hidden else 1
        found.append(Drawn(name=column.name, kind=column.kind, form=judged.form, group=group))
    return tuple(found)


def as_numbers(column: Any) -> Array:
    """Return float64 values, NaN where null; days for dates, seconds for times and timestamps."""
    column = _plain(column)
    kind, factor = column.type, 1.0
    if pa.types.is_date(kind):
        column = column.cast(pa.date32()).cast(pa.int32())
    elif pa.types.is_time(kind):
        column, factor = column.cast(pa.time64("us"), safe=False).cast(pa.int64()), _MICRO
    elif pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us", kind.tz), safe=False).cast(pa.int64())
        factor = _MICRO
    elif pa.types.is_duration(kind):
        column, factor = column.cast(pa.duration("us"), safe=False).cast(pa.int64()), _MICRO
    values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    values = np.asarray(values, dtype=np.float64) * factor
    return np.where(np.isfinite(values), values, np.nan)


def as_levels(column: Any) -> tuple[str, ...]:
    """Return values as text, `null` where there is none."""
    plain = _plain(column)
    return tuple(NULL if value is None else as_text(value) for value in plain.to_pylist())


def count_levels(column: Any) -> dict[str, int]:
    """Return how many rows hold each level, nulls under `null`."""
    counted = pc.value_counts(_plain(column)).to_pylist()
    counts: dict[str, int] = {}
    for entry in counted:
        name = NULL if entry["values"] is None else as_text(entry["values"])
        counts[name] = counts.get(name, 0) + entry["counts"]
    return counts


def as_text(value: Any) -> str:
    """Return one value as a person reads it, cut when it is long."""
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, float):
        text = f"{value:.12g}" if value == round(value, 2) else f"{value:.6g}"
    elif isinstance(value, datetime):
        text = value.isoformat(sep=" ", timespec="auto")
    else:
        text = str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def place_text(kind: str, value: float) -> str:
    """Return a place on a column's axis as text: a number, a date, a time of day."""
    if kind == "date":
        return str((_EPOCH + timedelta(days=round(value))).date())
    if kind == "timestamp":
        moment = _EPOCH + timedelta(seconds=round(value))
        return str(moment.date()) if value % _DAY_S == 0 else f"{moment:%Y-%m-%d %H:%M}"
    if kind == "time":
        return f"{_EPOCH + timedelta(seconds=round(value)):%H:%M}"
    if abs(value) >= 1e6 or 0 < abs(value) < 1e-4:
        return f"{value:.3g}"
    return f"{value:,.6g}"


def kth_ends(sorted_values: Array, k: int) -> tuple[float, float] | None:
    """Return the k-th smallest and k-th largest value, or None where these cross."""
    if k < 1 or len(sorted_values) < 2 * k:
        return None
    return float(sorted_values[k - 1]), float(sorted_values[len(sorted_values) - k])


def _plain(column: Any) -> Any:
    """Return a column as one array without dictionary."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column
