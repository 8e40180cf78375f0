"""What changes over the training: learning rate, penalty strength, ticks. Pure functions."""

import math

from gan.config import ResolvedConfig


def used_share(config: ResolvedConfig, samples_seen: int, seconds: float) -> float:
    """Return the used share of the budget that will run out first, 0 to 1.

    With a budget of samples alone, equal work gives equal weights on any machine; a budget of
    seconds gives that up, so that the learning rate has fallen when the time is over.
    """
    shares = [
        used / budget
        for used, budget in ((samples_seen, config.budget_samples), (seconds, config.budget_s))
        if budget is not None
    ]
    return min(max(shares, default=1.0), 1.0)


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
