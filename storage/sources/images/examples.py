"""Small real images that come with the libraries: what `example:<name>` opens."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.sources.builder import Source, SourceDescription, scikit_learn_datasets
from storage.sources.checks import missing_column
from storage.sources.images.source import ImageSource, RawBatch, Read

SKEWED_DIGITS: Final = (3, 5, 8)
"""The classes that `example:digits-skewed` cuts to a tenth, the first tenth of each."""

_LABEL = "label"


@dataclass(frozen=True, kw_only=True)
class Example:
    """Images uint8 (N, H, W, C) and their labels int64 (N,)."""

    images_NHWC: NDArray[np.uint8]
    labels_N: NDArray[np.int64]


def load_digits() -> Example:
    """Return scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, 0..16 stretched to 0..255.

    Raises:
        SourceError: scikit-learn is not installed.
    """
    datasets = scikit_learn_datasets("digits")
    pixels, labels = datasets.load_digits(return_X_y=True)
    images = np.rint(pixels * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)
    return Example(images_NHWC=images, labels_N=labels.astype(np.int64))


def load_digits_skewed() -> Example:
    """Return the digits with the classes 3, 5 and 8 cut to their first tenth."""
    digits = load_digits()
    keep = np.ones(len(digits.labels_N), np.bool_)
    for label in SKEWED_DIGITS:
        rows = np.flatnonzero(digits.labels_N == label)
        keep[rows[round(len(rows) / 10) :]] = False
    return Example(images_NHWC=digits.images_NHWC[keep], labels_N=digits.labels_N[keep])


class ExampleImages(ImageSource):
    """One of `IMAGE_EXAMPLES`, with the columns `image` and `label`."""

    def __init__(self, uri: str, example: Example) -> None:
        self.uri = uri
        self._example = example

    @cached_property
    def digest(self) -> str:
        """Digest of the bytes of both arrays and of the images' shape."""
        images, labels = self._example.images_NHWC, self._example.labels_N.astype("<i8")
        shape = np.array(images.shape, "<i8")
        return sha256(shape.tobytes() + images.tobytes() + labels.tobytes()).hexdigest()

    @cached_property
    def description(self) -> SourceDescription:
        """Counts of the arrays."""
        return SourceDescription(
            kind="example",
            modality=self.modality,
            files=1,
            size_bytes=self._example.images_NHWC.nbytes,
            ignored_files=self.ignored_files,
            rows=len(self._example.labels_N),
            columns=(_LABEL,),
        )

    def column_type(self, name: str) -> pa.DataType:
        """The label is an int64."""
        if name != _LABEL:
            raise missing_column(self.uri, name, [_LABEL])
        return pa.int64()

    def reads(self, columns: Sequence[str]) -> Iterator[Read]:
        """Yield one batch with everything."""
        yield lambda: self._read(columns)

    def verify_unchanged(self) -> None:
        """Nothing can change an array that was loaded."""

    def _read(self, columns: Sequence[str]) -> RawBatch:
        labels = pa.array(self._example.labels_N)
        return RawBatch(
            names=[f"{self.uri} row {row}" for row in range(len(labels))],
            images=self._example.images_NHWC,
            columns=pa.RecordBatch.from_arrays([labels] * len(columns), names=list(columns)),
        )


IMAGE_EXAMPLES: Final[Mapping[str, Callable[[str], Source]]] = {
    "example:digits": lambda uri: ExampleImages(uri, load_digits()),
    "example:digits-skewed": lambda uri: ExampleImages(uri, load_digits_skewed()),
}
