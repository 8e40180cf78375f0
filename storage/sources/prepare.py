"""From a source to decoded, split, memory-mapped records, built once and reused."""

from collections.abc import Callable
from pathlib import Path

from storage.settings import StorageProfile
from storage.sources.config import SourceConfig
from storage.sources.prepared import Prepared

Progress = Callable[[int, int], None]
"""Called with (records done, records in all)."""


def prepare(
    config: SourceConfig,
    *,
    folder: Path,
    min_group: int,
    profile: StorageProfile | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Decode and split a source into `folder`, or reuse what an earlier call left there.

    Args:
        config: the recipe's `source`.
        folder: the cache for prepared sources; safe for several processes at once.
        min_group: the smallest class that may be published (`privacy.min_group`).
        profile: credentials of the source; None = those that `config.storage` names.
        progress: told how far the decoding is.

    Raises:
        SourceError: the source is missing, empty or unfit.
        LakeError: the store that holds the source fails; its own children say how.
        LakeFullError: the disk of `folder` is full.
    """
    raise NotImplementedError
