"""The paired hierarchical bootstrap: its parts, and how often its interval holds the truth."""

import numpy as np
import pytest

from gan.lift.effect import difference, mean_over_seeds, over_seeds, resampled
from gan.metrics.auc import auc
from gan.metrics.prediction import one_against_rest


def yes_auc(targets, scores, weights):
    return one_against_rest("auc", scores, targets, np.array([1]), weights)


def accuracy(targets, scores, weights):
    return weights @ (scores == targets).astype(float) / weights.sum(axis=1)


def scores_of(targets, strength, numbers):
    yes = targets * strength + numbers.normal(size=len(targets))
    return np.stack([-yes, yes], axis=1)


def test_the_first_column_is_the_metric_itself_and_equal_arms_differ_by_nothing():
    numbers = np.random.default_rng(0)
    targets = numbers.integers(0, 2, 80)
    scores = [scores_of(targets, 1.0, numbers) for _ in range(3)]
    arms = {"one": scores, "same": [one.copy() for one in scores]}
    found = resampled({"auc": yes_auc}, targets, arms, seed=1, draws=300)
    assert found["one", "auc"].shape == (3, 301)
    own = [auc(one[targets == 1, 1], one[targets == 0, 1]) for one in scores]
    assert found["one", "auc"][:, 0] == pytest.approx(own)
    nothing = difference(found["one", "auc"], found["same", "auc"], seed=1)
    assert nothing.interval == (0.0, 0.0, 0.0)
    assert nothing.detectable == 0.0


def test_seeds_that_differ_widen_the_interval_by_students_quantile():
    numbers = np.random.default_rng(0)
    same = np.repeat(numbers.normal(0, 0.01, (1, 2001)), 3, axis=0)
    moved = same + np.array([[-0.05], [0.0], [0.05]])
    narrow, wide = mean_over_seeds(same, 0), mean_over_seeds(moved, 0)
    assert narrow.detectable == pytest.approx(2.8 * 0.01, rel=0.05)
    own_spread = 0.05 / 3**0.5
    assert wide.spread == pytest.approx(np.hypot(0.01, own_spread), rel=0.06)
    half = (wide.interval.high - wide.interval.low) / 2
    assert half > 3.4 * wide.spread  # Student's quantile for about two degrees of freedom is 4.3
    assert over_seeds([0.1, 0.2, 0.3])[1:] == pytest.approx((0.2 - 0.2484, 0.2 + 0.2484), abs=1e-3)


def test_draws_without_a_positive_are_left_out():
    targets = np.array([1] + [0] * 30)
    scores = [np.stack([-np.arange(31.0), np.arange(31.0)], axis=1)]
    found = resampled({"auc": yes_auc}, targets, {"a": scores}, seed=0, draws=200)["a", "auc"]
    assert np.isnan(found).any()
    assert mean_over_seeds(found, 0).interval.value == 0.0


@pytest.mark.full
@pytest.mark.parametrize("of_seeds", [0.0, 0.05], ids=["records", "records and seeds"])
def test_the_interval_holds_the_truth_in_nineteen_of_twenty_and_sees_what_it_says(of_seeds):
    truth, held, spreads, detectable, points = 0.03, 0, [], [], []
    for trial in range(300):
        numbers = np.random.default_rng(trial)
        targets = np.zeros(400, dtype=np.int64)
        common = numbers.random(400)
        arms = {"real": [], "more": []}
        for _ in range(5):
            flips = numbers.random(400) < 0.3
            for arm, shift in (("real", 0.0), ("more", truth)):
                right = 0.7 + shift + (numbers.normal(0, of_seeds) if arm == "more" else 0.0)
                own = np.where(flips, numbers.random(400), common)
                arms[arm].append(np.where(own < right, 0, 1))
        found = resampled({"a": accuracy}, targets, arms, seed=trial, draws=400)
        changed = difference(found["more", "a"], found["real", "a"], seed=trial)
        held += changed.interval.low <= truth <= changed.interval.high
        spreads.append(changed.spread)
        detectable.append(changed.detectable)
        points.append(changed.interval.value)
    assert 0.92 <= held / 300 <= 0.98
    assert np.mean(spreads) == pytest.approx(np.std(points), rel=0.15)
    assert 2.7 <= np.mean(detectable) / np.std(points) <= 3.8
