"""Deployments at the Prefect API in use: registered, and compared with what they should be.

Registering again makes description, parameters, form and the recipe's schedule what they should be
(parameters that were edited in the UI are overwritten; `drift` names them before), and keeps what a
person did: what is paused stays paused, schedule by schedule, a schedule that was added by hand
stays, and nothing is ever deleted but a schedule that the recipe no longer has. A deployment of an
earlier version of ganmill, whose name was another, hands its schedules to the one in its place, as
the night would be done twice.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any

from httpx import HTTPError
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import (
    DeploymentScheduleCreate,
    DeploymentUpdate,
    WorkPoolCreate,
)
from prefect.client.schemas.objects import (
    ConcurrencyLimitStrategy,
    ConcurrencyOptions,
    WorkerStatus,
)
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound, PrefectHTTPStatusError
from prefect.flows import Flow
from prefect.settings import get_current_settings
from prefect.utilities.callables import parameter_schema

from flows.cockpit.local import POOL
from flows.errors import EngineError, RecipeError
from flows.tracked.housekeeping import MANY, TAG, read_deployments
from flows.tracked.on_demand import ALL_SETTINGS, FORMER_FLOWS

SLUG = "recipe"
"""Marks the schedule that the recipe asks for; one that a person adds has another or none."""
WAIT = ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
"""Two runs of one recipe would do the same work: the later one waits, and finds it done."""


@dataclass(frozen=True, kw_only=True)
class DeploymentSpec:
    """One deployment as it should be."""

    flow: Flow[Any, Any]
    name: str
    description: str
    labels: tuple[str, ...] = ()
    """Tags besides ganmill's own."""
    own_form: dict[str, Any] | None = None
    """The schema of its run form; None takes that of the flow."""
    parameters: dict[str, Any] = field(default_factory=dict)
    one_at_a_time: bool = False
    schedule: CronSchedule | None = None
    """What the recipe asks for; a person may add others in the UI."""

    @property
    def full_name(self) -> str:
        """`flow/name`, as the UI and Prefect's command line say it."""
        return f"{self.flow.name}/{self.name}"

    @property
    def tags(self) -> list[str]:
        """Ours, the recipe's name or `on-demand`, and which of the recipe's deployments it is."""
        return [TAG, *self.labels]

    @property
    def limit(self) -> int | None:
        """How many of its runs may run at once; None: as many as there are workers."""
        return 1 if self.one_at_a_time else None

    @property
    def entrypoint(self) -> str:
        """The module and function that a worker imports: it needs ganmill installed, no file."""
        return f"{self.flow.fn.__module__}.{self.flow.fn.__name__}"

    @property
    def form(self) -> dict[str, Any]:
        """The schema that the run form is made from."""
        if self.own_form is not None:
            return self.own_form
        return dict(parameter_schema(self.flow.fn).model_dump(exclude_unset=True))


def ensure_pool(pool: str = POOL) -> None:
    """Make the work pool, unless it is there, of whatever type."""
    with get_client(sync_client=True) as client, suppress(ObjectAlreadyExists):
        client.create_work_pool(WorkPoolCreate(name=pool, type="process"))


def last_heartbeat(name: str, pool: str = POOL) -> datetime | None:
    """Return when a worker that Prefect takes for online was heard last; None where it does not.

    That is a record: Prefect keeps it for a minute and a half after the worker's end.
    """
    with get_client(sync_client=True) as client:
        workers = client.read_workers_for_work_pool(pool, offset=0, limit=MANY)
    online = (one for one in workers if one.name == name and one.status == WorkerStatus.ONLINE)
    return next((one.last_heartbeat_time for one in online), None)


def register_all(specs: Sequence[DeploymentSpec], pool: str = POOL) -> dict[str, str]:
    """Make or change every deployment; the work pool must be there.

    Returns:
        A sentence for each that Prefect did not take, by its name; the others are registered.

    Raises:
        PrefectHTTPStatusError, HTTPError: the API failed, or refused the login.
    """
    refused: dict[str, str] = {}
    with get_client(sync_client=True) as client:
        for one in specs:
            try:
                _register(client, one, pool)
            except PrefectHTTPStatusError as error:
                if error.response.status_code not in UNFIT:
                    raise
                said = " ".join(error.response.text.split())
                refused[one.name] = f"{one.full_name}: Prefect does not take it: {said[:SHORT]}"
    return refused


def _register(client: SyncPrefectClient, one: DeploymentSpec, pool: str) -> None:
    known, former = read(client, one.full_name), _former(client, one)
    if known is None:
        client.create_deployment(
            flow_id=client.create_flow_from_name(one.flow.name),
            name=one.name,
            paused=former is not None and former.paused,
            schedules=_first_schedules(one, former),
            **_content(one, pool),
        )
    else:
        client.update_deployment(known.id, DeploymentUpdate(**_content(one, pool)))
        _match_schedule(client, known, one)
    if former is not None:
        _drop_handed_on(client, former, known)


def read(client: SyncPrefectClient, full_name: str) -> DeploymentResponse | None:
    """Return what Prefect knows under a deployment's `flow/name`; None when that is nothing."""
    try:
        return client.read_deployment_by_name(full_name)
    except ObjectNotFound:
        return None


def _former(client: SyncPrefectClient, one: DeploymentSpec) -> DeploymentResponse | None:
    """Return the deployment of an earlier version that had the schedules of this one."""
    if not one.one_at_a_time or one.name.endswith(ALL_SETTINGS):
        return None
    found = read(client, f"{FORMER_FLOWS[0]}/{one.name}")
    return found if found is not None and TAG in found.tags else None


def _drop_handed_on(
    client: SyncPrefectClient, former: DeploymentResponse, known: DeploymentResponse | None
) -> None:
    """Delete the schedules of a former deployment that the one in its place has now.

    That is all of them where it was new; what a person added to the former one since then stays.
    """
    there = [] if known is None else [each.schedule for each in known.schedules]
    for each in former.schedules:
        if known is None or each.slug == SLUG or each.schedule in there:
            client.delete_deployment_schedule(former.id, each.id)


def _first_schedules(
    one: DeploymentSpec, former: DeploymentResponse | None
) -> list[DeploymentScheduleCreate]:
    """Return the schedules of a deployment that is new: the recipe's, and those it takes over."""
    theirs = [] if former is None else former.schedules
    paused = any(each.slug == SLUG and not each.active for each in theirs)
    kept = [
        DeploymentScheduleCreate(schedule=each.schedule, active=each.active, slug=each.slug)
        for each in theirs
        if each.slug != SLUG
    ]
    ours = [each.model_copy(update={"active": not paused}) for each in _new_schedules(one)]
    return [*ours, *kept]


def _content(one: DeploymentSpec, pool: str) -> dict[str, Any]:
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


def _match_schedule(
    client: SyncPrefectClient, known: DeploymentResponse, one: DeploymentSpec
) -> None:
    """Make the recipe's schedule what the recipe says; whether it is paused stays as it is."""
    ours = [each for each in known.schedules if each.slug == SLUG]
    for each in ours:
        if one.schedule is None:
            client.delete_deployment_schedule(known.id, each.id)
        elif each.schedule != one.schedule:
            client.update_deployment_schedule(known.id, each.id, schedule=one.schedule)
    if not ours and one.schedule is not None:
        client.create_deployment_schedules(known.id, _new_schedules(one))


def _new_schedules(one: DeploymentSpec) -> list[DeploymentScheduleCreate]:
    if one.schedule is None:
        return []
    return [DeploymentScheduleCreate(schedule=one.schedule, active=True, slug=SLUG)]


UNFIT = (HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY)
"""What Prefect answers when the fault is in what it was sent."""
REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


def api_url() -> str:
    """Return the address of the Prefect API in use.

    Raises:
        RecipeError: none is in use.
    """
    url = get_current_settings().api.url
    if not url:
        msg = "no Prefect API is in use: set PREFECT_API_URL, or bring one up with `ganmill up`"
        raise RecipeError(msg)
    return url


def check_login(error: PrefectHTTPStatusError) -> None:
    """Check that what the API answered is not that the login is wrong.

    Raises:
        RecipeError: it is.
    """
    if error.response.status_code in REFUSED:
        msg = f"{api_url()} refuses the login: set PREFECT_API_AUTH_STRING to user:password"
        raise RecipeError(msg) from error


def check_api() -> None:
    """Ask the Prefect API for its version.

    Raises:
        RecipeError: none is in use, or it refuses the login.
        EngineError: it does not answer as Prefect does.
    """
    url = api_url()
    try:
        with get_client(sync_client=True) as client:
            client.api_version()
    except PrefectHTTPStatusError as error:
        check_login(error)
        msg = f"{url} answers {error.response.status_code}: is it a Prefect API (…/api)?"
        raise EngineError(msg) from error
    except HTTPError as error:
        msg = f"the Prefect API at {url} does not answer: start it, or correct PREFECT_API_URL"
        raise EngineError(msg) from error


FORMER = (
    "is of an earlier version of ganmill, and `ganmill deploy` gives its schedule to the one in "
    "its place; delete it in the UI"
)
NO_RECIPE = (
    "is deployed and has no recipe here; give it one, or delete it in the UI, as nothing is "
    "deleted by itself"
)
SHORT = 80
"""Longest value that a sentence shows in full, in letters."""


def drift(
    specs: Sequence[DeploymentSpec], pool: str = POOL, wrong: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return a sentence for everything in which Prefect differs; other work pools are left out.

    `wrong` are names of recipes that cannot be read: their deployments are not without a recipe.
    """
    found, ids = list[str](), set()
    with get_client(sync_client=True) as client:
        for one in specs:
            known = read(client, one.full_name)
            if known is None:
                found.append(f"{one.full_name}: is not deployed")
                continue
            ids.add(known.id)
            found += [f"{one.full_name}: {what}" for what in differences(one, known, pool)]
        for each in read_deployments():
            is_ours = TAG in each.tags and each.work_pool_name == pool
            if is_ours and each.id not in ids and each.name.removesuffix(ALL_SETTINGS) not in wrong:
                flow_name = client.read_flow(each.flow_id).name
                what = FORMER if flow_name in FORMER_FLOWS else NO_RECIPE
                found.append(f"{flow_name}/{each.name}: {what}")
    return tuple(found)


def differences(one: DeploymentSpec, known: DeploymentResponse, pool: str) -> Iterator[str]:
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


def _schedules(one: DeploymentSpec, known: DeploymentResponse) -> Iterator[str]:
    if known.paused:
        yield "is paused in Prefect"
    ours = [each for each in known.schedules if each.slug == SLUG]
    if one.schedule is not None and not ours:
        yield f"has no schedule, the recipe says {_say(one.schedule)}"
    for each in ours:
        if each.schedule != one.schedule:
            yield f"its schedule is {_say(each.schedule)}, the recipe says {_say(one.schedule)}"
    for each in known.schedules:
        if not each.active:
            yield f"its schedule {_say(each.schedule)} is paused in Prefect"
    added = [each for each in known.schedules if one.one_at_a_time and each.slug != SLUG]
    for each in added:
        yield f"has a schedule {_say(each.schedule)} that was added in Prefect and is kept"


def _say(schedule: Any) -> str:
    if isinstance(schedule, CronSchedule):
        return f"`{schedule.cron}` ({schedule.timezone})"
    return "none" if schedule is None else _short(schedule)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHORT else f"{text[: SHORT - 3]}..."
