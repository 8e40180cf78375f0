"""`parquet-raw` for images: the pixels themselves, the fastest to write and to read.

`image` is a FIXED_LEN_BYTE_ARRAY of H·W·C bytes, rows first, channels last; the key-value metadata
`image_shape` (H,W,C) and `image_dtype` say how to read it:
`numpy.frombuffer(b"".join(frame.image), "uint8").reshape(-1, H, W, C)`.
"""

from collections.abc import Mapping
from math import prod

import pyarrow as pa

from storage.errors import IntegrityError
from storage.shards.format import (
    IMAGE,
    ParquetFormat,
    read_metadata,
    read_parquet,
    tensor_shape,
    write_parquet,
)
from storage.shards.images import SHAPE_KEY, image_shape

DTYPE_KEY = "image_dtype"
OTHER_COLUMNS_BYTES = 16


class ImagesRawParquet(ParquetFormat):
    """No image codec: every reader reshapes."""

    sample_ids = True

    def file_schema(self, schema: pa.Schema) -> pa.Schema:
        """Replace the tensor by fixed-size bytes."""
        position = schema.get_field_index(IMAGE)
        raw = pa.binary(prod(tensor_shape(schema)))
        return schema.set(position, pa.field(IMAGE, raw)).remove_metadata()

    def encode(self, records: pa.Table, metadata: Mapping[str, str]) -> bytes:
        """Write the pixels as they lie in memory."""
        records = records.combine_chunks()
        field = self.file_schema(records.schema).field(IMAGE)
        position = records.schema.get_field_index(IMAGE)
        chunks = [_as_binary(chunk, field.type) for chunk in records.column(IMAGE).chunks]
        table = records.set_column(position, field, pa.chunked_array(chunks, field.type))
        shape = ",".join(str(size) for size in tensor_shape(records.schema))
        return write_parquet(table, {**metadata, SHAPE_KEY: shape, DTYPE_KEY: "uint8"})

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


FORMAT = ImagesRawParquet()
