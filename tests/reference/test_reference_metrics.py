"""The metrics against independent implementations: scipy's matrix root, loops over pairs."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from gan.metrics.copies import threshold
from gan.metrics.distances import squared_distances
from gan.metrics.distribution import frechet_distance, kernel_distance, moments
from gan.metrics.neighbours import nearest_distances
from gan.metrics.pool import make_pool, measure


def slow_frechet(reals, fakes):
    shift = ((reals.mean(0) - fakes.mean(0)) ** 2).sum()
    first, second = np.cov(reals, rowvar=False), np.cov(fakes, rowvar=False)
    root = sqrtm(first @ second)
    return shift + np.trace(first + second - 2 * np.real(root))


def slow_kernel(reals, fakes):
    size = reals.shape[1]

    def k(a, b):
        return (float(np.dot(a, b)) / size + 1) ** 3

    def within(side):
        values = [k(a, b) for i, a in enumerate(side) for j, b in enumerate(side) if i != j]
        return sum(values) / len(values)

    across = [k(a, b) for a in reals for b in fakes]
    return within(reals) + within(fakes) - 2 * sum(across) / len(across)


def slow_neighbours(reals, fakes):
    def distance(a, b):
        return float(np.sqrt(((a - b) ** 2).sum()))

    def radius(side, i, k):
        return sorted(distance(side[i], b) for j, b in enumerate(side) if j != i)[k - 1]

    three = [radius(reals, i, 3) for i in range(len(reals))]
    five = [radius(reals, i, 5) for i in range(len(reals))]
    fake_three = [radius(fakes, j, 3) for j in range(len(fakes))]
    pairs = [[distance(a, b) for b in fakes] for a in reals]
    n, m = range(len(reals)), range(len(fakes))
    return {
        "precision": np.mean([any(pairs[i][j] <= three[i] for i in n) for j in m]),
        "recall": np.mean([any(pairs[i][j] <= fake_three[j] for j in m) for i in n]),
        "density": sum(pairs[i][j] <= five[i] for i in n for j in m) / (5 * len(fakes)),
        "coverage": np.mean([min(pairs[i]) <= five[i] for i in n]),
    }


@pytest.fixture
def sides():
    rng = np.random.default_rng(5)
    mixing = rng.normal(size=(6, 6))
    return rng.normal(size=(60, 6)) @ mixing, 0.4 + rng.normal(size=(45, 6)) @ mixing * 0.8


def test_frechet_distance_equals_scipys(sides):
    reals, fakes = sides
    found = frechet_distance(moments(reals), moments(fakes))
    assert found == pytest.approx(slow_frechet(reals, fakes), rel=1e-9)


def test_frechet_distance_of_normal_distributions_with_known_moments():
    """One dimension: d² = (m₁ - m₂)² + (s₁ - s₂)²."""
    reals = np.array([[-1.0], [1.0], [-1.0], [1.0]])
    fakes = 3.0 * reals + 2.0
    spread = reals.std(ddof=1)
    expected = 2.0**2 + (3 * spread - spread) ** 2
    assert frechet_distance(moments(reals), moments(fakes)) == pytest.approx(expected)


def test_frechet_distance_is_stable_where_the_covariance_is_singular():
    rng = np.random.default_rng(0)
    few = rng.normal(size=(10, 64))
    doubled = np.hstack([few, few])
    assert frechet_distance(moments(doubled), moments(doubled)) == pytest.approx(0, abs=1e-9)
    shifted = doubled + 1.0
    assert frechet_distance(moments(doubled), moments(shifted)) == pytest.approx(128, rel=1e-9)


def test_frechet_distance_ignores_a_large_common_offset(sides):
    reals, fakes = sides
    near = frechet_distance(moments(reals), moments(fakes))
    far = frechet_distance(moments(reals + 1e6), moments(fakes + 1e6))
    assert far == pytest.approx(near, rel=1e-6)


def test_kernel_distance_equals_loops(sides):
    reals, fakes = sides
    assert kernel_distance(reals, fakes) == pytest.approx(slow_kernel(reals, fakes), rel=1e-9)


def test_kernel_distance_in_blocks_is_the_mean_of_blocks(sides):
    reals, fakes = sides[0][:40], sides[1][:40]
    blocks = [slow_kernel(reals[i : i + 10], fakes[i : i + 10]) for i in range(0, 40, 10)]
    assert kernel_distance(reals, fakes, block_rows=10) == pytest.approx(np.mean(blocks))


def test_neighbours_equal_loops(sides):
    reals, fakes = sides
    pool = make_pool(np.concatenate([reals, fakes]))
    found = measure(pool, np.arange(60), np.arange(60, 105))
    for name, value in slow_neighbours(reals, fakes).items():
        assert found[name] == pytest.approx(value), name


def test_distances_equal_loops(sides):
    reals, fakes = sides
    slow = np.array([[((a - b) ** 2).sum() for b in fakes] for a in reals])
    assert squared_distances(reals, fakes) == pytest.approx(slow, rel=1e-5, abs=1e-9)
    assert nearest_distances(reals, fakes) == pytest.approx(np.sqrt(slow.min(axis=1)))


def test_coverage_of_real_data_is_one_minus_two_to_the_minus_k():
    """Naeem et al. 2020, equation 11: 1 - 2⁻⁵ = .969 in expectation, at any n."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(30):
        pool = make_pool(rng.normal(size=(400, 8)))
        found.append(measure(pool, np.arange(200), np.arange(200, 400))["coverage"])
    assert np.mean(found) == pytest.approx(1 - 2**-5, abs=0.01)


def test_threshold_lets_the_nominal_share_of_real_data_through():
    rng = np.random.default_rng(2)
    shares = [
        (rng.exponential(size=500) <= threshold(rng.exponential(size=700), 0.05)).mean()
        for _ in range(300)
    ]
    assert np.mean(shares) == pytest.approx(0.05, abs=0.003)
