"""What a flow run says of itself in lists: the message of its state, its tags, its name.

A person on duty asks whether something waits for an answer and since when, what the verdict is,
what was published from which generator, and which one serves. Tags and name are a service: where
Prefect does not take them the run goes on.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from httpx import HTTPError
from prefect import get_run_logger, runtime
from prefect.client.orchestration import get_client
from prefect.utilities.urls import url_for

from flows.job import Job, Outcome, Published, Question
from flows.progress import records_word
from flows.report.verdict import VERDICTS
from flows.report_links import in_a_line
from flows.tracked.run_names import with_outcome
from gan.report import Verdict
from storage.lake import datasets, promotions

WAITS: Final = "waits for your answer"
ANSWER_HERE: Final = "; answer with Resume on this run's page"
PUBLISHED, KEPT, PRESENT, NOTHING = "published", "kept champion", "nothing new", "nothing published"
VERDICT_TAGS = frozenset(shown[0].upper() for shown in VERDICTS.values())
OURS = VERDICT_TAGS | {WAITS, PUBLISHED, KEPT, PRESENT, NOTHING}
"""Tags that say how a run stands; each end or question replaces those of the one before."""


def outcome_message(job: Job, outcome: Outcome, link: str | None) -> str:
    """Return how a job ended, as the message of its state."""
    return f"{_end(job, outcome)}{in_a_line(link)}"


def _end(job: Job, outcome: Outcome) -> str:
    made = outcome.published
    if made is None:
        verdict = f"verdict {verdict_word(outcome.verdict)} on {outcome.generator}"
        return f"nothing published: {outcome.reason}; {verdict}; {_serving(job)}"
    what = _version(outcome, made)
    if outcome.choice == "kept":
        why = f"kept champion {outcome.generator}: the new generator was refused, {outcome.reason}"
        return f"{why}; published{' before' if made.existed else ''} {what}"
    new = "new champion" if outcome.choice == "promoted" else "champion"
    if made.existed:
        return f"nothing new, published before: {what}, {new} {outcome.generator}"
    return f"published {what}, {new} {outcome.generator}"


def _version(outcome: Outcome, made: Published) -> str:
    by = f" (overridden by {made.override.get('by', '?')})" if made.override else ""
    rows = f"{made.rows:,} {records_word(outcome.report.modality)}"
    return f"{outcome.name} {made.version}: {rows}, verdict {made.verdict.upper()}{by}"


def _serving(job: Job) -> str:
    """Return who serves readers while nothing new is published."""
    champion = promotions.champion(job.lake, job.name)
    latest = datasets.latest(job.lake, job.name)
    readers = "no version yet" if latest is None else f"version {latest.version}"
    who = "there is no champion" if champion is None else f"champion stays {champion.version}"
    return f"{who}, readers have {readers}"


def question_message(question: Question, verdict: Verdict, at: datetime, link: str | None) -> str:
    """Return what a suspended run says: since when it waits, for what, and where to answer."""
    ask = f"{verdict_word(verdict)}, {question.why}"
    return f"{WAITS} since {at:%Y-%m-%d %H:%M} UTC: {ask}{in_a_line(link)}{ANSWER_HERE}"


def verdict_word(verdict: Verdict) -> str:
    """Return a verdict as headings show it."""
    return VERDICTS[verdict][0].upper()


def outcome_tags(outcome: Outcome) -> tuple[str, ...]:
    """Return verdict and end of a run as tags."""
    return verdict_word(outcome.verdict), _word(outcome)


def outcome_name(outcome: Outcome) -> str:
    """Return the end of a run in the few words that a list has room for."""
    made = outcome.published
    rows = "" if made is None else f", {made.rows:,} {records_word(outcome.report.modality)}"
    return f"{verdict_word(outcome.verdict)}, {_word(outcome)}{rows}"


def _word(outcome: Outcome) -> str:
    if outcome.published is None:
        return NOTHING
    if outcome.choice == "kept":
        return KEPT
    return PRESENT if outcome.published.existed else PUBLISHED


def tags_with(tags: Collection[str], ours: Collection[str]) -> list[str]:
    """Return a run's tags with ours in place of those that said how it stood before."""
    return [*sorted(set(tags) - OURS), *ours]


def mark_run(tags: Collection[str], outcome: str) -> None:
    """Show in the list of runs how this one stands; without an API nothing happens."""
    run = runtime.flow_run.id
    if run is None:
        return
    name = with_outcome(runtime.flow_run.name or "", outcome)
    try:
        with get_client(sync_client=True) as client:
            client.update_flow_run(UUID(run), name=name, tags=tags_with(_tags(), tags))
    except HTTPError as error:
        get_run_logger().warning("The run's name and tags do not say how it stands: %s", error)


def clear_marks() -> None:
    """Take away what the run said of itself before it was started again."""
    if OURS & set(_tags()):
        mark_run((), "")


def _tags() -> list[str]:
    return list(runtime.flow_run.tags or ())


def run_page(run: UUID) -> str | None:
    """Return the address of a flow run in the UI, where one is known."""
    return url_for("flow-run", run)
