"""Images in arrays: NumPy's `.npz` and `.npy`, and the IDX files of MNIST and its kin.

Which array holds what follows from shapes and names: images have three or four axes (or two, when a
row is a square of pixels), labels one, and `train_images` goes with `train_labels`, `x_test` with
`y_test`, `t10k-images-idx3-ubyte` with `t10k-labels-idx1-ubyte`. Names that say a split make the
column `split`. Arrays of Python objects are pickles and are refused. Arrays are read in blocks.

Shape legend: N records, H height, W width, C channels.
"""

import gzip
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, BinaryIO, Final, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.records.proposal import Proposal
from storage.sources.builder import FileSource, SourceDescription
from storage.sources.checks import missing_column
from storage.sources.config import SourceConfig
from storage.sources.files import SourceFiles
from storage.sources.images.pixels import WHITE, used_bits
from storage.sources.images.source import ImageSource, RawBatch, Read
from storage.sources.paths import split_by_column
from storage.sources.split import SPLIT_VALUES

LABEL: Final = "label"
SPLIT: Final = "split"
_SPLIT_WHY: Final = "the names of the arrays divide the records already"

_BLOCK_BYTES: Final = 4 << 20
_IMAGES: Final = frozenset({"image", "images", "img", "imgs", "x", "data", "pixels", "inputs"})
_LABELS: Final = frozenset({"label", "labels", "y", "target", "targets", "class", "classes"})
_WORD: Final = re.compile(r"[a-z]+\d+k|[a-z]+|\d+")
_PARTS: Final = {"t10k": "test"}
"""Words of MNIST's file names → the split they mean."""
_CHANNELS: Final = (1, 3, 4)
_LEAST_PIXELS: Final = 64
_LARGEST: Final = 0xFFFF
_PLAIN: Final = "buifUS"
"""Kinds of NumPy's types that labels may have: truth, numbers, text."""
_IDX_TYPES: Final = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_DAMAGED: Final = (
    OSError, ValueError, EOFError, KeyError, struct.error, zlib.error, zipfile.BadZipFile,
    NotImplementedError, RuntimeError,
)  # fmt: skip
"""What the readers raise on files that are broken, encrypted or of another kind."""


@dataclass(frozen=True, kw_only=True)
class StoredArray:
    """One array of a file, read when it is asked for."""

    place: str
    """File and name, for messages."""
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    column_major: bool
    open: Callable[[], AbstractContextManager[BinaryIO]]
    """Opens the file at the first value."""

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Yield consecutive rows in blocks of about 4 MiB.

        Raises:
            One of `_DAMAGED`: the file ends too early or is broken.
        """
        row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        rows = self.shape[0] if self.column_major else max(_BLOCK_BYTES // max(row_bytes, 1), 1)
        with self.open() as file:
            for start in range(0, self.shape[0], max(rows, 1)):
                count = min(rows, self.shape[0] - start)
                data = file.read(count * row_bytes)
                if len(data) != count * row_bytes:
                    msg = f"it ends after {start} of {self.shape[0]} rows"
                    raise EOFError(msg)
                values = np.frombuffer(data, self.dtype)
                shape = (count, *self.shape[1:])
                yield values.reshape(shape, order="F" if self.column_major else "C")


@dataclass(frozen=True, kw_only=True)
class ArrayPart:
    """Images, and their labels where there are some."""

    images: StoredArray
    labels: StoredArray | None
    part: str
    """What the names say besides images or labels, such as `train`; may be empty."""

    @property
    def split(self) -> str | None:
        """The split that the names say."""
        return next((word for word in self.part.split("-") if word in SPLIT_VALUES), None)


@dataclass(frozen=True, kw_only=True)
class PixelScale:
    """How the values of an array become bytes."""

    factor: float = 1.0
    offset: float = 0.0
    what: str = ""
    """For a person; empty where they are bytes already."""

    def __call__(self, block: NDArray[Any]) -> NDArray[np.uint8]:
        """Return a block as bytes."""
        if not self.what:
            return block.astype(np.uint8, copy=False)
        return np.rint(block.astype(np.float64) * self.factor + self.offset).astype(np.uint8)


class Shift(PixelScale):
    """Values of more than 8 bits, cut as those of 16-bit image files are."""

    def __call__(self, block: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the upper 8 of the bits that are used."""
        return (block.astype(np.float64) // self.factor).astype(np.uint8)


class ArrayImages(FileSource, ImageSource):
    """The images of array files, part after part, with the columns `label` and `split`."""

    threads = 1
    reads_settings = frozenset({"max_rows"})

    def __init__(self, config: SourceConfig, found: SourceFiles) -> None:
        """Read the headers.

        Raises:
            SourceError: a file is damaged or holds Python objects, or no array is of images.
        """
        super().__init__(found)
        self._label = config.label
        self._scales: dict[str, PixelScale] = {}
        arrays = [array for info in found.files for array in self._list(info.key)]
        self.parts = pair_arrays(arrays)
        if not self.parts:
            shapes = ", ".join(f"{a.name} {list(a.shape)} {a.dtype}" for a in arrays[:6]) or "none"
            msg = (
                f"The source {self.uri!r} holds no array of images, only {shapes}; images are "
                "arrays of N x height x width (x 1, 3 or 4 channels)."
            )
            raise SourceError(msg)

    @cached_property
    def description(self) -> SourceDescription:
        """Counts from the headers."""
        rows = sum(part.images.shape[0] for part in self.parts)
        return self._described("arrays", rows, list(self._types))

    @cached_property
    def _types(self) -> Mapping[str, pa.DataType]:
        """Name → type of the columns."""
        types: dict[str, pa.DataType] = {}
        if all(part.labels is not None for part in self.parts):
            types[self._label_name] = self._label_type()
        if len({part.split for part in self.parts} - {None}) > 1:
            types[SPLIT] = pa.string()
        return types

    @property
    def _label_name(self) -> str:
        """The labels have no name of their own: they take the recipe's."""
        return self._label if self._label not in (None, SPLIT) else LABEL

    def _label_type(self) -> pa.DataType:
        kinds = {part.labels.dtype.kind for part in self.parts if part.labels is not None}
        if kinds <= set("US"):
            return pa.string()
        return pa.bool_() if kinds == {"b"} else pa.int64()

    def column_type(self, name: str) -> pa.DataType:
        """Return the type of the label or the split."""
        if name not in self._types:
            raise missing_column(self.uri, name, list(self._types))
        return self._types[name]

    def evidence(self, config: SourceConfig) -> tuple[Proposal, ...]:
        """Propose the split that the names of the arrays say."""
        if SPLIT not in self._types or config.split.column or config.split.holdout_uri:
            return ()
        proposal = split_by_column(SPLIT, [part.split for part in self.parts])
        return () if proposal is None else (replace(proposal, why=_SPLIT_WHY),)

    def reads(self, columns: Sequence[str]) -> Iterator[Read]:
        """Yield blocks of whole images, read by the caller's thread."""
        for part in self.parts:
            try:
                yield from self._part(part, columns)
            except _DAMAGED as error:
                raise self._damaged(part.images.place, error) from error

    @property
    def listing_notes(self) -> tuple[str, ...]:
        """Say how values that are no bytes are read."""
        said = ((part.images.place, self._scale(part).what) for part in self.parts)
        scaled = tuple(f"The values of {place}: {what}." for place, what in said if what)
        return (*self._found.notes, *scaled)

    def _scale(self, part: ArrayPart) -> PixelScale:
        """Find the scale of a part once."""
        if part.images.place not in self._scales:
            try:
                self._scales[part.images.place] = find_scale(part.images)
            except _DAMAGED as error:
                raise self._damaged(part.images.place, error) from error
        return self._scales[part.images.place]

    def _part(self, part: ArrayPart, columns: Sequence[str]) -> Iterator[Read]:
        scale = self._scale(part)
        labels_N = None if part.labels is None else self._labels(part.labels)
        first = 0
        for block in part.images.blocks():
            rows = len(block)
            values = {SPLIT: pa.array([part.split] * rows, pa.string())}
            if labels_N is not None:
                values[self._label_name] = labels_N.slice(first, rows)
            batch = RawBatch(
                names=[f"{part.images.place} row {first + row}" for row in range(rows)],
                images=as_images(scale(block)),
                columns=pa.RecordBatch.from_arrays(
                    [values[name] for name in columns], names=list(columns)
                ),
            )
            yield partial(_itself, batch)
            first += rows

    def _labels(self, labels: StoredArray) -> pa.Array:
        values = np.concatenate([*labels.blocks()]).reshape(-1)
        if values.dtype.kind == "S":
            values = np.char.decode(values, "utf-8")
        if values.dtype.kind == "f" and (values % 1 != 0).any():
            msg = f"the labels {labels.name!r} are no whole numbers; store classes as such"
            raise ValueError(msg)
        type_ = self._label_type()
        return pa.array(values.astype(np.int64) if type_ == pa.int64() else values, type_)

    def _list(self, key: str) -> list[StoredArray]:
        try:
            return list_arrays(key, lambda: self._found.store.open(key))
        except _DAMAGED as error:
            raise self._damaged(key, error) from error

    def _damaged(self, place: str, error: Exception) -> SourceError:
        reason = str(error).split("\n", maxsplit=1)[0] or type(error).__name__
        return SourceError(
            f"The file {place!r} of the source {self.uri!r} cannot be read as arrays ({reason}); "
            "replace it or leave it out with source.exclude."
        )


def _itself(batch: RawBatch) -> RawBatch:
    return batch


Opener = Callable[[], AbstractContextManager[BinaryIO]]
"""Opens a file at its start."""


def list_arrays(key: str, opener: Opener) -> list[StoredArray]:
    """Return the arrays of a file by its name, from its headers.

    Raises:
        One of `_DAMAGED`: it is no such file, or holds Python objects.
    """
    lower = key.lower()
    if lower.endswith(".npz"):
        return _list_npz(key, opener)
    if lower.endswith(".npy"):
        return [_npy(key, key.rpartition("/")[2][: -len(".npy")], opener)]
    return [_idx(key, opener)]


def _list_npz(key: str, opener: Opener) -> list[StoredArray]:
    @contextmanager
    def member(name: str) -> Iterator[BinaryIO]:
        with opener() as file, zipfile.ZipFile(file) as archive, archive.open(name) as opened:
            yield cast("BinaryIO", opened)

    with opener() as file, zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if name.endswith(".npy")]
    return [_npy(f"{key}:{name[:-4]}", name[:-4], partial(member, name)) for name in names]


def _npy(place: str, name: str, opener: Opener) -> StoredArray:
    @contextmanager
    def opened() -> Iterator[BinaryIO]:
        with opener() as file:
            _npy_header(file)
            yield file

    with opener() as file:
        shape, column_major, dtype = _npy_header(file)
    if dtype.hasobject:
        msg = f"{name!r} holds Python objects, a pickle; save it as plain numbers or text"
        raise ValueError(msg)
    return StoredArray(
        place=place, name=name, shape=shape, dtype=dtype, column_major=column_major, open=opened
    )


def _npy_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    return np.lib.format.read_array_header_2_0(file)


def _idx(key: str, opener: Opener) -> StoredArray:
    @contextmanager
    def at_start() -> Iterator[BinaryIO]:
        with opener() as file:
            if not key.lower().endswith(".gz"):
                yield file
                return
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield cast("BinaryIO", unpacked)

    @contextmanager
    def opened() -> Iterator[BinaryIO]:
        with at_start() as file:
            file.read(4 + 4 * axes)
            yield file

    with at_start() as file:
        zero, code, axes = struct.unpack(">HBB", file.read(4))
        if zero or code not in _IDX_TYPES:
            msg = "it does not begin like an IDX file"
            raise ValueError(msg)
        shape = struct.unpack(f">{axes}I", file.read(4 * axes))
    return StoredArray(
        place=key,
        name=re.sub(r"[-.]idx\d-ubyte(\.gz)?$", "", key.rpartition("/")[2].lower()),
        shape=shape,
        dtype=np.dtype(_IDX_TYPES[code]),
        column_major=False,
        open=opened,
    )


def pair_arrays(arrays: Sequence[StoredArray]) -> list[ArrayPart]:
    """Return the arrays of images in order, each with the labels whose name and length fit."""
    images = [array for array in arrays if _axes(array.shape, array.dtype) is not None]
    images = [a for a in images if _role(a.name) != "labels"]
    plain = [a for a in arrays if a.dtype.kind in _PLAIN]
    labels = [a for a in plain if len(_squeezed(a.shape)) == 1 and a not in images]
    parts = []
    for image in images:
        part = _part_of(image.name)
        fitting = [a for a in labels if a.shape[0] == image.shape[0]]
        named = [a for a in fitting if _part_of(a.name) == part and _role(a.name) == "labels"]
        alone = fitting if len(images) == 1 and len(fitting) == 1 else []
        label = next(iter(named or alone), None)
        parts.append(ArrayPart(images=image, labels=label, part=part))
    return parts


def _words(name: str) -> list[str]:
    return [_PARTS.get(word, word) for word in _WORD.findall(name.lower())]


def _role(name: str) -> str | None:
    words = set(_words(name))
    return "labels" if words & _LABELS else "images" if words & _IMAGES else None


def _part_of(name: str) -> str:
    """Return what a name says besides images or labels."""
    return "-".join(word for word in _words(name) if word not in _IMAGES | _LABELS)


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[:1] if len(shape) == 2 and shape[1] == 1 else shape


def _axes(shape: tuple[int, ...], dtype: np.dtype[Any]) -> str | None:
    """Return which axes an array of images has: NHW, NHWC, NCHW, or flat ones; None: it is none."""
    if dtype.kind not in "uifb" or not shape or shape[0] == 0:
        return None
    if len(shape) == 3:
        return "NHW"
    if len(shape) == 4 and shape[3] in _CHANNELS:
        return "NHWC"
    if len(shape) == 4 and shape[1] in _CHANNELS:
        return "NCHW"
    if len(shape) == 2 and dtype == np.uint8 and shape[1] >= _LEAST_PIXELS:
        if math.isqrt(shape[1]) ** 2 == shape[1]:
            return "flat"
        if shape[1] % 3 == 0 and math.isqrt(shape[1] // 3) ** 2 == shape[1] // 3:
            return "flat-colour"
    return None


def as_images(block: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return images as (N, H, W, C), whatever the axes of the array are."""
    axes = _axes(block.shape, block.dtype)
    if axes == "NHW":
        return block[..., np.newaxis]
    if axes == "NCHW":
        return np.ascontiguousarray(block.transpose(0, 2, 3, 1))
    if axes == "flat":
        side = math.isqrt(block.shape[1])
        return block.reshape(-1, side, side, 1)
    if axes == "flat-colour":
        side = math.isqrt(block.shape[1] // 3)
        return np.ascontiguousarray(block.reshape(-1, 3, side, side).transpose(0, 2, 3, 1))
    return block


def find_scale(array: StoredArray) -> PixelScale:
    """Return what brings values to 0 … 255; where they are no bytes the range that is used decides.

    Raises:
        ValueError: values are infinite, missing, or of no range that pixels have.
    """
    if array.dtype == np.uint8:
        return PixelScale()
    low = high = 0.0
    for block in array.blocks():
        if block.dtype.kind == "f" and not np.isfinite(block).all():
            msg = "some pixels are infinite or missing; store numbers from 0 to 255 or 0 to 1"
            raise ValueError(msg)
        low, high = min(low, float(block.min())), max(high, float(block.max()))
    if low >= 0 and high <= 1:
        return PixelScale(factor=255.0, what="0 to 1 are read as 0 to 255")
    if -1 <= low < 0 and high <= 1:
        return PixelScale(factor=127.5, offset=127.5, what="-1 to 1 are read as 0 to 255")
    if low >= 0 and high <= WHITE:
        return PixelScale(what="0 to 255 are rounded to whole numbers")
    if low >= 0 and high <= _LARGEST:
        bits = used_bits(math.floor(high))
        step = 1 << (bits - 8)
        return Shift(factor=step, what=f"{bits} bits are cut to 8 (value // {step})")
    msg = f"pixels from {low:g} to {high:g} have no 8-bit meaning; store 0 to 255 or 0 to 1"
    raise ValueError(msg)
