"""One trial while it trains: what its ticks rank, what a person sees, and when it is given up."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flows.progress import Meter
from gan.tuning.result import FinishedTrial, TrialState
from gan.tuning.study import RunningTrial

if TYPE_CHECKING:
    from gan.protocols import Assess, Assessment, Beat, SampleFn, Tick
    from gan.training.result import TrainResult


class GivenUp(Exception):  # noqa: N818 - no error: other trials are better
    """A trial is stopped because others are better."""


@dataclass
class WatchedTrial:
    """The hooks of a trial's training."""

    trial: RunningTrial
    assess: "Assess"
    samples_seen: int = 0
    """At the last tick."""
    seconds: float = 0.0
    cpu_s: float = 0.0
    _found: dict[int, "Assessment"] = field(default_factory=dict)
    _note: str = ""

    def measure(self, sample: "SampleFn", samples_seen: int) -> "Assessment":
        """Assess, and keep the rank that all trials share.

        The chosen snapshot is assessed once more when it is finished, and what is finished is kept
        only where it ranks no worse.
        """
        found = self.assess(sample, samples_seen)
        before = self._found.get(samples_seen)
        if before is None or found.rank <= before.rank:
            self._found[samples_seen] = found
        return found

    def on_tick(self, tick: "Tick") -> None:
        """Report the rank of a tick.

        Raises:
            GivenUp: the others are better.
        """
        self._spent(tick)
        rank = self._rank_at(tick.samples_seen)
        self._note = f"rank {rank:.2f}" if math.isfinite(rank) else "nothing usable"
        if self.trial.report(tick.progress, rank):
            raise GivenUp

    def shown_by(self, meter: Meter) -> Callable[["Beat"], None]:
        """Return what shows on a meter how far the training is."""

        def on_progress(beat: "Beat") -> None:
            note = ", ".join(text for text in (self._note, beat.busy) if text)
            meter.update(beat.samples_seen, note=note, left_s=beat.left_s)

        return on_progress

    def complete(self, trained: "TrainResult") -> FinishedTrial:
        """Return a trial that trained to the end, by the rank of the snapshot that is kept."""
        self._spent(trained)
        rank = self._rank_at(trained.best_samples_seen)
        if not math.isfinite(rank):
            return self.ended("failed", why="no snapshot was usable")
        return self.ended("complete", rank=rank)

    def ended(
        self, state: TrialState, *, rank: float | None = None, why: str = ""
    ) -> FinishedTrial:
        """Return the trial as it is kept."""
        return self.trial.ended(
            state,
            rank=rank,
            why=why,
            samples_seen=self.samples_seen,
            seconds=self.seconds,
            cpu_s=self.cpu_s,
        )

    def _rank_at(self, samples_seen: int) -> float:
        found = self._found.get(samples_seen)
        return math.inf if found is None else found.shared_rank

    def _spent(self, so_far: "Tick | TrainResult") -> None:
        self.samples_seen = so_far.samples_seen
        self.seconds, self.cpu_s = so_far.seconds, so_far.cpu_s
