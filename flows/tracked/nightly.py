"""The whole job as one Prefect flow: its stages as sequential tasks.

Tasks that touch a store or the source are tried again when the fault is a passing one; training,
judging and deciding are not.
"""

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

from prefect import flow, runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.exceptions import TerminationSignal
from prefect.utilities.annotations import opaque, quote

from flows.errors import BlockedError
from flows.job import Assessed, Candidate, Choice, Job, Outcome, Stages, SynthesisResult, open_job
from flows.nightly import nightly, plain_stages
from flows.progress import make_reporter
from flows.recipe import Recipe, parse_recipe
from flows.tracked import show
from flows.tracked.approval import with_questions
from flows.tracked.gpu_lease import gpu_lease
from flows.tracked.messages import clear_marks
from flows.tracked.process import (
    SESSION,
    Session,
    flush,
    ignore_broken_pipe,
    in_a_sentence,
    run_cancellable,
    titled,
)
from flows.tracked.run_names import given_name
from flows.tracked.show import show_end, show_verdict
from storage.errors import DeadlineError, RetryableError
from storage.sources.prepared import Prepared
from storage.stores.settings import load_settings

T = TypeVar("T")


def in_sequence(task: Callable[..., T], last: list[Any]) -> Callable[..., T]:
    """Return a task as a function that has its run wait for the last one, and for nothing else.

    By itself Prefect looks through everything that a task is given and draws an arrow from each
    task that any part of it may come from: a web of arrows, and seconds for a large report.
    `last` holds the last result that is not None, for all tasks of the sequence.
    """

    def run(*given: Any) -> T:
        result = task(*map(quote, given), wait_for=[opaque(each) for each in last])
        if result is not None:
            last[:] = [result]
        return result

    return run


RETRY_DELAYS_S = [10.0, 60.0]
"""The retry layer of the stores has given up by then; a longer outage may be over."""


def is_passing(task_: Any, run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001 - Prefect's signature
    """Say whether trying again can help: a fault of a store that comes and goes."""
    return isinstance(state.result(raise_on_failure=False), RetryableError | DeadlineError)


STORES: dict[str, Any] = {
    "retries": len(RETRY_DELAYS_S),
    "retry_delay_seconds": RETRY_DELAYS_S,
    "retry_condition_fn": is_passing,
}
"""Of a task that touches a store or the source."""
QUIET: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": False}
"""Of every task: its result is in the lake."""


def tracked_stages(job: Job) -> Stages:
    """Return the stages of a job as Prefect tasks."""
    plain = plain_stages(job)

    @task(name="prepare", **STORES, **QUIET)
    def prepare() -> Prepared:
        return plain.prepare()

    @task(name="train", **QUIET)
    def train(prepared: Prepared) -> Candidate:
        return run_cancellable(job.stop, lambda: plain.train(prepared))

    @task(name="gate", **QUIET)
    def gate(assessed: Assessed) -> Choice:
        return plain.gate(assessed)

    @task(name="promote", **QUIET)
    def promote(assessed: Assessed, choice: Choice) -> Choice:
        return plain.promote(assessed, choice)

    @task(name="synthesize", **STORES, **QUIET)
    def synthesize(prepared: Prepared, choice: Choice) -> SynthesisResult:
        return plain.synthesize(prepared, choice)

    @task(name="publish", **STORES, **QUIET)
    def publish(prepared: Prepared, choice: Choice, made: SynthesisResult) -> Outcome:
        return plain.publish(prepared, choice, made)

    last: list[Any] = []
    may_watch = job.recipe.training.when == "interval"
    measures_lift = job.recipe.lift.when != "never"
    return Stages(
        prepare=in_sequence(prepare, last),
        watch=in_sequence(_watch_task(plain), last) if may_watch else plain.watch,
        train=in_sequence(train, last),
        evaluate=in_sequence(_evaluate_task(job, plain), last),
        lift=in_sequence(_lift_task(job, plain), last) if measures_lift else plain.lift,
        gate=in_sequence(gate, last),
        ask=plain.ask,
        promote=in_sequence(promote, last),
        synthesize=in_sequence(synthesize, last),
        publish=in_sequence(publish, last),
    )


def _watch_task(plain: Stages) -> Callable[[Prepared], Candidate | None]:
    @task(name="watch", **QUIET)
    def watch(prepared: Prepared) -> Candidate | None:
        return plain.watch(prepared)

    return watch


def _evaluate_task(job: Job, plain: Stages) -> Callable[[Prepared, Candidate], Assessed]:
    """Return the task that evaluates; the last task that adds to the verdict shows it."""

    @task(name="evaluate", **QUIET)
    def evaluate(prepared: Prepared, candidate: Candidate) -> Assessed:
        assessed = plain.evaluate(prepared, candidate)
        if job.recipe.lift.when == "never":
            show_verdict(job, assessed)
        return assessed

    return evaluate


def _lift_task(job: Job, plain: Stages) -> Callable[[Prepared, Assessed], Assessed]:
    @task(name="lift", **QUIET)
    def lift(prepared: Prepared, assessed: Assessed) -> Assessed:
        found = plain.lift(prepared, assessed)
        show_verdict(job, found)
        return found

    return lift


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
        flush(session.run_id)
    if session.outcome is None:
        if session.error is not None:
            raise session.error
        state.result()
        msg = "the flow run ended without an outcome"
        raise RuntimeError(msg)
    return session.outcome


def _run_name() -> str:
    given = runtime.flow_run.parameters["recipe"]
    recipe = given.model_dump() if isinstance(given, Recipe) else given or {}
    what = f"{recipe.get('name')}, seed {recipe.get('seed', 0)}, {scheduled_date():%Y-%m-%d}"
    return given_name(what)


UNSAID: Any = None
"""No recipe: a form without a required field is one that *Quick run* does not open."""


# A wrong recipe is answered by our sentence: Prefect's validation shows pydantic's list.
@flow(name="run", flow_run_name=_run_name, persist_result=False, validate_parameters=False)
@in_a_sentence
def nightly_flow(recipe: Annotated[Recipe, titled("The job")] = UNSAID) -> str:
    """Train, judge, synthesize and publish what a recipe asks for.

    Args:
        recipe: The whole job; what is untouched is as the deployed recipe says.

    Raises:
        BlockedError: the gate let nobody publish; the run shows as failed, with the reason.
    """
    given: Any = recipe  # plain values, where they come from the run form
    return do_nightly(given if isinstance(given, Recipe) else parse_recipe(given or {}))


def do_nightly(recipe: Recipe) -> str:
    """Do the whole job inside a flow run, show what came of it, and return that as a sentence.

    Raises:
        BlockedError: the gate let nobody publish.
    """
    session = SESSION.get() or Session(job=open_here(recipe))
    session.run_id = UUID(runtime.flow_run.id)
    job = tracked_job(session.job)
    clear_marks()
    outcome = nightly(job, with_questions(job, tracked_stages(job)))
    said = show_end(job, outcome)
    session.outcome = outcome
    if outcome.status == "blocked":
        raise BlockedError(said)
    return said


def open_here(recipe: Recipe) -> Job:
    """Open the job of a recipe for the flow run that this process does."""
    ignore_broken_pipe()
    return open_job(recipe, scheduled=scheduled_date(), reporter=make_reporter())


def tracked_job(job: Job) -> Job:
    """Return the job with its messages in the run's log and its events sent to Prefect."""
    reporter = show.LoggingReporter(job.reporter, job.name)

    def lease(gpus: int) -> AbstractContextManager[object]:
        return gpu_lease(load_settings(), job.stop, reporter.say, gpus)

    return dataclasses.replace(job, reporter=reporter, emit=show.send, gpu_lease=lease)


def scheduled_date() -> date:
    """Return the night that this flow run belongs to; a retry keeps it."""
    start = runtime.flow_run.scheduled_start_time
    return (start or datetime.now(UTC)).date()
