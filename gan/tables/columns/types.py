"""Arrow types that a table may have, as text; and vocabularies as JSON, exact to the last bit.

The table of types is closed: what is not in it is refused, and nothing of a snapshot is executed.
"""

import re
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from gan.errors import DataError, SnapshotError
from storage.records.schema import TableMetadata, read_table_metadata

PLAIN: dict[str, Any] = {
    str(kind): kind
    for kind in (
        pa.bool_(),
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
        *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.float16(), pa.float32(), pa.float64()),
        *(pa.string(), pa.large_string()),
        *(pa.date32(), pa.date64()),
        *(pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")),
        *(pa.timestamp(unit) for unit in ("s", "ms", "us", "ns")),
        *(pa.duration(unit) for unit in ("s", "ms", "us", "ns")),
    )
}
"""Text → type, of those without parameters that are free."""

DECIMAL = re.compile(r"decimal(128|256)\((\d+), (-?\d+)\)")
TIMESTAMP = re.compile(r"timestamp\[(s|ms|us|ns), tz=(.+)\]")
DICTIONARY = re.compile(r"dictionary<values=(.+), indices=(u?int\d+), ordered=([01])>")

STORED = {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}
"""Width in bits → the integers behind a date, time, timestamp or duration."""


def parse_type(text: str) -> Any:
    """Return the Arrow type that `str` wrote.

    Raises:
        SnapshotError: it is none of those that a table may have.
    """
    if text in PLAIN:
        return PLAIN[text]
    if found := DECIMAL.fullmatch(text):
        make = {"128": pa.decimal128, "256": pa.decimal256}[found[1]]
        return make(int(found[2]), int(found[3]))
    if found := TIMESTAMP.fullmatch(text):
        return pa.timestamp(found[1], tz=found[2])
    if found := DICTIONARY.fullmatch(text):
        return pa.dictionary(PLAIN[found[2]], parse_type(found[1]), ordered=found[3] == "1")
    msg = f"{text!r} is no type of a table's column: train the generator again"
    raise SnapshotError(msg)


def check_type(name: str, kind: Any) -> None:
    """Refuse a column of a type that no codec serves.

    Raises:
        DataError: the type is none of those above.
    """
    try:
        served = parse_type(str(kind)) == kind
    except SnapshotError:
        served = False
    if not served:
        msg = (
            f"column {name!r} is {kind}, which is not served: booleans, numbers, decimals, "
            "strings, dates, times and timestamps are; convert it or leave it out"
        )
        raise DataError(msg)


def value_type(kind: Any) -> Any:
    """Return the type of the values, without the dictionary."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def plain(column: Any) -> Any:
    """Return a column in one piece and without dictionary; NaN as null."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return _without_nan(column) if pa.types.is_floating(column.type) else column


def _without_nan(column: Any) -> Any:
    """Return a column of floats with nulls where it held NaN."""
    values = column.to_numpy(zero_copy_only=False)
    return pa.array(values, type=column.type, mask=np.isnan(values))


def to_plain(values: Any) -> list[Any]:
    """Return a vocabulary as JSON: integers behind dates and times, decimals as strings."""
    kind = values.type
    if pa.types.is_temporal(kind):
        return values.view(STORED[kind.bit_width]).to_pylist()  # type: ignore[no-any-return]
    if pa.types.is_decimal(kind):
        return [None if value is None else str(value) for value in values.to_pylist()]
    if pa.types.is_float16(kind):
        return values.cast(pa.float32()).to_pylist()  # type: ignore[no-any-return]
    return values.to_pylist()  # type: ignore[no-any-return]


def from_plain(values: list[Any], kind: Any) -> Any:
    """Return a vocabulary again; `kind` is a type without dictionary."""
    if pa.types.is_temporal(kind):
        return pa.array(values, type=STORED[kind.bit_width]).view(kind)
    if pa.types.is_decimal(kind):
        texts = [None if value is None else Decimal(value) for value in values]
        return pa.array(texts, type=kind)
    if pa.types.is_float16(kind):
        return pa.array(values, type=pa.float32()).cast(kind)
    return pa.array(values, type=kind)


def require_metadata(schema: Any) -> TableMetadata:
    """Return the description of the columns in a schema's metadata.

    Raises:
        DataError: there is none, or not of exactly these columns.
    """
    try:
        found = read_table_metadata(schema)
    except ValueError as error:
        raise DataError(str(error)) from error
    if found is None:
        msg = "the records do not say what their columns are: prepare them with ganmill first"
        raise DataError(msg)
    return found
