"""Registering what the recipes ask for with Prefect, whatever it knew before.

Registering again makes description, parameters, form and the recipe's schedule what they should be
(parameters that were edited in the UI are overwritten: `flows.cockpit.drift` names them before),
and keeps what a person did: what is paused stays paused, schedule by schedule, a schedule that was
added by hand stays, and nothing is ever deleted but a schedule that the recipe no longer has.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import (
    DeploymentScheduleCreate,
    DeploymentUpdate,
    WorkPoolCreate,
)
from prefect.client.schemas.objects import WorkerStatus
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

from flows.cockpit.wanted import POOL, SLUG, WAIT, Wanted, wanted
from flows.recipe import Recipe

MANY = 200
"""As much as Prefect's API lists at once."""


def ensure_pool(pool: str = POOL) -> bool:
    """Make the work pool; False when it was there, of whatever type."""
    with get_client(sync_client=True) as client:
        try:
            client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
        except ObjectAlreadyExists:
            return False
    return True


def has_worker(name: str, pool: str = POOL) -> bool:
    """Say whether a worker of that name is at work in the pool."""
    with get_client(sync_client=True) as client:
        workers = client.read_workers_for_work_pool(pool, offset=0, limit=MANY)
    return any(one.name == name and one.status == WorkerStatus.ONLINE for one in workers)


def register_all(recipes: Sequence[Recipe], pool: str = POOL) -> tuple[str, ...]:
    """Make or change every deployment of these recipes, and those on demand.

    Args:
        recipes: as `flows.cockpit.catalog` finds them.
        pool: the work pool whose workers do the runs; it must be there.

    Returns:
        One sentence for each recipe, and one for all that is on demand.
    """
    everything = wanted(recipes, pool)
    with get_client(sync_client=True) as client:
        for one in everything:
            _register(client, one, pool)
    on_demand = ", ".join(one.flow.name for one in everything if not one.one_at_a_time)
    return (
        *(f"nightly/{each.name} and adjust/{each.name}, {_when(each)}" for each in recipes),
        f"on demand: {on_demand}",
    )


def read(client: SyncPrefectClient, one: Wanted) -> DeploymentResponse | None:
    """Return what Prefect knows under a deployment's name; None when that is nothing."""
    try:
        return client.read_deployment_by_name(one.full_name)
    except ObjectNotFound:
        return None


def _register(client: SyncPrefectClient, one: Wanted, pool: str) -> None:
    known = read(client, one)
    if known is None:
        _create(client, one, pool)
        return
    client.update_deployment(known.id, DeploymentUpdate(**_content(one, pool)))
    _match_schedule(client, known, one)


def _create(client: SyncPrefectClient, one: Wanted, pool: str) -> UUID:
    return client.create_deployment(
        flow_id=client.create_flow_from_name(one.flow.name),
        name=one.name,
        schedules=_new_schedules(one),
        **_content(one, pool),
    )


def _content(one: Wanted, pool: str) -> dict[str, Any]:
    """Return what registering sets, the first time and every time after."""
    return {
        "version": one.flow.version,
        "description": one.description,
        "parameters": one.parameters,
        "tags": one.tags,
        "work_pool_name": pool,
        "entrypoint": one.entrypoint,
        "pull_steps": [],
        "concurrency_limit": one.limit,
        "concurrency_options": WAIT if one.one_at_a_time else None,
        "enforce_parameter_schema": True,
        "parameter_openapi_schema": one.form,
    }


def _match_schedule(client: SyncPrefectClient, known: DeploymentResponse, one: Wanted) -> None:
    """Make the recipe's schedule what the recipe says; whether it is paused stays as it is."""
    ours = [each for each in known.schedules if each.slug == SLUG]
    for each in ours:
        if one.schedule is None:
            client.delete_deployment_schedule(known.id, each.id)
        elif each.schedule != one.schedule:
            client.update_deployment_schedule(known.id, each.id, schedule=one.schedule)
    if not ours and one.schedule is not None:
        client.create_deployment_schedules(known.id, _new_schedules(one))


def _new_schedules(one: Wanted) -> list[DeploymentScheduleCreate]:
    if one.schedule is None:
        return []
    return [DeploymentScheduleCreate(schedule=one.schedule, active=True, slug=SLUG)]


def _when(recipe: Recipe) -> str:
    cron = recipe.schedule.cron
    return "runs when asked" if cron is None else f"runs at {cron} ({recipe.schedule.timezone})"
