"""Parquet with encoded images: Hugging Face's `struct<bytes, path>`, or a plain binary column."""

import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from storage.errors import SourceError
from storage.records.proposal import Proposal
from storage.sources.builder import ParquetSource
from storage.sources.checks import listed, missing_column
from storage.sources.config import SourceConfig
from storage.sources.files import ParquetFiles
from storage.sources.images.source import ImageSource, RawBatch, Read
from storage.sources.paths import is_text, names_splits, split_by_column

_PARQUET_BATCH_BYTES: Final = 1 << 20
_MAX_BATCH_ROWS: Final = 2048
_PROBE_ROWS: Final = 16
_NO_CLASS: Final = -1
_MOST_CLASSES: Final = 1000
_IMAGE_WORDS: Final = frozenset({"image", "images", "img", "picture", "photo", "pixels", "jpg"})
_OTHER_WORDS: Final = frozenset({"label", "target", "depth", "seg", "overlay", "gt"})


class ParquetImages(ImageSource, ParquetSource):
    """The rows of one or more Parquet files with equal columns, one of them of images."""

    reads_settings = frozenset({"image", "frames", "bits", "max_rows"})

    def __init__(self, config: SourceConfig, files: ParquetFiles) -> None:
        super().__init__(config, files)
        self._label = config.label
        self._whole: dict[str, bool] = {}
        self.image_columns = find_image_columns(files)
        """Every column of images, the most likely one first."""
        columns = ", ".join(f"{field.name!r} ({field.type})" for field in files.schema)
        if not self.image_columns:
            msg = (
                f"The source {self.uri!r} holds no column of encoded images, only {columns}; store "
                "PNG or JPEG bytes as binary or struct<bytes, path>."
            )
            raise SourceError(msg)
        if config.image is not None and config.image not in self.image_columns:
            msg = (
                f"source.image {config.image!r} is no column of encoded images of the source "
                f"{self.uri!r}, which has {columns}; name one of {', '.join(self.image_columns)}."
            )
            raise SourceError(msg)
        self.image = config.image or self.image_columns[0]
        """The column that is read."""

    def column_type(self, name: str) -> pa.DataType:
        """Return the type of the column in the first file, dictionaries resolved."""
        if name not in self._files.schema.names and self._paths.type(name) is not None:
            return self._paths.type(name)
        for key, footer in self._files.footers.items():
            if name not in footer.schema.names or name == self.image:
                if key != self._files.first:
                    raise self._files.lacks(key, name)
                raise missing_column(self.uri, name, self._known_columns())
        type_ = _plain_type(self._files.schema.field(name).type)
        whole = pa.types.is_floating(type_) and name == self._label and self._is_whole(name)
        return pa.int64() if whole else type_

    def _is_whole(self, name: str) -> bool:
        """Say whether the numbers of a column are few and whole, so that they can be classes."""
        if name not in self._whole:
            values: set[float] = set()
            for info in self._files.found.files:
                for batch in self._files.batches(info.key, _MAX_BATCH_ROWS, [name]):
                    values.update(pc.drop_null(batch.column(0)).unique().to_pylist())
            few = len(values) <= _MOST_CLASSES
            self._whole[name] = few and all(value.is_integer() for value in values)
        return self._whole[name]

    def evidence(self, config: SourceConfig) -> tuple[Proposal, ...]:
        """Propose the split that paths or a column say, and which column of images is read."""
        proposals = super().evidence(config)
        if config.image is None and len(self.image_columns) > 1:
            why = f"{listed(self.image_columns)} hold images, and this one is read"
            proposals += (Proposal(setting="source.image", value=self.image, why=why),)
        return proposals

    def _split_column(self) -> tuple[Proposal, ...]:
        for name in self._files.schema.names:
            if names_splits(name) and is_text(self.column_type(name)):
                values: set[object] = set()
                for info in self._files.found.files:
                    for batch in self._files.batches(info.key, _MAX_BATCH_ROWS, [name]):
                        values.update(batch.column(0).unique().to_pylist())
                proposal = split_by_column(name, values)
                if proposal is not None:
                    return (proposal,)
        return ()

    def class_names(self, name: str) -> tuple[str, ...]:
        """Return the names that Hugging Face's features give to the classes 0, 1 and so on."""
        return feature_names(self._files.schema.metadata, name)

    def reads(self, columns: Sequence[str]) -> Iterator[Read]:
        """Yield batches of about 1 MiB of encoded images, read by the caller's thread."""
        types = {name: self.column_type(name) for name in columns}
        stored = [name for name in columns if name in self._files.schema.names]
        for info in self._files.found.files:
            rows = max(self._files.footers[info.key].rows, 1)
            batch_rows = rows * _PARQUET_BATCH_BYTES // max(info.size_bytes, 1)
            batch_rows = min(max(batch_rows, 1), _MAX_BATCH_ROWS)
            first_row = 0
            for batch in self._files.batches(info.key, batch_rows, [self.image, *stored]):
                yield partial(self._raw, batch, types, (info.key, first_row))
                first_row += batch.num_rows

    def _raw(
        self, batch: pa.RecordBatch, types: Mapping[str, pa.DataType], place: tuple[str, int]
    ) -> RawBatch:
        key, first_row = place
        values = [self._column(key, name, batch, types[name]) for name in types]
        return RawBatch(
            names=[f"{key} row {first_row + row}" for row in range(batch.num_rows)],
            images=_bytes(batch.column(self.image)).to_pylist(),
            columns=pa.RecordBatch.from_arrays(values, names=list(types)),
        )

    def _column(self, key: str, name: str, batch: pa.RecordBatch, type_: pa.DataType) -> pa.Array:
        if name not in batch.schema.names:
            return pa.repeat(self._paths.value(name, key), batch.num_rows)
        column = self._cast(key, name, batch.column(name), type_)
        if self.class_names(name) and pa.types.is_signed_integer(type_):
            nothing = pa.scalar(None, type_)  # Hugging Face's -1: no class is known
            return pc.if_else(pc.equal(column, _NO_CLASS), nothing, column)
        return column

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
        return [name for name in super()._known_columns() if name != self.image]


def find_image_columns(files: ParquetFiles) -> list[str]:
    """Return the columns whose first value is an image, the most likely one first.

    That is `image`, then one of a telling name, then the first that is not called a mask.
    """
    names: list[str] = [field.name for field in files.schema if _may_hold_images(field.type)]
    found = [name for name in names if _is_image(_first_value(files, name))]
    return sorted(found, key=_unlikelihood)


def _unlikelihood(name: str) -> int:
    words = {*re.split(r"[^a-z]+", name.lower())}
    if name == "image":
        return 0
    if words & _OTHER_WORDS or re.search("mask|segment|annotation|thumb|preview", name.lower()):
        return 3
    return 1 if words & _IMAGE_WORDS else 2


def _first_value(files: ParquetFiles, name: str) -> bytes | None:
    """Return the first value of a column in any file that is not null."""
    for info in files.found.files:
        if name in files.footers[info.key].schema.names:
            for batch in files.batches(info.key, _PROBE_ROWS, [name]):
                values = _bytes(batch.column(name)).drop_null()
                if len(values):
                    first: bytes = values[0].as_py()
                    return first
    return None


def feature_names(metadata: Mapping[bytes, bytes] | None, column: str) -> tuple[str, ...]:
    """Return the names of the classes 0, 1, … of a column as Hugging Face's metadata says them."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        names = features[column]["names"]
        if isinstance(names, Mapping):
            names = [names[str(number)] for number in range(len(names))]
        return tuple(str(name) for name in names)
    except (KeyError, TypeError, ValueError):
        return ()


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


def _is_image(data: bytes | None) -> bool:
    if data is None:
        return False
    try:
        with Image.open(io.BytesIO(data)):
            return True
    except (OSError, ValueError, SyntaxError):
        return False
