"""The whole job, once: the command line and Prefect compose the same stages through it."""

from flows.announce import announce, announce_blocked
from flows.errors import EngineError
from flows.job import Job
from flows.outcome import Outcome, blocked_outcome
from flows.results import Assessed, Candidate, Choice
from flows.stages import Stages
from storage.errors import AbandonedError, PromotionConflictError
from storage.sources.prepare import Prepared

ATTEMPTS = 5
"""How often a decision or a version is tried again when another process was faster."""
NOBODY = ("blocked", "asked")
"""The choices with which nobody synthesizes."""


def nightly(job: Job, stages: Stages) -> Outcome:
    """Prepare, train, evaluate, gate, promote, synthesize, publish; each reuses what is there.

    Where training is not due, the champion is watched instead: it is the candidate as long as it
    does on today's records.

    Raises:
        SourceError, LakeError, TrainingError …: what the stages raise.
    """
    prepared = stages.prepare()
    candidate = stages.watch(prepared) or stages.train(prepared)
    choice = agree_on_choice(stages, prepared, candidate)
    if choice.kind in NOBODY:
        announce_blocked(job, choice)
        return blocked_outcome(job, choice)
    announce(job)
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
    return decide(stages, stages.evaluate(prepared, candidate))


def decide(stages: Stages, assessed: Assessed) -> Choice:
    """Gate, ask a person where the recipe wants it, and record what was decided.

    Raises:
        PromotionConflictError: the log moved on since the evaluation.
    """
    return stages.promote(assessed, stages.ask(assessed, stages.gate(assessed)))


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
