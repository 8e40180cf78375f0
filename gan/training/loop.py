"""The training loop: one function for every modality and objective."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from gan.config import ResolvedConfig
from gan.device import find_device
from gan.protocols import Assess, Codec, Curve, Generator, Hooks
from gan.report import Event
from gan.sample import average_sampler
from gan.snapshot import save_snapshot
from gan.training import watch
from gan.training.batches import Batches
from gan.training.checkpoint import Checkpoints
from gan.training.objectives import phases
from gan.training.probe import Probe
from gan.training.repair import adapt, keep_precision, repair, shrink
from gan.training.rules import Seen
from gan.training.state import (
    Progress,
    TrainState,
    crosses_tick,
    is_spent,
    outlasts_tick,
    phase_at,
)
from gan.training.strip import Filmstrip, Strip
from gan.training.watch import Pulse, curves, record_tick, write_stats

CHECKPOINTS, SNAPSHOT = "checkpoints", "snapshot"


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
    notes: Sequence[str]
    """What `auto` picked."""
    strip: Filmstrip | None = None
    """What the same latents became, tick after tick; None where records are no pictures."""


def train(
    config: ResolvedConfig,
    codec: Codec,
    records: pa.Table,
    folder: Path,
    *,
    hooks: Hooks | None = None,
    device: str = "auto",
) -> TrainResult:
    """Train a generator on the records of split train, continuing whatever `folder` holds.

    Killed at any moment and called again, it ends with the same weights, bit for bit, as without
    the kill (budget in samples, one thread count, one kind of processor).

    Args:
        config: complete configuration, from the modality's `resolve`.
        codec: fitted on the same records.
        records: split train.
        folder: of this training alone; gets `checkpoints/`, `stats.jsonl` and `snapshot/`.
        hooks: assessment, records of split validation, and callbacks.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        Interrupted: `hooks.should_stop` said so; a checkpoint of that moment is written.
        NotFiniteError: losses or weights left the finite numbers more often than repairs allow.
        CollapseError: the generator collapsed or died more often than that.
        MemoryLimitError: even the smallest part of a batch does not fit.
        ConfigError: the device is missing, or the folder is of another training.
        DataError: the records do not fit the codec.
    """
    # What, where, how: samples in memory as they are stored, device and precision, objectives.
    hooks = hooks or Hooks()
    context = find_device(device, precision=config.precision, threads=config.threads)
    batches = Batches(codec.encode(records), codec, context, seed=config.seed)
    probe = Probe(context, batches, unseen(hooks, batches))
    objectives = phases(config, context)
    strip = Strip(config, codec)
    checkpoints = Checkpoints(folder=folder / CHECKPOINTS, config=config, strip=strip)

    with context.configured(), watch.memory_limit():
        # Continue from the newest checkpoint, or write the one that repairs can go back to.
        state = TrainState(config, codec, context)
        pulse = watch.begin(state, checkpoints, hooks, batches.encoded, folder)
        keep_precision(state, context)

        while (progress := state.progress).stopped is None:
            # One step on one batch by the objective of the phase.
            if hooks.should_stop():
                watch.interrupt(state, checkpoints, hooks)
            share = state.begin_step()
            batch = batches.next(config, progress)
            with watch.memory_trouble() as trouble:
                state.after_step(
                    objectives[phase_at(config, share)].step(state, batch, share), share
                )
            if trouble:
                shrink(state, checkpoints)
                continue
            pulse.charge(progress, config.threads)
            if not is_tick(config, progress):
                pulse.beat(state)
                continue

            # Maintenance, once per tick: is it alive, how good is it, does it go on?
            seen = _look(state, probe, hooks)
            pulse.charge(progress, threads=1)
            if repair(seen, state, checkpoints):
                pulse.tell_events(state)
                continue
            adapt(seen, state)
            with context.measuring():
                strip.take(state)
            watch.choose(state, seen.assessment)
            watch.decide(state, seen.assessment)

            # What a later run needs, and what a watching person sees.
            tick = record_tick(seen)
            hooks.on_checkpoint(checkpoints.save(state))
            write_stats(folder, progress)
            pulse.after_tick(state, tick)

    return _ship(state, batches, pulse, folder, hooks.assess, strip)


def _look(state: TrainState, probe: Probe, hooks: Hooks) -> Seen:
    """Return the signals of a tick, and the assessment of the average where there is one."""
    signals, progress = probe.read(state), state.progress
    if hooks.assess is None or not signals.weights_finite:
        return Seen(state.config, progress, signals, None)
    sample = average_sampler(state.generator_ema, state.codec, state.config)
    with state.context.measuring():
        assessment = hooks.assess(sample, progress.samples_seen)
    return Seen(state.config, progress, signals, assessment)


def unseen(hooks: Hooks, like: Batches) -> Batches | None:
    """Return the batches of records that training never sees, None where there are none."""
    if hooks.validation is None or not hooks.validation.num_rows:
        return None
    encoded = like.codec.encode(hooks.validation)
    return Batches(encoded, like.codec, like.context, seed=like.seed)


def is_tick(config: ResolvedConfig, progress: Progress) -> bool:
    """Return whether maintenance is due: by samples, by a budget of time, or because it is over."""
    return (
        is_spent(config, progress.spent)
        or crosses_tick(config, progress.samples_seen)
        or outlasts_tick(config, progress.spent, progress.spent_at_tick)
    )


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


def _ship(
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
    pulse.charge(progress, config.threads)
    save_snapshot(
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
        notes=config.notes,
        strip=strip.finished(state),
    )
