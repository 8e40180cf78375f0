"""What a run shows in the UI: artifacts, moving progress, its log; and the events that it sends.

Prefect's own `emit_event` puts an event into a queue of this process: when that is killed in the
next moment the event is lost, and the lake would say that it was sent. Here an event is sent so
that a returned call means that the server has it.

Progress is one progress artifact for a stage that counts to a total. A thread of its own sends what
the stage last said, so that a slow or missing API never holds the stage up; what cannot be sent is
left out.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Any
from uuid import UUID

from httpx import HTTPError, Timeout
from prefect import get_run_logger, runtime
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.events import Event
from prefect.events.schemas.events import RelatedResource, Resource
from prefect.exceptions import PrefectException
from prefect.utilities.context import get_task_and_flow_run_ids

from flows.errors import UnsentError
from flows.job import Assessed, Job, Judged, Outcome, in_lake, report_page
from flows.progress import LineMeter, Meter, Reporter
from flows.report.curves import curves_markdown
from flows.report.markdown import (
    outcome_line,
    outcome_markdown,
    samples_markdown,
    verdict_line,
    verdict_markdown,
)
from flows.report_links import report_link
from flows.tracked import messages
from storage.lake.announce import Announcement
from storage.lake.layout import generator_report_key
from storage.masking import masked


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
    """Return the event as Prefect knows it, with the flow run that sends it and its deployment."""
    known = {"flow-run": runtime.flow_run.id, "deployment": runtime.deployment.id}
    related = [
        RelatedResource(
            {"prefect.resource.id": f"prefect.{kind}.{one}", "prefect.resource.role": kind}
        )
        for kind, one in known.items()
        if one
    ]
    return Event(
        event=announcement.event,
        resource=Resource(
            {
                "prefect.resource.id": announcement.resource,
                "prefect.resource.name": announcement.payload["name"],
            }
        ),
        related=related,
        payload=dict(announcement.payload),
    )


INTERVAL_S = 5.0
"""At most one call of the API in this time, but for the first and the last."""
SHARE = 0.01
"""Of the time so far, between two calls of a long stage: every call leaves an event behind."""
TIMEOUT_S = 10.0
"""Of one call."""
SHUTDOWN_TIMEOUT_S = 15.0
"""Longest wait for the last call when the stage is done."""
FULL = 100.0

Send = Callable[[float, str], None]
"""Called with the progress in per cent, and a note."""
Connect = Callable[[], AbstractContextManager[Send]]
"""Opens a connection that sends."""


@dataclass
class ProgressArtifact:
    """The meter that the stage updates; another thread sends it (`follow`)."""

    unit: str
    total: int | None = None
    done: int = 0
    note: str = ""
    _closed: threading.Event = field(default_factory=threading.Event)

    def update(
        self,
        done: int,
        total: int | None = None,
        note: str = "",
        left_s: float | None = None,  # noqa: ARG002 - a meter
    ) -> None:
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
        sent, started_s = (0.0, self.text), monotonic()
        send(*sent)
        while not self._closed.wait(max(interval_s, SHARE * (monotonic() - started_s))):
            if sent != (sent := (self.percent, self.text)):
                send(*sent)

    def close(self) -> None:
        """End `follow`."""
        self._closed.set()


@contextmanager
def progress_artifact(key: str, title: str, unit: str, total: int) -> Iterator[ProgressArtifact]:
    """Show a progress artifact of the run in hand while the block runs; 100 % when it has ended."""
    meter = ProgressArtifact(unit=unit, total=total)
    task_run, flow_run = get_task_and_flow_run_ids()
    created = ArtifactCreate(key=key, type="progress", task_run_id=task_run, flow_run_id=flow_run)
    with following(meter, partial(_connect, created, title)):
        yield meter


@contextmanager
def following(
    meter: ProgressArtifact, connect: Connect, interval_s: float = INTERVAL_S
) -> Iterator[None]:
    """Have a thread connect and send the meter while the block runs, and 100 % if it ends well."""
    ended = False

    def run() -> None:
        with connect() as send:
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
        thread.join(SHUTDOWN_TIMEOUT_S)


@contextmanager
def _connect(artifact: ArtifactCreate, title: str) -> Iterator[Send]:
    """Open what creates the artifact and updates it; a call that fails changes nothing."""
    known: UUID | None = None

    def send(percent: float, text: str) -> None:
        nonlocal known
        content: dict[str, Any] = {"data": round(percent, 1), "description": f"{title}: {text}"}
        with suppress(HTTPError):
            if known is None:
                known = client.create_artifact(artifact.model_copy(update=content)).id
            else:
                client.update_artifact(known, ArtifactUpdate(**content))

    with get_client({"timeout": Timeout(TIMEOUT_S)}, sync_client=True) as client:
        yield send


LOG_INTERVAL_S = 30.0
"""The log of a run gets at most one line of progress per stage in this time."""


def show_verdict(job: Job, assessed: Assessed) -> None:
    """Show verdict, metrics and training curves of the candidate, and samples where that is wanted.

    What the API does not take is left out, with a line in the log: the report has it all.
    """
    judged = assessed.challenger
    report, page = judged.report, report_page(job, judged)
    text = verdict_markdown(assessed, page, judged_link(job, judged))
    _show(f"{job.name}-verdict", text, verdict_line(report))
    _show(f"{job.name}-curves", curves_markdown(report), "Training curves")
    if job.recipe.report.artifacts == "full":
        _show(f"{job.name}-samples", samples_markdown(report), "Synthetic samples")


def show_end(job: Job, outcome: Outcome) -> str:
    """Show what was published, how to read it and what it cost, or why nothing was.

    Returns:
        The same as the message of the run's state; tags and name of the run say the shortest of it.
    """
    link = outcome_link(job, outcome)
    _show(f"{job.name}-outcome", outcome_markdown(outcome, link), outcome_line(outcome))
    messages.mark_run(messages.outcome_tags(outcome), messages.outcome_name(outcome))
    return messages.outcome_message(job, outcome, link)


def outcome_link(job: Job, outcome: Outcome) -> str | None:
    """Return an address that opens the report that the outcome names; None where there is none."""
    key = outcome.report_page.removeprefix(in_lake(job, ""))
    return report_link(job.lake, job.lake_uri, key)


def judged_link(job: Job, judged: Judged) -> str | None:
    """Return an address that opens a generator's report; None where there is none."""
    key = generator_report_key(job.name, judged.version, judged.report_digest, "report.html")
    return report_link(job.lake, job.lake_uri, key)


def _show(key: str, text: str | None, line: str) -> None:
    """Create one artifact; listings show the line."""
    if text is None:
        return
    try:
        create_markdown_artifact(text, key=key, description=line)
    except HTTPError as error:
        get_run_logger().warning("The artifact %s is not shown: %s", key, error)


@dataclass(frozen=True)
class LoggingReporter:
    """Writes to the terminal, and in the UI to the run's log and a progress artifact."""

    shown: Reporter
    name: str
    """Of the generator and the data set, for the keys of artifacts."""

    def say(self, text: str) -> None:
        """Write one sentence."""
        self.shown.say(text)
        get_run_logger().info("%s", masked(text))

    @contextmanager
    def meter(self, title: str, unit: str, total: int | None = None) -> Iterator[Meter]:
        """Open the meter of one stage; the block's end ends it everywhere."""
        log = get_run_logger()
        log.info(title)
        line = LineMeter(
            say=log.info, interval_s=LOG_INTERVAL_S, title=title, unit=unit, total=total
        )
        with self.shown.meter(title, unit, total) as shown, self._bar(title, unit, total) as bar:
            yield _Meters([shown, line, *([] if bar is None else [bar])])
        line.finish()

    def _bar(
        self, title: str, unit: str, total: int | None
    ) -> AbstractContextManager[ProgressArtifact | None]:
        """Return that of training and synthesis: they count samples to a known total."""
        if unit != "samples" or total is None:
            return nullcontext()
        return progress_artifact(f"{self.name}-{title.lower()}", title, unit, total)


@dataclass(frozen=True)
class _Meters:
    each: Sequence[Meter]

    def update(
        self, done: int, total: int | None = None, note: str = "", left_s: float | None = None
    ) -> None:
        for meter in self.each:
            meter.update(done, total, note, left_s)
