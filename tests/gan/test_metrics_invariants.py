"""What must not change a number: batch size, order, chunking; and the edges of each metric."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan.evaluation.resampling import compare_sets
from gan.metrics.copies import (
    Hit,
    beyond_baseline,
    copies,
    excess,
    nominal_share,
    order,
    record_digests,
    threshold,
)
from gan.metrics.distances import squared_distances
from gan.metrics.distribution import frechet_distance, moments
from gan.metrics.intervals import random_half, spread_interval, wilson
from gan.metrics.pool import make_pool, measure, measure_coverage, radii


@pytest.fixture
def pool():
    return make_pool(np.random.default_rng(0).normal(size=(90, 5)))


def test_chunking_changes_nothing():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(70, 9)), rng.normal(size=(40, 9))
    for rows in (1, 7, 64, 1000):
        assert np.allclose(squared_distances(a, b, rows), squared_distances(a, b), rtol=1e-6)


def test_order_changes_nothing(pool):
    reals, fakes = np.arange(50), np.arange(50, 90)
    first = measure(pool, reals, fakes)
    again = measure(pool, reals[::-1].copy(), np.roll(fakes, 7))
    for name, value in first.items():
        assert again[name] == pytest.approx(value, rel=1e-9, abs=1e-12), name


def test_measuring_leaves_the_pool_alone(pool):
    before = pool.distances_PP.copy()
    measure(pool, np.arange(50), np.arange(50, 90))
    assert np.array_equal(before, pool.distances_PP)


def test_coverage_alone_is_the_same_coverage(pool):
    reals, fakes = np.arange(50), np.arange(50, 90)
    alone = measure_coverage(pool, reals, fakes)["coverage"]
    assert alone == measure(pool, reals, fakes)["coverage"]


def test_a_copy_of_the_reals_is_perfect():
    reals = np.random.default_rng(3).normal(size=(40, 4))
    found = measure(make_pool(np.concatenate([reals, reals])), np.arange(40), np.arange(40, 80))
    assert found["fd"] == pytest.approx(0, abs=1e-9)
    assert (found["precision"], found["recall"], found["coverage"]) == (1, 1, 1)


def test_total_collapse_passes_precision_and_fails_coverage():
    rng = np.random.default_rng(4)
    reals = rng.normal(size=(200, 4))
    fakes = np.repeat(reals[:1], 200, axis=0)
    found = measure(make_pool(np.concatenate([reals, fakes])), np.arange(200), np.arange(200, 400))
    assert found["precision"] == 1
    assert found["coverage"] < 0.1


def test_the_kth_neighbour_is_the_farthest_where_there_are_fewer():
    distances = np.array([[np.inf, 1.0, 4.0], [1.0, np.inf, 9.0], [4.0, 9.0, np.inf]])
    (found,) = radii(distances, 5)
    assert found.tolist() == [4.0, 9.0, 9.0]
    with pytest.raises(ValueError, match="at least two records, got 1"):
        radii(np.array([[np.inf]]), 3)


def test_a_covariance_needs_two_records():
    with pytest.raises(ValueError, match="needs two records, got 1"):
        moments(np.ones((1, 3)))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(2, 30), st.integers(1, 12))
def test_frechet_distance_is_symmetric_and_not_negative(seed, rows, columns):
    rng = np.random.default_rng(seed)
    a, b = moments(rng.normal(size=(rows, columns))), moments(rng.normal(size=(rows, columns)))
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), abs=1e-9)
    assert frechet_distance(a, b) >= 0


def test_nominal_is_smaller_where_the_holdout_is_large():
    assert nominal_share(1999) == 0.05
    assert nominal_share(2000) == 0.01


@settings(deadline=None)
@given(st.integers(1, 5000), st.sampled_from([0.01, 0.05]))
def test_the_threshold_is_one_of_the_distances(n, nominal):
    distances = np.arange(1.0, n + 1)
    assert 1 <= order(n, nominal) <= n
    assert threshold(distances, nominal) == order(n, nominal)


@settings(deadline=None)
@given(st.integers(0, 300), st.integers(20, 900))
def test_the_interval_of_copies_holds_the_point(hits, unseen):
    fakes = np.where(np.arange(300) < hits, 0.0, 1e9)
    found = copies(fakes, np.arange(1.0, unseen + 1), 0.05)
    assert 0 <= found.low <= found.share <= found.high <= 1
    assert found.share == pytest.approx(hits / 300)


def test_copies_of_real_data_are_rarely_significant():
    """Two nets look at the level 1 - .05 / 2 each: in 2.5 % or less of cases one errs upwards."""
    rng = np.random.default_rng(8)
    wrong = 0
    for _ in range(2000):
        found = copies(rng.random(360), rng.random(720), 0.05)
        wrong += found.low > 0.05 and found.share > 0.075
    assert wrong / 2000 <= 0.025


def test_twice_nominal_is_seen_with_four_sets():
    rng = np.random.default_rng(9)
    seen = 0
    for _ in range(300):
        fakes = np.where(rng.random(1440) < 0.0526, 0.0, rng.random(1440))
        seen += copies(fakes, rng.random(720), 0.05).low > 0.05
    assert seen / 300 > 0.9


def judged_copies(near, copied, seed, trained=720, unseen=480, rows=360):
    """Copies of fakes of which `near` are near any real record and `copied` were copied."""
    rng = np.random.default_rng(seed)
    owners = rng.integers(trained + unseen, size=rows)
    owners = np.where(rng.random(rows) < copied, rng.integers(trained, size=rows), owners)
    distances = np.where(rng.random(rows) < max(near, copied), 0.0, 1e9)
    found = copies(distances, np.arange(1.0, unseen + 1), 0.05)
    hits = Hit(distances, owners, np.arange(trained + unseen) < trained)
    return beyond_baseline(found, hits, 1.0, 0.05), found


def test_what_is_as_near_to_unseen_records_copies_nothing():
    wrong = [judged_copies(0.8, 0.0, seed) for seed in range(500)]
    assert all(before.low > 0.3 for _, before in wrong)
    assert np.mean([found.low > 0.05 and found.share > 0.075 for found, _ in wrong]) <= 0.025
    assert np.mean([found.share for found, _ in wrong]) == pytest.approx(0.05, abs=0.01)


def test_copies_show_although_all_is_near():
    found = [judged_copies(1.0, 0.4, seed)[0] for seed in range(100)]
    assert np.mean([one.low > 0.05 and one.share > 0.075 for one in found]) > 0.9
    assert all(0 <= one.low <= one.share <= one.high <= 1 for one in found)


def test_one_unseen_record_stands_for_as_many_training_records_as_there_are_per_unseen_one():
    hits = Hit(np.zeros(4), np.array([0, 1, 2, 3]), np.array([True, True, True, False]))
    assert excess(hits, 1.0) == 0.0
    assert excess(hits._replace(owner_M=np.zeros(4, dtype=int)), 1.0) == 1.0
    assert excess(hits._replace(distance_M=np.full(4, 2.0)), 1.0) == 0.0


def test_a_baseline_below_nominal_changes_nothing():
    fakes = np.where(np.arange(300) < 30, 0.0, 1e9)
    found = copies(fakes, np.arange(1.0, 721), 0.05)
    hits = Hit(fakes, np.arange(300), np.arange(1200) < 720)
    assert beyond_baseline(found, hits, 1.0, 0.05).share == pytest.approx(found.share)


def test_digests_see_every_byte():
    images = np.zeros((3, 4, 4, 1), dtype=np.uint8)
    images[2, 3, 3, 0] = 1
    first, second, third = record_digests(images)
    assert first == second != third


def test_halves_are_halves():
    half = random_half(11, np.random.default_rng(0))
    assert len(half) == len(set(half.tolist())) == 5


def test_the_spread_of_halves_is_that_of_the_mean():
    """For a mean the theory is exact: the interval is ±1.96 s / √n."""
    rng = np.random.default_rng(6)
    values = rng.normal(size=400)
    halves = [values[random_half(400, rng)].mean() for _ in range(4000)]
    low, high = spread_interval(values.mean(), halves)
    expected = 1.96 * values.std(ddof=1) / 20
    assert (high - low) / 2 == pytest.approx(expected, rel=0.05)


def test_an_interval_stays_within_what_is_possible():
    assert spread_interval(0.99, [0.5, 1.0, 0.9, 0.7], 0.0, 1.0).high == 1.0
    assert spread_interval(0.5, []) == (0.5, 0.5)


def test_wilson_at_the_edges():
    assert wilson(0.0, 20).low == 0
    assert wilson(1.0, 20).high == 1
    assert wilson(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)


def test_the_same_holdout_halves_serve_every_candidate():
    """Replicates of two candidates are paired: the noise of the holdout cancels."""
    rng = np.random.default_rng(2)
    reals = rng.normal(size=(100, 4))
    fakes = rng.normal(size=(100, 4))
    one = compare_sets(reals, [fakes], measure, 8, seed=3)
    two = compare_sets(reals, [fakes.copy()], measure, 8, seed=3)
    other = compare_sets(reals, [fakes], measure, 8, seed=4)
    assert one.replicates == two.replicates
    assert one.replicates != other.replicates


def test_nothing_covers_nothing():
    trial = compare_sets(np.ones((5, 2)), [np.ones((0, 2))], measure_coverage, 3, seed=0)
    assert trial.points == {"coverage": 0.0}
    assert trial.replicates == {"coverage": (0.0, 0.0, 0.0)}
