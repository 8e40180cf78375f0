"""One stage alone, as the command line and the run form of the UI ask for it."""

from flows.errors import BlockedError, RecipeError
from flows.job import Job
from flows.keys import train_key
from flows.nightly import publish_choice
from flows.outcome import Outcome
from flows.results import Candidate, Judged
from flows.stages import Stages
from flows.stages.train import find_candidate
from storage.lake import promotions


def train_alone(stages: Stages) -> Candidate:
    """Train, and leave the candidate in the lake.

    Raises:
        SourceError, LakeError, TrainingError …: what the stages raise.
    """
    return stages.train(stages.prepare())


def evaluate_alone(job: Job, stages: Stages) -> Judged:
    """Judge the candidate of the recipe; its report is stored, nothing is decided.

    Raises:
        RecipeError: it was not trained yet.
    """
    prepared = stages.prepare()
    candidate = find_candidate(job, train_key(job.recipe, prepared, job.scheduled))
    if candidate is None:
        msg = (
            f"no generator of recipe {job.name!r} as it is now lies in {job.recipe.output.lake}: "
            "train it first"
        )
        raise RecipeError(msg)
    return stages.evaluate(prepared, candidate).challenger


def synthesize_alone(job: Job, stages: Stages) -> Outcome:
    """Publish a version from the champion of the recipe's name; trains nothing.

    Raises:
        BlockedError: there is no champion, today's verdict on it is block and nobody overrode it,
            or a person is to say yes first.
    """
    champion = promotions.champion(job.lake, job.name)
    if champion is None:
        msg = f"no generator {job.name!r} was promoted yet: run the whole job first"
        raise BlockedError(msg)
    prepared = stages.prepare()
    candidate = Candidate(
        version=champion.version,
        snapshot_digest=champion.snapshot_digest,
        train_key="",
        trained=False,
    )
    assessed = stages.evaluate(prepared, candidate)
    choice = stages.ask(assessed, stages.gate(assessed))
    if choice.kind != "champion":
        raise BlockedError(choice.reason)
    return publish_choice(stages, prepared, choice)
