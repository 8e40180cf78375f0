"""How a flow run and the process that does it start and end.

A run that is cancelled or whose worker stops gets SIGTERM, which Prefect turns into an exception in
the main thread; after thirty seconds it is killed. A cancelled run ends, a stopped one is handed
back to the workers. An error that a person can act on becomes the state of the run as one
sentence. A command that runs the flow in its own process shares a `Session` with it.
"""

import os
import select
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import nullcontext, suppress
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from functools import wraps
from time import monotonic, sleep
from typing import Annotated, Any, ParamSpec, TypeVar
from uuid import UUID

from httpx import HTTPError, TransportError
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import State
from prefect.client.schemas.sorting import TaskRunSort
from prefect.events.worker import EventsWorker
from prefect.exceptions import Abort, PrefectHTTPStatusError, TerminationSignal
from prefect.logging.handlers import APILogWorker
from prefect.settings import get_current_settings
from prefect.states import Cancelled, Completed, Crashed, Failed
from pydantic import Field
from pydantic.fields import FieldInfo

from flows.errors import FlowsError, one_line
from flows.job import Job, Outcome
from flows.prefect_defaults import FLUSH_S
from flows.progress import StopSignal
from flows.tracked.heartbeat import STOPPED, beating, ends_quietly
from gan.errors import GanError, Interrupted
from storage.errors import StorageError

FLUSH_TIMEOUT_S = 15.0
"""Longest wait, at the end of a run, for what Prefect sends in the background."""


@dataclass
class Session:
    """What a command and the flow run in the same process share."""

    job: Job
    outcome: Outcome | None = None
    run_id: UUID | None = None
    error: Exception | None = None
    """That ended the run, if a person can act on it."""


SESSION: ContextVar[Session | None] = ContextVar("SESSION", default=None)
"""Set by a command that runs a flow itself; None in a worker."""


def flush(run_id: UUID | None) -> None:
    """Wait until what was sent is written: a temporary server ends with this process.

    Prefect sends states of tasks, logs and events in the background, and its server writes them
    in batches.
    """
    EventsWorker.drain_all(timeout=FLUSH_TIMEOUT_S, at_exit=False)
    APILogWorker.drain_all(timeout=FLUSH_TIMEOUT_S, at_exit=False)
    if run_id is None or get_current_settings().api.url:
        return
    last_s = monotonic() + FLUSH_TIMEOUT_S
    with get_client(sync_client=True) as client, suppress(PrefectHTTPStatusError, HTTPError):
        while monotonic() < last_s and not _is_written(client, run_id):
            sleep(0.1)
    sleep(FLUSH_S)


def _is_written(client: SyncPrefectClient, run_id: UUID) -> bool:
    mine = FlowRunFilter(id=FlowRunFilterId(any_=[run_id]))
    runs = client.read_task_runs(flow_run_filter=mine, sort=TaskRunSort.ID_DESC, limit=100)
    return bool(runs) and all(run.state is not None and run.state.is_final() for run in runs)


GRACE_S = 20.0
"""Longest wait for the last checkpoint, out of the thirty seconds that Prefect gives."""
POLL_S = 0.5
"""How often a waiting thread wakes, since an exception may be raised in it."""
OUTPUTS = (1, 2)
"""Descriptors of standard output and standard error."""
EXPECTED = (FlowsError, GanError, StorageError, MemoryError, OSError)
"""Errors whose text is one sentence for the user; any other is a bug and shows as one."""

P = ParamSpec("P")
T = TypeVar("T")


def in_a_sentence(work: Callable[P, str]) -> Callable[P, State[Any]]:
    """Make a flow's function end in a state whose message is its sentence, or that of its error.

    A stop that was asked for is Cancelled, another expected error Failed; where Prefect's own
    server is away the run is Crashed, so that it starts again. A run whose worker stops is handed
    back, and its process ends as Prefect wants it. A command that runs the flow itself finds the
    error in its session, and sends no heartbeat.
    """

    @wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> State[Any]:
        attempt = None
        try:
            with beating() if SESSION.get() is None else nullcontext() as attempt:
                said = work(*args, **kwargs)
        except TerminationSignal:
            if ends_quietly(attempt):
                raise Abort(STOPPED) from None
            raise
        except EXPECTED as error:
            return _expected_end(error)
        except TransportError as error:
            if SESSION.get() is not None:
                raise
            return Crashed(message=f"Prefect's server could not be reached: {one_line(error)}")
        return Completed(message=said)

    return run


def _expected_end(error: Exception) -> State[Any]:
    session = SESSION.get()
    if session is not None:
        session.error = error
    if isinstance(error, Interrupted):
        return Cancelled(message="stopped: what is done is kept, run again to continue")
    return Failed(message=one_line(error) or type(error).__name__)


def run_cancellable(stop: StopSignal, work: Callable[[], T]) -> T:
    """Do work in a thread of its own; an interruption asks it to stop.

    Whatever interrupts the wait, such as Prefect's cancellation, asks for a stop; work that looks
    at `stop` by itself gets time for a last checkpoint.
    """
    done: Future[T] = Future()
    context = copy_context()

    def run() -> None:
        try:
            done.set_result(context.run(work))
        except BaseException as error:  # noqa: BLE001 - handed over to the thread that waits
            done.set_exception(error)

    threading.Thread(target=run, name="cancellable", daemon=True).start()
    try:
        while not wait([done], POLL_S).done:
            pass
    except BaseException:
        stop.ask()
        if stop.patient:
            wait([done], GRACE_S)
        raise
    return done.result()


def ignore_broken_pipe() -> None:
    """Go on when the worker that reads this process's output is gone, instead of a broken pipe."""
    readers = select.poll()
    for descriptor in OUTPUTS:
        readers.register(descriptor, 0)

    def look() -> None:
        left = set(OUTPUTS)
        while left:
            for descriptor, _ in readers.poll():
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, descriptor)
                os.close(nowhere)
                readers.unregister(descriptor)
                left.discard(descriptor)

    threading.Thread(target=look, name="broken-pipe", daemon=True).start()


def titled(title: str, **bounds: Any) -> FieldInfo:
    """Return what a parameter is annotated with to show a title of its own.

    Prefect overwrites `Field(title=…)` with the parameter's name; an extra of the
    schema stays.
    """
    field: FieldInfo = Field(json_schema_extra={"title": title}, **bounds)
    return field


RecipeName = Annotated[str, titled("Recipe", min_length=1)]
"""The name of a deployed recipe."""
