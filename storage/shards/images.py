"""Parquet of images: `parquet` with PNG files, readable anywhere, and `parquet-raw` with pixels.

`parquet` has Hugging Face's `struct<bytes, path>`. In `parquet-raw` the column `image` is a
FIXED_LEN_BYTE_ARRAY of H·W·C bytes, rows first, channels last; the key-value metadata `image_shape`
(H,W,C) and `image_dtype` say how to read it:
`numpy.frombuffer(b"".join(frame.image), "uint8").reshape(-1, H, W, C)`.
"""

import json
from collections.abc import Mapping
from math import prod
from typing import Any

import pyarrow as pa

from storage.errors import IntegrityError
from storage.records.schema import CLASS_NAMES, read_class_names
from storage.shards.format import (
    IMAGE,
    ROW_GROUP_ROWS,
    ParquetFormat,
    is_string,
    read_metadata,
    read_parquet,
    write_parquet,
)
from storage.shards.png import decode_png, encode_png
from storage.synthetic_marks import PNG_MARK, is_marked_metadata

IMAGE_TYPE = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])
SHAPE_KEY = "image_shape"
DTYPE_KEY = "image_dtype"
PNG_OVERHEAD_BYTES = 70
PNG_FRACTION = 0.6
"""Of the raw pixels, on photographs at level 1."""
OTHER_COLUMNS_BYTES = 16


class ImagesParquet(ParquetFormat):
    """PNG files, lossless and 2 to 3 times smaller than raw; `path` is null.

    Where the shard says that it is synthetic, every file in it says so too.
    """

    sample_ids = True

    def file_schema(self, schema: pa.Schema) -> pa.Schema:
        """Replace the tensor by the struct; of the metadata the names of classes stay."""
        position = schema.get_field_index(IMAGE)
        return _with_names_alone(schema.set(position, pa.field(IMAGE, IMAGE_TYPE)))

    def encode(self, records: pa.Table, metadata: Mapping[str, str]) -> bytes:
        """Encode a few thousand images at a time into one file."""
        records = records.combine_chunks()
        schema = self.file_schema(records.schema)
        position = records.schema.get_field_index(IMAGE)
        mark = PNG_MARK if is_marked_metadata(metadata) else b""
        images = pa.chunked_array(
            [_structs(chunk, mark) for chunk in _slices(records.column(IMAGE))], IMAGE_TYPE
        )
        table = records.set_column(position, schema.field(IMAGE), images)
        shape = ",".join(str(size) for size in tensor_shape(records.schema))
        return write_parquet(table, {**metadata, SHAPE_KEY: shape, **huggingface(schema)})

    def decode(self, data: bytes, schema: pa.Schema | None = None) -> pa.Table:  # noqa: ARG002
        """Decode every PNG."""
        table, shape = read_parquet(data), image_shape(read_metadata(data))
        position = table.schema.get_field_index(IMAGE)
        if position < 0 or table.schema.field(position).type != IMAGE_TYPE:
            msg = f"the shard has no image column of {IMAGE_TYPE}; it is of another format"
            raise IntegrityError(msg)
        column = table.column(position).combine_chunks()
        files = column.field("bytes")
        if files.null_count or column.null_count:
            msg = f"{files.null_count} images of the shard are null; it is damaged"
            raise IntegrityError(msg)
        pixels = pa.FixedShapeTensorArray.from_numpy_ndarray(decode_png(files, shape))
        return table.set_column(position, IMAGE, pixels)

    def bytes_per_row(self, schema: pa.Schema) -> int:
        """Guess from the shape, as for photographs."""
        height, width, channels = tensor_shape(schema)
        return PNG_OVERHEAD_BYTES + int(height * width * channels * PNG_FRACTION)


class ImagesRawParquet(ParquetFormat):
    """The pixels themselves, the fastest to write and to read: no codec, every reader reshapes."""

    sample_ids = True

    def file_schema(self, schema: pa.Schema) -> pa.Schema:
        """Replace the tensor by fixed-size bytes; of the metadata the names of classes stay."""
        position = schema.get_field_index(IMAGE)
        raw = pa.binary(prod(tensor_shape(schema)))
        return _with_names_alone(schema.set(position, pa.field(IMAGE, raw)))

    def encode(self, records: pa.Table, metadata: Mapping[str, str]) -> bytes:
        """Write the pixels as they lie in memory."""
        records = records.combine_chunks()
        schema = self.file_schema(records.schema)
        field = schema.field(IMAGE)
        position = records.schema.get_field_index(IMAGE)
        chunks = [_as_binary(chunk, field.type) for chunk in records.column(IMAGE).chunks]
        table = records.set_column(position, field, pa.chunked_array(chunks, field.type))
        shape = ",".join(str(size) for size in tensor_shape(records.schema))
        names = {key.decode(): text.decode() for key, text in (schema.metadata or {}).items()}
        return write_parquet(table, {**metadata, **names, SHAPE_KEY: shape, DTYPE_KEY: "uint8"})

    def decode(self, data: bytes, schema: pa.Schema | None = None) -> pa.Table:  # noqa: ARG002
        """Read every page and give the pixels their shape again."""
        table, shape = read_parquet(data), image_shape(read_metadata(data))
        position = table.schema.get_field_index(IMAGE)
        if position < 0 or table.schema.field(position).type != pa.binary(prod(shape)):
            msg = f"the shard has no image column of {prod(shape)} bytes; it is of another format"
            raise IntegrityError(msg)
        column = table.column(position).combine_chunks()
        if column.null_count:
            msg = f"{column.null_count} images of the shard are null; it is damaged"
            raise IntegrityError(msg)
        return table.set_column(position, IMAGE, _as_tensor(column, shape))

    def bytes_per_row(self, schema: pa.Schema) -> int:
        """Pixels and the other columns, uncompressed."""
        return int(prod(tensor_shape(schema))) + OTHER_COLUMNS_BYTES


def _with_names_alone(schema: pa.Schema) -> pa.Schema:
    names = (schema.metadata or {}).get(CLASS_NAMES)
    return schema.remove_metadata() if names is None else schema.with_metadata({CLASS_NAMES: names})


PNG = ImagesParquet()
RAW = ImagesRawParquet()


def _slices(column: pa.ChunkedArray) -> list[pa.FixedShapeTensorArray]:
    return [
        chunk.slice(start, ROW_GROUP_ROWS)
        for chunk in column.chunks
        for start in range(0, len(chunk), ROW_GROUP_ROWS)
    ]


def _structs(images: pa.FixedShapeTensorArray, mark: bytes) -> pa.StructArray:
    files = encode_png(images.to_numpy_ndarray(), mark)
    paths = pa.nulls(len(files), pa.string())
    return pa.StructArray.from_arrays([files, paths], fields=list(IMAGE_TYPE))


def _as_binary(images: pa.FixedShapeTensorArray, kind: pa.DataType) -> pa.FixedSizeBinaryArray:
    pixels = images.to_numpy_ndarray()
    buffers = [None, pa.py_buffer(pixels.reshape(-1))]
    return pa.FixedSizeBinaryArray.from_buffers(kind, len(images), buffers)


def _as_tensor(
    column: pa.FixedSizeBinaryArray, shape: tuple[int, int, int]
) -> pa.FixedShapeTensorArray:
    size = prod(shape)
    buffer = column.buffers()[1].slice(column.offset * size, len(column) * size)
    values = pa.Array.from_buffers(pa.uint8(), len(column) * size, [None, buffer])
    storage = pa.FixedSizeListArray.from_arrays(values, size)
    return pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.uint8(), shape), storage)


def image_shape(metadata: Mapping[str, str]) -> tuple[int, int, int]:
    """Return (H, W, C) as the shard says it.

    Raises:
        IntegrityError: it does not.
    """
    try:
        height, width, channels = (int(part) for part in metadata[SHAPE_KEY].split(","))
    except (KeyError, ValueError) as error:
        msg = f"the shard does not say the shape of its images ({SHAPE_KEY}); it is damaged"
        raise IntegrityError(msg) from error
    return height, width, channels


def tensor_shape(schema: pa.Schema) -> tuple[int, int, int]:
    """Return (H, W, C) of the records' image column."""
    height, width, channels = schema.field(IMAGE).type.shape
    return height, width, channels


def huggingface(schema: pa.Schema) -> dict[str, str]:
    """Return the metadata by which Hugging Face `datasets` knows `image` as an Image feature.

    Whole numbers whose classes have names are a ClassLabel. Empty where a column's type has no
    plain name there.
    """
    features: dict[str, Any] = {}
    names = read_class_names(schema)
    for field in schema:
        if field.name == IMAGE:
            features[IMAGE] = {"_type": "Image"}
        elif field.name in names and pa.types.is_integer(field.type):
            features[field.name] = {"_type": "ClassLabel", "names": list(names[field.name])}
        elif _is_plain(field.type):
            features[field.name] = {"_type": "Value", "dtype": str(field.type)}
        else:
            return {}
    return {"huggingface": json.dumps({"info": {"features": features}}, sort_keys=True)}


def _is_plain(kind: pa.DataType) -> bool:
    return is_string(kind) or bool(pa.types.is_integer(kind) or pa.types.is_boolean(kind))
