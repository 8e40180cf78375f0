"""The job as a Prefect flow: the same stages, each wrapped as a task.

The only module that imports Prefect. Tasks that touch a store or the source are tried again when
the fault is a passing one; training, judging and deciding are not. Nothing is persisted by Prefect:
results are in the lake, and parameters hold the recipe, never a credential.
"""

import dataclasses
from contextlib import AbstractContextManager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, date, datetime
from time import monotonic, sleep
from typing import Any
from uuid import UUID

from httpx import HTTPError
from prefect import flow, get_run_logger, runtime, task
from prefect.artifacts import create_image_artifact, create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import State, TaskRun
from prefect.client.schemas.sorting import TaskRunSort
from prefect.events import emit_event
from prefect.events.worker import EventsWorker
from prefect.exceptions import PrefectHTTPStatusError, TerminationSignal
from prefect.logging.handlers import APILogWorker
from prefect.settings import get_current_settings

from flows.artifacts import outcome_markdown, samples_markdown, samples_uri, verdict_markdown
from flows.errors import BlockedError
from flows.job import Job, open_job
from flows.nightly import nightly
from flows.outcome import Outcome
from flows.prefect_manners import FLUSH_S
from flows.progress import Meter, Reporter, make_reporter
from flows.recipe import Recipe
from flows.results import Assessed, Candidate, Choice, Made
from flows.stages import Stages, plain_stages
from storage.announce import Announcement
from storage.errors import DeadlineError, RetryableError
from storage.sources.prepared import Prepared

RETRY_DELAYS_S = [10.0, 60.0]
"""The retry layer of the stores has given up by then; a longer outage may be over."""
SETTLE_S = 15.0
"""Longest wait, at the end of a run, for what Prefect sends in the background."""


@dataclass
class _Session:
    """What a command and the flow run in the same process tell each other."""

    job: Job
    outcome: Outcome | None = None
    run_id: UUID | None = None


_SESSION: ContextVar[_Session | None] = ContextVar("_SESSION", default=None)


def run_tracked(job: Job) -> Outcome:
    """Run the job as a flow run, on the API in use or on Prefect's temporary server.

    Raises:
        KeyboardInterrupt: the process was asked to stop.
        StorageError, GanError: what the stages raise.
    """
    session = _Session(job=job)
    token = _SESSION.set(session)
    try:
        nightly_flow(job.recipe)
    except BlockedError:
        if session.outcome is None:
            raise
    except TerminationSignal:
        raise KeyboardInterrupt from None
    finally:
        _SESSION.reset(token)
        _settle(session.run_id)
    if session.outcome is None:
        msg = "the flow run ended without an outcome"
        raise RuntimeError(msg)
    return session.outcome


def _settle(run_id: UUID | None) -> None:
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


def _run_name() -> str:
    recipe = runtime.flow_run.parameters["recipe"]
    return f"{recipe.name}, seed {recipe.seed}, {_scheduled():%Y-%m-%d}"


@flow(name="ganmill", flow_run_name=_run_name, persist_result=False)
def nightly_flow(recipe: Recipe) -> None:
    """Train, judge, synthesize and publish what a recipe asks for.

    Raises:
        BlockedError: the gate let nobody publish; the run shows as failed, with the reason.
    """
    session = _SESSION.get()
    if session is None:
        opened = open_job(recipe, scheduled=_scheduled(), reporter=make_reporter())
        session = _Session(job=opened)
    session.run_id = UUID(runtime.flow_run.id)
    before = session.job

    def emit(announcement: Announcement) -> None:
        before.emit(announcement)
        _emit(announcement)

    job = dataclasses.replace(before, reporter=_LoggingReporter(before.reporter), emit=emit)
    outcome = nightly(job, tracked_stages(job))
    create_markdown_artifact(outcome_markdown(outcome), key=f"{recipe.name}-outcome")
    session.outcome = outcome
    if outcome.status == "blocked":
        raise BlockedError(outcome.reason)


def _scheduled() -> date:
    start = runtime.flow_run.scheduled_start_time
    return (start or datetime.now(UTC)).date()


def _is_passing(task_: Any, run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001 - Prefect's signature
    """Say whether trying again can help: a fault of a store that comes and goes."""
    return isinstance(state.result(raise_on_failure=False), RetryableError | DeadlineError)


def tracked_stages(job: Job) -> Stages:
    """Return the stages of a job as Prefect tasks."""
    plain = plain_stages(job)
    stores: dict[str, Any] = {
        "retries": len(RETRY_DELAYS_S),
        "retry_delay_seconds": RETRY_DELAYS_S,
        "retry_condition_fn": _is_passing,
    }
    quiet: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": False}

    @task(name="prepare", **stores, **quiet)
    def prepare() -> Prepared:
        return plain.prepare()

    @task(name="train", **quiet)
    def train(prepared: Prepared) -> Candidate:
        return plain.train(prepared)

    @task(name="evaluate", **quiet)
    def evaluate(prepared: Prepared, candidate: Candidate) -> Assessed:
        assessed = plain.evaluate(prepared, candidate)
        _show_verdict(job.name, assessed)
        return assessed

    @task(name="decide", **quiet)
    def decide(candidate: Candidate, assessed: Assessed) -> Choice:
        return plain.decide(candidate, assessed)

    @task(name="synthesize", **stores, **quiet)
    def synthesize(prepared: Prepared, choice: Choice) -> Made:
        return plain.synthesize(prepared, choice)

    @task(name="publish", **stores, **quiet)
    def publish(prepared: Prepared, choice: Choice, made: Made) -> Outcome:
        return plain.publish(prepared, choice, made)

    return Stages(
        prepare=prepare,
        train=train,
        evaluate=evaluate,
        decide=decide,
        synthesize=synthesize,
        publish=publish,
    )


def _show_verdict(name: str, assessed: Assessed) -> None:
    report = assessed.challenger.report
    create_markdown_artifact(verdict_markdown(report), key=f"{name}-verdict")
    grid = samples_uri(report)
    if grid is not None:
        create_image_artifact(grid, key=f"{name}-samples", description="Synthetic samples by class")
    rows = samples_markdown(report)
    if rows is not None:
        create_markdown_artifact(rows, key=f"{name}-samples")


def _emit(announcement: Announcement) -> None:
    emit_event(
        announcement.event,
        resource={"prefect.resource.id": announcement.resource},
        payload=dict(announcement.payload),
    )


@dataclass(frozen=True)
class _LoggingReporter:
    """Tells the terminal, and the run's log in the UI."""

    shown: Reporter

    def say(self, text: str) -> None:
        self.shown.say(text)
        get_run_logger().info(text)

    def meter(
        self, title: str, unit: str, total: int | None = None
    ) -> AbstractContextManager[Meter]:
        get_run_logger().info(title)
        return self.shown.meter(title, unit, total)
