"""Keeping a lake in order: send the events that are pending, and drop what nobody needs."""

import re
from dataclasses import dataclass

from flows.errors import UnsentError
from flows.job import now
from flows.lake_page import refresh_lake_page
from storage.errors import IntegrityError
from storage.lake import registry
from storage.lake.announce import Emit, announce_pending
from storage.lake.damage import read_damage
from storage.lake.datasets import list_datasets, list_logs
from storage.lake.hint import refresh_hint, stale_hint
from storage.lake.layout import snapshot_key
from storage.lake.log_check import check_log
from storage.lake.registry import drop_checkpoints
from storage.lake.retention import Collector, Removal
from storage.stores.interface import ObjectStore

_CHECKPOINT = re.compile(r"runs/([0-9a-f]+)/checkpoint/.+")


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What was done for a lake, or would be."""

    applied: bool
    """False: nothing was changed."""
    announced: tuple[str, ...]
    """Event and version of everything that was sent."""
    removals: tuple[Removal, ...]
    """Versions that readers do not see any more, and files that left the lake."""
    checkpoints: tuple[str, ...]
    """Finished trainings, by train key, whose checkpoints were dropped."""
    hints: tuple[str, ...] = ()
    """Data sets whose hint to the newest version lagged."""
    problems: tuple[str, ...] = ()
    """What is wrong with the logs of versions; nothing of such a data set is collected."""
    unsent: str = ""
    """Why an event could not be sent; empty when none failed."""


def maintain_lake(lake: ObjectStore, *, apply: bool, emit: Emit | None = None) -> Kept:
    """Announce what is pending, refresh hints, drop checkpoints of finished trainings, collect.

    Without `apply` nothing is changed; without `emit` events stay pending. A data set whose log is
    not whole is named and left alone.

    Raises:
        LakeError: the lake failed; what was done stays, run again.
    """
    collector = Collector(lake, now())
    finished = _finished_trainings(lake)
    announced, unsent = _announce(lake, emit) if apply else ((), "")
    logs = list_logs(lake)
    hints = tuple(name for name in logs if stale_hint(lake, name))
    if apply:
        for name in logs:
            refresh_hint(lake, name)
        for key in finished:
            drop_checkpoints(lake, key)
    removals = tuple(collector.collect() if apply else collector.due())
    if apply:
        refresh_lake_page(lake)
    return Kept(
        applied=apply,
        announced=announced,
        removals=removals,
        checkpoints=finished,
        hints=hints,
        problems=tuple(
            f"{problem.key}: {problem.what}" for name in logs for problem in check_log(lake, name)
        ),
        unsent=unsent,
    )


def _announce(lake: ObjectStore, emit: Emit | None) -> tuple[tuple[str, ...], str]:
    sent: list[str] = []
    if emit is None:
        return (), ""
    for name in sorted({*list_datasets(lake), *registry.list_generators(lake)}):
        try:
            new = announce_pending(lake, name, emit)
        except UnsentError as error:
            return tuple(sent), str(error)
        sent += [f"{one.event} {name}/{one.payload['version']}" for one in new]
    return tuple(sent), ""


def _finished_trainings(lake: ObjectStore) -> tuple[str, ...]:
    """Return the train keys whose candidate is complete and whose checkpoints are still there."""
    matches = (_CHECKPOINT.fullmatch(info.key) for info in lake.list("runs/"))
    keys = sorted({match[1] for match in matches if match})
    return tuple(key for key in keys if _is_finished(lake, key))


def _is_finished(lake: ObjectStore, key: str) -> bool:
    try:
        plans = list(registry.training_plans(lake, key))
    except IntegrityError:
        return False
    return any(
        lake.stat(snapshot_key(plan.name, plan.version)) is not None
        and read_damage(lake, plan.name, plan.version) is None
        for plan in plans
    )
