"""Telling others of new versions, at least once, after the commit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from storage.objects import ObjectStore

EVENT = "ganmill.dataset.committed"


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """One event; every value of the payload is a string."""

    event: str
    resource: str
    """`ganmill.dataset.<name>`."""
    payload: Mapping[str, str]
    """name, version, number, path, manifest, manifest_sha256, rows, generator, verdict."""


def announce_pending(
    lake: ObjectStore, name: str, emit: Callable[[Announcement], None]
) -> list[str]:
    """Emit an event for every committed version that has none on record, then record it.

    Returns:
        The versions that were announced, oldest first.
    """
    raise NotImplementedError
