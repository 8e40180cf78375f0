"""The stages of a job as Prefect tasks.

Tasks that touch a store or the source are tried again when the fault is a passing one; training,
judging and deciding are not.
"""

from collections.abc import Callable
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from flows.job import Job
from flows.outcome import Outcome
from flows.results import Assessed, Candidate, Choice, Made
from flows.stages import Stages, plain_stages
from flows.tracked.in_line import InLine
from flows.tracked.show import show_verdict
from flows.tracked.survive import patiently
from storage.errors import DeadlineError, RetryableError
from storage.sources.prepare import Prepared

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
"""Of every task: the lake keeps what it makes."""


def tracked_stages(job: Job) -> Stages:
    """Return the stages of a job as Prefect tasks."""
    plain = plain_stages(job)

    @task(name="prepare", **STORES, **QUIET)
    def prepare() -> Prepared:
        return plain.prepare()

    @task(name="train", **QUIET)
    def train(prepared: Prepared) -> Candidate:
        return patiently(job.stop, lambda: plain.train(prepared))

    @task(name="evaluate", **QUIET)
    def evaluate(prepared: Prepared, candidate: Candidate) -> Assessed:
        assessed = plain.evaluate(prepared, candidate)
        show_verdict(job, assessed)
        return assessed

    @task(name="gate", **QUIET)
    def gate(assessed: Assessed) -> Choice:
        return plain.gate(assessed)

    @task(name="promote", **QUIET)
    def promote(assessed: Assessed, choice: Choice) -> Choice:
        return plain.promote(assessed, choice)

    @task(name="synthesize", **STORES, **QUIET)
    def synthesize(prepared: Prepared, choice: Choice) -> Made:
        return plain.synthesize(prepared, choice)

    @task(name="publish", **STORES, **QUIET)
    def publish(prepared: Prepared, choice: Choice, made: Made) -> Outcome:
        return plain.publish(prepared, choice, made)

    line = InLine()
    return Stages(
        prepare=line.then(prepare),
        watch=_watching(job, plain, line),
        train=line.then(train),
        evaluate=line.then(evaluate),
        gate=line.then(gate),
        ask=plain.ask,
        promote=line.then(promote),
        synthesize=line.then(synthesize),
        publish=line.then(publish),
    )


def _watching(job: Job, plain: Stages, line: InLine) -> Callable[[Prepared], Candidate | None]:
    """Return the drift watch, as a task only where there is something to watch."""
    if job.recipe.training.when != "interval":
        return plain.watch

    @task(name="watch", **QUIET)
    def watch(prepared: Prepared) -> Candidate | None:
        return plain.watch(prepared)

    return line.then(watch)
