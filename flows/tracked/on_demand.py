"""Flows for a recipe that is deployed: one stage, one move of the champion, or a changed run.

A run names a deployed recipe and needs no file of it. `adjust` is the short form: the whole job
with the few things that one changes for a run. `maintain` keeps the lakes and Prefect's database
small, on demand or on a schedule that a person adds.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from prefect import Flow, flow, runtime
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.responses import DeploymentResponse
from pydantic import Field

from flows.by_hand import promote_by_hand, roll_back
from flows.decision import LONGEST_REASON
from flows.errors import BlockedError, RecipeError
from flows.job import Job
from flows.maintain import Kept, maintain_lake
from flows.nightly import evaluate_alone, synthesize_alone, train_alone
from flows.publish import announce
from flows.recipe import Recipe, parse_recipe
from flows.tracked import show
from flows.tracked.housekeeping import read_deployments, tidy_prefect
from flows.tracked.nightly import (
    do_nightly,
    nightly_flow,
    open_here,
    scheduled_date,
    tracked_job,
    tracked_stages,
)
from flows.tracked.process import RecipeName, in_a_sentence, titled
from storage.errors import IntegrityError
from storage.lake.promotions import Promotion
from storage.lake.verify import verify


def deployed_recipe(name: str) -> Recipe:
    """Return the recipe that is deployed as `nightly/<name>`.

    Raises:
        RecipeError: there is none of that name, or its parameters are no recipe.
    """
    known = {each.name: each for each in read_deployments(nightly_flow.name)}
    if name not in known:
        there = ", ".join(sorted(known)) or "none, run `ganmill deploy` first"
        msg = f"no recipe {name!r} is deployed; deployed are: {there}"
        raise RecipeError(msg)
    return _recipe(known[name])


def deployed_recipes() -> tuple[Recipe, ...]:
    """Return every recipe that is deployed, by name.

    Raises:
        RecipeError: the parameters of a deployment are no recipe.
    """
    found = (_recipe(each) for each in read_deployments(nightly_flow.name))
    return tuple(sorted(found, key=lambda recipe: recipe.name))


def _recipe(known: DeploymentResponse) -> Recipe:
    where = f"deployment {nightly_flow.name}/{known.name}"
    return parse_recipe(known.parameters.get("recipe", {}), where=where)


def open_named(name: str) -> Job:
    """Open the job of a deployed recipe for this flow run.

    Raises:
        RecipeError: there is none of that name.
    """
    return tracked_job(open_here(deployed_recipe(name)))


def run_name() -> str:
    """Return the name of a run on demand: recipe and date."""
    recipe: Any = runtime.flow_run.parameters.get("recipe")
    return f"{recipe or 'all recipes'}, {scheduled_date():%Y-%m-%d}"


Balance = Literal["real", "equal", "fill", "fractions"]
BudgetSamples = Annotated[int, Field(ge=1)] | Literal["auto"] | None
BudgetSeconds = Annotated[float, Field(gt=0)] | None


def _run_name() -> str:
    given = runtime.flow_run.parameters
    return f"{given['recipe']}, adjusted, seed {given['seed']}, {scheduled_date():%Y-%m-%d}"


@flow(name="adjust", flow_run_name=_run_name, persist_result=False)
@in_a_sentence
def adjust_flow(  # noqa: PLR0913 - the fields of the form
    recipe: RecipeName,
    samples: Annotated[int, titled("Samples", ge=1)] = 10_000,
    balance: Annotated[Balance, titled("Class balance")] = "equal",
    synthesis_seed: Annotated[int | Literal["night"], titled("Seed of the synthesis")] = 0,
    budget_samples: Annotated[BudgetSamples, titled("Budget in samples")] = "auto",
    budget_s: Annotated[BudgetSeconds, titled("Budget in seconds")] = None,
    seed: Annotated[int, titled("Seed", ge=0, lt=2**63)] = 0,
) -> None:
    """Do the whole job of a recipe with a few things changed, for this run only.

    The form shows what the recipe says. Other samples, another balance or another seed of the
    synthesis make another data set version from the generator that is there; another budget or
    seed trains another one.

    Args:
        recipe: Name of a deployed recipe, such as `digits`; everything else is as it says.
        samples: Records of the version. `balance: fill` counts for itself and does not use it.
        balance: real: the shares of the real training data. equal: every class the same. fill:
            what each class lacks to the size of the largest. fractions: as the recipe says.
        synthesis_seed: Root of all randoms of the synthesis; `night` takes the scheduled date.
        budget_samples: Real records shown before training ends; `auto` lets the preset choose.
        budget_s: Seconds before training ends; with both budgets the first to run out ends it.
        seed: The root of all randomness of training and evaluation.

    Raises:
        BlockedError: the gate let nobody publish; the run shows as failed, with the reason.
    """
    changes = {
        "samples": samples,
        "balance": balance,
        "synthesis_seed": synthesis_seed,
        "budget_samples": budget_samples,
        "budget_s": budget_s,
        "seed": seed,
    }
    do_nightly(adjusted(deployed_recipe(recipe), changes))


def adjusted(recipe: Recipe, changes: dict[str, Any]) -> Recipe:
    """Return a recipe with the values of the short form (`form_values`).

    Raises:
        RecipeError: the values do not go together.
    """
    raw = recipe.model_dump(mode="json")
    training, synthesis = raw["training"], raw["synthesis"]
    training |= {name: changes[name] for name in ("budget_samples", "budget_s")}
    synthesis |= {name: changes[name] for name in ("samples", "balance")}
    synthesis["seed"] = changes["synthesis_seed"]
    raw["seed"] = changes["seed"]
    if changes["balance"] != "fractions":
        synthesis["class_fractions"] = []
    return parse_recipe(raw, where=f"recipe {recipe.name}, adjusted")


def form_values(recipe: Recipe) -> dict[str, Any]:
    """Return what the short form of a recipe shows before anything is changed."""
    return {
        "recipe": recipe.name,
        "samples": recipe.synthesis.samples,
        "balance": recipe.synthesis.balance,
        "synthesis_seed": recipe.synthesis.seed,
        "budget_samples": recipe.training.budget_samples,
        "budget_s": recipe.training.budget_s,
        "seed": recipe.seed,
    }


ARTIFACT = "maintenance"
REMOVALS_SHOWN = 100
"""As many removals of a lake are listed in the artifact."""


@flow(name="maintain", flow_run_name=run_name, persist_result=False)
@in_a_sentence
def maintain_flow(
    recipe: Annotated[str | None, titled("Recipe")] = None,
    apply: Annotated[bool, titled("Apply")] = False,  # noqa: FBT002 - a field of the form
    days: Annotated[int, titled("Days that Prefect remembers", ge=1)] = 30,
) -> None:
    """Keep lakes and Prefect's own database small, and send the events that are pending.

    Versions beyond `output.keep_last` are retired, what nobody committed is collected, checkpoints
    of finished trainings are dropped, and what Prefect knows of runs that ended long ago is
    deleted. To do it every week, add a schedule to this deployment with Apply switched on.

    Args:
        recipe: Name of a deployed recipe whose lake is meant; null means the lakes of all.
        apply: Off only says what would be done.
        days: Runs that ended longer ago are deleted from Prefect's database, the last one of every
            deployment excepted.
    """
    recipes = (deployed_recipe(recipe),) if recipe else deployed_recipes()
    lines = [text for job in _lakes(recipes) for text in _maintain(job, apply=apply)]
    if apply:
        tidied = tidy_prefect(days=days)
        more = "" if tidied.complete else "; there is more, run it again"
        lines.append(f"Prefect: deleted {tidied.runs} runs and {tidied.artifacts} artifacts{more}")
    else:
        lines.append(f"Prefect: runs that ended more than {days} days ago would be deleted")
    head = "# Done" if apply else "# Would be done: run it with *Apply*"
    create_markdown_artifact("\n".join([head, "", *(f"- {text}" for text in lines)]), key=ARTIFACT)


def _lakes(recipes: Iterable[Recipe]) -> list[Job]:
    """Return one job for every lake that these recipes write to."""
    jobs = [tracked_job(open_here(recipe)) for recipe in recipes]
    return list({job.lake.uri: job for job in jobs}.values())


def _maintain(job: Job, *, apply: bool) -> list[str]:
    kept = maintain_lake(job.lake, apply=apply, emit=job.emit)
    lines = [f"`{job.lake.uri}`: {text}" for text in _summary(kept)]
    for text in lines:
        job.reporter.say(text)
    return lines


def _summary(kept: Kept) -> Iterable[str]:
    done = len(kept.checkpoints)
    yield f"{len(kept.removals)} removals, checkpoints of {done} finished trainings"
    yield from (f"announced {text}" for text in kept.announced)
    yield from (f"the hint to the newest version of {name} lags" for name in kept.hints)
    yield from kept.problems[:REMOVALS_SHOWN]
    yield from (
        f"{each.step} {each.name}/{each.version}: {each.reason}"
        for each in kept.removals[:REMOVALS_SHOWN]
    )
    if kept.unsent:
        yield f"an event was not sent: {kept.unsent}"


Generator = Annotated[str, titled("Generator version", min_length=1)]
Person = Annotated[str, titled("Your name", min_length=1)]
Reason = Annotated[str, titled("Reason", min_length=1, max_length=LONGEST_REASON)]

PROBLEMS_SHOWN = 100
"""As many problems of a version are listed in its artifact."""


@flow(name="train", flow_run_name=run_name, persist_result=False)
@in_a_sentence
def train_flow(recipe: RecipeName) -> None:
    """Train the generator of a recipe; it becomes a candidate in the lake.

    Nothing is decided and nothing published: `evaluate` judges it, the next night decides.

    Args:
        recipe: Name of a deployed recipe, such as `digits`.
    """
    job = open_named(recipe)
    candidate = train_alone(tracked_stages(job))
    head = f"# Candidate `{job.name}/{candidate.version}`"
    trained = "trained" if candidate.trained else "was there already"
    text = f"{head}\n\nIt {trained}; run *evaluate* to judge it."
    create_markdown_artifact(text, key=f"{job.name}-candidate")


@flow(name="evaluate", flow_run_name=run_name, persist_result=False)
@in_a_sentence
def evaluate_flow(recipe: RecipeName) -> None:
    """Judge the trained candidate of a recipe on the holdout; decides and publishes nothing.

    The run shows as failed when the verdict is block, with the reasons.

    Args:
        recipe: Name of a deployed recipe, such as `digits`.
    """
    job = open_named(recipe)
    judged = evaluate_alone(job, tracked_stages(job))
    if judged.judgement.verdict == "block":
        reasons = "; ".join(reason.text for reason in judged.judgement.reasons)
        msg = f"the verdict on {job.name}/{judged.version} is block: {reasons}"
        raise BlockedError(msg)


@flow(name="synthesize", flow_run_name=run_name, persist_result=False)
@in_a_sentence
def synthesize_flow(recipe: RecipeName) -> None:
    """Publish a data set version from the champion of a recipe; trains nothing.

    Args:
        recipe: Name of a deployed recipe, such as `digits`.
    """
    job = open_named(recipe)
    show.show_outcome(job.name, synthesize_alone(job, tracked_stages(job)))


@flow(name="verify", flow_run_name=run_name, persist_result=False)
@in_a_sentence
def verify_flow(
    recipe: RecipeName, version: Annotated[str | None, titled("Version")] = None
) -> None:
    """Read every file of a published version and name each one that is not as committed.

    The run shows as failed when there is one.

    Args:
        recipe: Name of a deployed recipe, such as `digits`; its data set is read.
        version: Which one; null takes the latest.
    """
    job = open_named(recipe)
    problems = verify(job.lake, job.name, version)
    of = f"version {version}" if version else "the latest version"
    if not problems:
        job.reporter.say(f"{of} of {job.name} is as it was committed")
        return
    rows = [f"- `{each.key}`: {each.what}" for each in problems[:PROBLEMS_SHOWN]]
    text = "\n".join([f"# {len(problems)} problems in {of} of {job.name}", "", *rows, ""])
    create_markdown_artifact(text, key=f"{job.name}-problems")
    others = f" (and {len(problems) - 1} more, see the artifact)" if problems[1:] else ""
    msg = f"{of} of {job.name} is damaged: {problems[0].key}: {problems[0].what}{others}"
    raise IntegrityError(msg)


@flow(name="promote", flow_run_name=run_name, persist_result=False)
@in_a_sentence
def promote_flow(recipe: RecipeName, version: Generator, by: Person, reason: Reason) -> None:
    """Make a generator of a recipe champion by a person's decision; trains and publishes nothing.

    Where the gate refused the generator this overrides it, and every listing says so.

    Args:
        recipe: Name of a deployed recipe, such as `digits`.
        version: Of the generator, as the log of its run and `ganmill generators list` show it.
        by: Your name; it goes into the log of promotions.
        reason: Why, in writing; it goes into the log of promotions.
    """
    job = open_named(recipe)
    _show_champion(job, promote_by_hand(job.lake, job.name, version, by=by, reason=reason))


@flow(name="rollback", flow_run_name=run_name, persist_result=False)
@in_a_sentence
def rollback_flow(
    recipe: RecipeName,
    by: Person,
    reason: Reason,
    version: Annotated[str | None, titled("Generator version")] = None,
) -> None:
    """Make a former champion of a recipe champion again; trains and publishes nothing.

    Args:
        recipe: Name of a deployed recipe, such as `digits`.
        by: Your name; it goes into the log of promotions.
        reason: Why, in writing; it goes into the log of promotions.
        version: A former champion; null takes the one before today's.
    """
    job = open_named(recipe)
    _show_champion(job, roll_back(job.lake, job.name, version, by=by, reason=reason))


def _show_champion(job: Job, record: Promotion) -> None:
    """Show who is champion now, and send the event."""
    announce(job)
    who = f"# Champion `{job.name}/{record.version}`"
    what = f"Record {record.number}: {record.kind} by {record.by}, {record.reason}"
    create_markdown_artifact(f"{who}\n\n{what}\n", key=f"{job.name}-champion")
    job.reporter.say(f"Champion {job.name}/{record.version}; {what}")


ON_DEMAND: tuple[Flow[Any, Any], ...] = (
    train_flow,
    evaluate_flow,
    synthesize_flow,
    promote_flow,
    rollback_flow,
    verify_flow,
    maintain_flow,
)
"""In the order of the docs."""
