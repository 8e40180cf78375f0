"""A folder of images: its paths, or a label file beside them, say the classes."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from importlib.util import find_spec
from pathlib import PurePosixPath
from typing import Final

import pyarrow as pa

from storage.errors import SourceError
from storage.records.proposal import Proposal
from storage.sources.builder import FileSource, SourceDescription
from storage.sources.checks import MAX_SKIPPED_FRACTION, missing_column
from storage.sources.config import SourceConfig
from storage.sources.files import (
    CAMERA_RAW_SUFFIXES,
    HEIF_SUFFIXES,
    IMAGE_FILES,
    REMOTE_THREADS,
    SourceFiles,
    changed,
)
from storage.sources.images.evidence import folder_evidence, label_file_beside, split_in
from storage.sources.images.label_file import LabelFile
from storage.sources.images.source import ImageSource, RawBatch, Read
from storage.sources.paths import Selector, path_part, path_selector
from storage.stores.interface import ObjectInfo

HOLDING_FOLDER: Final = "depth:-1"
"""The class unless `source.label_from` says otherwise: the folder that holds the image."""
HEIF_REMEDY: Final = "HEIC takes pillow-heif: run pip install 'ganmill[heic]'"
NO_LABEL: Final = Proposal(
    setting="source.label", value=None, why="not every image has a folder that says its class"
)

_BATCH_ROWS: Final = 256
_REMOTE_BATCH_ROWS: Final = 32
_FOLDER_BATCH_BYTES: Final = 4 << 20


class ImageFolderSource(FileSource, ImageSource):
    """Image files below one root.

    Columns are those of the label file where there is one, partitions (`name=value` folders), and
    parts of the relative path: the label through `source.label_from`, and any selector of
    `storage.sources.paths` under its own text as the name.
    """

    reads_settings = frozenset({"labels", "frames", "bits", "max_rows"})

    def __init__(self, config: SourceConfig, found: SourceFiles) -> None:
        super().__init__(found)
        self.threads = REMOTE_THREADS if found.remote else None
        self._label = config.label
        self._label_from = config.label_from
        self._labels = config.labels

    @cached_property
    def label_file(self) -> LabelFile | None:
        """What `source.labels` says of the images.

        Raises:
            SourceError: it is broken, or names none of them.
        """
        if self._labels is None:
            return None
        files = {info.key: self._found.store.get(info.key) for info in self._found.described_by}
        return LabelFile(self.uri, files, self.keys)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The relative paths of the images."""
        return tuple(info.key for info in self._found.files)

    @property
    def found(self) -> SourceFiles:
        """The images, and what lies beside them."""
        return self._found

    def evidence(self, config: SourceConfig) -> tuple[Proposal, ...]:
        """Propose what the paths say of splits and classes, and a label file that lies there."""
        if self.label_file is not None and config.split.column is None:
            in_file = split_in(self.label_file.columns())
            return in_file or folder_evidence(self.keys, config, ())
        beside = self._label_file_beside if config.label is not None else ()
        return folder_evidence(self.keys, config, beside)

    @cached_property
    def _label_file_beside(self) -> tuple[Proposal, ...]:
        by_path: list[str | None] = []
        if self._labels is None and self._label is not None:
            selector = self._selector(self._label)
            by_path = [path_part(selector, key) for key in self.keys]
        return label_file_beside(self._found, self.keys, by_path)

    def check(self, config: SourceConfig) -> None:
        """Check also that most images can be read, as far as their names tell."""
        check_decodable(self.uri, self.keys)
        super().check(config)

    def check_label(self, name: str) -> None:
        """Check that every path has a class, or that the label file has such a column."""
        if self._of_label_file(name) or name in self._paths.names:
            super().check_label(name)
        else:
            self._values(name, self._found.files)

    @cached_property
    def description(self) -> SourceDescription:
        """Counts from the listing."""
        columns = [] if self._label is None else [self._label]
        columns += [] if self.label_file is None else self.label_file.names
        return self._described("folder", len(self._found.files), tuple(dict.fromkeys(columns)))

    def column_type(self, name: str) -> pa.DataType:
        """Return the label file's type; every part of a path is a string."""
        if self._of_label_file(name) and self.label_file is not None:
            return self.label_file.type(name)
        if name in self._paths.names and not self._is_path_label(name):
            return self._paths.type(name)
        self._selector(name)
        return pa.string()

    def reads(self, columns: Sequence[str]) -> Iterator[Read]:
        """Yield batches of whole files."""
        most_rows = _REMOTE_BATCH_ROWS if self._found.remote else _BATCH_ROWS
        for batch in _batched(self._found.files, most_rows):
            yield partial(self._read, batch, tuple(columns))

    def _read(self, files: Sequence[ObjectInfo], columns: Sequence[str]) -> RawBatch:
        values = [self._values(name, files) for name in columns]
        images = [self._found.store.get(info.key) for info in files]
        for info, data in zip(files, images, strict=True):
            if len(data) != info.size_bytes:
                raise changed(self.uri, info.key)
        rows = pa.RecordBatch.from_arrays(values, names=list(columns))
        return RawBatch(names=[info.key for info in files], images=images, columns=rows)

    def _is_path_label(self, name: str) -> bool:
        return name == self._label and self._label_from is not None

    def _of_label_file(self, name: str) -> bool:
        if self.label_file is None or self._is_path_label(name):
            return False
        if name == self._label and name not in self.label_file.names:
            raise missing_column(self.uri, name, self.label_file.names)
        return name in self.label_file.names

    def _rule(self, name: str) -> str:
        return (self._label_from or HOLDING_FOLDER) if name == self._label else name

    def _selector(self, name: str) -> Selector:
        try:
            return path_selector(self._rule(name))
        except ValueError as error:
            known = ["depth:1", "depth:-1", "a regular expression with one group"]
            known = known if self._label is None else [self._label, *known]
            known += [] if self.label_file is None else self.label_file.names
            raise missing_column(self.uri, name, known) from error

    def _values(self, name: str, files: Sequence[ObjectInfo]) -> pa.Array:
        if self._of_label_file(name) and self.label_file is not None:
            return self.label_file.values(name, [info.key for info in files])
        if name in self._paths.names and not self._is_path_label(name):
            values = [self._paths.value(name, info.key).as_py() for info in files]
            return pa.array(values, self._paths.type(name))
        selector = self._selector(name)
        return pa.array([self._part(selector, name, info.key) for info in files], pa.string())

    def _part(self, selector: Selector, name: str, path: str) -> str:
        part = path_part(selector, path)
        if part is not None:
            return part
        own = self._label_file_beside if name == self._label else ()
        remedies = own or ((NO_LABEL,) if name == self._label else ())
        beside = f"set source.labels: {own[0].value}" if own else "set source.label_from"
        msg = (
            f"The path {path!r} of the source {self.uri!r} has no part '{self._rule(name)}' for "
            f"the column {name!r}; put the images into one folder per value, {beside}, or "
            "set source.label to null."
        )
        raise SourceError(msg, proposals=remedies)


def check_decodable(uri: str, keys: Sequence[str]) -> None:
    """Check by their names that not too many images are of kinds that nothing here decodes.

    Raises:
        SourceError: more than `MAX_SKIPPED_FRACTION` are.
    """
    lacking = [(key, reason) for key in keys if (reason := undecodable(key)) is not None]
    if len(lacking) <= MAX_SKIPPED_FRACTION * len(keys):
        return
    counts = Counter(PurePosixPath(key).suffix for key, _ in lacking)
    shown = ", ".join(f"{count:,} {suffix}" for suffix, count in counts.most_common())
    reasons = "; ".join(dict.fromkeys(reason for _, reason in lacking))
    globs = [f"*{suffix}" for suffix in sorted(counts)]
    msg = (
        f"Of the {len(keys):,} images of the source {uri!r}, {len(lacking):,} cannot be read "
        f"({shown}: {reasons}); do that, or leave them out with source.exclude: {globs}."
    )
    why = f"{shown} cannot be read here: {reasons}"
    left = Proposal(setting="source.exclude", value=globs, why=why)
    raise SourceError(msg, proposals=(left,) if len(lacking) < len(keys) else ())


def undecodable(name: str) -> str | None:
    """Return why a file of that name cannot be decoded, and the remedy; None: it may be."""
    suffix = PurePosixPath(name.lower()).suffix
    if suffix in HEIF_SUFFIXES and find_spec("pillow_heif") is None:
        return HEIF_REMEDY
    if suffix in CAMERA_RAW_SUFFIXES:
        return "camera raw is not read: develop it to TIFF or PNG"
    return f"{suffix} is not read: convert it to PNG" if suffix in IMAGE_FILES.unread else None


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
