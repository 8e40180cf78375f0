"""What a run shows in the UI: artifacts, moving progress, its log."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from httpx import HTTPError
from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact

from flows.artifacts import (
    curves_markdown,
    outcome_line,
    outcome_markdown,
    samples_markdown,
    verdict_line,
    verdict_markdown,
)
from flows.job import Job
from flows.outcome import Outcome, report_page
from flows.progress import LineMeter, Meter, Reporter
from flows.results import Assessed
from flows.tracked.gauge import Gauge, gauge

LOG_INTERVAL_S = 30.0
"""The log of a run gets at most one line of progress per stage in this time."""


def show_verdict(job: Job, assessed: Assessed) -> None:
    """Show verdict, metrics and training curves of the candidate, and samples where that is wanted.

    What the API does not take is left out, with a line in the log: the report has it all.
    """
    judged = assessed.challenger
    report, page = judged.report, report_page(job, judged)
    text = verdict_markdown(assessed, job.recipe.gate, page)
    _show(f"{job.name}-verdict", text, verdict_line(report))
    _show(f"{job.name}-curves", curves_markdown(report), "Training curves")
    if job.recipe.report.artifacts == "full":
        _show(f"{job.name}-samples", samples_markdown(report), "Synthetic samples")


def show_outcome(name: str, outcome: Outcome) -> None:
    """Show what was published, how to read it and what it cost, or why nothing was."""
    _show(f"{name}-outcome", outcome_markdown(outcome), outcome_line(outcome))


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
    """Tells the terminal, and in the UI the run's log and a progress bar."""

    shown: Reporter
    name: str
    """Of the generator and the data set, for the keys of artifacts."""

    def say(self, text: str) -> None:
        """Tell one sentence."""
        self.shown.say(text)
        get_run_logger().info(text)

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
    ) -> AbstractContextManager[Gauge | None]:
        """Return the bar of training and synthesis: they count samples to a known total."""
        if unit != "samples" or total is None:
            return nullcontext()
        return gauge(f"{self.name}-{title.lower()}", title, unit, total)


@dataclass(frozen=True)
class _Meters:
    each: Sequence[Meter]

    def update(self, done: int, total: int | None = None, note: str = "") -> None:
        for meter in self.each:
            meter.update(done, total, note)
