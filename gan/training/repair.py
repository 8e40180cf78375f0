"""Repairing a training: going back with what may help, changing its augmentation, giving up.

A repair is noted as an event and kept in `Progress`, so that no step back forgets it.
"""

import dataclasses
from collections.abc import Callable

from gan.errors import CollapseError, MemoryLimitError, NotFiniteError, SmallerPartsError
from gan.training import ranks
from gan.training.checkpoint import Checkpoints
from gan.training.regularizers import PENALTIES
from gan.training.rules import (
    AUGMENT_MOST,
    AUGMENT_STEP,
    FITTING,
    Fault,
    TickState,
    find_fault,
    overfits,
)
from gan.training.state import Progress, TrainState
from gan.training.watch import less_at_once

SMALLEST_MICRO_BATCH = 2
KEPT_PROGRESS = (
    "repairs",
    "failed_at",
    "draw",
    "learning_rate_factor",
    "gamma_factor",
    "discriminator_factor",
    "full_precision",
    "micro_batch",
    "seconds",
    "cpu_s",
    "asked_cpu_s",
    "events",
)
"""What a training that went back still knows of its limits and its time."""


def repair(seen: TickState, state: TrainState, checkpoints: Checkpoints) -> bool:
    """Go back if a rule says so, and return whether one did.

    Raises:
        NotFiniteError, CollapseError: that did not help so often in a row as it may be tried.
    """
    fault, progress = find_fault(seen), state.progress
    if fault is None:
        if progress.samples_seen > progress.failed_at:
            progress.repairs = 0
        _note_skipped(seen, progress)
        return False
    if progress.repairs >= state.config.max_repairs:
        raise _refusal(fault, state)
    progress.repairs += 1
    progress.failed_at = max(progress.failed_at, progress.samples_seen)
    steady = fault.rule.remedy == "steady"
    changes = MENDS[fault.rule.remedy](state)
    if not steady and not seen.lived:
        _start_anew(state, checkpoints)
    else:
        _go_back(state, checkpoints, ticks=1 if steady else 2)
    back = state.progress.samples_seen
    state.progress.note(
        "repair",
        f"{fault.evidence}, at {progress.samples_seen:,} samples: went back to {back:,} with "
        f"{changes}",
    )
    return True


def adapt(seen: TickState, state: TrainState) -> None:
    """Raise the augmentation where the discriminator overfits, lower it again where it does not."""
    config, progress, evidence = seen.config, state.progress, overfits(seen)
    gap, before = seen.signals.validation_gap, progress.augment_share
    if gap is None:
        return
    if not config.augment:
        _note_unaugmented(evidence, state)
        return
    if evidence is not None:
        progress.augment_share = min(before + AUGMENT_STEP, max(AUGMENT_MOST, before))
    elif gap < FITTING:
        progress.augment_share = max(before - AUGMENT_STEP, config.augment_share)
    first, last = before == config.augment_share, progress.augment_share == AUGMENT_MOST
    if progress.augment_share > before and (first or last):
        progress.note(
            "augmentation",
            f"{evidence}: augmentation changes {progress.augment_share:.0%} of the samples from "
            f"now on{', the most' if last else ''}",
        )


def _note_unaugmented(evidence: str | None, state: TrainState) -> None:
    """Say once that a discriminator overfits whose images nothing augments."""
    progress, network = state.progress, state.discriminator
    told = any(event.kind == "augmentation" for event in progress.events)
    if evidence is not None and not told and network is not None and network.sees_images:
        progress.note(
            "augmentation",
            f"{evidence}: nothing is augmented here, and generator.augment: translate delays it",
        )


def shrink(state: TrainState, checkpoints: Checkpoints) -> None:
    """Go back to the last checkpoint with half as many samples in memory at once.

    Raises:
        MemoryLimitError: they cannot be halved any more.
        SmallerPartsError: the other ranks are in the middle of the step, so all start again.
    """
    failed = state.progress
    smaller = failed.micro_batch // 2
    if smaller < SMALLEST_MICRO_BATCH * ranks.count():
        msg = (
            f"out of memory with {failed.micro_batch} samples at once on {state.device}: "
            f"lower generator.width ({state.config.network.get('width')}) or use a larger device"
        )
        raise MemoryLimitError(msg)
    if ranks.count() > 1:
        raise SmallerPartsError(smaller)
    failed.micro_batch = smaller
    _go_back(state, checkpoints)
    state.progress.note("memory", less_at_once(smaller))


def _note_skipped(seen: TickState, progress: Progress) -> None:
    if seen.signals.skipped:
        steps = f"{seen.signals.skipped} step{'s' * (seen.signals.skipped > 1)}"
        progress.note("skip", f"{steps} left out: a loss or a gradient was no finite number")


def _steady(state: TrainState) -> str:
    """Halve the learning rate, and compute in float32; return that as words."""
    progress = state.progress
    progress.learning_rate_factor /= 2
    full = state.config.precision == "float32" or progress.full_precision
    progress.full_precision = state.config.precision != "float32"
    state.context.compute_fully()
    return f"half the learning rate{'' if full else ', in float32'}"


def _restart(state: TrainState) -> str:
    """Double gamma, or halve the discriminator's rate, with other randoms; return that as words."""
    progress, config = state.progress, state.config
    progress.draw += 1
    if PENALTIES[config.penalty].gradient is not None and config.gamma > 0:
        progress.gamma_factor *= 2
        return f"gamma {config.gamma * progress.gamma_factor:g} and other randoms"
    progress.discriminator_factor /= 2
    return "half the discriminator's learning rate and other randoms"


def _slower(state: TrainState) -> str:
    """Take a tenth of the learning rate, with other randoms; return that as words."""
    state.progress.draw += 1
    state.progress.learning_rate_factor /= 10
    return "a tenth of the learning rate"


MENDS: dict[str, Callable[[TrainState], str]] = {
    "steady": _steady,
    "slower": _slower,
    "restart": _restart,
}
"""Remedy of a rule → what it changes."""


def _go_back(state: TrainState, checkpoints: Checkpoints, ticks: int = 1) -> None:
    """Restore a tick's checkpoint, the last or the one before that.

    Not an interruption's: an interrupted training must go back as far as an uninterrupted one.
    """
    failed = state.progress
    if not checkpoints.restore(state, ticks_back=ticks):
        checkpoints.restore(state)
    checkpoints.forget_after(state.progress.samples_seen)
    _remember(state, failed)


def _start_anew(state: TrainState, checkpoints: Checkpoints) -> None:
    """Draw other weights, and begin at the beginning."""
    failed = state.progress
    fresh = TrainState(state.config, state.codec, state.context, draw=failed.draw)
    fresh.encoded = state.encoded
    fresh.fitted()
    ranks.align(fresh.tensors())
    state.restore(fresh.tensors(), fresh.progress)
    checkpoints.forget_after(-1)
    _remember(state, failed)
    checkpoints.start(state)


def _remember(state: TrainState, failed: Progress) -> None:
    kept = {name: getattr(failed, name) for name in KEPT_PROGRESS}
    state.progress = dataclasses.replace(state.progress, **kept)


def _refusal(fault: Fault, state: TrainState) -> NotFiniteError | CollapseError:
    """Return the error that says what was seen, what was tried and what a person can do."""
    config, progress = state.config, state.progress
    tried = "; ".join(event.text for event in progress.events if event.kind == "repair")
    ways = [f"lower generator.learning_rate ({config.learning_rate:g})"]
    if state.discriminator is not None:
        gamma = f"raise generator.gamma ({config.gamma:g})"
        has_gamma = PENALTIES[config.penalty].gradient is not None
        ways += [gamma] if has_gamma else []
        ways.append(f"choose another generator.preset ({config.preset})")
    msg = (
        f"training failed at {progress.samples_seen:,} samples: {fault.evidence}, after "
        f"{progress.repairs} repairs that did not help ({tried}): {' or '.join(ways)}"
    )
    return (NotFiniteError if fault.rule.remedy == "steady" else CollapseError)(msg)
