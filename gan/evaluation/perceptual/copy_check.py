"""Calibrated copies of one candidate in one feature space: share, interval, paired resamples."""

from typing import Any

import numpy as np

from gan.evaluation.measured import Measured
from gan.evaluation.perceptual.ceilings import copies_ceiling
from gan.evaluation.perceptual.reference import NetReference, PerceptualReference
from gan.metrics.copies import copies, copies_share, nominal_share, threshold
from gan.metrics.distances import nearest_distances
from gan.randomness import numpy_stream
from gan.report import Metric

Array = np.ndarray[Any, Any]


def measure_copies(fakes_MF: Array, net: NetReference, reference: PerceptualReference) -> Measured:
    """Return the metric `copies`; resamples redraw both the calibration and the fakes."""
    seed = reference.options.seed
    nominal = nominal_share(reference.holdout_rows)
    fakes_M = nearest_distances(fakes_MF, net.train_NF)
    found = copies(fakes_M, net.unseen_N, nominal)
    real = copies_ceiling(net.unseen_N, len(fakes_M), nominal, seed)
    replicates = []
    for r in range(reference.replicates):
        calibration_N = numpy_stream(seed, "calibration", r).choice(net.unseen_N, len(net.unseen_N))
        redrawn_M = numpy_stream(seed, "candidate-copies", r).choice(fakes_M, len(fakes_M))
        replicates.append(copies_share(redrawn_M, threshold(calibration_N, nominal)))
    metric = Metric(
        name="copies",
        scope=net.net.name,
        value=found.share,
        low=found.low,
        high=found.high,
        n=len(fakes_M),
        ceiling=real.ceiling,
        direction="lower",
    )
    return Measured(metric=metric, reals=real.draws, replicates=tuple(replicates))
