"""Which columns are modelled, and how each is fitted."""

from typing import Any

import pyarrow as pa

from gan.errors import DataError
from gan.tables.columns.levels import Levels
from gan.tables.columns.made import Constant, Made
from gan.tables.columns.modelled import Modelled
from gan.tables.columns.numeric import LABEL_CLASSES, Numeric
from gan.tables.columns.types import check_type, plain
from gan.tables.columns.units import is_number
from gan.tables.meaning import Column, read_meaning


def fit_columns(
    records: pa.Table, label: str | None
) -> tuple[tuple[Modelled, ...], tuple[Made, ...]]:
    """Return the modelled columns and those that are made.

    Raises:
        DataError: see `TableCodec.fit`.
    """
    meaning = read_meaning(records.schema)
    if records.num_rows == 0:
        msg = "there are no rows to fit the codec on: give it at least one record"
        raise DataError(msg)
    modelled: list[Modelled] = []
    made: list[Made] = []
    for column in meaning.columns:
        check_type(column.name, records.schema.field(column.name).type)
        values = plain(records[column.name])
        if values.null_count == len(values):
            msg = f"column {column.name!r} is all null in train: leave it out"
            raise DataError(msg)
        g = 1 if column.vocabulary == "public" else meaning.min_group
        fitted = _fit(column, values, g, whole=column.name == label)
        if fitted.codes == 1:
            made.append(
                Constant(
                    name=column.name,
                    kind_name=str(values.type),
                    value=fitted.vocabularies[0].slice(0, 1),
                )
            )
        else:
            modelled.append(fitted)
    return tuple(modelled), tuple(made)


def _fit(column: Column, values: Any, g: int, *, whole: bool) -> Modelled:
    if column.kind in ("category", "boolean") or not is_number(values.type):
        return Levels.fit(column.name, values, g)
    integers = pa.types.is_integer(values.type)
    classes = whole and integers and len(values.unique()) <= LABEL_CLASSES
    return Numeric.fit(column.name, values, g, limits=(None, None), whole=classes)


def label_classes(columns: tuple[Modelled, ...], label: str | None) -> tuple[Any, ...]:
    """Return the sorted classes of the label; none when it is a number or there is no label."""
    for column in columns:
        if label in column.fields:
            kind = column.vocabulary(str(label)).type
            few = column.kind == "category" or (
                pa.types.is_integer(kind) and column.cells == column.codes <= LABEL_CLASSES
            )
            values = column.vocabulary(str(label)).to_pylist()
            return tuple(sorted(set(values))) if few else ()
    return ()
