"""Records that somebody brings to be judged beside a prepared source: read as records of it.

What made them does not matter: a generator of ours, a tool of somebody else, a person. They are
read by the sources of their modality, and brought to the columns and types of the known records.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from storage.errors import SourceError
from storage.sources.config import SourceConfig
from storage.sources.split import SplitConfig
from storage.stores.settings import StorageProfile


@dataclass(frozen=True, kw_only=True)
class GivenRequest:
    """What is to be read, and as what."""

    uri: str
    """A folder, file or glob, local or on S3, or an example."""
    config: SourceConfig
    """The recipe's `source`: what it says of columns and sizes holds here too; where it is, which
    files are chosen and how they are split does not."""
    known: pa.Table
    """Training records of the prepared source: the columns, types and classes to come to."""
    reading: Mapping[str, Any] = field(default_factory=dict)
    """What the data of the prepared source decided of how they are read."""
    min_group: int
    """`privacy.min_group` of the recipe."""
    folder: Path
    """An empty one for what does not fit into memory; the records may be mapped from it."""
    profile: StorageProfile | None = None
    """Credentials of the data; None = those that `config.storage` names."""
    progress: Callable[[int, int], None] | None = None
    """Called with how far the reading is."""

    def plain_config(self, **settings: Any) -> SourceConfig:
        """Return how the data are read: the recipe's settings without what is about its files."""
        update = {
            "uri": self.uri,
            "include": (),
            "exclude": (),
            "split": SplitConfig(),
            "allow_synthetic": True,
            "max_rows": type(self.config).model_fields["max_rows"].default,
            **settings,
        }
        return self.config.model_copy(update=update)


@dataclass(frozen=True, kw_only=True)
class GivenRecords:
    """Records in the form of known ones."""

    records: pa.Table
    """With the columns of the known records, in their order and types, without `absent`."""
    digest: str
    """Of the files that were read."""
    absent: tuple[str, ...] = ()
    """Columns that the data lack and that can be done without: their values say nothing of a row,
    so they can be left out on the real side too."""
    notes: tuple[str, ...] = ()
    """Sentences about everything that was decided on the user's behalf."""


_REWORDED: Final = (
    ("The source ", "The data set "),
    ("the source ", "the data set "),
    ("source.uri", "DATA"),
    ("source.include", "a glob as DATA"),
    ("source.exclude", "a glob as DATA"),
)
"""What a sentence on a recipe's source says → what it says of data that a person names."""


@contextmanager
def said_of_data() -> Iterator[None]:
    """Let what a source raises within the block speak of DATA instead of the recipe's source.

    A sentence that speaks of both stays as it is.
    """
    try:
        yield
    except SourceError as error:
        text = str(error)
        if "the data set" in text.lower():
            raise
        for old, new in _REWORDED:
            text = text.replace(old, new)
        raise type(error)(text) from error
