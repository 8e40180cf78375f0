"""The whole job as one Prefect flow."""

import dataclasses
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime
from typing import Annotated, Any
from uuid import UUID

from prefect import flow, runtime
from prefect.exceptions import TerminationSignal

from flows.errors import BlockedError
from flows.job import Job, open_job
from flows.nightly import nightly
from flows.outcome import Outcome
from flows.progress import make_reporter
from flows.recipe import Recipe
from flows.recipe_file import parse_recipe
from flows.tracked import events, show
from flows.tracked.approval import with_questions
from flows.tracked.form import titled
from flows.tracked.session import SESSION, Session, settle
from flows.tracked.slot import held, usual_pool
from flows.tracked.stages import tracked_stages
from flows.tracked.survive import in_a_sentence, outlive_worker


def run_tracked(job: Job) -> Outcome:
    """Run the job as a flow run, on the API in use or on Prefect's temporary server.

    Raises:
        KeyboardInterrupt: the process was asked to stop.
        StorageError, GanError: what the stages raise.
    """
    session = Session(job=job)
    token = SESSION.set(session)
    try:
        state = nightly_flow(job.recipe, return_state=True)
    except TerminationSignal:
        raise KeyboardInterrupt from None
    finally:
        SESSION.reset(token)
        settle(session.run_id)
    if session.outcome is None:
        if session.error is not None:
            raise session.error
        state.result()
        msg = "the flow run ended without an outcome"
        raise RuntimeError(msg)
    return session.outcome


def _run_name() -> str:
    given = runtime.flow_run.parameters["recipe"]
    asked = given.model_dump() if isinstance(given, Recipe) else given
    return f"{asked.get('name')}, seed {asked.get('seed', 0)}, {scheduled_date():%Y-%m-%d}"


# A wrong recipe is told by our sentence: Prefect's validation shows pydantic's list.
@flow(name="nightly", flow_run_name=_run_name, persist_result=False, validate_parameters=False)
@in_a_sentence
def nightly_flow(recipe: Annotated[Recipe, titled("The job")]) -> None:
    """Train, judge, synthesize and publish what a recipe asks for.

    Args:
        recipe: The whole job; what is untouched is as the deployed recipe says.

    Raises:
        BlockedError: the gate let nobody publish; the run shows as failed, with the reason.
    """
    do_nightly(as_recipe(recipe))


def as_recipe(given: Recipe | Mapping[str, Any]) -> Recipe:
    """Return the recipe of a run: of a command as it is, of the run form from plain values.

    Raises:
        RecipeError: the form holds no valid recipe.
    """
    return given if isinstance(given, Recipe) else parse_recipe(given)


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
    outlive_worker()
    return open_job(recipe, scheduled=scheduled_date(), reporter=make_reporter())


def tracked_job(job: Job) -> Job:
    """Return the job with its words in the run's log and its events sent to Prefect."""
    reporter = show.LoggingReporter(job.reporter, job.name)

    def gpu_slot() -> AbstractContextManager[object]:
        return held(usual_pool(), job.stop, reporter.say)

    return dataclasses.replace(job, reporter=reporter, emit=events.send, gpu_slot=gpu_slot)


def scheduled_date() -> date:
    """Return the night that this flow run belongs to; a retry keeps it."""
    start = runtime.flow_run.scheduled_start_time
    return (start or datetime.now(UTC)).date()
