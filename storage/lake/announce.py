"""Announcing new versions and decisions on generators: at least once, after the fact.

What happened is in the logs; that it was announced says a small object beside each version or
record. A process killed between the two leaves the event pending, and the next process announces
it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from storage.digests import canonical_json
from storage.errors import ObjectNotFoundError
from storage.lake.datasets import load_manifest, versions
from storage.lake.layout import (
    announced_key,
    dataset_folder,
    generator_report_key,
    meta_key,
    promotion_announced_key,
    promotions_announced_folder,
    promotions_folder,
    record_number,
    version_folder,
)
from storage.lake.log import Commit
from storage.lake.promotions import Promotion, standing
from storage.stores.interface import ObjectStore

PUBLISHED = "ganmill.dataset.published"
"""Readers see a new version."""
BLOCKED = "ganmill.gate.blocked"
"""A candidate did not take over, or nobody may synthesize."""
PROMOTED = "ganmill.generator.promoted"
"""Another generator is champion: promoted, rolled back to, or let through by a person."""


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """One event; every value of the payload is a string."""

    event: str
    """`PUBLISHED`, `BLOCKED` or `PROMOTED`."""
    resource: str
    """`ganmill.dataset.<name>` or `ganmill.generator.<name>`."""
    payload: Mapping[str, str]
    """Always name, version, verdict, reason, by, number, created and report (a page to open).
    Of a data set also path, manifest, manifest_sha256, rows, generator and lift; of a generator
    also kind and snapshot_digest."""


Emit = Callable[[Announcement], None]
"""Sends one event, or raises; it returns only when the receiver has it."""


def announce_pending(lake: ObjectStore, name: str, emit: Emit) -> list[Announcement]:
    """Emit every event that has none on record, decisions first, record each one, return them all.

    A process killed between the two emits again: at least once, never lost. What `emit` raises
    passes through, and the event stays pending.
    """
    done = []
    for key, announcement in _pending(lake, name):
        emit(announcement)
        stamp = {"announced": datetime.now(UTC).isoformat(timespec="seconds")}
        lake.put_once(key, canonical_json(stamp))
        done.append(announcement)
    return done


def has_pending(lake: ObjectStore, name: str) -> bool:
    """Say whether something was never announced."""
    return next(_pending(lake, name), None) is not None


def _pending(lake: ObjectStore, name: str) -> Iterator[tuple[str, Announcement]]:
    """Yield what has no announcement on record, with the key that will record it."""
    numbers = _numbers(lake, promotions_folder(name))
    numbers -= _numbers(lake, promotions_announced_folder(name))
    for record in standing(lake, name).records if numbers else ():
        if record.number in numbers:
            yield promotion_announced_key(name, record.number), _of_decision(lake, name, record)
    announced = {info.key for info in lake.list(f"{dataset_folder(name)}/_meta/")}
    for version in versions(lake, name):
        key = announced_key(name, version.version)
        if key not in announced:
            yield key, _of_version(lake, version)


def _numbers(lake: ObjectStore, folder: str) -> set[int]:
    found = (record_number(info.key) for info in lake.list(f"{folder}/"))
    return {number for number in found if number is not None}


def _of_decision(lake: ObjectStore, name: str, record: Promotion) -> Announcement:
    report = page = ""
    if record.report_digest:
        report = generator_report_key(name, record.version, record.report_digest, "report.json")
        page = generator_report_key(name, record.version, record.report_digest, "report.html")
    payload = {
        "name": name,
        "version": record.version,
        "kind": record.kind,
        "verdict": _verdict(lake, report) if report else "",
        "reason": record.reason,
        "by": record.by,
        "number": str(record.number),
        "created": record.created,
        "snapshot_digest": record.snapshot_digest,
        "report": f"{lake.uri}/{page}" if page else "",
    }
    event = BLOCKED if record.kind == "reject" else PROMOTED
    return Announcement(event=event, resource=f"ganmill.generator.{name}", payload=payload)


def _verdict(lake: ObjectStore, report: str) -> str:
    """Return the verdict that a stored report says; empty when it says none."""
    try:
        stored = json.loads(lake.get(report))
    except (ObjectNotFoundError, ValueError):
        return ""
    return str(stored.get("verdict", "")) if isinstance(stored, dict) else ""


def _of_version(lake: ObjectStore, version: Commit) -> Announcement:
    manifest = load_manifest(lake, version)
    gate = manifest.fields.gate
    override = gate.get("override") or {}
    payload = {
        "name": version.name,
        "version": version.version,
        "number": str(version.number),
        "created": version.created,
        "path": f"{lake.uri}/{version_folder(version.name, version.version)}/",
        "manifest": version.manifest_key,
        "manifest_sha256": version.manifest_sha256,
        "rows": str(manifest.rows),
        "generator": manifest.generator,
        "verdict": str(gate.get("verdict", "")),
        "lift": manifest.fields.lift_answer,
        "reason": str(override.get("reason", "")) or "; ".join(map(str, gate.get("reasons", ()))),
        "by": str(override.get("by", "")) or "gate",
        "report": f"{lake.uri}/{meta_key(version.name, version.version, 'report.html')}",
    }
    resource = f"ganmill.dataset.{version.name}"
    return Announcement(event=PUBLISHED, resource=resource, payload=payload)
