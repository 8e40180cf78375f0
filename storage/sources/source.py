"""What every kind of source offers, whatever its records are."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

import pyarrow as pa

from storage.errors import SourceError
from storage.sources.config import SourceConfig


@dataclass(frozen=True, kw_only=True)
class SourceDescription:
    """What is known of a source before its records are prepared."""

    kind: str
    """`example`, `folder`, `parquet` or `csv`."""

    modality: str
    """`images` or `tables`."""

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
    """Records in an order that depends on the source alone.

    Every method raises `SourceError` for an unfit source and `LakeError` for a failing store.
    """

    uri: str
    """As the user wrote it."""

    modality: str
    """`images` or `tables`."""

    ignored_files: int = 0
    """Files beside those that hold records; known from the listing."""

    @cached_property
    @abstractmethod
    def digest(self) -> str:
        """Digest of everything that is read, without the root and without times."""

    @cached_property
    @abstractmethod
    def description(self) -> SourceDescription:
        """Counts and names; no image is decoded for them, but CSV files are read."""

    @abstractmethod
    def column_type(self, name: str) -> pa.DataType:
        """Return the type of a column.

        Raises:
            SourceError: there is no such column; the message lists those that exist.
        """

    @abstractmethod
    def check(self, config: SourceConfig) -> None:
        """Check what can be checked of the recipe's columns before the records are read.

        Raises:
            SourceError: a column is missing, or of a type that it must not have.
        """

    @abstractmethod
    def verify_unchanged(self) -> None:
        """Check that the source is still what `digest` says, after it was read.

        Raises:
            SourceError: files came, went or changed meanwhile.
        """

    def describe(self) -> SourceDescription:
        """Return `description`."""
        return self.description


def missing_column(
    uri: str, name: str, known: Sequence[str], *, place: str = "source.label"
) -> SourceError:
    """Make the error for a column that does not exist, with the nearest one that does.

    Args:
        uri: of the source.
        name: what the recipe says.
        known: the columns that exist.
        place: where the recipe says it.
    """
    listed = ", ".join(repr(column) for column in known) or "none"
    near = get_close_matches(name, known, 1)
    guess = f" (did you mean {near[0]!r}?)" if near else ""
    remedy = ", or set it to null for unconditional generation" if place == "source.label" else ""
    return SourceError(
        f"The source {uri!r} has no column {name!r}{guess}; its columns are {listed}: name one of "
        f"them in {place}{remedy}."
    )
