"""Parquet with encoded images: Hugging Face `struct<bytes, path>` or a plain binary column."""

import io
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from storage.errors import SourceError
from storage.sources.config import SourceConfig
from storage.sources.files import REMOTE_THREADS, SourceFiles, digest_files, verify_unchanged
from storage.sources.source import RawBatch, Read, Source, SourceDescription

_BATCH_BYTES: Final = 1 << 20
_MAX_BATCH_ROWS: Final = 2048
_PROBE_ROWS: Final = 16
_READ_BUFFER_BYTES: Final = 4 << 20
"""Column chunks are streamed through buffers of this size instead of being read whole."""


@dataclass(frozen=True, kw_only=True)
class _Footer:
    """What one file says of itself."""

    rows: int
    schema: pa.Schema


class ParquetSource(Source):
    """The rows of one or more Parquet files with equal columns."""

    def __init__(self, config: SourceConfig, found: SourceFiles) -> None:
        self.uri = config.uri
        self._found = found
        keys = [info.key for info in found.files]
        with ThreadPoolExecutor(REMOTE_THREADS if found.remote else 4) as pool:
            self._footers = dict(zip(keys, pool.map(self._footer, keys), strict=True))
        self._first = next((key for key in keys if self._footers[key].rows), keys[0])
        self._image = self._image_column()

    @cached_property
    def digest(self) -> str:
        """Digest of the sorted (relative path, size, content tag)."""
        return digest_files(self._found.store, self._found.files)

    @cached_property
    def description(self) -> SourceDescription:
        """Counts from the footers."""
        return SourceDescription(
            kind="parquet",
            modality="images",
            files=len(self._found.files),
            size_bytes=sum(info.size_bytes for info in self._found.files),
            ignored_files=self._found.ignored,
            rows=sum(footer.rows for footer in self._footers.values()),
            columns=tuple(self._known_columns()),
        )

    def column_type(self, name: str) -> pa.DataType:
        """Return the type of the column in the first file, dictionaries resolved."""
        for key, footer in self._footers.items():
            if name not in footer.schema.names or name == self._image:
                known = self._known_columns()
                if key != self._first:
                    msg = (
                        f"The file {key!r} of the source {self.uri!r} lacks the column {name!r} "
                        f"that {self._first!r} has; leave it out with source.exclude."
                    )
                    raise SourceError(msg)
                raise self.missing_column(name, known)
        return _plain_type(self._footers[self._first].schema.field(name).type)

    def reads(self, columns: Sequence[str]) -> Iterator[Read]:
        """Yield batches of about 1 MiB of encoded images, read by the caller's thread."""
        types = {name: self.column_type(name) for name in columns}
        for info in self._found.files:
            rows = max(self._footers[info.key].rows, 1)
            batch_rows = rows * _BATCH_BYTES // max(info.size_bytes, 1)
            batch_rows = min(max(batch_rows, 1), _MAX_BATCH_ROWS)
            first_row = 0
            for batch in self._batches(info.key, batch_rows, [self._image, *columns]):
                yield partial(self._raw, batch, types, (info.key, first_row))
                first_row += batch.num_rows

    def verify_unchanged(self) -> None:
        """Compare every file with the listing."""
        verify_unchanged(self._found)

    def _batches(self, key: str, rows: int, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        with self._reading(key) as file:
            yield from file.iter_batches(rows, columns=list(columns), use_threads=False)

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
                f"The column {name!r} is {type_} in {self._first!r} and {column.type} in {key!r} "
                f"of the source {self.uri!r}; write all files with one type."
            )
            raise SourceError(msg) from error

    def _footer(self, key: str) -> _Footer:
        with self._reading(key) as file:
            return _Footer(rows=file.metadata.num_rows, schema=file.schema_arrow)

    @contextmanager
    def _reading(self, key: str) -> Iterator[pq.ParquetFile]:
        try:
            with (
                self._found.store.open(key) as stream,
                pq.ParquetFile(stream, buffer_size=_READ_BUFFER_BYTES, pre_buffer=False) as file,
            ):
                yield file
        except (pa.ArrowException, OSError) as error:
            msg = (
                f"The file {key!r} of the source {self.uri!r} is no readable Parquet file "
                f"({str(error).splitlines()[0]}); replace it or leave it out with source.exclude."
            )
            raise SourceError(msg) from error

    def _known_columns(self) -> list[str]:
        return [name for name in self._footers[self._first].schema.names if name != self._image]

    def _image_column(self) -> str:
        """Return the first column whose first value is an image, `image` before others."""
        schema = self._footers[self._first].schema
        if not self._footers[self._first].rows:
            msg = f"The source {self.uri!r} is empty: its Parquet files hold no row; fill them."
            raise SourceError(msg)
        names: list[str] = [field.name for field in schema if _may_hold_images(field.type)]
        names.sort(key=lambda name: name != "image")
        for name in names:
            first = next(self._batches(self._first, _PROBE_ROWS, [name]), None)
            values = [] if first is None else _bytes(first.column(name)).drop_null()
            if len(values) and _is_image(values[0].as_py()):
                return name
        columns = ", ".join(f"{field.name!r} ({field.type})" for field in schema)
        msg = (
            f"The source {self.uri!r} holds no column of encoded images, only {columns}; store "
            "PNG or JPEG bytes as binary or struct<bytes, path>."
        )
        raise SourceError(msg)


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
