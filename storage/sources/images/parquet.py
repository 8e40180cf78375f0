"""Parquet with encoded images: Hugging Face `struct<bytes, path>` or a plain binary column."""

import io
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from storage.errors import SourceError
from storage.sources.config import SourceConfig
from storage.sources.files import digest_files, verify_unchanged
from storage.sources.images.source import ImageSource, RawBatch, Read
from storage.sources.parquet_files import ParquetFiles
from storage.sources.source import SourceDescription, missing_column

_BATCH_BYTES: Final = 1 << 20
_MAX_BATCH_ROWS: Final = 2048
_PROBE_ROWS: Final = 16


class ParquetImages(ImageSource):
    """The rows of one or more Parquet files with equal columns, one of them of images."""

    def __init__(self, config: SourceConfig, files: ParquetFiles) -> None:
        self.uri = config.uri
        self._files = files
        self.ignored_files = files.found.ignored
        image = find_image_column(files)
        if image is None:
            columns = ", ".join(f"{field.name!r} ({field.type})" for field in files.schema)
            msg = (
                f"The source {self.uri!r} holds no column of encoded images, only {columns}; store "
                "PNG or JPEG bytes as binary or struct<bytes, path>."
            )
            raise SourceError(msg)
        self._image = image

    @cached_property
    def digest(self) -> str:
        """Digest of the sorted (relative path, size, content tag)."""
        return digest_files(self._files.found.store, self._files.found.files)

    @cached_property
    def description(self) -> SourceDescription:
        """Counts from the footers."""
        found = self._files.found
        return SourceDescription(
            kind="parquet",
            modality=self.modality,
            files=len(found.files),
            size_bytes=sum(info.size_bytes for info in found.files),
            ignored_files=self.ignored_files,
            rows=self._files.rows,
            columns=tuple(self._known_columns()),
        )

    def column_type(self, name: str) -> pa.DataType:
        """Return the type of the column in the first file, dictionaries resolved."""
        for key, footer in self._files.footers.items():
            if name not in footer.schema.names or name == self._image:
                if key != self._files.first:
                    raise self._files.lacks(key, name)
                raise missing_column(self.uri, name, self._known_columns())
        return _plain_type(self._files.schema.field(name).type)

    def reads(self, columns: Sequence[str]) -> Iterator[Read]:
        """Yield batches of about 1 MiB of encoded images, read by the caller's thread."""
        types = {name: self.column_type(name) for name in columns}
        for info in self._files.found.files:
            rows = max(self._files.footers[info.key].rows, 1)
            batch_rows = rows * _BATCH_BYTES // max(info.size_bytes, 1)
            batch_rows = min(max(batch_rows, 1), _MAX_BATCH_ROWS)
            first_row = 0
            for batch in self._files.batches(info.key, batch_rows, [self._image, *columns]):
                yield partial(self._raw, batch, types, (info.key, first_row))
                first_row += batch.num_rows

    def verify_unchanged(self) -> None:
        """Compare every file with the listing."""
        verify_unchanged(self._files.found)

    def _raw(
        self, batch: pa.RecordBatch, types: Mapping[str, pa.DataType], place: tuple[str, int]
    ) -> RawBatch:
        key, first_row = place
        values = [self._cast(key, name, batch.column(name), types[name]) for name in types]
        return RawBatch(
            names=[f"{key} row {first_row + row}" for row in range(batch.num_rows)],
            images=_bytes(batch.column(self._image)).to_pylist(),
            columns=pa.RecordBatch.from_arrays(values, names=list(types)),
        )

    def _cast(self, key: str, name: str, column: pa.Array, type_: pa.DataType) -> pa.Array:
        try:
            return column.cast(type_)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            msg = (
                f"The column {name!r} is {type_} in {self._files.first!r} and {column.type} in "
                f"{key!r} of the source {self.uri!r}; write all files with one type."
            )
            raise SourceError(msg) from error

    def _known_columns(self) -> list[str]:
        return [name for name in self._files.schema.names if name != self._image]


def find_image_column(files: ParquetFiles) -> str | None:
    """Return the first column whose first value is an image, `image` before others."""
    schema = files.schema
    names: list[str] = [field.name for field in schema if _may_hold_images(field.type)]
    names.sort(key=lambda name: name != "image")
    for name in names:
        first = next(files.batches(files.first, _PROBE_ROWS, [name]), None)
        values = [] if first is None else _bytes(first.column(name)).drop_null()
        if len(values) and _is_image(values[0].as_py()):
            return name
    return None


def _may_hold_images(type_: pa.DataType) -> bool:
    if pa.types.is_struct(type_):
        index = type_.get_field_index("bytes")
        return index >= 0 and _is_binary(type_.field(index).type)
    return _is_binary(type_)


def _is_binary(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(type_)
        or pa.types.is_large_binary(type_)
        or pa.types.is_binary_view(type_)
    )


def _bytes(column: pa.Array) -> pa.Array:
    return pc.struct_field(column, "bytes") if pa.types.is_struct(column.type) else column


def _plain_type(type_: pa.DataType) -> Any:
    if pa.types.is_dictionary(type_):
        return _plain_type(type_.value_type)
    return pa.string() if pa.types.is_string_view(type_) else type_


def _is_image(data: bytes) -> bool:
    try:
        with Image.open(io.BytesIO(data)):
            return True
    except (OSError, ValueError, SyntaxError):
        return False
