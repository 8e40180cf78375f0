"""What a person sees while a job runs, and how it is stopped.

Progress is bars in a terminal and plain lines anywhere else, on standard error, so that standard
output holds the result and nothing else.

Ctrl-C and SIGTERM stop a job, and the next run continues. Most of a job may be cut anywhere,
because everything is put once: there a signal raises KeyboardInterrupt at once. Training is asked
instead, so that it writes a last checkpoint; a second signal cuts it too.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from time import monotonic
from types import FrameType
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from flows.errors import LONGEST_SENTENCE, bounded, presentable
from storage.records.modalities import words_of

LINE_INTERVAL_S = 10.0
"""A log gets at most one line of progress per stage in this time."""


class Meter(Protocol):
    """The progress of one stage."""

    def update(self, done: int, total: int | None = None, note: str = "") -> None:
        """Report how many units are done, of how many, and a note."""


class Reporter(Protocol):
    """Where a job reports what it does."""

    def say(self, text: str) -> None:
        """Write one sentence."""

    def meter(
        self, title: str, unit: str, total: int | None = None
    ) -> AbstractContextManager[Meter]:
        """Open the meter of one stage; it closes with the `with` block."""


def make_reporter(console: Console | None = None) -> Reporter:
    """Return bars for a terminal, lines for a pipe."""
    shown = console or Console(stderr=True)
    return BarReporter(shown) if shown.is_terminal else LineReporter(shown)


class SilentReporter:
    """Says nothing."""

    def say(self, text: str) -> None:
        """Do nothing."""

    @contextmanager
    def meter(self, title: str, unit: str, total: int | None = None) -> Iterator[Meter]:  # noqa: ARG002 - the interface
        """Give a meter that shows nothing."""
        yield self

    def update(self, done: int, total: int | None = None, note: str = "") -> None:
        """Do nothing."""


@dataclass
class LineReporter:
    """One plain line at the start, every ten seconds and at the end of a stage."""

    console: Console
    interval_s: float = LINE_INTERVAL_S

    def say(self, text: str) -> None:
        """Write the sentence as a line."""
        self.console.print(_shown(text), markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def meter(self, title: str, unit: str, total: int | None = None) -> Iterator[Meter]:
        """Write lines while the block runs."""
        meter = LineMeter(
            say=self.say, interval_s=self.interval_s, title=title, unit=unit, total=total
        )
        self.say(f"{title} ...")
        yield meter
        meter.finish()


@dataclass(kw_only=True)
class LineMeter:
    """Reports progress in sentences, never more often than every `interval_s` seconds."""

    say: Callable[[str], None]
    interval_s: float
    title: str
    unit: str
    total: int | None
    started_s: float = field(default_factory=monotonic)
    reported_s: float = field(default_factory=monotonic)
    first: int | None = None
    done: int = 0

    def update(self, done: int, total: int | None = None, note: str = "") -> None:
        """Take note of the progress, and report it when it is time."""
        now_s = monotonic()
        self.total = self.total if total is None else total
        self.first = done if self.first is None else self.first
        self.done = done
        if now_s - self.reported_s < self.interval_s:
            return
        self.reported_s = now_s
        tail = f", {note}" if note else ""
        self.say(f"{self.title}: {self._pace(now_s - self.started_s)}{tail}")

    def finish(self) -> None:
        """Report how much was done, and how long it took."""
        seconds = monotonic() - self.started_s
        amount = f"{self.done:,} {self.unit} in " if self.done else ""
        self.say(f"{self.title}: {amount}{seconds:.1f} s")

    def _pace(self, seconds: float) -> str:
        rate = (self.done - (self.first or 0)) / max(seconds, 1e-9)
        if rate <= 0:
            return f"{self.done:,} {self.unit}"
        if self.total is None:
            return f"{self.done:,} {self.unit}, {rate:,.0f} {self.unit}/s"
        left_s = (self.total - self.done) / rate
        return (
            f"{self.done:,} of {self.total:,} {self.unit}, "
            f"{rate:,.0f} {self.unit}/s, {left_s:.0f} s left"
        )


class _RateColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        unit = task.fields["unit"]
        return Text(f"{speed:,.0f} {unit}/s" if speed else "", style="progress.data.speed")


@dataclass
class BarReporter:
    """A bar with rate and time left for the stage that runs; a tick for those that are done."""

    console: Console

    def say(self, text: str) -> None:
        """Write the sentence above the bar."""
        self.console.print(escape(_shown(text)), highlight=False)

    @contextmanager
    def meter(self, title: str, unit: str, total: int | None = None) -> Iterator[Meter]:
        """Show a bar while the block runs and one line afterwards."""
        started_s = monotonic()
        with Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            _RateColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", style="dim"),
            console=self.console,
            transient=True,
        ) as progress:
            task = progress.add_task(title, total=total, unit=unit, note="")
            meter = _BarMeter(progress=progress, task=task)
            yield meter
        amount = f"{meter.done:,} {unit}, " if meter.done else ""
        seconds = monotonic() - started_s
        text = f"[green]✓[/green] {escape(title)} [dim]{amount}{seconds:.1f} s[/dim]"
        self.console.print(text, highlight=False)


@dataclass
class _BarMeter:
    progress: Progress
    task: TaskID
    done: int = 0

    def update(self, done: int, total: int | None = None, note: str = "") -> None:
        self.done = done
        self.progress.update(self.task, completed=done, total=total, note=note)


def _shown(text: str) -> str:
    return bounded(presentable(text), 2 * LONGEST_SENTENCE)


SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass
class StopSignal:
    """Whether this process was asked to stop."""

    asked: bool = False
    patient: bool = False
    """True while the work at hand looks at `asked` by itself."""

    def __call__(self) -> bool:
        """Say whether a stop was asked for."""
        return self.asked

    def ask(self) -> None:
        """Ask for a stop, as the first signal does."""
        self.asked = True

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Within the block the first signal is only noted."""
        self.patient = True
        try:
            yield
        finally:
            self.patient = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle the signals within the block; outside the main thread nothing changes."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._receive) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature of handlers
        again, self.asked = self.asked, True
        if again or not self.patient:
            raise KeyboardInterrupt


def records_word(modality: str) -> str:
    """Return the plural by which records of a modality are counted."""
    return words_of(modality).records
