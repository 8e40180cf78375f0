"""What a training leaves behind: the chosen average, finished, as a snapshot, and its record."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gan.protocols import Assess, Curve, Generator
from gan.report import Event
from gan.sample import average_sampler
from gan.snapshot import save_snapshot
from gan.training import ranks, watch
from gan.training.batches import Batches
from gan.training.state import TrainState
from gan.training.strip import Filmstrip, Strip
from gan.training.watch import Pulse, curves

SNAPSHOT = "snapshot"


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What a finished training leaves behind."""

    snapshot: Path
    """Folder of the chosen generator."""
    samples_seen: int
    best_samples_seen: int
    """When the chosen generator was taken."""
    events: Sequence[Event]
    """Repairs, the choice, the stop."""
    curves: Sequence[Curve]
    """Losses and assessments over samples."""
    seconds: float
    """Over all runs of this training, assessments included."""
    cpu_s: float
    """Processor seconds in that time, over all threads."""
    threads: int
    """Threads that asked for a core each while it trained."""
    device: str
    ranks: int
    """Processes that trained together, one on each device."""
    notes: Sequence[str]
    """What `auto` picked."""
    strip: Filmstrip | None = None
    """What the same latents became, tick after tick; None where records are no pictures."""


def _finish(
    state: TrainState, batches: Batches, assess: Assess | None
) -> tuple[Generator, Sequence[Event]]:
    """Return the best average, finished where that does not make it worse, and what was done."""
    progress, config = state.progress, state.config
    best, finished = (copy.deepcopy(state.generator).eval() for _ in range(2))
    for each in (best, finished):
        each.load_state_dict(state.best)
    if not finished.finish(batches.everything, config.seed, progress.samples_seen):
        return best, ()
    seen, was = progress.best_samples_seen, progress.best_rank
    if assess is None or was is None:
        return finished, (
            Event(kind="choice", samples_seen=seen, text="the snapshot was finished"),
        )
    found = assess(average_sampler(finished, batches.codec, config), seen)
    on_target = not config.until or watch.reached_targets(config, found) is not None
    better = found.rank <= was and on_target
    text = (
        f"the snapshot was finished, and this is {'kept' if better else 'not kept'}: rank "
        f"{found.rank:.6g}, before {was:.6g}"
    )
    chosen = finished if better else best
    return chosen, (Event(kind="choice", samples_seen=seen, text=text),)


def ship(
    state: TrainState,
    batches: Batches,
    pulse: Pulse,
    folder: Path,
    assess: Assess | None,
    strip: Strip,
) -> TrainResult:
    """Finish the best average, write it as the snapshot and return the result."""
    progress, config, codec = state.progress, state.config, batches.codec
    with batches.context.configured(), batches.context.measuring(), watch.memory_limit():
        generator, finish_events = _finish(state, batches, assess)
    pulse.charge(progress, config.asked_threads)
    ranks.by_first(save_snapshot)(
        folder / SNAPSHOT,
        config=config,
        codec=codec,
        weights={name: tensor.contiguous() for name, tensor in generator.state_dict().items()},
        facts={
            "samples_seen": progress.samples_seen,
            "best_samples_seen": progress.best_samples_seen,
        },
    )
    busy = watch.busy_machine(state)
    seen = progress.samples_seen
    busy_events = () if busy is None else (Event(kind="machine", samples_seen=seen, text=busy),)
    return TrainResult(
        snapshot=folder / SNAPSHOT,
        samples_seen=progress.samples_seen,
        best_samples_seen=progress.best_samples_seen,
        events=(*progress.events, *finish_events, *busy_events),
        curves=curves(progress),
        seconds=progress.seconds,
        cpu_s=progress.cpu_s,
        threads=config.threads,
        device=state.device.type,
        ranks=ranks.count(),
        notes=config.notes,
        strip=strip.finished(state),
    )
