"""Small real data sets that come with the libraries: `example:<name>`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.digests import digest_json
from storage.errors import SourceError
from storage.sources.builder import Source, SourceDescription, missing_column
from storage.sources.config import SourceConfig
from storage.sources.images.source import ImageSource, RawBatch, Read
from storage.sources.tables.source import TableRead, TableSource

SCHEME: Final = "example:"

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
    datasets = _scikit_learn("digits")
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


def load_breast_cancer() -> pa.Table:
    """Return scikit-learn's 569 tumours: 30 measures of the cells and the column `diagnosis`.

    Raises:
        SourceError: scikit-learn is not installed.
    """
    data = _scikit_learn("breast-cancer").load_breast_cancer()
    columns = {
        name.replace(" ", "_"): pa.array(values)
        for name, values in zip(data.feature_names.tolist(), data.data.T.copy(), strict=True)
    }
    words = data.target_names.tolist()
    return pa.table({**columns, "diagnosis": pa.array([words[i] for i in data.target.tolist()])})


EXAMPLES: Final[dict[str, Callable[[], Example]]] = {
    "digits": load_digits,
    "digits-skewed": load_digits_skewed,
}
"""Images, by name."""

TABLES: Final[dict[str, Callable[[], pa.Table]]] = {"breast-cancer": load_breast_cancer}
"""Tables, by name."""


def open_example(config: SourceConfig) -> Source:
    """Return the example that the URI names.

    Raises:
        SourceError: there is none of that name; the message lists those that exist.
    """
    name = config.uri.removeprefix(SCHEME)
    if name in TABLES:
        return ExampleTable(config.uri, TABLES[name]())
    if name in EXAMPLES:
        return ExampleImages(config.uri, EXAMPLES[name]())
    known = ", ".join(SCHEME + example for example in (*EXAMPLES, *TABLES))
    msg = f"There is no source {config.uri!r}; the examples are {known}."
    raise SourceError(msg)


class ExampleImages(ImageSource):
    """One of `EXAMPLES`, with the columns `image` and `label`."""

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


class ExampleTable(TableSource):
    """One of `TABLES`."""

    def __init__(self, uri: str, table: pa.Table) -> None:
        self.uri = uri
        self._table = table

    @cached_property
    def digest(self) -> str:
        """Digest of names, types and values."""
        return digest_json([str(self._table.schema), self._table.to_pydict()])

    @cached_property
    def description(self) -> SourceDescription:
        """Counts of the table."""
        return SourceDescription(
            kind="example",
            modality=self.modality,
            files=1,
            size_bytes=self._table.nbytes,
            ignored_files=self.ignored_files,
            rows=len(self._table),
            columns=tuple(self._table.column_names),
        )

    def schema(self) -> pa.Schema:
        """Return the table's."""
        return self._table.schema

    def read(self) -> TableRead:
        """Return the table."""
        return TableRead(table=self._table)

    def verify_unchanged(self) -> None:
        """Nothing can change a table that was loaded."""


def _scikit_learn(example: str) -> Any:
    try:
        from sklearn import datasets
    except ImportError as error:
        msg = (
            f"The source '{SCHEME}{example}' needs scikit-learn, which is not installed; "
            "run pip install 'ganmill[jobs]'."
        )
        raise SourceError(msg) from error
    return datasets
