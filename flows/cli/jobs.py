"""The commands that run a recipe: the whole job, or one stage of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flows.cli.exits import BLOCKED, DONE
from flows.cli.output import Output
from flows.cli.screen import show_metrics, show_outcome
from flows.finished import find_finished
from flows.interrupt import StopSignal
from flows.job import Job, open_job
from flows.nightly import nightly
from flows.outcome import Outcome
from flows.prefect_manners import apply_manners
from flows.progress import make_reporter
from flows.recipe import Recipe
from flows.recipe_file import load_recipe
from flows.single_stages import evaluate_alone, synthesize_alone, train_alone
from flows.stages import plain_stages
from storage.lake.announce import has_pending


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """Whether a run is a Prefect flow run."""

    wanted: bool = False
    api_url: str | None = None
    """The Prefect API; None takes Prefect's own settings, else its temporary server."""


def run_job(path: Path, changes: Sequence[str], tracking: Tracking, *, as_json: bool) -> int:
    """Do the whole job, as a flow run when that is wanted."""
    recipe = load_recipe(path, changes)
    with _opened(recipe) as job:
        if tracking.wanted:
            outcome = _tracked(job, tracking.api_url)
        else:
            outcome = nightly(job, plain_stages(job))
    return _finish(recipe, outcome, as_json=as_json)


def train_only(path: Path, changes: Sequence[str], *, as_json: bool) -> int:
    """Train, and leave the candidate in the lake."""
    with _opened(load_recipe(path, changes)) as job:
        candidate = train_alone(plain_stages(job))
    output = Output()
    if as_json:
        found = {"name": job.name, "version": candidate.version, "trained": candidate.trained}
        output.json(found | {"snapshot_digest": candidate.snapshot_digest})
        return DONE
    output.line(f"Candidate {job.name}/{candidate.version} is in {job.recipe.output.lake}")
    output.line(f"Next      ganmill evaluate {path}")
    return DONE


def evaluate_only(path: Path, changes: Sequence[str], *, as_json: bool) -> int:
    """Judge the candidate of a recipe; its report is stored, no decision is made."""
    with _opened(load_recipe(path, changes)) as job:
        judged = evaluate_alone(job, plain_stages(job))
    output, verdict = Output(), judged.judgement.verdict
    if as_json:
        output.json(
            {
                "name": job.name,
                "version": judged.version,
                "verdict": verdict,
                "reasons": [reason.text for reason in judged.judgement.reasons],
                "report_digest": judged.report_digest,
            }
        )
    else:
        output.line(f"{verdict.upper()}  {job.name}/{judged.version}")
        for reason in judged.judgement.reasons:
            output.line(f"      {reason.text}")
        show_metrics(judged.report.metrics, output)
    return BLOCKED if verdict == "block" else DONE


def synthesize_only(path: Path, changes: Sequence[str], *, as_json: bool) -> int:
    """Publish a version from the champion of the recipe's name."""
    recipe = load_recipe(path, changes)
    with _opened(recipe) as job:
        outcome = synthesize_alone(job, plain_stages(job))
    return _finish(recipe, outcome, as_json=as_json)


def _tracked(job: Job, api_url: str | None) -> Outcome:
    """Run as a flow run, unless there is nothing to do: no server is started for that."""
    to_announce = api_url is not None and has_pending(job.lake, job.name)
    finished = None if to_announce else find_finished(job, plain_stages(job))
    if finished is not None:
        return finished
    apply_manners(api_url)
    job.reporter.say("Starting Prefect ...")
    from flows.tracked.nightly import run_tracked

    return run_tracked(job)


def _finish(recipe: Recipe, outcome: Outcome, *, as_json: bool) -> int:
    output = Output()
    if as_json:
        output.json(outcome.to_json())
    else:
        seed = recipe.synthesis.seed
        show_outcome(outcome, output, next_seed=0 if seed == "night" else seed + 1)
    return BLOCKED if outcome.status == "blocked" else DONE


@contextmanager
def _opened(recipe: Recipe) -> Iterator[Job]:
    reporter, stop = make_reporter(), StopSignal()
    with stop.listening():
        yield open_job(recipe, reporter=reporter, stop=stop)
