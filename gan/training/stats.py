"""The numbers of a training over its samples: `stats.jsonl`, ticks, curves."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter

from gan.config import ResolvedConfig
from gan.hooks import Assessment, Curve, Tick
from gan.training.schedules import used_share
from gan.training.state import Progress
from storage.records.durable import replace_file

STATS = "stats.jsonl"
CLOCKED = ("samples_seen", "seconds", "samples_per_s")
"""Entries of a line that are no curve."""


class Clock:
    """Seconds between calls."""

    def __init__(self) -> None:
        self._last = perf_counter()

    def lap(self) -> float:
        """Return the seconds since the previous lap."""
        now = perf_counter()
        lasted, self._last = now - self._last, now
        return lasted


def record_tick(
    config: ResolvedConfig,
    progress: Progress,
    losses: Mapping[str, float],
    assessment: Assessment | None,
) -> Tick:
    """Append this tick's line to the history and return it as a tick."""
    before = progress.history[-1] if progress.history else {"samples_seen": 0, "seconds": 0.0}
    lasted_s = progress.seconds - before["seconds"]
    metrics = dict(losses)
    if assessment is not None:
        metrics |= {"rank": assessment.rank, "copies": assessment.copies, **assessment.metrics}
    metrics = {name: float(value) for name, value in metrics.items() if math.isfinite(value)}
    tick = Tick(
        samples_seen=progress.samples_seen,
        progress=used_share(config, progress.samples_seen, progress.seconds),
        seconds=progress.seconds,
        samples_per_s=(progress.samples_seen - before["samples_seen"]) / max(lasted_s, 1e-9),
        metrics=metrics,
    )
    clocked = {name: getattr(tick, name) for name in CLOCKED}
    progress.history.append({**clocked, **metrics})
    return tick


def write_stats(folder: Path, progress: Progress) -> None:
    """Write `stats.jsonl` from the history: after a resume it holds no line of the lost future."""
    lines = [json.dumps(line, allow_nan=False) + "\n" for line in progress.history]
    replace_file(folder / STATS, "".join(lines).encode())


def curves(progress: Progress) -> tuple[Curve, ...]:
    """Return every number of the history over samples, in order of first appearance."""
    names = dict.fromkeys(name for line in progress.history for name in line)
    return tuple(
        Curve(
            name=name,
            samples_seen=tuple(int(x["samples_seen"]) for x in progress.history if name in x),
            values=tuple(x[name] for x in progress.history if name in x),
        )
        for name in names
        if name not in CLOCKED
    )
