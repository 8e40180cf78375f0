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
| bytes that are UTF-8 | string, and bytes again in shards |
| durations | whole numbers of their unit, and durations again in shards |
| structs | a column `a.b` for every field `b` of `a` |
| lists of numbers, all of one length | a column `a_0`, `a_1`, …, and lists again in shards |
| NaN | null |

Whole numbers, floats, decimals, booleans, dates and times otherwise stay as they are.
"""

from collections.abc import Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from storage.errors import SourceError
from storage.records.proposal import left_out
from storage.sources.checks import listed

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
    if pa.types.is_duration(kind):
        return pa.int64()
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.string()
    if pa.types.is_interval(kind):
        return None
    simple = pa.types.is_string(kind) or pa.types.is_null(kind) or pa.types.is_primitive(kind)
    return _LIKE.get(kind, kind) if simple else None


_LIKE = {
    pa.float16(): pa.float32(),
    pa.date64(): pa.date32(),
    pa.time32("s"): pa.time32("ms"),
    pa.time64("ns"): pa.time64("us"),
}


LARGEST_WHOLE: Final = 2**53
"""Up to here every whole number is a float of its own."""


def add_stored(stored: dict[str, str], schema: pa.Schema, place: str, uri: str) -> None:
    """Add the stored types of one more file.

    Raises:
        SourceError: a column is stored in two types.
    """
    for name, kind in stored_types(schema).items():
        if stored.setdefault(name, kind) != kind:
            msg = (
                f"The column {name!r} of the source {uri!r} is {stored[name]} in one file and "
                f"{kind} in {place}; give it one type everywhere."
            )
            raise SourceError(msg)


def stored_types(schema: pa.Schema) -> dict[str, str]:
    """Return the columns that shards hold in another type than records do: name → that type."""
    tests = (pa.types.is_duration, pa.types.is_binary)
    return {f.name: str(f.type) for f in schema if any(test(f.type) for test in tests)}


def flat_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema with a field `a.b` for every field `b` of a struct `a`."""
    while any(pa.types.is_struct(field.type) for field in schema):
        schema = schema.empty_table().flatten().schema
    return schema


def flat_table(table: pa.Table) -> tuple[pa.Table, list[str]]:
    """Return the table with a column for every field of a struct, and what to say of it."""
    structs = [field.name for field in table.schema if pa.types.is_struct(field.type)]
    while any(pa.types.is_struct(field.type) for field in table.schema):
        table = table.flatten()
    notes = [f"the fields of {name!r} are columns, called {name}.…" for name in structs]
    return table, notes


def plain_table(table: pa.Table, uri: str) -> tuple[pa.Table, list[str]]:
    """Return the table with plain types and nulls instead of NaN, and what to say of it.

    Raises:
        SourceError: columns are nested, or hold bytes that are no text, or a value does not fit
            the plain type.
    """
    refused, columns, nan, errors = [], [], [], []
    for field, column in zip(table.schema, table.columns, strict=True):
        kind = plain_type(field.type)
        try:
            plain = None if kind is None else _cast(column, kind, field.name, uri)
        except SourceError as error:
            errors.append(error)
            continue
        if plain is None:
            refused.append(field)
            continue
        if pa.types.is_floating(plain.type) and pc.any(pc.is_nan(plain)).as_py():
            nan.append(field.name)
            plain = pc.if_else(pc.is_nan(plain), pa.scalar(None, plain.type), plain)
        columns.append((field.name, plain))
    if refused:
        errors.insert(0, _refusal(refused, uri))
    if errors:
        proposals = [proposal for error in errors for proposal in error.proposals]
        raise SourceError(" ".join(map(str, errors)), proposals=proposals)
    notes = [f"NaN is read as a missing value, in {listed(nan)}."] if nan else []
    fields = [pa.field(name, column.type) for name, column in columns]
    return pa.table([column for _, column in columns], schema=pa.schema(fields)), notes


def _refusal(fields: Sequence[pa.Field], uri: str) -> SourceError:
    shown = ", ".join(f"{field.name!r} ({field.type})" for field in fields)
    entries = ", ".join(f"{{name: {field.name}, kind: text, text: drop}}" for field in fields)
    return SourceError(
        f"The source {uri!r} has columns that are neither encoded images nor values of a "
        f"table: {shown}; leave them out with source.columns: [{entries}].",
        proposals=[left_out(f.name, f"of type {f.type}, no values of a table") for f in fields],
    )


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
    column: pa.ChunkedArray, kind: pa.DataType, name: str, uri: str
) -> pa.ChunkedArray | None:
    """Return the column as a plain type; None for bytes that are no text."""
    if column.type == kind:
        return column
    stored = column.type
    if pa.types.is_dictionary(stored) or pa.types.is_run_end_encoded(stored):
        stored = stored.value_type
    try:
        if pa.types.is_run_end_encoded(column.type):
            column = pa.chunked_array([pc.run_end_decode(chunk) for chunk in column.chunks])
        fine = pa.types.is_timestamp(column.type) or pa.types.is_time(column.type)
        return column.cast(kind, safe=not (fine and column.type.unit == "ns"))
    except pa.ArrowInvalid as error:
        if pa.types.is_string(kind):
            return None
        msg = (
            f"The column {name!r} of the source {uri!r} is {stored}, and a value of it does "
            f"not fit {kind} ({str(error).splitlines()[0]}); correct it, store another type, or "
            f"leave it out with source.columns: [{{name: {name}, kind: text, text: drop}}]."
        )
        why = f"a value of it does not fit {kind}"
        raise SourceError(msg, proposals=[left_out(name, why)]) from error
