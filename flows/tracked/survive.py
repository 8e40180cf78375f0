"""How a run ends when it must, and how it outlives what started it.

A cancelled run is told by SIGTERM, which Prefect turns into an exception in the main thread; after
thirty seconds it is killed. An error that a person can act on becomes the state of the run as one
sentence.
"""

import os
import select
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextvars import copy_context
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from httpx import TransportError
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Crashed, Failed

from flows.errors import FlowsError
from flows.interrupt import StopSignal
from flows.tracked.session import SESSION
from gan.errors import GanError, Interrupted
from storage.errors import StorageError

GRACE_S = 20.0
"""Longest wait for the last checkpoint, out of the thirty seconds that Prefect gives."""
GLANCE_S = 0.5
"""How often a waiting thread looks up, since an exception may be meant for it."""
OUTPUTS = (1, 2)
"""Descriptors of standard output and standard error."""
EXPECTED = (FlowsError, GanError, StorageError, MemoryError, OSError)
"""Errors whose text is one sentence for the user; any other is a bug and shows as one."""

P = ParamSpec("P")
T = TypeVar("T")


def in_a_sentence(work: Callable[P, None]) -> Callable[P, State[Any] | None]:
    """Make a flow's function end in a state whose message is the sentence of its error.

    A stop that was asked for is Cancelled, another expected error Failed; where Prefect's own
    server is away the run is Crashed, so that it starts again. A command that runs the flow itself
    finds the error in its session.
    """

    @wraps(work)
    def told(*args: P.args, **kwargs: P.kwargs) -> State[Any] | None:
        try:
            work(*args, **kwargs)
        except EXPECTED as error:
            session = SESSION.get()
            if session is not None:
                session.error = error
            if isinstance(error, Interrupted):
                return Cancelled(message="stopped: what is done is kept, run again to continue")
            return Failed(message=" ".join(str(error).split()) or type(error).__name__)
        except TransportError as error:
            if SESSION.get() is not None:
                raise
            return Crashed(message=f"Prefect's server could not be reached: {error}")
        return None

    return told


def patiently(stop: StopSignal, work: Callable[[], T]) -> T:
    """Do work that may look at `stop` in a thread of its own, and let it end well.

    Whatever interrupts the wait, such as Prefect's cancellation, asks for a stop; while the work
    looks for that by itself it gets time for a last checkpoint.
    """
    done: Future[T] = Future()
    context = copy_context()

    def run() -> None:
        try:
            done.set_result(context.run(work))
        except BaseException as error:  # noqa: BLE001 - handed over to the thread that waits
            done.set_exception(error)

    threading.Thread(target=run, name="patient", daemon=True).start()
    try:
        while not wait([done], GLANCE_S).done:
            pass
    except BaseException:
        stop.ask()
        if stop.patient:
            wait([done], GRACE_S)
        raise
    return done.result()


def outlive_worker() -> None:
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

    threading.Thread(target=look, name="outlive-worker", daemon=True).start()
