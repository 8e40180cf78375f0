"""Typical candidates lie near everything and copy nothing; copies among them are seen."""

import numpy as np

from gan.evaluation.resampling import Calibration, RealSides, measure_copies
from gan.metrics.neighbours import nearest_distances

RNG = np.random.default_rng(0)
TRAIN, UNSEEN = RNG.normal(size=(900, 6)), RNG.normal(size=(600, 6))


def measured(fakes, baseline=True):
    """Return what is found with the candidate's own baseline, or without."""
    calibration = Calibration(
        unseen_N=nearest_distances(UNSEEN, TRAIN), nominal=0.05, replicates=10, seed=0
    )
    hits = RealSides(TRAIN, UNSEEN, 0).hits(fakes) if baseline else None
    return measure_copies(nearest_distances(fakes, TRAIN), hits, calibration, "all")


def test_what_is_typical_is_no_copy():
    typical = 0.5 * np.random.default_rng(1).normal(size=(400, 6))
    before, found = measured(typical, baseline=False), measured(typical)
    assert before.metric.low > 0.1
    assert found.metric.low <= 0.05
    assert np.mean(found.replicates) < np.mean(before.replicates) / 2


def test_copies_with_noise_are_seen_among_typical_points_too():
    rng = np.random.default_rng(2)
    noisy = TRAIN[:200] + 0.1 * rng.normal(size=(200, 6))
    half = np.concatenate([0.5 * rng.normal(size=(200, 6)), noisy])
    for fakes in (TRAIN[:300], noisy, half):
        metric = measured(fakes).metric
        assert metric.low > 0.1
        assert metric.low <= metric.value <= metric.high


def test_records_on_both_sides_count_as_trained_on():
    assert RealSides(TRAIN, TRAIN[:10], 0).hits(TRAIN) is None
