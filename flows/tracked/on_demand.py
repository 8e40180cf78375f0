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
from flows.errors import BlockedError, RecipeError, bounded
from flows.job import Job
from flows.maintain import Kept, maintain_lake
from flows.nightly import evaluate_alone, lift_alone, synthesize_alone, train_alone
from flows.publish import announce
from flows.recipe import Recipe, parse_recipe
from flows.report.lift import lift_view
from flows.report.markdown import code, whole_lift_markdown
from flows.report.tuning import headline, tuning_markdown
from flows.report_links import in_a_line, report_link
from flows.tracked.housekeeping import TAG, read_deployments, tidy_prefect
from flows.tracked.nightly import (
    do_nightly,
    nightly_flow,
    open_here,
    scheduled_date,
    tracked_job,
    tracked_stages,
)
from flows.tracked.process import RecipeName, in_a_sentence, run_cancellable, titled
from flows.tracked.run_names import given_name
from flows.tracked.short_form import AS_RECIPE, AsRecipe, adjusted, turned
from flows.tracked.show import show_end
from flows.tune import tune, tuning_page
from flows.tune_study import FEWEST_TRIALS, MOST_TRIALS, TuneRequest
from storage.errors import IntegrityError
from storage.lake.markdown import plain
from storage.lake.promotions import Promotion
from storage.lake.verify import verify

ALL_SETTINGS = " (all settings)"
"""Behind a recipe's name: the deployment whose form has the whole recipe. No recipe is so named."""
FORMER_FLOWS = ("nightly", "adjust")
"""What earlier versions of ganmill called the flows of a recipe; their deployments still run."""


def deployed_recipe(name: str) -> Recipe:
    """Return the recipe that is deployed as `run/<name>`, with what was changed in its parameters.

    Raises:
        RecipeError: there is none of that name, or its parameters are no recipe.
    """
    known = _deployed()
    if name not in known:
        there = ", ".join(sorted(known)) or "none, run `ganmill deploy` first"
        msg = f"no recipe {name!r} is deployed; deployed are: {there}"
        raise RecipeError(msg)
    return _recipe(*known[name])


def deployed_recipes() -> tuple[list[Recipe], list[str]]:
    """Return every recipe that is deployed, by name, and a sentence for each that is none."""
    recipes, faults = list[Recipe](), list[str]()
    for each in _deployed().values():
        try:
            recipes.append(_recipe(*each))
        except RecipeError as error:
            faults.append(f"left out: {error}")
    return sorted(recipes, key=lambda recipe: recipe.name), faults


def _deployed() -> dict[str, tuple[str, DeploymentResponse]]:
    """Return flow and deployment of every recipe, of an earlier version where there is no other."""
    return {
        each.name: (flow_name, each)
        for flow_name in (FORMER_FLOWS[0], nightly_flow.name)
        for each in read_deployments(flow_name, tag=TAG)
        if not each.name.endswith(ALL_SETTINGS)
    }


def _recipe(flow_name: str, known: DeploymentResponse) -> Recipe:
    where = f"deployment {flow_name}/{known.name}"
    recipe = parse_recipe(known.parameters.get("recipe", {}), where=where)
    return adjusted(recipe, known.parameters)


def open_named(name: str) -> Job:
    """Open the job of a deployed recipe for this flow run.

    Raises:
        RecipeError: there is none of that name.
    """
    return tracked_job(open_here(deployed_recipe(name)))


def run_name() -> str:
    """Return the name of a run on demand, unless a person gave one: recipe and date."""
    recipe: Any = runtime.flow_run.parameters.get("recipe")
    return given_name(f"{recipe or 'all recipes'}, {scheduled_date():%Y-%m-%d}")


Balance = Literal["auto", "real", "equal", "fill", "fractions"]
BudgetSamples = Annotated[int, Field(ge=1)] | Literal["auto"] | None
BudgetSeconds = Annotated[float, Field(gt=0)] | None
Samples = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
LiftWhen = Literal["changed", "always", "never"]
OnReject = Literal["keep-champion", "stop", "ask"]
Approval = Literal["never", "always"]


def _run_name() -> str:
    given = dict(runtime.flow_run.parameters)
    recipe = given["recipe"]
    if isinstance(recipe, str):
        return given_name(f"{recipe}, adjusted, {scheduled_date():%Y-%m-%d}")
    try:
        whole = parse_recipe(recipe)
    except RecipeError:
        return given_name(f"a recipe with a mistake, {scheduled_date():%Y-%m-%d}")
    changed = turned(whole, given)
    words = [str(changed.pop("name", whole.name)), f"seed {changed.pop('seed', whole.seed)}"]
    words += [f"{name.replace('_', ' ')} {value}" for name, value in changed.items()]
    return given_name(f"{', '.join(words)}, {scheduled_date():%Y-%m-%d}")


# A wrong value is answered by our sentence: Prefect's validation shows pydantic's list.
@flow(
    name=nightly_flow.name,
    flow_run_name=_run_name,
    persist_result=False,
    validate_parameters=False,
)
@in_a_sentence
def adjust_flow(  # noqa: PLR0913 - the fields of the form
    samples: Annotated[Samples | AsRecipe, titled("Samples")] = AS_RECIPE,
    balance: Annotated[Balance | AsRecipe, titled("Class balance")] = AS_RECIPE,
    synthesis_seed: Annotated[
        int | Literal["night"] | AsRecipe, titled("Seed of the synthesis")
    ] = AS_RECIPE,
    budget_samples: Annotated[BudgetSamples | AsRecipe, titled("Budget in samples")] = AS_RECIPE,
    budget_s: Annotated[BudgetSeconds | AsRecipe, titled("Budget in seconds")] = AS_RECIPE,
    seed: Annotated[Seed | AsRecipe, titled("Seed of training and evaluation")] = AS_RECIPE,
    lift: Annotated[LiftWhen | AsRecipe, titled("Measure whether it helps")] = AS_RECIPE,
    on_reject: Annotated[OnReject | AsRecipe, titled("On reject")] = AS_RECIPE,
    approval: Annotated[Approval | AsRecipe, titled("Approval")] = AS_RECIPE,
    name: Annotated[str, titled("Name of generator and data set")] = AS_RECIPE,
    recipe: Annotated[Any, titled("Whole recipe")] = None,
) -> str:
    """Do the whole job of a recipe with a few things changed, for this run only.

    The form shows what the recipe says. Other samples, another balance or another seed of the
    synthesis make another data set version from the generator that is there; another budget or
    seed trains another one.

    Args:
        samples: Records of the version. `balance: fill` counts for itself and does not use it.
        balance: auto: real for tables, equal for images. real: the shares of the real training
            data. equal: every class the same. fill: what each class lacks to the size of the
            largest. fractions: as the recipe says.
        synthesis_seed: Root of all randoms of the synthesis; `night` takes the scheduled date.
        budget_samples: Real records shown before training ends; `auto` lets the preset choose.
        budget_s: Seconds before training ends; with both budgets the first to run out ends it.
        seed: The root of all randomness of training and evaluation.
        lift: Whether training on the synthetic data helps: measured when something changed, on
            every run, or never.
        on_reject: When the new generator is not promoted: publish from the champion, publish
            nothing, or ask a person.
        approval: always: a person says yes to every generator before it publishes.
        name: Another name is another generator and data set, with a champion of its own.
        recipe: Everything else; or the name of a deployed recipe.

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
        "lift": lift,
        "on_reject": on_reject,
        "approval": approval,
        "name": name,
    }
    whole = deployed_recipe(recipe) if isinstance(recipe, str) else parse_recipe(recipe or {})
    return do_nightly(adjusted(whole, changes))


ARTIFACT = "maintenance"
LONGEST_STATE = 500
"""Letters of a state's message; the artifact has the rest."""
REMOVALS_SHOWN = 100
"""As many removals of a lake are listed in the artifact."""


@flow(name="maintain", flow_run_name=run_name, persist_result=False)
@in_a_sentence
def maintain_flow(
    recipe: Annotated[str | None, titled("Recipe")] = None,
    apply: Annotated[bool, titled("Apply")] = False,  # noqa: FBT002 - a field of the form
    days: Annotated[int, titled("Days that Prefect remembers", ge=1)] = 30,
) -> str:
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
    recipes, lines = ([deployed_recipe(recipe)], []) if recipe else deployed_recipes()
    lines += [text for job in _lakes(recipes) for text in _maintain(job, apply=apply)]
    if apply:
        tidied = tidy_prefect(days=days)
        more = "" if tidied.complete else "; there is more, run it again"
        lines.append(f"Prefect: deleted {tidied.runs} runs and {tidied.artifacts} artifacts{more}")
    else:
        lines.append(f"Prefect: runs that ended more than {days} days ago would be deleted")
    head = "# Done" if apply else "# Would be done: run it with *Apply*"
    create_markdown_artifact("\n".join([head, "", *(f"- {text}" for text in lines)]), key=ARTIFACT)
    return f"{'done' if apply else 'would be done'}: {bounded('; '.join(lines), LONGEST_STATE)}"


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
def train_flow(recipe: RecipeName) -> str:
    """Train the generator of a recipe; it becomes a candidate in the lake.

    Nothing is decided and nothing published: `evaluate` judges it, the next night decides.

    Args:
        recipe: Name of a deployed recipe, such as `digits`.
    """
    job = open_named(recipe)
    candidate = train_alone(tracked_stages(job))
    head = f"# Candidate `{job.name}/{candidate.version}`"
    trained = "was trained" if candidate.trained else "was there already"
    text = f"{head}\n\nIt {trained}; run *evaluate* to judge it."
    create_markdown_artifact(text, key=f"{job.name}-candidate")
    return f"candidate {job.name}/{candidate.version} {trained}; run evaluate to judge it"


@flow(name="evaluate", flow_run_name=run_name, persist_result=False)
@in_a_sentence
def evaluate_flow(recipe: RecipeName) -> str:
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
    verdict = judged.judgement.verdict.upper()
    return f"verdict {verdict} on {job.name}/{judged.version}; nothing is decided or published"


@flow(name="lift", flow_run_name=run_name, persist_result=False)
@in_a_sentence
def lift_flow(
    recipe: RecipeName,
    thorough: Annotated[bool, titled("Thorough")] = False,  # noqa: FBT002 - a field of the form
    curve: Annotated[bool, titled("Curve")] = False,  # noqa: FBT002 - a field of the form
) -> str:
    """Measure whether training on the synthetic records of a recipe helps; publishes nothing.

    Args:
        recipe: Name of a deployed recipe, such as `digits`.
        thorough: All arms at full size with all downstream models, whatever it costs.
        curve: Also with parts of the real records, for a learning curve.
    """
    job = open_named(recipe)
    generator, kept = lift_alone(job, tracked_stages(job), thorough=thorough, curve=curve)
    head = f"# Does `{job.name}/{generator.version}` help?"
    text = f"{head}\n\n{whole_lift_markdown(lift_view(kept.lift))}\n"
    create_markdown_artifact(text, key=f"{job.name}-lift")
    return bounded(f"{kept.lift.answer}: {kept.lift.text}", LONGEST_STATE)


@flow(name="tune", flow_run_name=run_name, persist_result=False)
@in_a_sentence
def tune_flow(
    recipe: RecipeName,
    trials: Annotated[int, titled("Trials", ge=FEWEST_TRIALS, le=MOST_TRIALS)] = 20,
    budget_s: Annotated[float, titled("Budget in seconds", gt=0)] = 3600.0,
) -> str:
    """Try settings that a recipe leaves at auto; says which are best, and changes nothing.

    Each trial trains for its share of the budget and is compared on validation. The same study run
    again goes on where it was.

    Args:
        recipe: Name of a deployed recipe, such as `digits`.
        trials: How many trainings are compared; the first one is the recipe as it is.
        budget_s: Seconds of training of all trials together.
    """
    request = TuneRequest(trials=trials, budget_s=budget_s)
    job = open_named(recipe)
    prepared = tracked_stages(job).prepare()
    tuned = run_cancellable(job.stop, lambda: tune(job, prepared, request))
    link = report_link(job.lake, job.lake_uri, tuned.report_key)
    text = tuning_markdown(tuned.result, tuning_page(job, tuned), link)
    create_markdown_artifact(text, key=f"{job.name}-tuning")
    return bounded(f"{headline(tuned.result)}{in_a_line(link)}", LONGEST_STATE)


@flow(name="synthesize", flow_run_name=run_name, persist_result=False)
@in_a_sentence
def synthesize_flow(recipe: RecipeName) -> str:
    """Publish a data set version from the champion of a recipe; trains nothing.

    Args:
        recipe: Name of a deployed recipe, such as `digits`.
    """
    job = open_named(recipe)
    return show_end(job, synthesize_alone(job, tracked_stages(job)))


@flow(name="verify", flow_run_name=run_name, persist_result=False)
@in_a_sentence
def verify_flow(
    recipe: RecipeName, version: Annotated[str | None, titled("Version")] = None
) -> str:
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
        said = f"{of} of {job.name} is as it was committed"
        job.reporter.say(said)
        return said
    rows = [f"- {code(each.key)}: {plain(each.what)}" for each in problems[:PROBLEMS_SHOWN]]
    text = "\n".join([f"# {len(problems)} problems in {of} of {job.name}", "", *rows, ""])
    create_markdown_artifact(text, key=f"{job.name}-problems")
    others = f" (and {len(problems) - 1} more, see the artifact)" if problems[1:] else ""
    msg = f"{of} of {job.name} is damaged: {problems[0].key}: {problems[0].what}{others}"
    raise IntegrityError(msg)


@flow(name="promote", flow_run_name=run_name, persist_result=False)
@in_a_sentence
def promote_flow(recipe: RecipeName, version: Generator, by: Person, reason: Reason) -> str:
    """Make a generator of a recipe champion by a person's decision; trains and publishes nothing.

    Where the gate refused the generator this overrides it, and every listing says so.

    Args:
        recipe: Name of a deployed recipe, such as `digits`.
        version: Of the generator, as the log of its run and `ganmill generators list` show it.
        by: Your name; it goes into the log of promotions.
        reason: Why, in writing; it goes into the log of promotions.
    """
    job = open_named(recipe)
    return _show_champion(job, promote_by_hand(job.lake, job.name, version, by=by, reason=reason))


@flow(name="rollback", flow_run_name=run_name, persist_result=False)
@in_a_sentence
def rollback_flow(
    recipe: RecipeName,
    by: Person,
    reason: Reason,
    version: Annotated[str | None, titled("Generator version")] = None,
) -> str:
    """Make a former champion of a recipe champion again; trains and publishes nothing.

    Args:
        recipe: Name of a deployed recipe, such as `digits`.
        by: Your name; it goes into the log of promotions.
        reason: Why, in writing; it goes into the log of promotions.
        version: A former champion; null takes the one before today's.
    """
    job = open_named(recipe)
    return _show_champion(job, roll_back(job.lake, job.name, version, by=by, reason=reason))


def _show_champion(job: Job, record: Promotion) -> str:
    """Show who is champion now, send the event, and return it as a sentence."""
    announce(job)
    who = f"# Champion `{job.name}/{record.version}`"
    what = f"Record {record.number}: {record.kind} by {record.by}, {record.reason}"
    create_markdown_artifact(f"{who}\n\n{plain(what)}\n", key=f"{job.name}-champion")
    job.reporter.say(f"Champion {job.name}/{record.version}; {what}")
    return f"champion {job.name}/{record.version}: {record.kind} by {record.by}, {record.reason}"


ON_DEMAND: tuple[Flow[Any, Any], ...] = (
    train_flow,
    evaluate_flow,
    lift_flow,
    tune_flow,
    synthesize_flow,
    promote_flow,
    rollback_flow,
    verify_flow,
    maintain_flow,
)
"""In the order of the docs."""
