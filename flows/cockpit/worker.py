"""The worker: Prefect's own, which looks after the runs beside its work, and stops cleanly.

Prefect's worker kills its runs when it stops. This one first asks each to end: a run writes its
last checkpoint, hands itself back as "stopped, will continue", and the next worker goes on. A
worker that has a name holds a lock in the work folder, so that nobody takes the record of a dead
one at the API for it.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from platform import node
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import anyio
from anyio.abc import TaskStatus
from httpx import HTTPError
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.plugins import load_prefect_collections
from prefect.utilities.dispatch import lookup_type
from prefect.workers.base import BaseWorker
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker, ProcessWorkerResult

from flows.cockpit.deployments import check_login, last_heartbeat
from flows.cockpit.watchdog import Watchdog
from flows.errors import DONE, TRAINING, RecipeError
from flows.prefect_defaults import log_to_console
from flows.tracked.process_lock import held, is_held, worker_lock
from storage.stores.settings import load_settings

if TYPE_CHECKING:
    AnyWorker = BaseWorker[Any, Any, Any]

GRACE_S = 30.0
"""What Prefect gives a run that is cancelled."""
REPORT_S = 5.0
"""Longest wait, after that, for what the worker reports of runs that had to be killed."""
POLL_S = 0.2
ASK_AGAIN_S = 5.0


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """What a worker is started with."""

    pool: str
    name: str | None = None
    """Of the worker at the API; None makes one of the machine's, and there is no lock."""
    limit: int | None = None
    """How many runs it does at once; None: as many as there are."""
    kind: str | None = None
    """Type of the worker; None takes the work pool's."""
    with_healthcheck: bool = False
    """Whether it answers at `/health` of `PREFECT_WORKER_WEBSERVER_HOST`."""


HEARD_S = 75.0
"""A worker is heard every thirty seconds; a busy one somewhat later."""


def is_at_work(name: str, pool: str, work_folder: Path, say: Callable[[str], None]) -> bool:
    """Say whether a worker of that name lives, which its record at the API does not tell.

    Its lock does. Where there was never one, a worker of another folder or release may have left
    the record: then it is waited for until it is heard again.
    """
    known = is_held(worker_lock(work_folder, name, pool))
    if known is not None:
        return known
    heard = last_heartbeat(name, pool)
    if heard is None:
        return False
    say(f"Waiting   for a sign of worker {name}, {HEARD_S:.0f} s at most")
    last_s = monotonic() + HEARD_S
    while monotonic() < last_s:
        sleep(ASK_AGAIN_S)
        if last_heartbeat(name, pool) not in (None, heard):
            return True
    return False


class StoppingWorker(ProcessWorker):
    """Prefect's worker of processes, with an end at which its runs are asked first."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._runs = 0
        self._processes = set[int]()
        self._is_stopping = False

    @classmethod
    def __dispatch_key__(cls) -> str:
        """Return what Prefect registers this class under, beside its own of the same type."""
        return "ganmill-process"

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Take the runs that are due, none while stopping."""
        return [] if self._is_stopping else await super().get_and_submit_flow_runs()

    async def run(
        self,
        flow_run: FlowRun,
        configuration: ProcessJobConfiguration,
        task_status: TaskStatus[int] | None = None,
    ) -> ProcessWorkerResult:
        """Do one run in a process of its own, and keep the process's id meanwhile."""
        noted = _Noted(self._processes, task_status)
        self._runs += 1
        try:
            return await super().run(flow_run, configuration, cast("TaskStatus[int]", noted))
        finally:
            self._runs -= 1
            self._processes -= noted.mine

    async def end_runs(self) -> None:
        """Take no more runs, ask those under way to end, and kill what has not after a while."""
        self._is_stopping = True
        asked, last_s = set[int](), monotonic() + GRACE_S
        while self._runs and monotonic() < last_s:
            for process in self._processes - asked:
                _signal(process, signal.SIGTERM)
            asked |= self._processes
            await anyio.sleep(POLL_S)
        for process in set(self._processes):
            _signal(process, signal.SIGKILL)
        last_s = monotonic() + REPORT_S
        while self._runs and monotonic() < last_s:
            await anyio.sleep(POLL_S)


class _Noted:
    """Tells a worker's caller that a process has started, and keeps its id."""

    def __init__(self, all_: set[int], to: TaskStatus[int] | None) -> None:
        self.mine = set[int]()
        self._all, self._to = all_, to

    def started(self, value: int | None = None) -> None:
        """Take the id of the process."""
        if value is not None:
            self.mine.add(value)
            self._all.add(value)
        if self._to is not None:
            cast("TaskStatus[int | None]", self._to).started(value)


def _signal(process: int, number: signal.Signals) -> None:
    """Send a signal to the process of a run and to all that it started: it leads their group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process, number)


def serve(options: WorkerOptions) -> int:
    """Work until asked to stop.

    Raises:
        RecipeError: there is no worker of that type, or the API refuses the login.
        EngineError: one of that name is at work already.
    """
    log_to_console()
    if options.name is None:
        return asyncio.run(_serve(options))
    lock = worker_lock(load_settings().work_folder, options.name, options.pool)
    with held(lock):
        return asyncio.run(_serve(options))


async def _serve(options: WorkerOptions) -> int:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    kind = options.kind or await _pool_type(options.pool, stopping)
    if kind is None:
        return DONE
    worker = _make_worker(kind, options)
    over = threading.Event()
    _start_watching(worker.name, over)
    work = asyncio.create_task(worker.start(with_healthcheck=options.with_healthcheck))
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
    try:
        if not work.done():
            if isinstance(worker, StoppingWorker):
                await worker.end_runs()
            work.cancel()
        await work
    except asyncio.CancelledError:
        return DONE
    finally:
        over.set()
        stop.cancel()
    return TRAINING


async def _pool_type(pool: str, stopping: asyncio.Event) -> str | None:
    """Return the type of a work pool, once the API answers; None when asked to stop before."""
    while not stopping.is_set():
        try:
            async with get_client() as client:
                return (await client.read_work_pool(pool)).type
        except ObjectNotFound:
            return ProcessWorker.type
        except HTTPError as error:
            if isinstance(error, PrefectHTTPStatusError):
                check_login(error)
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), ASK_AGAIN_S)
    return None


def _make_worker(kind: str, options: WorkerOptions) -> "AnyWorker":
    name = options.name or f"ganmill {node()} {uuid4().hex[:8]}"
    given = {"work_pool_name": options.pool, "name": name, "limit": options.limit}
    if kind == StoppingWorker.type:
        return StoppingWorker(**given)
    load_prefect_collections()
    try:
        found = cast("type[AnyWorker]", lookup_type(BaseWorker, kind))
    except KeyError:
        msg = (
            f"work pool {options.pool!r} is of type {kind!r}, and no worker of that type is "
            f"installed: install prefect-{kind}, or name another --pool"
        )
        raise RecipeError(msg) from None
    return found(**cast("Any", given))


def _start_watching(name: str, over: threading.Event) -> None:
    watchdog = Watchdog(settings=load_settings(), by=name, say=_say)
    threading.Thread(target=watchdog.watch, args=(over,), name="watchdog", daemon=True).start()


def _say(text: str) -> None:
    os.write(1, f"{text}\n".encode())
