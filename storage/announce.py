"""Telling others of new versions, at least once, after the commit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from storage.datasets import Version, read_manifest, versions
from storage.digests import canonical_json
from storage.layout import announced_key, dataset_folder
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

    A process killed between the two emits again: at least once, never lost.

    Args:
        lake: where.
        name: the data set.
        emit: sends one event; what it raises passes through, and the version stays pending.

    Returns:
        The versions that were announced, oldest first.
    """
    stored = {info.key for info in lake.list(f"{dataset_folder(name)}/_meta/")}
    pending = [v for v in versions(lake, name) if announced_key(name, v.version) not in stored]
    for version in pending:
        emit(_announcement(lake, version))
        stamp = {"announced": datetime.now(UTC).isoformat(timespec="seconds")}
        lake.put_once(announced_key(name, version.version), canonical_json(stamp))
    return [version.version for version in pending]


def _announcement(lake: ObjectStore, version: Version) -> Announcement:
    manifest = read_manifest(lake, version.name, version.version)
    payload = {
        "name": version.name,
        "version": version.version,
        "number": str(version.number),
        "path": version.path,
        "manifest": version.manifest_key,
        "manifest_sha256": version.manifest_sha256,
        "rows": str(manifest.rows),
        "generator": manifest.generator,
        "verdict": str(manifest.fields.gate.get("verdict", "")),
    }
    return Announcement(event=EVENT, resource=f"ganmill.dataset.{version.name}", payload=payload)
