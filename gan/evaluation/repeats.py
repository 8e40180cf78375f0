"""The metric of records that repeat one another, for every modality; see `gan.metrics.repeats`."""

import numpy as np

from gan.metrics.intervals import LEVELS
from gan.metrics.repeats import RealRepeats, Repeats
from gan.report import Ceiling, Measured, Metric


def measured_repeats(
    real: RealRepeats, found: Repeats, n: int, scope: str, because: str
) -> Measured:
    """Return the metric of a candidate.

    Args:
        real: what real records reach.
        found: what the candidate has.
        n: records that are compared.
        scope: where it was measured.
        because: the counts in words.
    """
    low, high = np.quantile(real.draws, LEVELS)
    metric = Metric(
        name="repeats",
        scope=scope,
        value=found.value,
        low=found.low,
        high=found.high,
        n=n,
        ceiling=Ceiling(
            value=real.value, low=min(real.value, float(low)), high=max(real.value, float(high))
        ),
        direction="lower",
    )
    return Measured(metric=metric, reals=real.draws, replicates=found.replicates, because=because)
