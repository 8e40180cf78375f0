"""Watching a training: is it alive, which snapshot is best, when is it over; its recorded numbers.

Everything here reads and writes `Progress`, which is in the checkpoint, so that a resumed training
decides, by samples, as an uninterrupted one would have, and `stats.jsonl` holds no line of a future
that was lost.
"""

import contextlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import torch

from gan.codecs import Encoded
from gan.config import ResolvedConfig
from gan.device import memory_trouble
from gan.errors import Interrupted, MemoryLimitError
from gan.modalities import load_modality
from gan.protocols import Assess, Assessment, Beat, Curve, Hooks, Tick
from gan.sample import average_sampler
from gan.targets import reached
from gan.training import ranks
from gan.training.checkpoint import Checkpoints
from gan.training.rules import TickState
from gan.training.state import Progress, TrainState, is_spent, seconds_left, used_share
from storage.records.durable import replace_file

COPIES_RISE, COPIES_TICKS, COPIES_CERTAIN = 1.5, 2, 2.0
"""Training stops when copies exceed so many times their value at the first full coverage, so many
ticks in a row: one tick alone is noise, and a falling learning rate lowers copies again. Of few
validation records the few nearest set the threshold: then also by so many standard deviations."""
STATS = "stats.jsonl"
CLOCKED = ("samples_seen", "seconds", "cpu_s", "samples_per_s")
"""Entries of a line that are no curve."""


def is_finite(state: TrainState) -> bool:
    """Return whether every weight is a finite number; waits for the device."""
    total = torch.zeros((), device=state.device)
    for weights in state.weights():
        total += weights.detach().abs().max()
    return math.isfinite(total.item())


def choose(state: TrainState, assessment: Assessment | None) -> None:
    """Keep the average as the best snapshot when it is; without assessment the last one is best."""
    progress = state.progress
    if assessment is None:
        state.keep_best(None)
        return
    if progress.copies_reference is None and assessment.full_coverage:
        progress.copies_reference = assessment.copies
    reference = progress.copies_reference
    copied = reference is not None and assessment.copies > most_copies(reference, assessment)
    progress.copies_ticks = progress.copies_ticks + 1 if copied else 0
    usable = math.isfinite(assessment.rank) and not copied
    if usable and (progress.best_rank is None or assessment.rank < progress.best_rank):
        state.keep_best(assessment.rank)


def most_copies(reference: float, assessment: Assessment) -> float:
    """Return the largest share of copies that is no rise above the reference."""
    return max(COPIES_RISE * reference, reference + COPIES_CERTAIN * assessment.copies_noise)


def choose_fitted(state: TrainState, assess: Assess | None) -> None:
    """Keep what a generator is before the first step, where that is complete.

    It is no reference for copies: what is trained from it may begin with more.
    """
    if assess is None or not state.generator.complete_when_fitted:
        return
    sample = average_sampler(state.generator_ema, state.codec, state.config)
    with state.context.measuring():
        found = assess(sample, 0)
    if math.isfinite(found.rank):
        state.keep_best(found.rank)


def reached_targets(config: ResolvedConfig, assessment: Assessment) -> str | None:
    """Return how all targets of `training.until` are reached, None where not or without any.

    Raises:
        ConfigError: a target is not measured on these records.
    """
    if not config.until:
        return None
    return reached(config.until, assessment, load_modality(config.modality).metrics)


def decide(state: TrainState, assessment: Assessment | None) -> None:
    """Stop when the targets are reached, copies rise, nothing improves, or the budget is used up.

    What reaches the targets is the snapshot, whatever ranked higher before. A phase that others
    follow is not judged by its own ticks: what it prepares may mend what it lacks.

    Raises:
        ConfigError: a target is not measured on these records.
    """
    progress = state.progress
    in_last_phase = progress.phase == len(state.config.phases) - 1
    targets = None if assessment is None else reached_targets(state.config, assessment)
    waited = progress.samples_seen - max(progress.best_samples_seen, progress.phase_began)
    out_of_patience = progress.best_samples_seen and waited >= state.config.patience_samples
    if assessment is not None and targets is not None and math.isfinite(assessment.rank):
        state.keep_best(assessment.rank)
        progress.stopped = f"validation reaches the targets of training.until: {targets}"
    elif in_last_phase and assessment is not None and progress.copies_ticks >= COPIES_TICKS:
        progress.stopped = (
            f"copies rose to {assessment.copies:.3f}, more than chance explains beside the "
            f"{progress.copies_reference:.3f} of the first full coverage"
        )
    elif in_last_phase and out_of_patience:
        progress.stopped = f"no better snapshot for {waited:,} samples"
    elif is_spent(state.config, progress.spent):
        progress.stopped = "the budget is used up"
    if progress.stopped is None:
        return
    if not progress.best_samples_seen and progress.best_rank is None:
        state.keep_best(None)
        progress.note("choice", "no snapshot was usable: the last average is kept")
    progress.note("stop", f"training stopped: {progress.stopped}")
    progress.note("choice", f"the snapshot of {progress.best_samples_seen:,} samples is kept")


def interrupt(state: TrainState, checkpoints: Checkpoints, hooks: Hooks) -> NoReturn:
    """Write a checkpoint of this moment, unless it is not worth coming back to, and raise.

    Raises:
        Interrupted: always.
    """
    seen = state.progress.samples_seen
    if is_finite(state):
        hooks.on_checkpoint(checkpoints.save(state))
    msg = f"training was interrupted after {seen} samples: run it again to continue"
    raise Interrupted(msg)


@contextlib.contextmanager
def memory_limit() -> Iterator[None]:
    """Turn whatever else runs out of memory in the block into our error.

    Raises:
        MemoryLimitError: with what torch said.
    """
    with memory_trouble() as trouble:
        yield
    if trouble:
        msg = f"out of memory outside of a step ({trouble[0]}): lower generator.width"
        raise MemoryLimitError(msg)


def begin(
    state: TrainState, checkpoints: Checkpoints, hooks: Hooks, encoded: Encoded, folder: Path
) -> "Pulse":
    """Go on from the newest checkpoint; without one write that of the start, for repairs."""
    state.encoded = encoded
    if not checkpoints.restore(state):
        state.fitted()
        ranks.align(state.tensors())
        choose_fitted(state, hooks.assess)
        checkpoints.start(state)
    told = len(state.progress.events)
    if hooks.at_once is not None and hooks.at_once < state.progress.micro_batch:
        state.progress.micro_batch = hooks.at_once
        state.progress.note("memory", less_at_once(hooks.at_once))
    write_stats(folder, state.progress)
    for frame in checkpoints.frames():
        hooks.on_frame(frame)
    return Pulse(checkpoints, hooks, told=told)


def less_at_once(samples: int) -> str:
    """Return what is said where memory ran out and a batch goes through in smaller parts."""
    return f"out of memory: {samples} samples at once from now on, gradients summed"


SHOWN_EVERY_S = 1.0
"""Progress is told at most this often."""
SAVED_EVERY_S = 60.0
"""Between ticks a checkpoint comes at most this often …"""
SAVED_SHARE = 0.05
"""… and takes at most this share of the time."""


class Pulse:
    """What follows time, not samples, and decides nothing: account, progress and checkpoints.

    However long a tick lasts, a kill loses a minute or so. A checkpoint between ticks is what an
    interruption writes: whoever continues from it ends with the same bits.
    """

    def __init__(self, checkpoints: Checkpoints, hooks: Hooks, told: int = 0) -> None:
        """Begin now; so many events were told by an earlier run."""
        self._checkpoints, self._hooks = checkpoints, hooks
        self._now_s, self._cpu_now_s = hooks.wall_s(), hooks.cpu_s()
        self._shown_s = self._saved_s = self._now_s
        self._told = told
        self._pause_s = SAVED_EVERY_S

    def charge(self, progress: Progress, threads: int) -> None:
        """Add the time since the last call; so many threads wanted a core of their own.

        With 0 threads the disk or the lake was waited for: no more was asked for than was had.
        """
        now_s, cpu_now_s = self._hooks.wall_s(), self._hooks.cpu_s()
        lasted_s, had_s = now_s - self._now_s, cpu_now_s - self._cpu_now_s
        progress.seconds += lasted_s
        progress.cpu_s += had_s
        progress.asked_cpu_s += threads * lasted_s if threads else had_s
        self._now_s, self._cpu_now_s = now_s, cpu_now_s

    def charge_look(self, progress: Progress) -> None:
        """Add the time since the last call, which one thread spent on looking at a tick."""
        before_s = progress.cpu_s
        self.charge(progress, threads=1)
        progress.look_cpu_s = progress.cpu_s - before_s

    def beat(self, state: TrainState) -> None:
        """Show and save what is due; what is not finite waits for the next tick, which repairs."""
        began_s = self._now_s
        if began_s - self._shown_s >= SHOWN_EVERY_S:
            self._show(state)
        if began_s - self._saved_s >= self._pause_s:
            if is_finite(state):
                self._hooks.on_checkpoint(self._checkpoints.save(state))
            self._rest(state)
            self._pause_s = max(SAVED_EVERY_S, (self._now_s - began_s) / SAVED_SHARE)

    def after_tick(self, state: TrainState, tick: Tick) -> None:
        """Tell a tick that was saved; the next checkpoint is due a while from now."""
        self._hooks.on_tick(tick)
        for frame in self._checkpoints.frames()[-1:]:
            self._hooks.on_frame(frame)
        self.tell_events(state)
        self._show(state)
        self._rest(state)

    def tell_events(self, state: TrainState) -> None:
        """Tell what happened since this was called last."""
        events = state.progress.events
        for event in events[self._told :]:
            self._hooks.on_event(event)
        self._told = len(events)

    def _show(self, state: TrainState) -> None:
        progress, self._shown_s = state.progress, self._now_s
        left_s = seconds_left(state.config, progress.spent)
        seen, busy = progress.samples_seen, scarce_cores(state)
        self._hooks.on_progress(Beat(samples_seen=seen, left_s=left_s, busy=busy))

    def _rest(self, state: TrainState) -> None:
        self.charge(state.progress, threads=0)
        self._saved_s = self._now_s


BUSY_SHARE, NOTABLE_S = 0.6, 10.0
"""The report says so when a training of at least so many seconds had less than this share of the
processor time that its threads asked for."""


def scarce_cores(state: TrainState) -> str | None:
    """Return what a training had of its cores, when that is much less than it asked for.

    On a GPU the processor has nothing to do but wait.
    """
    progress, threads = state.progress, state.config.asked_threads
    enough = progress.cpu_s >= BUSY_SHARE * progress.asked_cpu_s
    if enough or progress.seconds < NOTABLE_S or state.device.type != "cpu":
        return None
    cores = "core" if threads == 1 else "cores"
    return f"{progress.cpu_s / progress.seconds:.2f} of {threads} {cores}"


def busy_machine(state: TrainState) -> str | None:
    """Return a sentence when the machine gave a training much less than it asked for."""
    progress, scarce = state.progress, scarce_cores(state)
    if scarce is None:
        return None
    text = (
        f"the machine was busy: training had {scarce} "
        f"({progress.cpu_s:,.0f} CPU s in {progress.seconds:,.0f} s)"
    )
    together = state.config.threads > 1
    waits = "; on one core (taskset -c 0) threads do not wait for each other" if together else ""
    if state.config.budget_s is None:
        return text + waits
    return (
        f"{text}, so its budget_s bought {progress.cpu_s / progress.asked_cpu_s:.0%} of the "
        "training that an idle machine does in that time: training.budget_cpu_s counts processor "
        f"time instead{waits}"
    )


def record_tick(seen: TickState) -> Tick:
    """Append this tick's line to the history and return it as a tick."""
    progress, assessment = seen.progress, seen.assessment
    before = progress.history[-1] if progress.history else {"samples_seen": 0, "seconds": 0.0}
    lasted_s = progress.seconds - before["seconds"]
    metrics = seen.signals.numbers()
    if progress.augment_share != seen.config.augment_share:
        metrics["augment_share"] = progress.augment_share
    if assessment is not None:
        metrics |= {"rank": assessment.rank, "copies": assessment.copies, **assessment.metrics}
    metrics = {name: float(value) for name, value in metrics.items() if math.isfinite(value)}
    tick = Tick(
        samples_seen=progress.samples_seen,
        progress=used_share(seen.config, progress.spent),
        seconds=progress.seconds,
        cpu_s=progress.cpu_s,
        samples_per_s=(progress.samples_seen - before["samples_seen"]) / max(lasted_s, 1e-9),
        metrics=metrics,
    )
    clocked = {name: getattr(tick, name) for name in CLOCKED}
    progress.history.append({**clocked, **metrics})
    return tick


@ranks.by_first
def write_stats(folder: Path, progress: Progress) -> None:
    """Write `stats.jsonl`: the ticks of the history, and between them the events."""
    lines: list[dict[str, Any]] = [*progress.history]
    lines += [
        {"samples_seen": one.samples_seen, "event": one.kind, "text": one.text}
        for one in progress.events
    ]
    lines.sort(key=lambda line: line["samples_seen"])
    text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)
    replace_file(folder / STATS, text.encode())


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
