"""How Prefect differs from the recipes: what a registration would change, and what it would not."""

from collections.abc import Iterator, Sequence
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule

from flows.cockpit.deployments import read
from flows.cockpit.wanted import POOL, SLUG, TAG, WAIT, Wanted, wanted
from flows.recipe import Recipe
from flows.tracked.deployed import read_deployments

NO_RECIPE = (
    "is deployed and has no recipe here; give it one, or delete it in the UI, as nothing is "
    "deleted by itself"
)
SHORT = 80
"""Longest value that a sentence shows in full, in letters."""


def drift(recipes: Sequence[Recipe], pool: str = POOL) -> tuple[str, ...]:
    """Return one sentence for everything in which Prefect differs from the recipes.

    Args:
        recipes: as `flows.cockpit.catalog` finds them.
        pool: the work pool that the runs should go to; the deployments of others are not looked at.
    """
    found: list[str] = []
    ids = set()
    with get_client(sync_client=True) as client:
        for one in wanted(recipes, pool):
            known = read(client, one)
            if known is None:
                found.append(f"{one.full_name}: is not deployed")
                continue
            ids.add(known.id)
            found += [f"{one.full_name}: {what}" for what in differences(one, known, pool)]
        for each in read_deployments():
            if TAG in each.tags and each.work_pool_name == pool and each.id not in ids:
                found.append(f"{client.read_flow(each.flow_id).name}/{each.name}: {NO_RECIPE}")
    return tuple(found)


def differences(one: Wanted, known: DeploymentResponse, pool: str) -> Iterator[str]:
    """Yield what differs between a deployment as it should be and as Prefect knows it."""
    yield from _values(one.parameters, known.parameters)
    if known.parameter_openapi_schema != one.form:
        yield "its run form is of another version of ganmill"
    limit = known.global_concurrency_limit
    plain: dict[str, tuple[Any, Any]] = {
        "description": (known.description, one.description),
        "tags": (known.tags, one.tags),
        "entrypoint": (known.entrypoint, one.entrypoint),
        "work pool": (known.work_pool_name, pool),
        "pull steps": (known.pull_steps or [], []),
        "concurrency limit": (None if limit is None else limit.limit, one.limit),
    }
    if one.one_at_a_time:
        plain["collision strategy"] = (known.concurrency_options, WAIT)
    for what, (there, here) in plain.items():
        if there != here:
            yield f"{what} {_short(there)}, not {_short(here)}"
    yield from _schedules(one, known)


def _values(here: Any, there: Any, path: str = "") -> Iterator[str]:
    """Yield the leaves in which parameters differ, by their path."""
    if isinstance(here, dict) and isinstance(there, dict):
        for key in sorted({*here, *there}):
            yield from _values(here.get(key), there.get(key), f"{path}.{key}".lstrip("."))
    elif here != there:
        yield f"`{path}` is deployed as {_short(there)}, the recipe says {_short(here)}"


def _schedules(one: Wanted, known: DeploymentResponse) -> Iterator[str]:
    if known.paused:
        yield "is paused in Prefect"
    ours = [each for each in known.schedules if each.slug == SLUG]
    if one.schedule is not None and not ours:
        yield f"has no schedule, the recipe says {_say(one.schedule)}"
    for each in ours:
        if each.schedule != one.schedule:
            yield f"its schedule is {_say(each.schedule)}, the recipe says {_say(one.schedule)}"
    yield from (
        f"its schedule {_say(each.schedule)} is paused in Prefect"
        for each in known.schedules
        if not each.active
    )
    if one.one_at_a_time:
        yield from (
            f"has a schedule {_say(each.schedule)} that was added in Prefect and is kept"
            for each in known.schedules
            if each.slug != SLUG
        )


def _say(schedule: Any) -> str:
    if isinstance(schedule, CronSchedule):
        return f"`{schedule.cron}` ({schedule.timezone})"
    return "none" if schedule is None else _short(schedule)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHORT else f"{text[: SHORT - 3]}..."
