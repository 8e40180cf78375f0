"""Events to Prefect, sent so that a returned call means the server has them.

Prefect's own `emit_event` puts an event into a queue of this process: killed in the next moment it
would be lost, and the lake would say it was told.
"""

from httpx import HTTPError
from prefect import runtime
from prefect.client.orchestration import get_client
from prefect.events import Event
from prefect.events.schemas.events import RelatedResource, Resource
from prefect.exceptions import PrefectException

from flows.errors import UnsentError
from storage.lake.announce import Announcement


def send(announcement: Announcement) -> None:
    """Send an event and wait until Prefect's server has accepted it.

    Raises:
        UnsentError: it could not be sent.
    """
    try:
        event = event_of(announcement)
        with get_client(sync_client=True) as client:
            answer = client.request("POST", "/events", json=[event.model_dump(mode="json")])
            answer.raise_for_status()
    except (HTTPError, PrefectException, OSError, RuntimeError) as error:
        reason = str(error) or type(error).__name__
        msg = f"{announcement.event} did not reach Prefect ({reason}); is its server running?"
        raise UnsentError(msg) from error


def event_of(announcement: Announcement) -> Event:
    """Return the event as Prefect knows it: beside what it is about, the run that it came from."""
    return Event(
        event=announcement.event,
        resource=Resource(
            {
                "prefect.resource.id": announcement.resource,
                "prefect.resource.name": announcement.payload["name"],
            }
        ),
        related=_origin(),
        payload=dict(announcement.payload),
    )


def _origin() -> list[RelatedResource]:
    """Return the flow run and the deployment that this process is at work for."""
    known = {"flow-run": runtime.flow_run.id, "deployment": runtime.deployment.id}
    return [
        RelatedResource(
            {"prefect.resource.id": f"prefect.{kind}.{one}", "prefect.resource.role": kind}
        )
        for kind, one in known.items()
        if one
    ]
