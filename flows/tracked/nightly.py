"""The whole job as one Prefect flow."""

import dataclasses
from datetime import UTC, date, datetime
from typing import Annotated
from uuid import UUID

from prefect import flow, runtime
from prefect.exceptions import TerminationSignal

from flows.errors import BlockedError
from flows.job import Job, open_job
from flows.nightly import nightly
from flows.outcome import Outcome
from flows.progress import make_reporter
from flows.recipe import Recipe
from flows.tracked import events, show
from flows.tracked.approval import with_questions
from flows.tracked.form import titled
from flows.tracked.session import SESSION, Session, settle
from flows.tracked.stages import tracked_stages


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
def nightly_flow(recipe: Annotated[Recipe, titled("The job")]) -> None:
    """Train, judge, synthesize and publish what a recipe asks for.

    Args:
        recipe: The whole job; what is untouched is as the deployed recipe says.

    Raises:
        BlockedError: the gate let nobody publish; the run shows as failed, with the reason.
    """
    do_nightly(recipe)


def do_nightly(recipe: Recipe) -> None:
    """Do the whole job inside a flow run, and show what came of it.

    Raises:
        BlockedError: the gate let nobody publish.
    """
    session = SESSION.get() or Session(job=open_here(recipe))
    session.run_id = UUID(runtime.flow_run.id)
    job = tracked_job(session.job)
    outcome = nightly(job, with_questions(job, tracked_stages(job)))
    show.show_outcome(recipe.name, outcome)
    session.outcome = outcome
    if outcome.status == "blocked":
        raise BlockedError(outcome.reason)


def open_here(recipe: Recipe) -> Job:
    """Open the job of a recipe for the flow run that this process does."""
    return open_job(recipe, scheduled=scheduled_date(), reporter=make_reporter())


def tracked_job(job: Job) -> Job:
    """Return the job with its words in the run's log and its events sent to Prefect."""
    reporter = show.LoggingReporter(job.reporter)
    return dataclasses.replace(job, reporter=reporter, emit=events.send)


def scheduled_date() -> date:
    """Return the night that this flow run belongs to; a retry keeps it."""
    start = runtime.flow_run.scheduled_start_time
    return (start or datetime.now(UTC)).date()
