"""Sources of images: what each offers, whatever its images lie in."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.sources.builder import Source
from storage.sources.config import SourceConfig


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

    def class_names(self, name: str) -> tuple[str, ...]:  # noqa: ARG002 - some sources know them
        """Return the names of the classes 0, 1, … of a column; empty where none are known."""
        return ()

    @property
    def partitions(self) -> tuple[str, ...]:
        """The columns that folders of the form `name=value` say."""
        return ()

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
