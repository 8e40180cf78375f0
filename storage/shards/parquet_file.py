"""Writing and reading one Parquet file in memory: portable encodings, checksums, own metadata."""

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from storage.errors import IntegrityError
from storage.shards import IMAGE

ROW_GROUP_ROWS = 8192
"""Small enough to stream and to read in parallel, large enough to compress."""
FOREIGN_KEYS = ("ARROW:schema", "pandas", "huggingface")
"""Metadata keys that belong to others."""


def write_parquet(table: pa.Table, metadata: Mapping[str, str]) -> bytes:
    """Return the table as a Parquet file.

    zstd level 1, dictionaries for strings only, page index, page checksums; no statistics of
    image bytes. The bytes depend on table and metadata alone.
    """
    table = table.replace_schema_metadata(dict(metadata))
    strings = [field.name for field in table.schema if _is_string(field.type)]
    plain = [field.name for field in table.schema if field.name != IMAGE]
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        row_group_size=ROW_GROUP_ROWS,
        compression="zstd",
        compression_level=1,
        use_dictionary=strings,
        write_statistics=plain,
        write_page_index=True,
        write_page_checksum=True,
    )
    data: bytes = sink.getvalue().to_pybytes()
    return data


def read_parquet(data: bytes) -> pa.Table:
    """Read every page, checksums verified; metadata is dropped from the schema.

    Raises:
        IntegrityError: truncated, altered, or no Parquet file.
    """
    try:
        table = pq.read_table(pa.BufferReader(data), page_checksum_verification=True)
        table.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        msg = f"the shard is no complete Parquet file ({error}); it is damaged"
        raise IntegrityError(msg) from error
    return table.replace_schema_metadata(None)


def read_metadata(data: bytes) -> dict[str, str]:
    """Return the file's own key-value metadata.

    Raises:
        IntegrityError: no Parquet file.
    """
    try:
        raw = pq.read_metadata(pa.BufferReader(data)).metadata or {}
        texts = {key.decode(): value.decode() for key, value in raw.items()}
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        msg = f"the shard's footer cannot be read ({error}); it is damaged"
        raise IntegrityError(msg) from error
    return {key: value for key, value in texts.items() if key not in FOREIGN_KEYS}


def read_footer(data: bytes) -> tuple[int, pa.Schema]:
    """Return rows and Arrow schema, metadata dropped.

    Raises:
        IntegrityError: no Parquet file.
    """
    try:
        footer = pq.read_metadata(pa.BufferReader(data))
        return footer.num_rows, footer.schema.to_arrow_schema().remove_metadata()
    except (pa.ArrowException, OSError) as error:
        msg = f"the shard's footer cannot be read ({error}); it is damaged"
        raise IntegrityError(msg) from error


def tensor_shape(schema: pa.Schema) -> tuple[int, int, int]:
    """Return (H, W, C) of the records' image column."""
    height, width, channels = schema.field(IMAGE).type.shape
    return height, width, channels


def huggingface(schema: pa.Schema) -> dict[str, str]:
    """Return the metadata by which Hugging Face `datasets` knows `image` as an Image feature.

    Empty where a column's type has no plain name there.
    """
    features: dict[str, Any] = {}
    for field in schema:
        if field.name == IMAGE:
            features[IMAGE] = {"_type": "Image"}
        elif _is_plain(field.type):
            features[field.name] = {"_type": "Value", "dtype": str(field.type)}
        else:
            return {}
    return {"huggingface": json.dumps({"info": {"features": features}}, sort_keys=True)}


def _is_string(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_plain(kind: pa.DataType) -> bool:
    return _is_string(kind) or bool(pa.types.is_integer(kind) or pa.types.is_boolean(kind))
