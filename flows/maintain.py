"""Keeping a lake in order: tell what nobody was told, and drop what nobody needs.

When a job tells others: before it synthesizes, when it has published, when the gate blocked it.

An event that cannot be sent fails no job: it stays pending, and the next run sends it.
"""

import re
from dataclasses import dataclass

from flows.errors import UnsentError
from flows.job import Choice, Job, now
from storage.errors import IntegrityError, ObjectNotFoundError
from storage.lake import registry
from storage.lake.announce import BLOCKED, Announcement, Emit, announce_pending
from storage.lake.datasets import list_datasets, refresh_hint
from storage.lake.layout import generator_report_key, plan_key, snapshot_key
from storage.lake.registry import TrainingPlan, drop_checkpoints
from storage.lake.retention import Collector, Removal
from storage.stores.interface import ObjectStore

_CHECKPOINT = re.compile(r"runs/([0-9a-f]+)/checkpoint/.+")


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What was done for a lake, or would be."""

    applied: bool
    """False: nothing was changed."""
    announced: tuple[str, ...]
    """Event and version of everything that others were told."""
    removals: tuple[Removal, ...]
    """Versions that left the sight of readers, and files that left the lake."""
    checkpoints: tuple[str, ...]
    """Finished trainings, by train key, whose checkpoints were dropped."""
    unsent: str = ""
    """Why an event could not be sent; empty when none failed."""


def maintain_lake(lake: ObjectStore, *, apply: bool, emit: Emit | None = None) -> Kept:
    """Announce what is pending, refresh hints, drop checkpoints of finished trainings, collect.

    Args:
        lake: which.
        apply: False changes nothing and says what would be done.
        emit: sends one event; None leaves pending what is.

    Raises:
        LakeError: the lake failed; what was done stays, run again.
    """
    collector = Collector(lake, now())
    finished = _finished_trainings(lake)
    if not apply:
        return Kept(
            applied=False, announced=(), removals=tuple(collector.due()), checkpoints=finished
        )
    announced, unsent = _announce(lake, emit)
    for name in list_datasets(lake):
        refresh_hint(lake, name)
    for key in finished:
        drop_checkpoints(lake, key)
    return Kept(
        applied=True,
        announced=announced,
        removals=tuple(collector.collect()),
        checkpoints=finished,
        unsent=unsent,
    )


def _announce(lake: ObjectStore, emit: Emit | None) -> tuple[tuple[str, ...], str]:
    told: list[str] = []
    if emit is None:
        return (), ""
    for name in sorted({*list_datasets(lake), *registry.list_generators(lake)}):
        try:
            sent = announce_pending(lake, name, emit)
        except UnsentError as error:
            return tuple(told), str(error)
        told += [f"{one.event} {name}/{one.payload['version']}" for one in sent]
    return tuple(told), ""


def _finished_trainings(lake: ObjectStore) -> tuple[str, ...]:
    """Return the train keys whose candidate is complete and whose checkpoints are still there."""
    matches = (_CHECKPOINT.fullmatch(info.key) for info in lake.list("runs/"))
    keys = sorted({match[1] for match in matches if match})
    return tuple(key for key in keys if _is_finished(lake, key))


def _is_finished(lake: ObjectStore, key: str) -> bool:
    try:
        plan = TrainingPlan.from_json(lake.get(plan_key(key)))
    except (ObjectNotFoundError, IntegrityError):
        return False
    return lake.stat(snapshot_key(plan.name, plan.version)) is not None


def announce(job: Job) -> list[Announcement]:
    """Send every event of the job's name that is pending, and return those that were sent.

    Raises:
        LakeError: the lake failed.
    """
    if job.emit is None:
        return []
    try:
        return announce_pending(job.lake, job.name, job.emit)
    except UnsentError as error:
        job.reporter.say(f"Not announced yet, the next run tries again: {error}")
        return []


def announce_blocked(job: Job, choice: Choice) -> None:
    """Say that the gate let nobody synthesize, once for every run that ends so.

    A refusal that is on record was announced with it. A run that repeats it, or that ends because
    the champion is blocked today, has no record of its own: killed before it could tell, it is
    the next run that ends the same way, and tells.
    """
    version = choice.judged.version
    if job.emit is None or any(
        one.event == BLOCKED and one.payload["version"] == version for one in announce(job)
    ):
        return
    try:
        job.emit(_blocked(job, choice))
    except UnsentError as error:
        job.reporter.say(f"Not announced: {error}")


def _blocked(job: Job, choice: Choice) -> Announcement:
    judged = choice.judged
    page = generator_report_key(job.name, judged.version, judged.report_digest, "report.html")
    payload = {
        "name": job.name,
        "version": judged.version,
        "kind": "blocked",
        "verdict": judged.judgement.verdict,
        "reason": choice.reason,
        "by": "gate",
        "number": "",
        "created": now().isoformat(),
        "snapshot_digest": judged.snapshot_digest,
        "report": f"{job.lake.uri}/{page}",
    }
    return Announcement(event=BLOCKED, resource=f"ganmill.generator.{job.name}", payload=payload)
