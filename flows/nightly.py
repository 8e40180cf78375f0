"""The whole job, once: the command line and Prefect compose the same stages through it."""

from flows.errors import EngineError
from flows.job import Job
from flows.outcome import Outcome, blocked_outcome
from flows.results import Candidate, Choice
from flows.stages import Stages
from storage.errors import AbandonedError, PromotionConflictError
from storage.sources.prepared import Prepared

ATTEMPTS = 5
"""How often a decision or a version is tried again when another process was faster."""


def nightly(job: Job, stages: Stages) -> Outcome:
    """Prepare, train, evaluate, gate, promote, synthesize, publish; each reuses what is there.

    Raises:
        SourceError, LakeError, TrainingError …: what the stages raise.
    """
    prepared = stages.prepare()
    candidate = stages.train(prepared)
    choice = agree_on_choice(stages, prepared, candidate)
    if choice.kind == "blocked":
        return blocked_outcome(job, choice)
    return publish_choice(stages, prepared, choice)


def agree_on_choice(stages: Stages, prepared: Prepared, candidate: Candidate) -> Choice:
    """Evaluate, decide and record it; when the champion changed meanwhile, do all of it again.

    Raises:
        PromotionConflictError: it kept changing.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return _choose(stages, prepared, candidate)
        except PromotionConflictError:
            continue
    return _choose(stages, prepared, candidate)


def _choose(stages: Stages, prepared: Prepared, candidate: Candidate) -> Choice:
    assessed = stages.evaluate(prepared, candidate)
    return stages.promote(assessed, stages.gate(assessed))


def publish_choice(stages: Stages, prepared: Prepared, choice: Choice) -> Outcome:
    """Synthesize and publish; when the version was given up meanwhile, make a new attempt.

    Raises:
        EngineError: version after version was given up.
    """
    for _ in range(ATTEMPTS):
        try:
            return stages.publish(prepared, choice, stages.synthesize(prepared, choice))
        except AbandonedError:
            continue
    msg = f"{ATTEMPTS} versions were given up by other processes; is a collection running wild?"
    raise EngineError(msg)
