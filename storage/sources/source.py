"""What every kind of source offers to the code that decodes and splits it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.errors import SourceError


@dataclass(frozen=True, kw_only=True)
class RawBatch:
    """Some consecutive records as the source holds them. N records."""

    names: Sequence[str]
    """N names for messages, such as a relative path or a row of a file."""

    images: Sequence[bytes | None] | NDArray[np.uint8]
    """N encoded images, None where there is none; or decoded ones, uint8 (N, H, W, C)."""

    columns: pa.RecordBatch
    """N rows of the columns that were asked for, in the order asked for."""


Read = Callable[[], RawBatch]
"""Fetches one batch; may run in any thread."""


@dataclass(frozen=True, kw_only=True)
class SourceDescription:
    """What is known of a source before its images are decoded."""

    kind: str
    """`example`, `folder` or `parquet`."""

    modality: str
    """`images`."""

    files: int
    """Files that hold records."""

    size_bytes: int
    """Bytes of these files."""

    ignored_files: int
    """Other files beside them."""

    rows: int
    """Records, before any is found unreadable."""

    columns: tuple[str, ...]
    """What can be a label or decide the split."""


class Source(ABC):
    """Records that can be read batch by batch, in an order that depends on the source alone.

    Every method raises `SourceError` for an unfit source and `LakeError` for a failing store.
    """

    uri: str
    """As the user wrote it."""

    threads: int | None = None
    """How many reads to keep in flight; None = one per processor."""

    @cached_property
    @abstractmethod
    def digest(self) -> str:
        """Digest of everything that is read, without the root and without times."""

    @cached_property
    @abstractmethod
    def description(self) -> SourceDescription:
        """Counts and names, without decoding an image."""

    @abstractmethod
    def column_type(self, name: str) -> pa.DataType:
        """Return the type of a column that `reads` can deliver.

        Raises:
            SourceError: there is no such column; the message lists those that exist.
        """

    @abstractmethod
    def reads(self, columns: Sequence[str]) -> Iterator[Read]:
        """Yield one callable per batch, in order, with these columns beside the images."""

    @abstractmethod
    def verify_unchanged(self) -> None:
        """Check that the source is still what `digest` says, after it was read.

        Raises:
            SourceError: files came, went or changed meanwhile.
        """

    def describe(self) -> SourceDescription:
        """Return `description`."""
        return self.description

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

    def missing_column(self, name: str, known: Sequence[str]) -> SourceError:
        """Make the error for a column that does not exist."""
        listed = ", ".join(repr(column) for column in known) or "none"
        return SourceError(
            f"The source {self.uri!r} has no column {name!r}; its columns are {listed}: name one "
            "of them in the recipe, or set source.label to null for unconditional generation."
        )
