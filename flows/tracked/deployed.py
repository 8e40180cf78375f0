"""The recipes that Prefect knows: a run on demand names one, and needs no file of it."""

from typing import Any

from prefect import runtime
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowFilter, FlowFilterName
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import DeploymentSort

from flows.errors import RecipeError
from flows.job import Job
from flows.recipe import Recipe
from flows.recipe_file import parse_recipe
from flows.tracked.nightly import nightly_flow, open_here, scheduled_date, tracked_job

PAGE = 200
"""As much as Prefect's API lists at once."""


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


def read_deployments(flow_name: str | None = None) -> list[DeploymentResponse]:
    """Return all deployments that Prefect knows, or those of one flow, by name."""
    wanted = None if flow_name is None else FlowFilter(name=FlowFilterName(any_=[flow_name]))
    found: list[DeploymentResponse] = []
    with get_client(sync_client=True) as client:
        while len(found) % PAGE == 0:
            page = client.read_deployments(
                flow_filter=wanted, limit=PAGE, offset=len(found), sort=DeploymentSort.NAME_ASC
            )
            if not page:
                break
            found += page
    return found


def open_named(name: str) -> Job:
    """Open the job of a deployed recipe for this flow run.

    Raises:
        RecipeError: there is none of that name.
    """
    return open_tracked(deployed_recipe(name))


def open_tracked(recipe: Recipe) -> Job:
    """Open the job of a recipe for this flow run."""
    return tracked_job(open_here(recipe))


def run_name() -> str:
    """Return the name of a run on demand: recipe and date."""
    asked: Any = runtime.flow_run.parameters.get("recipe")
    return f"{asked or 'all recipes'}, {scheduled_date():%Y-%m-%d}"
