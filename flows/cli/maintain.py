"""`ganmill gc`, and what a person decides about one version: pin, unpin, retract."""

import dataclasses

from flows.cli.output import DONE, Output
from flows.cli.places import LakeRef
from flows.maintain import Kept, maintain_lake
from storage.lake import retention


def collect(place: LakeRef, *, apply: bool, as_json: bool) -> int:
    """Drop what a lake no longer needs, or say what that would be."""
    lake = place.open_to_write() if apply else place.open()
    kept, output = maintain_lake(lake, apply=apply), Output()
    if as_json:
        output.json(dataclasses.asdict(kept))
        return DONE
    if not kept.removals and not kept.checkpoints:
        output.line(f"Nothing to collect in {place.uri}")
        return DONE
    _show(kept, output)
    if not apply:
        output.line("Next      ganmill gc --apply does it")
    return DONE


def pin(place: LakeRef, name: str, version: str, *, by: str, reason: str) -> int:
    """Keep a version for good."""
    done = retention.pin(place.open_to_write(), name, version, by=by, reason=reason)
    Output().line(f"{'Pinned' if done else 'Is pinned'}  {name}/{version}")
    return DONE


def unpin(place: LakeRef, name: str, version: str, *, by: str, reason: str) -> int:
    """Let retention have a version again."""
    done = retention.unpin(place.open_to_write(), name, version, by=by, reason=reason)
    Output().line(f"{'Unpinned' if done else 'Is not pinned'}  {name}/{version}")
    return DONE


def retract(place: LakeRef, name: str, version: str, *, by: str, reason: str) -> int:
    """Take a version out of sight; its files go later."""
    retention.retract(place.open_to_write(), name, version, by=by, reason=reason)
    output, hours = Output(), int(retention.GRACE_PERIOD.total_seconds() // 3600)
    output.line(f"Retracted  {name}/{version}: no reader is led to it any more")
    output.line(f"Next       ganmill gc --apply deletes its files, {hours} hours from now")
    return DONE


def _show(kept: Kept, output: Output) -> None:
    rows: list[tuple[str, str, str, str]] = [
        (one.step, f"{one.name}/{one.version}", f"{one.total_bytes / 2**20:,.1f}", one.reason)
        for one in kept.removals
    ]
    rows += [("drop", f"checkpoints {key[:12]}", "", "trained") for key in kept.checkpoints]
    output.table(("step", "what", "MiB", "why"), rows)
