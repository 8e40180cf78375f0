"""A flow run in the process of a command: what the two tell each other, and a quiet end."""

from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from time import monotonic, sleep
from uuid import UUID

from httpx import HTTPError
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.sorting import TaskRunSort
from prefect.events.worker import EventsWorker
from prefect.exceptions import PrefectHTTPStatusError
from prefect.logging.handlers import APILogWorker
from prefect.settings import get_current_settings

from flows.job import Job
from flows.outcome import Outcome
from flows.prefect_manners import FLUSH_S

SETTLE_S = 15.0
"""Longest wait, at the end of a run, for what Prefect sends in the background."""


@dataclass
class Session:
    """What a command and the flow run in the same process tell each other."""

    job: Job
    outcome: Outcome | None = None
    run_id: UUID | None = None
    error: Exception | None = None
    """That ended the run, if a person can act on it."""


SESSION: ContextVar[Session | None] = ContextVar("SESSION", default=None)
"""Set by a command that runs a flow itself; None in a worker."""


def settle(run_id: UUID | None) -> None:
    """Wait until what was sent is written: a temporary server ends with this process.

    Prefect sends states of tasks, logs and events in the background, and its server writes them
    in batches.
    """
    EventsWorker.drain_all(timeout=SETTLE_S, at_exit=False)
    APILogWorker.drain_all(timeout=SETTLE_S, at_exit=False)
    if run_id is None or get_current_settings().api.url:
        return
    last_s = monotonic() + SETTLE_S
    with get_client(sync_client=True) as client, suppress(PrefectHTTPStatusError, HTTPError):
        while monotonic() < last_s and not _is_settled(client, run_id):
            sleep(0.1)
    sleep(FLUSH_S)


def _is_settled(client: SyncPrefectClient, run_id: UUID) -> bool:
    mine = FlowRunFilter(id=FlowRunFilterId(any_=[run_id]))
    runs = client.read_task_runs(flow_run_filter=mine, sort=TaskRunSort.ID_DESC, limit=100)
    return bool(runs) and all(run.state is not None and run.state.is_final() for run in runs)
