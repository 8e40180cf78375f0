"""What a run shows in the UI: artifacts and its log."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

from prefect import get_run_logger
from prefect.artifacts import create_image_artifact, create_markdown_artifact

from flows.artifacts import outcome_markdown, samples_markdown, samples_uri, verdict_markdown
from flows.outcome import Outcome
from flows.progress import Meter, Reporter
from flows.results import Assessed


def show_verdict(name: str, assessed: Assessed) -> None:
    """Show verdict, metrics and samples of the candidate."""
    report = assessed.challenger.report
    create_markdown_artifact(verdict_markdown(report), key=f"{name}-verdict")
    grid = samples_uri(report)
    if grid is not None:
        create_image_artifact(grid, key=f"{name}-samples", description="Synthetic samples by class")
    rows = samples_markdown(report)
    if rows is not None:
        create_markdown_artifact(rows, key=f"{name}-samples")


def show_outcome(name: str, outcome: Outcome) -> None:
    """Show what was published and how to read it, or why nothing was."""
    create_markdown_artifact(outcome_markdown(outcome), key=f"{name}-outcome")


@dataclass(frozen=True)
class LoggingReporter:
    """Tells the terminal, and the run's log in the UI."""

    shown: Reporter

    def say(self, text: str) -> None:
        """Tell one sentence."""
        self.shown.say(text)
        get_run_logger().info(text)

    def meter(
        self, title: str, unit: str, total: int | None = None
    ) -> AbstractContextManager[Meter]:
        """Open the meter of one stage."""
        get_run_logger().info(title)
        return self.shown.meter(title, unit, total)
