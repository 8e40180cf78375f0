"""`parquet` for tables: the source's own columns and types, readable anywhere."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from storage.errors import IntegrityError
from storage.shards import ShardFormat
from storage.shards.parquet_file import read_footer, read_metadata, read_parquet, write_parquet

_STRING_BYTES = 3
_FLOAT_BYTES = 6
_BIT_BYTES = 1 / 8


class TablesParquet(ShardFormat):
    """One column per column of the source, timestamps in microseconds, nothing beside them."""

    extension = "parquet"
    media_type = "application/vnd.apache.parquet"
    modality = "tables"
    sample_ids = False

    def file_schema(self, schema: pa.Schema) -> pa.Schema:
        """Return it as it is, without metadata."""
        return schema.remove_metadata()

    def encode(self, records: pa.Table, metadata: Mapping[str, str]) -> bytes:
        """Write the columns as they are; the bytes do not depend on how they are chunked."""
        return write_parquet(records.combine_chunks(), metadata)

    def decode(self, data: bytes, schema: pa.Schema | None = None) -> pa.Table:  # noqa: ARG002
        """Read every page."""
        table = read_parquet(data)
        foreign = [field for field in table.schema if not _is_cell(field.type)]
        if foreign:
            msg = (
                f"the shard's column {foreign[0].name!r} is {foreign[0].type}, which no table "
                "holds; it is of another format"
            )
            raise IntegrityError(msg)
        return table

    def metadata(self, data: bytes) -> dict[str, str]:
        """Read the footer."""
        return read_metadata(data)

    def inspect(self, data: bytes, schema: pa.Schema | None = None) -> tuple[int, pa.Schema]:  # noqa: ARG002
        """Read the footer."""
        return read_footer(data)

    def bytes_per_row(self, schema: pa.Schema) -> int:
        """Guess from the types, as they compress in tables of people and things."""
        return max(1, int(sum(_bytes(field.type) for field in schema)))


def _is_cell(kind: pa.DataType) -> bool:
    nested = pa.types.is_nested(kind) or pa.types.is_fixed_size_binary(kind)
    return not (nested or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _bytes(kind: pa.DataType) -> Any:
    if pa.types.is_boolean(kind):
        return _BIT_BYTES
    if pa.types.is_floating(kind):
        return _FLOAT_BYTES * kind.bit_width / 64
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _STRING_BYTES
    return kind.bit_width / 16


FORMAT = TablesParquet()
