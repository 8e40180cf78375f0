"""A run says that it is alive, and, when it is stopped, that it goes on later.

The heartbeat is a label of the flow run, set straight at the API: unlike an event it cannot arrive
late or out of order. It holds how often it comes, so that whoever watches needs no setting of the
worker. Whoever watches on the same machine is told better: by a lock that the process holds as long
as it lives. A process that finds that its run is not its own any more ends itself.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from httpx import HTTPError
from prefect import runtime
from prefect._internal.control_listener import get_intent
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import ObjectNotFound
from prefect.states import AwaitingRetry

from flows.errors import EngineError
from flows.tracked.process_lock import held, run_lock
from storage.stores.settings import load_settings

LABEL = "ganmill.heartbeat"
"""Of a flow run: `<beats so far>/<seconds between two>`."""
STOPPED = "stopped, will continue: what is done is kept, the next worker goes on from there"
"""What the state of a run says whose process was asked to end."""
SHUTDOWN_TIMEOUT_S = 2.0
LOST = "Lost"
"""Name of the state of a run whose process is taken for dead."""
OWN = (StateType.RUNNING, StateType.CANCELLING)
"""States in which a process is at work."""


@dataclass(frozen=True, kw_only=True)
class RunStart:
    """One start of a flow run of a deployment: the one that this process does."""

    run: UUID
    number: int
    """So many starts of the run there were, this one included."""


def beat_label(count: int, interval_s: int) -> str:
    """Return the value of the label after so many beats."""
    return f"{count}/{interval_s}"


def parse_beat(label: object) -> int | None:
    """Return the seconds between two beats that a label names; None where it is none of ours."""
    count, slash, interval = str(label).partition("/")
    return int(interval) if slash and count.isdecimal() and interval.isdecimal() else None


@contextmanager
def beating() -> Iterator[RunStart | None]:
    """Send heartbeats of the flow run of this process within the block.

    None, and no heartbeat, outside a run of a deployment, and when the API cannot be asked.
    """
    attempt = _this_attempt()
    if attempt is None:
        yield None
        return
    over = threading.Event()
    beats = threading.Thread(
        target=copy_context().run, args=(_beat, attempt, over), name="heartbeat", daemon=True
    )
    beats.start()
    lock = run_lock(load_settings().work_folder, attempt.run)
    try:
        with _held_if_possible(lock):
            yield attempt
    finally:
        over.set()
        beats.join(SHUTDOWN_TIMEOUT_S)


@contextmanager
def _held_if_possible(lock: Path) -> Iterator[None]:
    """Hold a lock within the block, and remove it; where another process has it, do without."""
    with ExitStack() as stack:
        with suppress(EngineError, OSError):
            stack.enter_context(held(lock))
            stack.callback(lock.unlink, missing_ok=True)
        yield


def _this_attempt() -> RunStart | None:
    run = runtime.flow_run.id
    if run is None or runtime.deployment.id is None:
        return None
    with get_client(sync_client=True) as client, suppress(HTTPError, ObjectNotFound):
        return RunStart(run=UUID(run), number=client.read_flow_run(UUID(run)).run_count)
    return None


def _beat(attempt: RunStart, over: threading.Event) -> None:
    interval_s, count = load_settings().heartbeat_s, 0
    with get_client(sync_client=True) as client:
        while not over.is_set():
            count += 1
            with suppress(HTTPError, ObjectNotFound):
                client.update_flow_run_labels(attempt.run, {LABEL: beat_label(count, interval_s)})
                if not is_own(client.read_flow_run(attempt.run), attempt) and not over.is_set():
                    os.kill(os.getpid(), signal.SIGTERM)
                    return
            over.wait(interval_s)


def is_own(run: FlowRun, attempt: RunStart) -> bool:
    """Say whether a run is still this process's: nobody has taken it for lost or started it again.

    One that is cancelled, or about to wait for a person, is.
    """
    state = run.state
    if state is None or run.run_count != attempt.number:
        return False
    return state.type in OWN or (state.type == StateType.PAUSED and state.name != LOST)


def ends_quietly(attempt: RunStart | None) -> bool:
    """Hand a run that is to stop back to the workers, and say whether its process may just end.

    It may where the run is not this process's any more: it was started again, it waits for a
    person, or it has ended. False where Prefect is to say how it ended: it is cancelled, or the API
    cannot be asked.
    """
    if attempt is None or get_intent() is not None:
        return False
    with get_client(sync_client=True) as client, suppress(HTTPError, ObjectNotFound):
        run = client.read_flow_run(attempt.run)
        if run.run_count > attempt.number:
            return True
        if run.state is None or run.state.type != StateType.RUNNING:
            return run.state is not None and run.state.type != StateType.CANCELLING
        again: State[None] = AwaitingRetry(message=STOPPED)
        return client.set_flow_run_state(attempt.run, again).status == SetStateStatus.ACCEPT
    return False
