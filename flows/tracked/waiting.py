"""The flow runs that wait for a person's answer, as `ganmill status` shows them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from httpx import HTTPError
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateName,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import PrefectException

from flows.errors import EngineError, one_line
from flows.report_links import is_local, lake_name
from flows.tracked.approval import MOST_WAITING, SUSPENDED
from flows.tracked.housekeeping import TAG
from flows.tracked.messages import ANSWER_HERE, run_page
from flows.tracked.short_form import AS_RECIPE


@dataclass(frozen=True, kw_only=True)
class WaitingRun:
    """A flow run that is suspended until a person answers."""

    name: str
    """Of the generator that it asks about."""
    lake: str
    """As the recipe says it; empty where the run does not hold its recipe."""
    run_name: str
    since: datetime
    message: str
    """Of its state: what is asked."""
    page: str | None
    """Where to answer, in the UI."""

    def is_of(self, lake: str) -> bool:
        """Say whether it is about a lake; one that does not say its lake may be about any."""
        return not self.lake or _same(self.lake) == _same(lake)


def read_waiting() -> tuple[WaitingRun, ...]:
    """Return the runs that wait for an answer at the Prefect API in use, the oldest first.

    Raises:
        EngineError: the API does not answer, or refuses the login.
    """
    wanted = FlowRunFilter(
        state=FlowRunFilterState(name=FlowRunFilterStateName(any_=[SUSPENDED])),
        tags=FlowRunFilterTags(all_=[TAG]),
    )
    try:
        with get_client(sync_client=True) as client:
            runs = client.read_flow_runs(
                flow_run_filter=wanted, sort=FlowRunSort.ID_DESC, limit=MOST_WAITING, offset=0
            )
    except (HTTPError, PrefectException, OSError, RuntimeError) as error:
        reason = one_line(error) or type(error).__name__
        msg = f"the Prefect API does not say which runs wait for an answer: {reason}"
        raise EngineError(msg) from error
    found = [one for run in runs for one in _waiting(run)]
    return tuple(sorted(found, key=lambda one: one.since))


def _waiting(run: FlowRun) -> list[WaitingRun]:
    """Return what waits in a run; nothing where it moved on meanwhile."""
    if run.state is None or run.state.timestamp is None:
        return []
    recipe, given = run.parameters.get("recipe"), run.parameters.get("name", AS_RECIPE)
    whole: Mapping[str, Any] = recipe if isinstance(recipe, dict) else {"name": recipe}
    name = whole.get("name") if given == AS_RECIPE else given
    return [
        WaitingRun(
            name=str(name),
            lake=str(whole.get("output", {}).get("lake", "")),
            run_name=str(run.name),
            since=run.state.timestamp,
            message=(run.state.message or "").removesuffix(ANSWER_HERE),
            page=run_page(run.id),
        )
    ]


def _same(lake: str) -> str:
    """Return a lake's URI so that two ways to write it are equal."""
    return lake_name(lake) if is_local(lake) else lake.rstrip("/")
