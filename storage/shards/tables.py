"""Shards of tables: `parquet` with the source's own columns, and `csv` as the source writes it.

CSV is written by RFC 4180 where the source was none. A file holds the rows and nothing else, so
that pandas, DuckDB and spreadsheets read it as they read the source: same delimiter, decimal mark,
null words, date formats, encoding and header. What it would say of itself stands in the version's
`shards.json`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from storage.errors import IntegrityError
from storage.shards.format import ParquetFormat, ShardFormat
from storage.sources.tables.csv_write import read_rows, read_texts, write_rows
from storage.sources.tables.dialect import KEY, Dialect, dialect_of, with_dialect
from storage.sources.tables.lists import (
    is_number_list,
    join_lists,
    joined_schema,
    lists_of,
    split_lists,
)
from storage.sources.tables.text_columns import records_of, stored_schema, stored_table

_STRING_BYTES = 3
_FLOAT_BYTES = 6
_BIT_BYTES = 1 / 8
_TEXT_BYTES = 10
_NUMBER_BYTES = 8
_BOOLEAN_BYTES = 6
_MOMENT_BYTES = 20


class TablesParquet(ParquetFormat):
    """One column per column of the source, timestamps in microseconds, nothing beside them.

    Dates and numbers that the source stores as texts are texts here too, and places of its lists
    are lists.
    """

    sample_ids = False

    def file_schema(self, schema: pa.Schema) -> pa.Schema:
        """Return the types of the source, without metadata."""
        return joined_schema(stored_schema(schema), lists_of(schema))

    def encode(self, records: pa.Table, metadata: Mapping[str, str]) -> bytes:
        """Write the columns as the source stores them."""
        stored = join_lists(stored_table(records), lists_of(records.schema))
        return super().encode(stored, metadata)

    def decode(self, data: bytes, schema: pa.Schema | None = None) -> pa.Table:
        """Read every page; as the source stores the columns without a schema."""
        table = super().decode(data, schema)
        foreign = [field for field in table.schema if not _is_cell(field.type)]
        if foreign:
            msg = (
                f"the shard's column {foreign[0].name!r} is {foreign[0].type}, which no table "
                "holds; it is of another format"
            )
            raise IntegrityError(msg)
        if schema is None:
            return table
        try:
            return records_of(split_lists(table, lists_of(schema)), schema)
        except ValueError as error:
            msg = f"the shard's values are not written as the source's are ({error}); it is damaged"
            raise IntegrityError(msg) from error

    def bytes_per_row(self, schema: pa.Schema) -> int:
        """Guess from the types, as they compress in tables of people and things."""
        return max(1, int(sum(_stored_bytes(field.type) for field in schema)))


class TablesCsv(ShardFormat):
    """The dialect is that of the schema's metadata; nothing is compressed."""

    extension = "csv"
    media_type = "text/csv"
    sample_ids = False
    self_describing = False

    def file_schema(self, schema: pa.Schema) -> pa.Schema:
        """Return it with the dialect alone as its metadata, by which a file can be read again."""
        dialect = (schema.metadata or {}).get(KEY)
        return schema.with_metadata(None if dialect is None else {KEY: dialect})

    def planned_schema(self, schema: pa.Schema, *, escape_formulas: bool) -> pa.Schema:
        """Return it with the dialect that escapes formulas, where that is wanted."""
        if not escape_formulas:
            return schema
        return with_dialect(schema, replace(dialect_of(schema), escape_formulas=True))

    def encode(self, records: pa.Table, metadata: Mapping[str, str]) -> bytes:  # noqa: ARG002
        """Write header and rows."""
        return write_rows(records.combine_chunks(), dialect_of(records.schema))

    def decode(self, data: bytes, schema: pa.Schema | None = None) -> pa.Table:
        """Read every row with the schema's types; as text, and by RFC 4180, without one."""
        try:
            if schema is None:
                return read_texts(data, Dialect())
            return read_rows(data, schema, dialect_of(schema))
        except ValueError as error:
            msg = f"the shard is no complete CSV file of these columns ({error}); it is damaged"
            raise IntegrityError(msg) from error

    def metadata(self, data: bytes) -> dict[str, str]:  # noqa: ARG002
        """Return nothing: there is no room for it."""
        return {}

    def inspect(self, data: bytes, schema: pa.Schema | None = None) -> tuple[int, pa.Schema]:
        """Read every row, as there is no shorter way to count them."""
        records = self.decode(data, schema)
        return len(records), records.schema if schema is None else self.file_schema(schema)

    def how_to_read(self, folder: str, shards: int, schema: pa.Schema) -> tuple[str, ...]:
        """Return lines that read file by file, with what the dialect has of its own."""
        names = f'[f"train-{{i:05}}-of-{shards:05}.{self.extension}" for i in range({shards})]'
        arguments = "".join(f", {part}" for part in _arguments(dialect_of(schema)))
        return (
            f"names = {names}",
            f'pandas.concat(pandas.read_csv("{folder}" + name{arguments}) for name in names)',
        )

    def remarks(self, schema: pa.Schema) -> tuple[str, ...]:
        """Say that formulas are escaped, where they are."""
        if not dialect_of(schema).escape_formulas:
            return ()
        return ("An apostrophe stands before every text that a spreadsheet would compute",)

    def bytes_per_row(self, schema: pa.Schema) -> int:
        """Guess from the types."""
        return max(1, sum(_text_bytes(field.type) for field in schema))


PARQUET = TablesParquet()
CSV = TablesCsv()


def _is_cell(kind: pa.DataType) -> bool:
    nested = pa.types.is_nested(kind) and not is_number_list(kind)
    return not (nested or pa.types.is_fixed_size_binary(kind))


def _stored_bytes(kind: pa.DataType) -> Any:
    if pa.types.is_boolean(kind):
        return _BIT_BYTES
    if pa.types.is_floating(kind):
        return _FLOAT_BYTES * kind.bit_width / 64
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _STRING_BYTES
    return kind.bit_width / 16


def _text_bytes(kind: pa.DataType) -> int:
    if pa.types.is_temporal(kind):
        return _MOMENT_BYTES
    if pa.types.is_boolean(kind):
        return _BOOLEAN_BYTES
    return _TEXT_BYTES if pa.types.is_string(kind) else _NUMBER_BYTES


def _arguments(dialect: Dialect) -> list[str]:
    """Return the arguments with which `pandas.read_csv` reads a dialect."""
    arguments: dict[str, tuple[object, object]] = {
        "sep": (dialect.delimiter, ","),
        "quotechar": (dialect.quote or '"', '"'),
        "encoding": (dialect.encoding, "utf-8"),
        "decimal": (dialect.decimal, "."),
        "thousands": (dialect.thousands, None),
        "na_values": (list(dialect.nulls), []),
        "skipinitialspace": (dialect.space, False),
        "skiprows": (int(dialect.sep_line), 0),
    }
    return [f"{name}={value!r}" for name, (value, default) in arguments.items() if value != default]
