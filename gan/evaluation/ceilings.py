"""A ceiling and the draws of real data behind it, whatever the modality."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gan.metrics.intervals import LEVELS
from gan.report import Ceiling


class Real(NamedTuple):
    """A ceiling and the draws behind it."""

    ceiling: Ceiling
    draws: tuple[float, ...]


def summarise(draws: Sequence[float], value: float | None = None) -> Real:
    """Return mean (or the given value) and 95 % interval of some draws."""
    low, high = np.quantile(draws, LEVELS)
    middle = float(np.mean(draws)) if value is None else value
    return Real(
        Ceiling(value=middle, low=min(middle, float(low)), high=max(middle, float(high))),
        tuple(draws),
    )
