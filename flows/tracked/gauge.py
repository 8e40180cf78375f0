"""A progress bar in the UI that moves: one progress artifact for a stage that counts to a total.

A thread of its own sends what the stage last said, so that a slow or missing API never holds the
stage up; what cannot be sent is left out.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Any
from uuid import UUID

from httpx import HTTPError, Timeout
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.utilities.context import get_task_and_flow_run_ids

INTERVAL_S = 5.0
"""At most one call of the API in this time, but for the first and the last."""
SHARE = 0.01
"""Of the time so far, between two calls of a long stage: every call leaves an event behind."""
TIMEOUT_S = 10.0
"""Of one call."""
FAREWELL_S = 15.0
"""Longest wait for the last call when the stage is done."""
FULL = 100.0

Send = Callable[[float, str], None]
"""Told the progress in per cent, and what is worth a glance."""
Line = Callable[[], AbstractContextManager[Send]]
"""Opens what sends."""


@dataclass
class Gauge:
    """The meter that the stage updates; sending is another thread's business."""

    unit: str
    total: int | None = None
    done: int = 0
    note: str = ""
    _closed: threading.Event = field(default_factory=threading.Event)

    def update(self, done: int, total: int | None = None, note: str = "") -> None:
        """Take note of the progress."""
        self.total = self.total if total is None else total
        self.done, self.note = done, note

    @property
    def percent(self) -> float:
        """How far the stage is, 0 to 100; not quite 100 before it has ended."""
        if not self.total:
            return 0.0
        return min(max(FULL * self.done / self.total, 0.0), FULL - 1)

    @property
    def text(self) -> str:
        """The progress in words."""
        of = "" if self.total is None else f" of {self.total:,}"
        return f"{self.done:,}{of} {self.unit}{', ' if self.note else ''}{self.note}"

    def follow(self, send: Send, interval_s: float) -> None:
        """Send the first state, then what has changed at every interval, until `close`."""
        told, started_s = (0.0, self.text), monotonic()
        send(*told)
        while not self._closed.wait(max(interval_s, SHARE * (monotonic() - started_s))):
            if told != (told := (self.percent, self.text)):
                send(*told)

    def close(self) -> None:
        """End `follow`."""
        self._closed.set()


@contextmanager
def gauge(key: str, title: str, unit: str, total: int) -> Iterator[Gauge]:
    """Show a progress artifact of the run in hand while the block runs; 100 % when it has ended.

    Args:
        key: of the artifact.
        title: what is going on, for its description.
        unit: what is counted.
        total: how many there are.
    """
    meter = Gauge(unit=unit, total=total)
    task_run, flow_run = get_task_and_flow_run_ids()
    created = ArtifactCreate(key=key, type="progress", task_run_id=task_run, flow_run_id=flow_run)
    with following(meter, partial(_line_to_api, created, title)):
        yield meter


@contextmanager
def following(meter: Gauge, line: Line, interval_s: float = INTERVAL_S) -> Iterator[None]:
    """Have the meter sent while the block runs, and 100 % when it ends well.

    Args:
        meter: what the stage updates.
        line: opened in the thread that sends.
        interval_s: shortest time between two updates.
    """
    ended = False

    def run() -> None:
        with line() as send:
            meter.follow(send, interval_s)
            send(FULL if ended else meter.percent, meter.text)

    thread = threading.Thread(
        target=copy_context().run, args=(run,), name="progress of the run", daemon=True
    )
    thread.start()
    try:
        yield
        ended = True
    finally:
        meter.close()
        thread.join(FAREWELL_S)


@contextmanager
def _line_to_api(wanted: ArtifactCreate, title: str) -> Iterator[Send]:
    """Open what creates the artifact and updates it; a call that fails changes nothing."""
    artifact: UUID | None = None

    def send(percent: float, text: str) -> None:
        nonlocal artifact
        said: dict[str, Any] = {"data": round(percent, 1), "description": f"{title}: {text}"}
        with suppress(HTTPError):
            if artifact is None:
                artifact = client.create_artifact(wanted.model_copy(update=said)).id
            else:
                client.update_artifact(artifact, ArtifactUpdate(**said))

    with get_client({"timeout": Timeout(TIMEOUT_S)}, sync_client=True) as client:
        yield send
