"""Ceilings: what real data reaches, and the draws behind it, whatever the modality."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gan.metrics.copies import copies_share, threshold
from gan.metrics.intervals import LEVELS
from gan.randomness import numpy_stream
from gan.report import Ceiling

Array = np.ndarray[Any, Any]

COPIES_DRAWS = 400


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


def copies_ceiling(unseen_N: Array, rows: int, nominal: float, seed: int) -> Real:
    """Return nominal, with the shares that `rows` real records would show.

    Calibration and candidate are both drawn with replacement from the unseen records' distances
    to train: a share is linear in its records, so this bootstrap is unbiased.
    """
    rng = numpy_stream(seed, "ceiling-copies")
    draws = []
    for _ in range(COPIES_DRAWS):
        limit = threshold(rng.choice(unseen_N, len(unseen_N)), nominal)
        draws.append(copies_share(rng.choice(unseen_N, rows), limit))
    return summarise(draws, value=nominal)
