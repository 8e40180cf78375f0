"""How a source is made ready: one builder per modality, and what it is told and answers."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from storage.classes import ClassCounts
from storage.digests import digest_json
from storage.sources.config import SourceConfig
from storage.sources.source import Source

Progress = Callable[[int, int], None]
"""Called with (records done, records in all)."""

BUILDERS: Final[dict[str, str]] = {
    "images": "storage.sources.images.build",
    "tables": "storage.sources.tables.build",
}
"""Modality → module with `BUILDER`, imported when it is asked for."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One source, or a source and its separate holdout, to be prepared."""

    config: SourceConfig
    sources: tuple[Source, ...]
    """The source, and the holdout of `split.holdout_uri` where there is one."""
    min_group: int
    progress: Progress | None

    @property
    def digest(self) -> str:
        """The source digest; of both digests where the holdout is a source of its own."""
        digests = [source.digest for source in self.sources]
        return digests[0] if len(digests) == 1 else digest_json(digests)

    @property
    def ignored_files(self) -> int:
        """Files beside the records."""
        return sum(source.ignored_files for source in self.sources)


@dataclass(frozen=True, kw_only=True)
class Built:
    """What a builder left in its folder; by split where it is a mapping."""

    split_rule: Mapping[str, Any]
    files: Mapping[str, tuple[str, ...]]
    rows: Mapping[str, int]
    class_counts: Mapping[str, ClassCounts]
    skipped: tuple[str, ...]
    notes: tuple[str, ...]
    details: Mapping[str, Any] = field(default_factory=dict)
    """What `load` needs besides; JSON-able."""


class Builder(ABC):
    """Prepares the records of one modality. Instances carry no state."""

    @abstractmethod
    def libraries(self) -> Mapping[str, str]:
        """Return the versions that the prepared records depend on."""

    @abstractmethod
    def build(self, job: Job, folder: Path) -> Built:
        """Read, split and write the records into the empty `folder`.

        Raises:
            SourceError: the source is unfit.
            LakeError: the store that holds it fails.
        """

    @abstractmethod
    def load(self, folder: Path, index: Mapping[str, Any]) -> Mapping[str, pa.Table]:
        """Map the records of every split; nothing is read yet.

        Args:
            folder: what `build` filled.
            index: `label`, `details`, and `splits` with the `rows` of each.
        """


def load_builder(modality: str) -> Builder:
    """Return the builder of a modality.

    Raises:
        KeyError: there is none.
    """
    builder: Builder = import_module(BUILDERS[modality]).BUILDER
    return builder
