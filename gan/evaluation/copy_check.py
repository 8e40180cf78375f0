"""Calibrated copies of one candidate: share, interval, paired resamples.

Shapes: M fakes, N unseen real records.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from gan.evaluation.ceilings import copies_ceiling
from gan.evaluation.measured import Measured
from gan.metrics.copies import copies, copies_share, threshold
from gan.randomness import numpy_stream
from gan.report import Metric

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """What makes a share of copies mean the same on every data set."""

    unseen_N: Array
    """Distance to train of real records that training did not see."""
    nominal: float
    """Share of them that counts as a copy, see `gan.metrics.copies.nominal_share`."""
    replicates: int
    seed: int


def measure_copies(fakes_M: Array, calibration: Calibration, scope: str) -> Measured:
    """Return the metric `copies`; resamples redraw both the calibration and the fakes.

    Args:
        fakes_M: distance to train of every fake.
        calibration: the real side.
        scope: where distances were measured.
    """
    unseen_N, nominal, seed = calibration.unseen_N, calibration.nominal, calibration.seed
    found = copies(fakes_M, unseen_N, nominal)
    real = copies_ceiling(unseen_N, len(fakes_M), nominal, seed)
    replicates = []
    for r in range(calibration.replicates):
        calibration_N = numpy_stream(seed, "calibration", r).choice(unseen_N, len(unseen_N))
        redrawn_M = numpy_stream(seed, "candidate-copies", r).choice(fakes_M, len(fakes_M))
        replicates.append(copies_share(redrawn_M, threshold(calibration_N, nominal)))
    metric = Metric(
        name="copies",
        scope=scope,
        value=found.share,
        low=found.low,
        high=found.high,
        n=len(fakes_M),
        ceiling=real.ceiling,
        direction="lower",
    )
    return Measured(metric=metric, reals=real.draws, replicates=tuple(replicates))
