"""The training loop: one function for every modality and objective."""

from pathlib import Path

import pyarrow as pa

from gan.codecs import Codec
from gan.config import ResolvedConfig
from gan.device import find_device, memory_trouble
from gan.protocols import Hooks
from gan.sample import average_sampler
from gan.training import ranks, watch
from gan.training.batches import Batches
from gan.training.checkpoint import Checkpoints
from gan.training.objectives import phases
from gan.training.probe import Probe
from gan.training.repair import adapt, repair, shrink
from gan.training.result import TrainResult, ship
from gan.training.rules import TickState
from gan.training.signals import Signals
from gan.training.state import (
    Progress,
    TrainState,
    crosses_tick,
    is_rested,
    is_spent,
    outlasts_tick,
    phase_at,
)
from gan.training.strip import Strip
from gan.training.watch import record_tick, write_stats

CHECKPOINTS = "checkpoints"


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
        NotFiniteError, CollapseError: it failed more often than repairs allow.
        MemoryLimitError: even the smallest part of a batch does not fit.
        ConfigError: the device is missing, or the folder is of another training.
        DataError: the records do not fit the codec.
    """
    # What, where, how: samples in memory as they are stored, device and precision, objectives.
    hooks = ranks.shared(hooks or Hooks())
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

        while (progress := state.progress).stopped is None:
            # One step on one batch by the objective of the phase.
            if hooks.should_stop():
                watch.interrupt(state, checkpoints, hooks)
            share = state.begin_step()
            batch = batches.next(config, progress)
            with memory_trouble() as trouble:
                state.after_step(
                    objectives[phase_at(config, share)].step(state, batch, share), share
                )
            if trouble:
                shrink(state, checkpoints)
                continue
            pulse.charge(progress, config.asked_threads)
            if not is_tick(config, progress):
                pulse.beat(state)
                continue

            # Maintenance, once per tick: is it alive, how good is it, does it go on?
            seen = _look(state, probe, hooks)
            pulse.charge_look(progress)
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

    return ship(state, batches, pulse, folder, hooks.assess, strip)


def _look(state: TrainState, probe: Probe, hooks: Hooks) -> TickState:
    """Return the signals of a tick, and the assessment of the average where there is one."""
    signals, progress = Signals(**ranks.agreed(probe.read(state)._asdict())), state.progress
    if hooks.assess is None or not signals.weights_finite:
        return TickState(state.config, progress, signals, None)
    sample = average_sampler(state.generator_ema, state.codec, state.config)
    with state.context.measuring():
        assessment = hooks.assess(sample, progress.samples_seen)
    return TickState(state.config, progress, signals, assessment)


def unseen(hooks: Hooks, like: Batches) -> Batches | None:
    """Return the batches of records that training never sees, None where there are none."""
    if hooks.validation is None or not hooks.validation.num_rows:
        return None
    encoded = like.codec.encode(hooks.validation)
    return Batches(encoded, like.codec, like.context, seed=like.seed)


def is_tick(config: ResolvedConfig, progress: Progress) -> bool:
    """Return whether maintenance is due: by samples, by a budget of time, or because it is over."""
    due = crosses_tick(config, progress.samples_seen) or outlasts_tick(
        config, progress.spent, progress.spent_at_tick
    )
    return is_spent(config, progress.spent) or (due and is_rested(config, progress))
