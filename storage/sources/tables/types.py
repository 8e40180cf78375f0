"""Which Arrow types a column of a table may have, and to which a like one is brought.

| stored as | becomes |
|---|---|
| dictionary, run-end encoded | its values |
| large or viewed text | string |
| half precision | float |
| decimals of 32, 64 and 256 bits | decimal128 |
| milliseconds since the epoch as a date | date32 |
| timestamps in any unit | microseconds |
| times in seconds, in nanoseconds | milliseconds, microseconds |
| NaN | null |

Whole numbers, floats, decimals, booleans, dates and times otherwise stay as they are.
"""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from storage.errors import SourceError
from storage.sources.builder import listed

_DECIMAL_DIGITS = 38


def plain_type(kind: pa.DataType) -> pa.DataType | None:
    """Return the type that a column of this one is brought to; None where no table has it."""
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return plain_type(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_decimal(kind):
        return pa.decimal128(min(kind.precision, _DECIMAL_DIGITS), kind.scale)
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    if pa.types.is_duration(kind) or pa.types.is_interval(kind):
        return None
    simple = pa.types.is_string(kind) or pa.types.is_null(kind) or pa.types.is_primitive(kind)
    return _LIKE.get(kind, kind) if simple else None


_LIKE = {
    pa.float16(): pa.float32(),
    pa.date64(): pa.date32(),
    pa.time32("s"): pa.time32("ms"),
    pa.time64("ns"): pa.time64("us"),
}


def plain_table(table: pa.Table, uri: str) -> tuple[pa.Table, list[str]]:
    """Return the table with plain types and nulls instead of NaN, and what to say of it.

    Raises:
        SourceError: a column is nested or binary, or a value does not fit the plain type.
    """
    refused = [field for field in table.schema if plain_type(field.type) is None]
    if refused:
        shown = ", ".join(f"{field.name!r} ({field.type})" for field in refused)
        msg = (
            f"The source {uri!r} has columns that are neither encoded images nor values of a "
            f"table: {shown}; leave them out with source.columns: [{{name: {refused[0].name}, "
            "kind: text, text: drop}]."
        )
        raise SourceError(msg)
    columns, nan = [], []
    for name, column in zip(table.column_names, table.columns, strict=True):
        plain = _cast(column, plain_type(column.type), name, uri)
        if pa.types.is_floating(plain.type) and pc.any(pc.is_nan(plain)).as_py():
            nan.append(name)
            plain = pc.if_else(pc.is_nan(plain), pa.scalar(None, plain.type), plain)
        columns.append(plain)
    notes = [f"NaN is read as a missing value, in {listed(nan)}."] if nan else []
    fields = [
        pa.field(name, column.type)
        for name, column in zip(table.column_names, columns, strict=True)
    ]
    return pa.table(columns, schema=pa.schema(fields)), notes


def unified(
    tables: Sequence[pa.Table], places: Sequence[str], uri: str
) -> tuple[pa.Table, list[str]]:
    """Return tables of plain types and equal columns as one, and notes on types that are widened.

    `places` are what the tables are called in messages.

    Raises:
        SourceError: a column has types that do not go together.
    """
    fields, notes = [], []
    for name in tables[0].column_names:
        types = [table.schema.field(name).type for table in tables]
        together = _together([table.column(name) for table in tables])
        if together is None:
            other = next(i for i, kind in enumerate(types) if kind != types[0])
            msg = (
                f"The column {name!r} is of mixed types in the source {uri!r}: {types[0]} in "
                f"{places[0]} and {types[other]} in {places[other]}; give it one type everywhere, "
                "or for CSV say its kind in source.columns."
            )
            raise SourceError(msg)
        known = {kind for kind in types if not pa.types.is_null(kind)}
        if len(known) > 1:
            listed = " and ".join(sorted(map(str, known)))
            notes.append(f"The column {name!r} is {listed}; all is read as {together}.")
        fields.append(pa.field(name, together))
    schema = pa.schema(fields)
    return pa.concat_tables([table.cast(schema) for table in tables]), notes


def _together(columns: Sequence[pa.ChunkedArray]) -> pa.DataType | None:
    """Return the type that holds all values of all columns; None where there is none."""
    schemas = [pa.schema([pa.field("", column.type)]) for column in columns]
    try:
        kind = pa.unify_schemas(schemas, promote_options="permissive").field(0).type
        for column in columns:
            column.cast(kind)
    except (pa.ArrowTypeError, pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    return kind


def _cast(
    column: pa.ChunkedArray, kind: pa.DataType | None, name: str, uri: str
) -> pa.ChunkedArray:
    if column.type == kind:
        return column
    try:
        if pa.types.is_run_end_encoded(column.type):
            column = pa.chunked_array([pc.run_end_decode(chunk) for chunk in column.chunks])
        fine = pa.types.is_timestamp(column.type) or pa.types.is_time(column.type)
        return column.cast(kind, safe=not (fine and column.type.unit == "ns"))
    except pa.ArrowInvalid as error:
        msg = (
            f"The column {name!r} of the source {uri!r} is {column.type}, and a value of it does "
            f"not fit {kind} ({str(error).splitlines()[0]}); correct it or store another type."
        )
        raise SourceError(msg) from error
