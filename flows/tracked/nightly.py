"""The whole job as one Prefect flow."""

import dataclasses
from datetime import UTC, date, datetime
from uuid import UUID

from prefect import flow, runtime
from prefect.exceptions import TerminationSignal

from flows.errors import BlockedError
from flows.job import Job, open_job
from flows.nightly import nightly
from flows.outcome import Outcome
from flows.progress import make_reporter
from flows.recipe import Recipe
from flows.tracked import show
from flows.tracked.session import SESSION, Session, settle
from flows.tracked.stages import tracked_stages
from storage.announce import Announcement


def run_tracked(job: Job) -> Outcome:
    """Run the job as a flow run, on the API in use or on Prefect's temporary server.

    Raises:
        KeyboardInterrupt: the process was asked to stop.
        StorageError, GanError: what the stages raise.
    """
    session = Session(job=job)
    token = SESSION.set(session)
    try:
        nightly_flow(job.recipe)
    except BlockedError:
        if session.outcome is None:
            raise
    except TerminationSignal:
        raise KeyboardInterrupt from None
    finally:
        SESSION.reset(token)
        settle(session.run_id)
    if session.outcome is None:
        msg = "the flow run ended without an outcome"
        raise RuntimeError(msg)
    return session.outcome


def _run_name() -> str:
    recipe = runtime.flow_run.parameters["recipe"]
    return f"{recipe.name}, seed {recipe.seed}, {scheduled_date():%Y-%m-%d}"


@flow(name="nightly", flow_run_name=_run_name, persist_result=False)
def nightly_flow(recipe: Recipe) -> None:
    """Train, judge, synthesize and publish what a recipe asks for.

    Raises:
        BlockedError: the gate let nobody publish; the run shows as failed, with the reason.
    """
    session = SESSION.get()
    if session is None:
        opened = open_job(recipe, scheduled=scheduled_date(), reporter=make_reporter())
        session = Session(job=opened)
    session.run_id = UUID(runtime.flow_run.id)
    job = tracked_job(session.job)
    outcome = nightly(job, tracked_stages(job))
    show.show_outcome(recipe.name, outcome)
    session.outcome = outcome
    if outcome.status == "blocked":
        raise BlockedError(outcome.reason)


def tracked_job(job: Job) -> Job:
    """Return the job with its words in the run's log and its events sent to Prefect."""

    def emit(announcement: Announcement) -> None:
        job.emit(announcement)
        show.emit(announcement)

    return dataclasses.replace(job, reporter=show.LoggingReporter(job.reporter), emit=emit)


def scheduled_date() -> date:
    """Return the night that this flow run belongs to; a retry keeps it."""
    start = runtime.flow_run.scheduled_start_time
    return (start or datetime.now(UTC)).date()
