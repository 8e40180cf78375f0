"""The stages of a job: plain functions, each idempotent and quick when its result is in the lake.

prepare      source → decoded, split records in the work folder
watch        champion, where training is not due → it goes on, or it fails on today's records
train        records → candidate in the lake
evaluate     candidate (and champion) on the holdout → verdict and report
gate         verdicts → who synthesizes, or what a person is asked
ask          question → a person's answer, where one can be had
promote      that decision → the log of promotions
synthesize   generator and plan → shards in the lake
publish      shards → manifest and commit record
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from flows.job import Job
from flows.outcome import Outcome
from flows.owner import claim_name
from flows.results import Assessed, Candidate, Choice, Made
from flows.stages.ask import ask
from flows.stages.evaluate import evaluate
from flows.stages.gate import gate
from flows.stages.prepare import prepare
from flows.stages.promote import promote
from flows.stages.publish import publish
from flows.stages.synthesize import synthesize
from flows.stages.train import train
from flows.stages.watch import watch
from storage.sources.prepare import Prepared


@dataclass(frozen=True, kw_only=True)
class Stages:
    """The callables that `flows.nightly.nightly` composes; bound to one job."""

    prepare: Callable[[], Prepared]
    watch: Callable[[Prepared], Candidate | None]
    train: Callable[[Prepared], Candidate]
    evaluate: Callable[[Prepared, Candidate], Assessed]
    gate: Callable[[Assessed], Choice]
    ask: Callable[[Assessed, Choice], Choice]
    promote: Callable[[Assessed, Choice], Choice]
    synthesize: Callable[[Prepared, Choice], Made]
    publish: Callable[[Prepared, Choice, Made], Outcome]


def plain_stages(job: Job) -> Stages:
    """Return the stages of a job as plain functions."""
    return Stages(
        prepare=partial(_prepare, job),
        watch=partial(watch, job),
        train=partial(train, job),
        evaluate=partial(evaluate, job),
        gate=partial(gate, job),
        ask=partial(ask, job),
        promote=partial(promote, job),
        synthesize=partial(synthesize, job),
        publish=partial(publish, job),
    )


def _prepare(job: Job) -> Prepared:
    """Read the source, once it is known that the name is free to use."""
    claim_name(job)
    return prepare(job)
