"""Sources of images: a folder whose paths say the classes, and Parquet with encoded images.

Parquet holds the images as Hugging Face's `struct<bytes, path>` or in a plain binary column.
"""

import io
import re
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from PIL import Image

from storage.errors import SourceError
from storage.sources.builder import (
    FileSource,
    ParquetSource,
    Source,
    SourceDescription,
    missing_column,
)
from storage.sources.config import SourceConfig, path_selector
from storage.sources.files import (
    REMOTE_THREADS,
    ParquetFiles,
    SourceFiles,
    changed,
)
from storage.stores.interface import ObjectInfo

HOLDING_FOLDER: Final = "depth:-1"
"""The class unless `source.label_from` says otherwise: the folder that holds the image."""

_BATCH_ROWS = 256
_REMOTE_BATCH_ROWS = 32
_FOLDER_BATCH_BYTES = 4 << 20
_PARQUET_BATCH_BYTES: Final = 1 << 20
_MAX_BATCH_ROWS: Final = 2048
_PROBE_ROWS: Final = 16


@dataclass(frozen=True, kw_only=True)
class RawBatch:
    """Some consecutive records as the source holds them. N records."""

    names: Sequence[str]
    """N names for messages, such as a relative path or a row of a file."""
    images: Sequence[bytes | None] | NDArray[np.uint8]
    """N encoded images, None where there is none; or decoded ones, uint8 (N, H, W, C)."""
    columns: pa.RecordBatch
    """N rows of the requested columns, in the requested order."""


Read = Callable[[], RawBatch]
"""Fetches one batch; may run in any thread."""


class ImageSource(Source):
    """Images that can be read batch by batch."""

    modality = "images"

    threads: int | None = None
    """How many reads to keep in flight; None = one per processor."""

    @abstractmethod
    def reads(self, columns: Sequence[str]) -> Iterator[Read]:
        """Yield one callable per batch, in order, with these columns beside the images."""

    def check(self, config: SourceConfig) -> None:
        """Check the label, and that the columns are there that decide the split."""
        if config.label is not None:
            self.check_label(config.label)
        for column in (config.split.column, config.split.group_by):
            if column is not None:
                self.column_type(column)

    def check_label(self, name: str) -> None:
        """Check that a column can be the label: text, whole numbers, or true and false.

        Raises:
            SourceError: there is no such column, or it is of another type.
        """
        type_ = self.column_type(name)
        tests = (pa.types.is_integer, pa.types.is_boolean, pa.types.is_string)
        if not (any(test(type_) for test in tests) or pa.types.is_large_string(type_)):
            msg = (
                f"The label column {name!r} of the source {self.uri!r} is of type {type_}; store "
                "classes as text, whole numbers or booleans, or set source.label to null."
            )
            raise SourceError(msg)


class ImageFolderSource(FileSource, ImageSource):
    """Image files below one root.

    Columns are parts of the relative path: the label through `source.label_from`, and any
    `depth:N` or regular expression with one group under its own text as the name.
    """

    def __init__(self, config: SourceConfig, found: SourceFiles) -> None:
        super().__init__(found)
        self.threads = REMOTE_THREADS if found.remote else None
        self._label = config.label
        self._label_from = config.label_from or HOLDING_FOLDER

    def check_label(self, name: str) -> None:
        """Check that every path has a class."""
        self._values(name, self._found.files)

    @cached_property
    def description(self) -> SourceDescription:
        """Counts from the listing."""
        columns = () if self._label is None else (self._label,)
        return self._described("folder", len(self._found.files), columns)

    def column_type(self, name: str) -> pa.DataType:
        """Every part of a path is a string."""
        self._selector(name)
        return pa.string()

    def reads(self, columns: Sequence[str]) -> Iterator[Read]:
        """Yield batches of whole files."""
        most_rows = _REMOTE_BATCH_ROWS if self._found.remote else _BATCH_ROWS
        for batch in _batched(self._found.files, most_rows):
            yield partial(self._read, batch, tuple(columns))

    def _read(self, files: Sequence[ObjectInfo], columns: Sequence[str]) -> RawBatch:
        values = [pa.array(self._values(name, files), pa.string()) for name in columns]
        images = [self._found.store.get(info.key) for info in files]
        for info, data in zip(files, images, strict=True):
            if len(data) != info.size_bytes:
                raise changed(self.uri, info.key)
        rows = pa.RecordBatch.from_arrays(values, names=list(columns))
        return RawBatch(names=[info.key for info in files], images=images, columns=rows)

    def _selector(self, name: str) -> int | re.Pattern[str]:
        try:
            return path_selector(self._label_from if name == self._label else name)
        except ValueError as error:
            known = ["depth:1", "depth:-1", "a regular expression with one group"]
            known = known if self._label is None else [self._label, *known]
            raise missing_column(self.uri, name, known) from error

    def _values(self, name: str, files: Sequence[ObjectInfo]) -> list[str]:
        selector = self._selector(name)
        return [self._value(selector, name, info.key) for info in files]

    def _value(self, selector: int | re.Pattern[str], name: str, path: str) -> str:
        if isinstance(selector, int):
            folders = [part for part in path.split("/")[:-1] if part]
            index = selector - 1 if selector > 0 else selector
            if -len(folders) <= index < len(folders):
                return folders[index]
        elif (match := selector.search(path)) is not None and match.group(1) is not None:
            return match.group(1)
        rule = self._label_from if name == self._label else name
        msg = (
            f"The path {path!r} of the source {self.uri!r} has no part '{rule}' for the column "
            f"{name!r}; put the images into one folder per value, set source.label_from, or set "
            "source.label to null."
        )
        raise SourceError(msg)


def _batched(files: Sequence[ObjectInfo], most_rows: int) -> Iterator[list[ObjectInfo]]:
    """Group files so that a batch stays small in rows and in bytes."""
    batch: list[ObjectInfo] = []
    size_bytes = 0
    for info in files:
        size_bytes += info.size_bytes
        if batch and (len(batch) == most_rows or size_bytes > _FOLDER_BATCH_BYTES):
            yield batch
            batch, size_bytes = [], info.size_bytes
        batch.append(info)
    yield batch


class ParquetImages(ImageSource, ParquetSource):
    """The rows of one or more Parquet files with equal columns, one of them of images."""

    def __init__(self, config: SourceConfig, files: ParquetFiles) -> None:
        super().__init__(config, files)
        image = find_image_column(files)
        if image is None:
            columns = ", ".join(f"{field.name!r} ({field.type})" for field in files.schema)
            msg = (
                f"The source {self.uri!r} holds no column of encoded images, only {columns}; store "
                "PNG or JPEG bytes as binary or struct<bytes, path>."
            )
            raise SourceError(msg)
        self._image = image

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
            batch_rows = rows * _PARQUET_BATCH_BYTES // max(info.size_bytes, 1)
            batch_rows = min(max(batch_rows, 1), _MAX_BATCH_ROWS)
            first_row = 0
            for batch in self._files.batches(info.key, batch_rows, [self._image, *columns]):
                yield partial(self._raw, batch, types, (info.key, first_row))
                first_row += batch.num_rows

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
