"""What a person sees while a job runs, and how it is stopped.

Progress is bars in a terminal and plain lines anywhere else, on standard error, so that standard
output holds the result and nothing else.

Ctrl-C and SIGTERM stop a job, and the next run continues. Most of a job may be cut anywhere,
because everything is put once: there a signal raises KeyboardInterrupt at once. Training is asked
instead, so that it writes a last checkpoint; a second signal cuts it too.
"""

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
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
)
from rich.text import Text

from flows.errors import LONGEST_SENTENCE, bounded, presentable
from storage.records.modalities import words_of

LINE_INTERVAL_S = 10.0
"""A log gets at most one line of progress per stage in this time."""


class Meter(Protocol):
    """The progress of one stage."""

    def update(
        self, done: int, total: int | None = None, note: str = "", left_s: float | None = None
    ) -> None:
        """Report how many units are done, of how many, and a note.

        The first call says where the stage begins. `left_s`: after so many seconds it ends at the
        latest, whatever is done by then.
        """


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

    def update(
        self, done: int, total: int | None = None, note: str = "", left_s: float | None = None
    ) -> None:
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
class Pace:
    """How fast a stage is, and how long it will take at that rate.

    The rate is that of the last half of the time so far, between two reports: what was there when
    the stage began counts for nothing, a slow start is soon forgotten, and pauses that come again,
    such as the assessments of a training, are part of it.
    """

    clock: Callable[[], float] = monotonic
    marks: deque[tuple[float, int]] = field(default_factory=deque)
    """When how many units were done, the oldest first."""
    began_s: float | None = None
    ends_s: float | None = None
    """When the stage ends at the latest, whatever is done."""

    def mark(self, done: int, left_s: float | None = None) -> float:
        """Take note of the progress, and return the time."""
        now_s = self.clock()
        self.began_s = now_s if self.began_s is None else self.began_s
        self.marks.append((now_s, done))
        middle_s = (self.began_s + now_s) / 2
        while len(self.marks) > 2 and self.marks[1][0] <= middle_s:
            self.marks.popleft()
        self.ends_s = None if left_s is None else now_s + left_s
        return now_s

    @property
    def rate(self) -> float | None:
        """Units per second; None before two reports that differ."""
        if len(self.marks) < 2:
            return None
        (first_s, first), (last_s, last) = self.marks[0], self.marks[-1]
        return (last - first) / (last_s - first_s) if last > first and last_s > first_s else None

    def left_s(self, total: int | None) -> float | None:
        """Return the seconds from now on; None where nothing tells."""
        now_s, rate, found = self.clock(), self.rate, list[float]()
        if total is not None and rate is not None:
            last_s, last = self.marks[-1]
            found.append(last_s + (total - last) / rate - now_s)
        if self.ends_s is not None:
            found.append(self.ends_s - now_s)
        return max(min(found), 0.0) if found else None


@dataclass(kw_only=True)
class LineMeter:
    """Reports progress in sentences, never more often than every `interval_s` seconds."""

    say: Callable[[str], None]
    interval_s: float
    title: str
    unit: str
    total: int | None
    pace: Pace = field(default_factory=Pace)
    done: int = 0
    _started_s: float = field(init=False)
    _reported_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._started_s = self._reported_s = self.pace.clock()

    def update(
        self, done: int, total: int | None = None, note: str = "", left_s: float | None = None
    ) -> None:
        """Take note of the progress, and report it when it is time."""
        self.total = self.total if total is None else total
        self.done, now_s = done, self.pace.mark(done, left_s)
        if now_s - self._reported_s < self.interval_s:
            return
        self._reported_s = now_s
        tail = f", {note}" if note else ""
        self.say(f"{self.title}: {self._state()}{tail}")

    def finish(self) -> None:
        """Report how much was done, and how long it took."""
        seconds = self.pace.clock() - self._started_s
        amount = f"{self.done:,} {self.unit} in " if self.done else ""
        self.say(f"{self.title}: {amount}{seconds:.1f} s")

    def _state(self) -> str:
        rate, left_s = self.pace.rate, self.pace.left_s(self.total)
        of = f" of {self.total:,}" if self.total is not None and rate is not None else ""
        parts = [f"{self.done:,}{of} {self.unit}"]
        parts += [] if rate is None else [f"{rate:,.0f} {self.unit}/s"]
        parts += [] if left_s is None else [f"{left_s:.0f} s left"]
        return ", ".join(parts)


class _RateColumn(ProgressColumn):
    """Rich's own columns look 30 seconds back, in which a long tick reports nothing."""

    def render(self, task: Task) -> Text:
        rate, unit = task.fields["pace"].rate, task.fields["unit"]
        return Text(f"{rate:,.0f} {unit}/s" if rate else "", style="progress.data.speed")


class _LeftColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        total = None if task.total is None else int(task.total)
        left_s = task.fields["pace"].left_s(total)
        shown = "-:--:--" if left_s is None else str(timedelta(seconds=round(left_s)))
        return Text(shown, style="progress.remaining")


@dataclass
class BarReporter:
    """A bar with rate and time left for the stage that runs; a tick for those that are done."""

    console: Console
    clock: Callable[[], float] = monotonic

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
            _LeftColumn(),
            TextColumn("{task.fields[note]}", style="dim"),
            console=self.console,
            transient=True,
        ) as progress:
            pace = Pace(clock=self.clock)
            task = progress.add_task(title, total=total, unit=unit, note="", pace=pace)
            meter = _BarMeter(progress=progress, task=task, pace=pace)
            yield meter
        amount = f"{meter.done:,} {unit}, " if meter.done else ""
        seconds = monotonic() - started_s
        text = f"[green]✓[/green] {escape(title)} [dim]{amount}{seconds:.1f} s[/dim]"
        self.console.print(text, highlight=False)


@dataclass
class _BarMeter:
    progress: Progress
    task: TaskID
    pace: Pace
    done: int = 0

    def update(
        self, done: int, total: int | None = None, note: str = "", left_s: float | None = None
    ) -> None:
        self.done = done
        self.pace.mark(done, left_s)
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


def shards_words(shards: int) -> str:
    """Return the number of shards in words."""
    return f"{shards:,} shards" if shards != 1 else "1 shard"
