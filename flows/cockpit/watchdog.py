"""What keeps runs alive without a person: every few seconds it looks at the state of every run.

It looks at states, not at events, which come late and out of order when a machine is busy. A run
that is Running and gives no sign of life for three heartbeats is crashed, unless its process holds
its lock on this machine; one that waits for a person, or for anything else, is not looked at. A run
that crashed is scheduled again, as the same run with the same night, and continues from its
checkpoint and the shards that are there; how often is bounded by the number of its crashes.

Several may watch at once. What is decided here and what the run does meanwhile cannot collide: the
server takes the first step, Lost, from a run that is Running at that moment and from no other.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from time import monotonic
from uuid import UUID, uuid4

from httpx import HTTPError
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import VariableCreate, VariableUpdate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterState,
    FlowRunFilterStateName,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateDetails, StateType
from prefect.client.schemas.responses import SetStateStatus
from prefect.client.schemas.sorting import AutomationSort, FlowRunSort
from prefect.events.filters import EventFilter, EventNameFilter, EventResourceFilter
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound, PrefectHTTPStatusError
from prefect.states import AwaitingRetry, Crashed, Failed

from flows.tracked.heartbeat import LABEL, LOST, parse_beat
from flows.tracked.housekeeping import MANY, OURS
from flows.tracked.process_lock import is_held, run_lock
from storage.stores.settings import Settings

MISSED = 3
"""So many heartbeats in a row must be missing."""
LEAST_S = 30
"""Between two of Prefect's own heartbeats, which a run of an older release sends."""
EVENT = "prefect.flow-run.heartbeat"
START_S = {"process": 600.0}
"""Longest wait for the process of a run, by the type of its work pool: it is started at once."""
LONGEST_START_S = 3600.0
"""Of other pools: a machine with a GPU may have to be found and an image fetched first."""
PAUSE_S = 30.0
"""A crash may be reported twice, by runner and worker: a run starts so long after the last."""
RECENT = timedelta(days=3)
"""A run that crashed before that is left as it is: its night is over."""
LONGEST_ROUND_S = 10.0
NOTE = "ganmill_watch"
"""Prefect's variable that says who watches, and when last."""
NOTE_AGE = timedelta(minutes=5)
ENDED = (StateType.COMPLETED, StateType.FAILED, StateType.CANCELLED)
RETIRED = (
    "ganmill: a run without heartbeats is crashed",
    "ganmill: a run that never starts is crashed",
    "ganmill: a crashed run starts again",
)
"""The automations that earlier releases made for the same purpose."""
SHORT = 200
"""Longest part of a crash's message that the next state repeats, in letters."""


@dataclass
class Quiet:
    """How long a run has given no sign of life."""

    sign: object
    """State and heartbeat as they were when it last did."""
    event: UUID | None = None
    """The last heartbeat that is an event, once it was looked for."""
    for_s: float = 0.0
    """Counted are rounds in which the server answered and took a note, and no pause between."""


@dataclass(kw_only=True)
class Watchdog:
    """Looks after the runs of every deployment of ours, whatever their pool."""

    settings: Settings
    by: str
    """Who watches: the worker's name."""
    say: Callable[[str], None]
    clock: Callable[[], float] = monotonic
    _quiet: dict[UUID, Quiet] = field(default_factory=dict)
    _last_s: float | None = None
    """When the last round succeeded; None after a failure."""

    @property
    def interval_s(self) -> float:
        """Seconds between two rounds."""
        return max(1.0, min(LONGEST_ROUND_S, self.settings.heartbeat_s / MISSED))

    def watch(self, over: threading.Event) -> None:
        """Look again and again until told to end; where the API is away, wait for it."""
        while not over.is_set():
            try:
                with get_client(sync_client=True) as client:
                    self.look(client)
            except (HTTPError, ObjectNotFound):
                pass  # it is away or busy, or what was looked at is deleted
            except Exception as error:  # noqa: BLE001 - the runs of every night depend on this loop
                self.say(f"looking after the runs failed and goes on: {error!r}")
            over.wait(self.interval_s)

    def look(self, client: SyncPrefectClient) -> None:
        """Look once, and do what is to be done.

        Raises:
            HTTPError: the API failed; the time until the next success counts for no run.
        """
        started_s, last_s, self._last_s = self.clock(), self._last_s, None
        leave_note(client, self.by)
        passed_s = 0.0 if last_s is None else min(started_s - last_s, 2 * self.interval_s)
        if self.clock() - started_s > self.interval_s:  # heartbeats have to wait as long
            passed_s = 0.0
        found = _watched(client)
        self._quiet = {run.id: self._count(run, passed_s) for run in found}
        for run in found:
            self._judge(client, run, self._quiet[run.id])
        self._last_s = started_s

    def _count(self, run: FlowRun, passed_s: float) -> Quiet:
        sign = (_state(run).id, run.labels.get(LABEL))
        known = self._quiet.get(run.id)
        if known is None or known.sign != sign:
            return Quiet(sign=sign)
        known.for_s += passed_s
        return known

    def _judge(self, client: SyncPrefectClient, run: FlowRun, quiet: Quiet) -> None:
        state = _state(run)
        if state.type == StateType.RUNNING:
            self._judge_running(client, run, quiet)
        elif state.type == StateType.PENDING and quiet.for_s >= min(START_S.values()):
            wait_s = _start_s(client, run)
            if quiet.for_s >= wait_s:
                why = f"no process has started for {wait_s:.0f} s: is a worker of its pool at work?"
                self._crash(client, run, why)
        elif state.type == StateType.PAUSED:
            self._crash(client, run, state.message or "no heartbeat")
        elif state.type == StateType.CRASHED and quiet.for_s >= PAUSE_S and run.deployment_id:
            self._after_crash(client, run, state)

    def _judge_running(self, client: SyncPrefectClient, run: FlowRun, quiet: Quiet) -> None:
        beat_s = parse_beat(run.labels.get(LABEL)) or max(self.settings.heartbeat_s, LEAST_S)
        if quiet.for_s < beat_s:
            return
        event = _last_event(client, run)
        if event != quiet.event:
            was_known, quiet.event = quiet.event is not None, event
            if was_known:
                quiet.for_s = 0.0
        if quiet.for_s < MISSED * beat_s:
            return
        if is_held(run_lock(self.settings.work_folder, run.id)):
            quiet.for_s = 0.0  # its process lives, on this machine
            return
        why = f"no heartbeat for {MISSED * beat_s} s: its process, worker or machine is gone"
        if lose(client, run.id, why):
            self._crash(client, run, why)

    def _crash(self, client: SyncPrefectClient, run: FlowRun, why: str) -> None:
        self._set(client, run, Crashed(message=why))

    def _set(self, client: SyncPrefectClient, run: FlowRun, state: State[None]) -> None:
        if client.set_flow_run_state(run.id, state).status == SetStateStatus.ACCEPT:
            self.say(f"{run.name}: {state.message}")

    def _after_crash(self, client: SyncPrefectClient, run: FlowRun, state: State[None]) -> None:
        most = self.settings.reschedules
        if not most:
            return
        states = sorted(client.read_flow_run_states(run.id), key=lambda one: one.timestamp)
        if states[-1].id != state.id:  # somebody was faster
            return
        crashes, why = count_crashes(states), _short(state.message)
        if crashes > most:
            message = (
                f"crashed {crashes} times, at last: {why}; it is not started again by itself: "
                "look into its log and press Retry"
            )
            self._set(client, run, Failed(message=message))
            return
        message = (
            f"crashed ({why}): starts again by itself, {crashes} of {most} times, and continues "
            "where it was"
        )
        self._set(client, run, AwaitingRetry(message=message))


def lose(client: SyncPrefectClient, run: UUID, why: str) -> bool:
    """Take a run out of Running; False when it is in another state by now, which then stays.

    Lost is of type Paused, which the server takes from Running alone.
    """
    details = StateDetails(pause_key=f"lost-{uuid4()}", pause_reschedule=False)
    lost: State[None] = State(type=StateType.PAUSED, name=LOST, message=why, state_details=details)
    return client.set_flow_run_state(run, lost).status == SetStateStatus.ACCEPT


def count_crashes(states: list[State[None]]) -> int:
    """Return how often a run has crashed since it last ended in another way, from its states."""
    crashes = 0
    for state in states:
        if state.type == StateType.CRASHED:
            crashes += 1
        elif state.type in ENDED:
            crashes = 0
    return crashes


def leave_note(client: SyncPrefectClient, by: str) -> None:
    """Say at the API that somebody watches."""
    value = {"by": by, "at": datetime.now(UTC).isoformat()}
    try:
        client.update_variable(VariableUpdate(name=NOTE, value=value))
    except PrefectHTTPStatusError as error:
        if error.response.status_code != HTTPStatus.NOT_FOUND:
            raise
        with suppress(ObjectAlreadyExists):
            client.create_variable(VariableCreate(name=NOTE, value=value))


def is_watched() -> bool:
    """Say whether somebody has looked after the runs at the API in use a moment ago."""
    with get_client(sync_client=True) as client:
        note = client.read_variable_by_name(NOTE)
    if note is None or not isinstance(note.value, dict):
        return False
    try:
        at = datetime.fromisoformat(str(note.value.get("at")))
    except ValueError:
        return False
    return at.tzinfo is not None and datetime.now(UTC) - at < NOTE_AGE


def remove_automations() -> tuple[str, ...]:
    """Delete the automations that earlier releases made, and say which.

    They judged by the order of events: a run that waited for a person could be crashed by them.
    """
    with get_client(sync_client=True) as client:
        there = client.read_automations(sort=AutomationSort.NAME_ASC, limit=MANY, offset=0)
        old = [one for one in there if one.name in RETIRED]
        for one in old:
            client.delete_automation(one.id)
    return tuple(f"removed the automation {one.name!r}" for one in old)


def _watched(client: SyncPrefectClient) -> list[FlowRun]:
    """Return the runs that may need somebody, those that are Lost included."""
    since = FlowRunFilterEndTime.model_validate({"after_": datetime.now(UTC) - RECENT})
    wanted = (
        FlowRunFilter(tags=OURS, state=_of_type(StateType.RUNNING, StateType.PENDING)),
        FlowRunFilter(tags=OURS, state=_of_type(StateType.CRASHED), end_time=since),
        FlowRunFilter(
            tags=OURS, state=FlowRunFilterState(name=FlowRunFilterStateName(any_=[LOST]))
        ),
    )
    found = (run for each in wanted for run in _read_all(client, each))
    return [run for run in found if run.state is not None]


def _of_type(*types: StateType) -> FlowRunFilterState:
    return FlowRunFilterState(type=FlowRunFilterStateType(any_=list(types)))


def _read_all(client: SyncPrefectClient, wanted: FlowRunFilter) -> list[FlowRun]:
    found: list[FlowRun] = []
    while len(found) % MANY == 0:
        page = client.read_flow_runs(
            flow_run_filter=wanted, sort=FlowRunSort.ID_DESC, limit=MANY, offset=len(found)
        )
        if not page:
            break
        found += page
    return found


def _state(run: FlowRun) -> State[None]:
    if run.state is None:  # never: `_watched` leaves such runs out
        msg = f"the run {run.id} has no state"
        raise ValueError(msg)
    return run.state


def _start_s(client: SyncPrefectClient, run: FlowRun) -> float:
    if run.work_pool_name is None:
        return LONGEST_START_S
    return START_S.get(client.read_work_pool(run.work_pool_name).type, LONGEST_START_S)


def _last_event(client: SyncPrefectClient, run: FlowRun) -> UUID | None:
    resource = EventResourceFilter(id=[f"prefect.flow-run.{run.id}"])
    wanted = EventFilter(event=EventNameFilter(name=[EVENT]), resource=resource)
    found = client.read_events(wanted, limit=1).events
    return found[0].id if found else None


def _short(message: str | None) -> str:
    text = " ".join((message or "no reason given").split()).rstrip(".")
    return text if len(text) <= SHORT else f"{text[: SHORT - 3]}..."
