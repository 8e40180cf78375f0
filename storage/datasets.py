"""What readers see: committed versions, and nothing else. The log is the truth."""

from collections.abc import Callable
from dataclasses import dataclass

from storage.manifest import Manifest
from storage.objects import ObjectStore


@dataclass(frozen=True, kw_only=True)
class Version:
    """One committed version."""

    name: str
    version: str
    number: int
    """Of its commit record; the latest version has the highest."""
    created: str
    manifest_key: str
    manifest_sha256: str
    path: str
    """The folder of its shards as a reader would type it (URI of the lake and key)."""
    retired: bool = False
    pinned: bool = False


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One object that is not what was committed."""

    key: str
    what: str
    """One sentence."""


def list_datasets(lake: ObjectStore) -> list[str]:
    """Return the names of the data sets that have at least one committed version, sorted."""
    raise NotImplementedError


def versions(lake: ObjectStore, name: str, *, retired: bool = False) -> list[Version]:
    """Return the committed versions, oldest first; retired ones only when asked for."""
    raise NotImplementedError


def latest(lake: ObjectStore, name: str) -> Version | None:
    """Return the highest-numbered commit that is not retired."""
    raise NotImplementedError


def find(lake: ObjectStore, name: str, version: str | None = None) -> Version:
    """Return that version, or the latest.

    Raises:
        ObjectNotFoundError: it is not committed; the message lists what is.
    """
    raise NotImplementedError


def read_manifest(lake: ObjectStore, name: str, version: str | None = None) -> Manifest:
    """Return the manifest of a committed version, the latest by default.

    Raises:
        ObjectNotFoundError: it is not committed.
        IntegrityError: the manifest is not the one that was committed.
    """
    raise NotImplementedError


def verify(
    lake: ObjectStore,
    name: str,
    version: str | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> list[Problem]:
    """Read every file of a version and return everything that is not as committed.

    Args:
        lake: where.
        name: the data set.
        version: which; the latest by default.
        progress: called with (files done, files in all).
    """
    raise NotImplementedError
