"""What Prefect should know of every recipe, and how that differs from what it knows.

A recipe becomes the deployment `nightly/<name>`: its parameters are the whole recipe, literally, so
the run form shows every field; at most one run at a time, later ones wait for it. Registering again
changes what the recipe says and keeps what a person did in the UI: what is paused stays paused.
"""

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.objects import (
    ConcurrencyLimitConfig,
    ConcurrencyLimitStrategy,
    WorkerStatus,
)
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.client.schemas.sorting import DeploymentSort
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.types.entrypoint import EntrypointType

from flows.recipe import Recipe
from flows.tracked.nightly import nightly_flow

POOL = "ganmill"
"""The work pool, of type `process`."""
TAG = "ganmill"
MANY = 200
"""As much as Prefect's API lists at once."""

WAIT = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
"""Two runs of one recipe would do the same work: the later one waits, and finds it done."""


def wanted(recipe: Recipe) -> RunnerDeployment:
    """Return the deployment that a recipe should have."""
    deployment = RunnerDeployment.from_flow(
        nightly_flow,
        name=recipe.name,
        parameters={"recipe": recipe.model_dump(mode="json")},
        description=describe(recipe),
        tags=[TAG],
        concurrency_limit=WAIT,
        work_pool_name=POOL,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    deployment.schedules = [*_schedules(recipe, active=True)]
    return deployment


def describe(recipe: Recipe) -> str:
    """Return what the deployment's page says first."""
    when = recipe.schedule.cron
    night = f"by itself at `{when}` ({recipe.schedule.timezone})" if when else "when asked"
    return (
        f"Trains and judges a generator on `{recipe.source.uri}` and publishes synthetic data as "
        f"`{recipe.name}` into `{recipe.output.lake}`; runs {night}. Every field of the form is "
        "explained in docs/recipe.md."
    )


def ensure_pool() -> bool:
    """Make the work pool; False when it was there."""
    with get_client(sync_client=True) as client:
        try:
            client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
        except ObjectAlreadyExists:
            return False
    return True


def has_worker(name: str) -> bool:
    """Say whether a worker of that name is at work in the pool."""
    with get_client(sync_client=True) as client:
        workers = client.read_workers_for_work_pool(POOL, offset=0, limit=MANY)
    return any(one.name == name and one.status == WorkerStatus.ONLINE for one in workers)


def register(recipe: Recipe) -> UUID:
    """Make or change the deployment of a recipe; a paused schedule stays paused."""
    deployment = wanted(recipe)
    with get_client(sync_client=True) as client:
        known = _read(client, recipe.name)
    if known is not None:
        deployment.paused = known.paused
        active = all(schedule.active for schedule in known.schedules)
        deployment.schedules = [*_schedules(recipe, active=active)]
    return cast("UUID", deployment.apply(work_pool_name=POOL))


def drift(recipes: Sequence[Recipe]) -> tuple[str, ...]:
    """Return one sentence for everything in which Prefect differs from the recipes."""
    with get_client(sync_client=True) as client:
        found = [sentence for one in recipes for sentence in _differences(client, one)]
        names = {recipe.name for recipe in recipes}
        found += [
            f"{known.name}: is deployed and has no recipe here"
            for known in client.read_deployments(limit=MANY, offset=0, sort=DeploymentSort.NAME_ASC)
            if TAG in known.tags and known.name not in names
        ]
    return tuple(found)


def _differences(client: SyncPrefectClient, recipe: Recipe) -> list[str]:
    known, name = _read(client, recipe.name), recipe.name
    if known is None:
        return [f"{name}: is not deployed"]
    deployed: dict[str, Any] = known.parameters.get("recipe", {})
    said = recipe.model_dump(mode="json")
    found = [
        f"{name}: `{key}` is deployed as {_short(deployed.get(key))}, the recipe says "
        f"{_short(said.get(key))}"
        for key in sorted({*said, *deployed})
        if deployed.get(key) != said.get(key)
    ]
    if known.paused or not all(schedule.active for schedule in known.schedules):
        found.append(f"{name}: is paused in Prefect")
    if known.work_pool_name != POOL:
        found.append(f"{name}: runs in work pool {known.work_pool_name!r}, not {POOL!r}")
    return found


def _read(client: SyncPrefectClient, name: str) -> DeploymentResponse | None:
    try:
        return client.read_deployment_by_name(f"{nightly_flow.name}/{name}")
    except ObjectNotFound:
        return None


def _schedules(recipe: Recipe, *, active: bool) -> list[DeploymentScheduleCreate]:
    if recipe.schedule.cron is None:
        return []
    cron = CronSchedule(cron=recipe.schedule.cron, timezone=recipe.schedule.timezone)
    return [DeploymentScheduleCreate(schedule=cron, active=active)]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
