"""What changes over the training: learning rate, penalty strength, ticks. Pure functions."""

import math

from gan.config import ResolvedConfig


def used_share(config: ResolvedConfig, samples_seen: int, seconds: float) -> float:
    """Return the used share of the budget, 0 to 1.

    Samples count when there is a budget of samples, so that equal work gives equal weights on any
    machine; else seconds do.
    """
    if config.budget_samples is not None:
        return min(samples_seen / config.budget_samples, 1.0)
    return min(seconds / config.budget_s, 1.0) if config.budget_s else 1.0


def cosine(start: float, end: float, share: float) -> float:
    """Return a value that falls from start to end along half a cosine."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * share))


def is_spent(config: ResolvedConfig, samples_seen: int, seconds: float) -> bool:
    """Return whether a budget has run out."""
    samples_spent = config.budget_samples is not None and samples_seen >= config.budget_samples
    return samples_spent or (config.budget_s is not None and seconds >= config.budget_s)


def phase_at(config: ResolvedConfig, share: float) -> int:
    """Return the index of the phase that is due after this share of the budget."""
    end = 0.0
    for index, phase in enumerate(config.phases):
        end += phase.fraction
        if share < end:
            return index
    return len(config.phases) - 1


def crosses_tick(config: ResolvedConfig, samples_seen: int) -> bool:
    """Return whether the step that ended at `samples_seen` finished a tick."""
    before = samples_seen - config.batch_size
    return samples_seen // config.tick_samples > before // config.tick_samples
