"""Housekeeping, on demand or on a schedule that a person adds: lakes, and Prefect's database."""

from collections.abc import Iterable
from typing import Annotated

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from flows.job import Job
from flows.maintain import Kept, maintain_lake
from flows.recipe import Recipe
from flows.tracked.deployed import deployed_recipe, deployed_recipes, open_tracked, run_name
from flows.tracked.form import titled
from flows.tracked.housekeeping import tidy_prefect
from flows.tracked.survive import in_a_sentence

ARTIFACT = "maintenance"
SHOWN = 100
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
    said = [text for job in _lakes(recipes) for text in _maintain(job, apply=apply)]
    if apply:
        tidied = tidy_prefect(days=days)
        more = "" if tidied.complete else "; there is more, run it again"
        said.append(f"Prefect: deleted {tidied.runs} runs and {tidied.artifacts} artifacts{more}")
    else:
        said.append(f"Prefect: runs that ended more than {days} days ago would be deleted")
    head = "# Done" if apply else "# Would be done: run it with *Apply*"
    create_markdown_artifact("\n".join([head, "", *(f"- {text}" for text in said)]), key=ARTIFACT)


def _lakes(recipes: Iterable[Recipe]) -> list[Job]:
    """Return one job for every lake that these recipes write to."""
    jobs = [open_tracked(recipe) for recipe in recipes]
    return list({job.lake.uri: job for job in jobs}.values())


def _maintain(job: Job, *, apply: bool) -> list[str]:
    kept = maintain_lake(job.lake, apply=apply, emit=job.emit)
    said = [f"`{job.lake.uri}`: {text}" for text in _told(kept)]
    for text in said:
        job.reporter.say(text)
    return said


def _told(kept: Kept) -> Iterable[str]:
    done = len(kept.checkpoints)
    yield f"{len(kept.removals)} removals, checkpoints of {done} finished trainings"
    yield from (f"announced {text}" for text in kept.announced)
    yield from (
        f"{each.step} {each.name}/{each.version}: {each.reason}" for each in kept.removals[:SHOWN]
    )
    if kept.unsent:
        yield f"an event was not sent: {kept.unsent}"
