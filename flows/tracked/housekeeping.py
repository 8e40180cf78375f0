"""What Prefect's database holds of ganmill, and how it is kept small.

What finished long ago goes, with its artifacts and logs. Only runs that carry ganmill's tag are
looked at, as a server may have other users. Events are not here: the server deletes its own by age
(`PREFECT_SERVER_EVENTS_RETENTION_PERIOD`, a week).
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    DeploymentFilter,
    DeploymentFilterTags,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterEndTime,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import TERMINAL_STATES
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import DeploymentSort, FlowRunSort
from prefect.exceptions import ObjectNotFound

if TYPE_CHECKING:
    from prefect.client.orchestration.routes import ServerRoutes

TAG = "ganmill"
"""Of every deployment of ours; Prefect hands it on to the runs."""
MANY = 200
"""As much as Prefect's API lists at once."""
BATCH = 50
"""Runs per request: as many as Prefect deletes at once."""
ARTIFACTS = 20
"""Artifacts per request: each may hold a picture."""
MOST_RUNS = 2_000
"""Runs that one call deletes; the next call goes on."""

FINISHED = FlowRunFilterState(type=FlowRunFilterStateType(any_=sorted(TERMINAL_STATES)))
OURS = FlowRunFilterTags(all_=[TAG])


@dataclass(frozen=True, kw_only=True)
class Tidied:
    """What was deleted from Prefect's database."""

    runs: int
    """Flow runs, with their task runs, states and logs."""
    artifacts: int
    complete: bool
    """False when there is more to delete than one call may."""


def read_deployments(
    flow_name: str | None = None, *, tag: str | None = None
) -> list[DeploymentResponse]:
    """Return all deployments that Prefect knows, or those of one flow or tag, by name."""
    of_flow = None if flow_name is None else FlowFilter(name=FlowFilterName(any_=[flow_name]))
    tagged = None if tag is None else DeploymentFilter(tags=DeploymentFilterTags(all_=[tag]))
    found: list[DeploymentResponse] = []
    with get_client(sync_client=True) as client:
        while len(found) % MANY == 0:
            page = client.read_deployments(
                flow_filter=of_flow,
                deployment_filter=tagged,
                limit=MANY,
                offset=len(found),
                sort=DeploymentSort.NAME_ASC,
            )
            if not page:
                break
            found += page
    return found


def tidy_prefect(*, days: int) -> Tidied:
    """Delete what finished more than `days` days ago; the newest run of every deployment stays.

    Runs that wait, run or are suspended are never touched, however old they are.

    Raises:
        PrefectHTTPStatusError, HTTPError: the API failed; what was deleted is gone, call again.
    """
    oldest = datetime.now(UTC) - timedelta(days=days)
    runs = artifacts = 0
    with get_client(sync_client=True) as client:
        newest = _newest(client)
        while runs < MOST_RUNS:
            old = _old(client, oldest, newest)
            if not old:
                return Tidied(runs=runs, artifacts=artifacts, complete=True)
            artifacts += _delete_artifacts(client, old)
            runs += _delete_runs(client, old)
    return Tidied(runs=runs, artifacts=artifacts, complete=False)


def _newest(client: SyncPrefectClient) -> list[UUID]:
    """Return the last finished run of every deployment."""
    found: list[UUID] = []
    for deployment in read_deployments(tag=TAG):
        mine = FlowRunFilter(
            deployment_id=FlowRunFilterDeploymentId(any_=[deployment.id]), state=FINISHED
        )
        last = client.read_flow_runs(flow_run_filter=mine, sort=FlowRunSort.END_TIME_DESC, limit=1)
        found += [run.id for run in last]
    return found


def _old(client: SyncPrefectClient, oldest: datetime, newest: Sequence[UUID]) -> list[UUID]:
    """Return some of the runs that may go, those first that started first."""
    old = FlowRunFilter(
        id=FlowRunFilterId(not_any_=list(newest)),
        tags=OURS,
        state=FINISHED,
        end_time=FlowRunFilterEndTime.model_validate({"before_": oldest}),
    )
    runs = client.read_flow_runs(flow_run_filter=old, sort=FlowRunSort.START_TIME_ASC, limit=BATCH)
    return [run.id for run in runs]


def _delete_artifacts(client: SyncPrefectClient, runs: Sequence[UUID]) -> int:
    """Delete the artifacts of these runs; Prefect leaves them behind when a run is deleted."""
    of_runs = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=list(runs)))
    deleted, artifacts = 0, of_runs.model_dump(mode="json", exclude_unset=True)
    body = {"artifacts": artifacts, "limit": ARTIFACTS}
    while True:
        # `read_artifacts` sends null for what it is not asked for, which the server refuses.
        found = client.request("POST", "/artifacts/filter", json=body).raise_for_status().json()
        if not found:
            return deleted
        for artifact in found:
            with suppress(ObjectNotFound):
                client.delete_artifact(UUID(artifact["id"]))
        deleted += len(found)


def _delete_runs(client: SyncPrefectClient, runs: Sequence[UUID]) -> int:
    """Delete runs in one request; those that somebody else deleted meanwhile do not count."""
    route = cast("ServerRoutes", "/flow_runs/bulk_delete")  # not among those the client types
    body = {"flow_runs": {"id": {"any_": [str(run) for run in runs]}}, "limit": BATCH}
    answer = client.request("POST", route, json=body).raise_for_status().json()
    return len(answer["deleted"])
