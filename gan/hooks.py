"""What the training loop calls back: assessments, ticks, checkpoints, the question whether to stop.

Shapes: N records.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from storage.records.schema import ClassCounts


class SampleFn(Protocol):
    """The averaged generator as it stands, as an assessment sees it."""

    def __call__(self, rows: ClassCounts | int) -> pa.Table:
        """Synthesize so many rows of each class, or so many rows when unconditional.

        Every call of one training starts from the same latents, so two ticks are a paired
        comparison.
        """

    def log_likelihood(self, records: pa.Table) -> np.ndarray[Any, Any] | None:
        """Return nats per record, float64 (N,); None for a generator that cannot say."""


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """How good the generator is now, on validation records."""

    metrics: Mapping[str, float]
    """Written to `stats.jsonl` and the training curves."""
    rank: float
    """Lower is better; comparable over the ticks of one training; infinite when unusable."""
    copies: float
    """Share of samples nearer to a training record than the validation threshold allows."""
    full_coverage: bool
    """Whether coverage has reached what the gate asks for."""


class Assess(Protocol):
    """Measures a generator while it trains."""

    def __call__(self, sample: SampleFn, samples_seen: int) -> Assessment:
        """Return the assessment of the generator behind `sample`."""


@dataclass(frozen=True, kw_only=True)
class Tick:
    """One line of `stats.jsonl`: progress, losses and assessment at one maintenance."""

    samples_seen: int
    progress: float
    """Share of the budget that is used, 0 to 1."""
    seconds: float
    """Training time so far, over all runs."""
    samples_per_s: float
    """Rate since the previous tick."""
    metrics: Mapping[str, float]
    """Mean losses since the previous tick, learning rate, gamma, and the assessment's metrics."""


def _ignore(_: object) -> None:
    """Do nothing."""


def _never() -> bool:
    """Never stop."""
    return False


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What the loop calls: everything a caller may observe or steer."""

    assess: Assess | None = None
    """Chooses the snapshot; without it the last average is the snapshot."""
    on_tick: Callable[[Tick], None] = _ignore
    on_checkpoint: Callable[[Path], None] = _ignore
    """Called with a complete checkpoint folder, which lives until two newer ones exist."""
    should_stop: Callable[[], bool] = _never
    """Asked before every step; True writes a checkpoint and raises `Interrupted`."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One number over the training, for the report's training curves."""

    name: str
    samples_seen: Sequence[int] = field(default=())
    values: Sequence[float] = field(default=())
