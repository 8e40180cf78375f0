"""A folder of image files whose class is a part of the path."""

import re
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from typing import Final

import pyarrow as pa

from storage.errors import SourceError
from storage.objects import ObjectInfo
from storage.sources.config import SourceConfig, path_selector
from storage.sources.files import (
    REMOTE_THREADS,
    SourceFiles,
    changed,
    digest_files,
    verify_unchanged,
)
from storage.sources.images.source import ImageSource, RawBatch, Read
from storage.sources.source import SourceDescription, missing_column

HOLDING_FOLDER: Final = "depth:-1"
"""The class unless `source.label_from` says otherwise: the folder that holds the image."""

_BATCH_ROWS = 256
_REMOTE_BATCH_ROWS = 32
_BATCH_BYTES = 4 << 20


class ImageFolderSource(ImageSource):
    """Image files below one root.

    Columns are parts of the relative path: the label through `source.label_from`, and any
    `depth:N` or regular expression with one group under its own text as the name.
    """

    def __init__(self, config: SourceConfig, found: SourceFiles) -> None:
        self.uri = config.uri
        self.threads = REMOTE_THREADS if found.remote else None
        self._label = config.label
        self._label_from = config.label_from or HOLDING_FOLDER
        self._found = found
        self.ignored_files = found.ignored

    def check_label(self, name: str) -> None:
        """Check that every path has a class."""
        self._values(name, self._found.files)

    @cached_property
    def digest(self) -> str:
        """Digest of the sorted (relative path, size, content tag)."""
        return digest_files(self._found.store, self._found.files)

    @cached_property
    def description(self) -> SourceDescription:
        """Counts from the listing."""
        return SourceDescription(
            kind="folder",
            modality=self.modality,
            files=len(self._found.files),
            size_bytes=sum(info.size_bytes for info in self._found.files),
            ignored_files=self.ignored_files,
            rows=len(self._found.files),
            columns=() if self._label is None else (self._label,),
        )

    def column_type(self, name: str) -> pa.DataType:
        """Every part of a path is a string."""
        self._selector(name)
        return pa.string()

    def reads(self, columns: Sequence[str]) -> Iterator[Read]:
        """Yield batches of whole files."""
        most_rows = _REMOTE_BATCH_ROWS if self._found.remote else _BATCH_ROWS
        for batch in _batched(self._found.files, most_rows):
            yield partial(self._read, batch, tuple(columns))

    def verify_unchanged(self) -> None:
        """Compare every file with the listing."""
        verify_unchanged(self._found)

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
            folders = path.split("/")[:-1]
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
        if batch and (len(batch) == most_rows or size_bytes > _BATCH_BYTES):
            yield batch
            batch, size_bytes = [], info.size_bytes
        batch.append(info)
    yield batch
