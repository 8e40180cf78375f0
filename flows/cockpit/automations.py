"""Automations of Prefect's server that keep runs alive without a person.

A run whose process vanished is marked crashed when three of its heartbeats are missing, and one
that was handed to a worker and never started, after an hour. A run that crashed is scheduled again,
as the same run with the same night, and continues from its checkpoint and the shards that are
there; how often is bounded by the number of its starts, which Prefect counts.
"""

from collections.abc import Mapping
from datetime import timedelta

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.sorting import AutomationSort
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import Automation, AutomationCore, EventTrigger, Posture

from flows.tracked.housekeeping import MANY, TAG
from storage.stores.settings import load_settings

PREFIX = "ganmill: "
MISSED = 3
"""So many heartbeats in a row must be missing."""
HEARTBEAT = "prefect.flow-run.heartbeat"
QUIET_STATES = (
    "Completed", "Failed", "TimedOut", "Crashed", "Cancelled", "Cancelling", "Paused", "Suspended",
    "AwaitingRetry",
)  # fmt: skip
"""After these a run owes no heartbeat."""
CRASHED = "prefect.flow-run.Crashed"
START_S = 3600
"""A machine with a GPU may have to be found and an image fetched first."""
PAUSE_S = 30
"""A crash may be reported twice, by runner and worker: a run starts so long after the last."""
MOVED_ON = ("Scheduled", "AwaitingRetry", "Pending", "Running", "Completed", "Failed", "Cancelled")
"""After these a crashed run needs nobody."""
OURS = {"prefect.resource.id": f"prefect.tag.{TAG}", "prefect.resource.role": "tag"}


def wanted_automations() -> tuple[AutomationCore, ...]:
    """Return what there should be, by the settings."""
    settings = load_settings()
    found = [_zombies(settings.heartbeat_s), _never_started()]
    if settings.reschedules:
        found.append(_reschedule(settings.reschedules))
    return tuple(found)


def ensure_automations() -> tuple[str, ...]:
    """Make or correct the automations, and return a sentence for each that was not as wanted.

    One that a person switched off stays off.

    Raises:
        SettingsError: a `GANMILL_*` variable cannot be understood.
    """
    wanted = wanted_automations()
    with get_client(sync_client=True) as client:
        there = client.read_automations(sort=AutomationSort.NAME_ASC, limit=MANY, offset=0)
        known = {one.name: one for one in there}
        said = [_ensure(client, one, known.get(one.name)) for one in wanted]
        for name in sorted(set(known) & _all_names() - {one.name for one in wanted}):
            client.delete_automation(known[name].id)
            said.append(f"removed the automation {name!r}")
    return tuple(sentence for sentence in said if sentence)


def _ensure(client: SyncPrefectClient, wanted: AutomationCore, known: Automation | None) -> str:
    if known is None:
        client.create_automation(wanted)
        return f"made the automation {wanted.name!r}"
    same = wanted.model_copy(update={"enabled": known.enabled})
    if _content(same) == _content(known):
        return ""
    client.update_automation(known.id, same)
    return f"changed the automation {wanted.name!r}"


def _content(automation: AutomationCore) -> dict[str, object]:
    return AutomationCore.model_validate(automation.model_dump()).model_dump()


def _all_names() -> set[str]:
    return {_zombies(30).name, _never_started().name, _reschedule(1).name}


def _zombies(heartbeat_s: int) -> AutomationCore:
    window_s = MISSED * heartbeat_s
    message = f"no heartbeat for {window_s} s: its process, worker or machine is gone"
    return AutomationCore(
        name=f"{PREFIX}a run without heartbeats is crashed",
        description=f"Its process, its worker or its machine is gone for {window_s} s.",
        trigger=_missing(HEARTBEAT, {HEARTBEAT, *map(_event, QUIET_STATES)}, window_s),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message=message)],
    )


def _never_started() -> AutomationCore:
    message = f"no process has started for {START_S} s: start a worker and run it again"
    return AutomationCore(
        name=f"{PREFIX}a run that never starts is crashed",
        description=f"It was handed to a worker {START_S} s ago, and no process has reported.",
        trigger=_missing(_event("Pending"), set(map(_event, ("Running", *QUIET_STATES))), START_S),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message=message)],
    )


def _reschedule(times: int) -> AutomationCore:
    starts = [str(count) for count in range(1, times + 1)]
    message = "crashed: started again by itself, continues where it was"
    again = ChangeFlowRunState(state=StateType.SCHEDULED, name="AwaitingRetry", message=message)
    return AutomationCore(
        name=f"{PREFIX}a crashed run starts again",
        description=f"At most {times} times, from its checkpoint and the shards that are there.",
        trigger=_missing(
            CRASHED, {CRASHED, *map(_event, MOVED_ON)}, PAUSE_S, {"prefect.run-count": starts}
        ),
        actions=[again],
    )


def _event(state: str) -> str:
    return f"prefect.flow-run.{state}"


def _missing(
    after: str, expect: set[str], within_s: int, match: Mapping[str, list[str]] | None = None
) -> EventTrigger:
    """Return what fires for a run of ours when none of the events follows in time."""
    return EventTrigger(
        posture=Posture.Proactive,
        match={"prefect.resource.id": "prefect.flow-run.*", **(match or {})},
        match_related=OURS,
        for_each={"prefect.resource.id"},
        after={after},
        expect=expect,
        threshold=1,
        within=timedelta(seconds=within_s),
    )
