"""What every measurement of a table starts from: splits, judged columns, equal numbers of rows.

Keys, constants and replaced text are derived by the codec: only their form is judged.

Shapes: N rows.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.errors import ConfigError, DataError
from gan.modalities import Options, Splits, comparable_rows
from gan.tables.columns.values import STORED, plain, require_metadata
from gan.tables.evaluation.rows import RowContext, some
from storage.records.table_metadata import TableMetadata

Array = np.ndarray[Any, Any]

DERIVED = frozenset({"constant", "key", "text"})
"""Kinds whose values are not modelled."""
LEVELS = frozenset({"category", "boolean"})
MOST_CLASSES = 50
"""An integer label with at most so many values is a class, else a number."""


@dataclass(frozen=True, kw_only=True)
class JudgedColumn:
    """One column whose distribution is compared."""

    name: str
    form: Literal["levels", "number"]


def judged_columns(
    metadata: TableMetadata, train: pa.Table, label: str | None
) -> tuple[JudgedColumn, ...]:
    """Return the columns that are compared, in the order of the table.

    Raises:
        DataError: there is none.
    """
    found = tuple(
        JudgedColumn(
            name=column.name,
            form="levels"
            if column.kind in LEVELS or (column.name == label and is_class(train[label]))
            else "number",
        )
        for column in metadata.columns
        if column.kind not in DERIVED
    )
    if not found:
        msg = (
            f"none of the {len(metadata.columns)} columns can be compared, because all are keys, "
            "constants or text: bring columns with values that differ"
        )
        raise DataError(msg)
    return found


def is_class(column: Any) -> bool:
    """Return whether a label's values are classes, not numbers."""
    kind = column.type
    if pa.types.is_integer(kind):
        return bool(pc.count_distinct(column).as_py() <= MOST_CLASSES)
    return not (
        pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_temporal(kind)
    )


def as_numbers(column: Any) -> Array:
    """Return a column as float64, null as NaN; dates and times as the integers behind them."""
    values = plain(column)
    if pa.types.is_temporal(values.type):
        values = values.view(STORED[values.type.bit_width])
    numbers: Array = pc.cast(values, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return numbers.astype(np.float64)


def as_levels(column: Any, levels: Any) -> Array:
    """Return the position of every value among `levels`; -1 where it is none of them or null."""
    found = pc.index_in(plain(column), value_set=levels, skip_nulls=True)
    positions: Array = pc.fill_null(found, -1).to_numpy(zero_copy_only=False)
    return positions.astype(np.int64)


def is_null(column: Any) -> Array:
    """Return where a column has no value; bool (N,)."""
    mask: Array = pc.is_null(plain(column)).to_numpy(zero_copy_only=False)
    return mask


class KnownLevels(NamedTuple):
    """The levels of a column in train, the commonest first."""

    values: Any
    """Arrow array."""
    counts: Array
    """Rows of each."""


def levels_by_count(column: Any) -> KnownLevels:
    """Return the distinct values, the commonest first, and how many rows have each.

    Equally common ones come in the order of their values: the order of the rows does not matter.
    """
    values = pc.drop_null(plain(column))
    counted = pc.value_counts(values)
    levels, counts = counted.field("values"), counted.field("counts").to_numpy()
    by_value = pc.sort_indices(levels).to_numpy()
    order = by_value[np.argsort(-counts[by_value], kind="stable")]
    return KnownLevels(levels.take(pa.array(order)), counts[order])


def conform(records: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a candidate's records with the columns and types of train's.

    Raises:
        DataError: a column is missing or of another type.
    """
    missing = [name for name in schema.names if name not in records.column_names]
    if missing:
        msg = (
            f"the candidate has no column {missing[0]!r}, only {', '.join(records.column_names)}: "
            "synthesize with a generator of these records"
        )
        raise DataError(msg)
    columns = []
    for field in schema:
        found = records[field.name]
        if plain(found).type != plain(pa.chunked_array([], type=field.type)).type:
            msg = (
                f"column {field.name!r} of the candidate is {found.type} and of train "
                f"{field.type}: synthesize with a generator of these records"
            )
            raise DataError(msg)
        columns.append(found)
    plainly = pa.table(columns, names=schema.names)
    return plainly.replace_schema_metadata(records.schema.metadata)


@dataclass(frozen=True, kw_only=True, eq=False)
class EvaluationContext(RowContext):
    """The real rows and settings that all measurements of a table share."""

    metadata: TableMetadata
    columns: tuple[JudgedColumn, ...]
    holdout: pa.Table
    """n rows of it."""
    validation: pa.Table
    """n rows of it."""

    def column(self, name: str) -> JudgedColumn | None:
        """Return the judged column of that name, None where it is not judged."""
        return next((column for column in self.columns if column.name == name), None)


def build_context(splits: Splits, options: Options) -> EvaluationContext:
    """Read what the columns mean and take equal numbers of unseen rows.

    Raises:
        DataError: a split is too small, or the records do not say what their columns mean.
        ConfigError: a quasi-identifier is no column.
    """
    for name in options.quasi_identifiers:
        if name not in splits.train.column_names:
            msg = (
                f"privacy.quasi_identifiers names {name!r}, which the table does not have: it has "
                f"{', '.join(splits.train.column_names)}"
            )
            raise ConfigError(msg)
    n = comparable_rows(splits, options.cap)
    metadata = require_metadata(splits.train.schema)
    return EvaluationContext(
        splits=splits,
        metadata=metadata,
        columns=judged_columns(metadata, splits.train, splits.label),
        options=options,
        n=n,
        holdout=some(splits.holdout, n, options.seed, "holdout"),
        validation=some(splits.validation, n, options.seed, "validation"),
    )
