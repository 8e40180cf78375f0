"""Neighbours in flat memory against all distances at once, and against loops."""

import numpy as np
import pytest

import gan.metrics.neighbours as module
from gan.metrics.distances import squared_block
from gan.metrics.neighbours import all_radii, exact_squared, measure_all, smallest
from gan.metrics.pool import make_pool, measure


def smooth(rng, rows, scale=1.0):
    return scale * rng.normal(size=(rows, 8)) @ rng.normal(size=(8, 24))


def discrete(rng, rows):
    """Points of a table of levels: most distances are equal to many others."""
    return np.sqrt(0.5) * np.eye(4)[rng.integers(4, size=(rows, 5))].reshape(rows, -1)


SIDES = {
    "smooth": lambda rng: (smooth(rng, 300), smooth(rng, 230, 1.1)),
    "far from the origin": lambda rng: (1e4 + smooth(rng, 300), 1e4 + smooth(rng, 230)),
    "discrete": lambda rng: (discrete(rng, 300), discrete(rng, 230)),
    "repeated": lambda rng: (np.repeat(smooth(rng, 30), 10, axis=0), smooth(rng, 230)),
    "collapsed": lambda rng: (smooth(rng, 300), np.repeat(smooth(rng, 3), 80, axis=0)),
    "tiny": lambda rng: (smooth(rng, 4), smooth(rng, 3)),
    "an outlier": lambda rng: (np.vstack([smooth(rng, 300), 1e6 * np.ones((1, 24))]),) * 2,
}


@pytest.fixture(params=SIDES)
def sides(request, monkeypatch):
    monkeypatch.setattr(module, "ROWS", 70)
    monkeypatch.setattr(module, "COLUMNS", 64)
    return SIDES[request.param](np.random.default_rng(3))


def test_all_four_equal_those_of_a_pool(sides):
    reals, fakes = sides
    n = len(reals)
    pool = make_pool(np.concatenate([reals, fakes]))
    expected = measure(pool, np.arange(n), np.arange(n, n + len(fakes)))
    found = measure_all(reals, fakes)
    assert found == pytest.approx({name: expected[name] for name in found}, abs=1e-6)


def test_radii_equal_sorted_distances(sides):
    reals, _ = sides
    squared = exact_squared(reals[:, None], reals[None])
    np.fill_diagonal(squared, np.inf)
    squared.sort(axis=1)
    last = len(reals) - 2
    for found, k in zip(all_radii(reals, 3, 5), (3, 5), strict=True):
        assert found == pytest.approx(squared[:, min(k - 1, last)], rel=1e-9, abs=1e-9)


def test_the_nearest_equals_all_distances(sides):
    reals, fakes = sides
    squared = exact_squared(fakes[:, None], reals[None])
    found = smallest(fakes, reals, 1)
    assert found.squared_NK[:, 0] == pytest.approx(squared.min(axis=1), rel=1e-9, abs=1e-9)
    chosen = squared[np.arange(len(fakes)), found.index_NK[:, 0]]
    assert chosen == pytest.approx(squared.min(axis=1), rel=1e-9, abs=1e-9)


def test_of_equally_near_ones_it_is_the_first():
    rng = np.random.default_rng(0)
    reals = np.repeat(rng.normal(size=(10, 3)), 12, axis=0)
    found = smallest(reals[::12], reals, 1)
    assert found.index_NK[:, 0].tolist() == list(range(0, 120, 12))


def test_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(1)
    reals, fakes = smooth(rng, 500), smooth(rng, 400)
    whole = smallest(fakes, reals, 5)
    monkeypatch.setattr(module, "ROWS", 33)
    monkeypatch.setattr(module, "COLUMNS", 101)
    cut = smallest(fakes, reals, 5)
    assert (whole.index_NK == cut.index_NK).all()
    assert (whole.squared_NK == cut.squared_NK).all()


def test_the_screen_is_off_by_no_more_than_it_says():
    rng = np.random.default_rng(2)
    for scale in (0.01, 1.0, 300.0):
        a, b = smooth(rng, 200, scale), smooth(rng, 300, scale)
        left, right = module.screen(a, b.mean(axis=0)), module.screen(b, b.mean(axis=0))
        squared = squared_block(a, b)
        bound = left.error * (left.norms_N[:, None] + right.norms_N[None, :])
        scratch = module.Scratch(200, 300, masks=0)
        for block in module.blocks(left, right, slice(0, 200), scratch):
            off = np.abs(block.squared_RC - squared[:, block.columns])
            assert (off <= bound[:, block.columns]).all()


def test_a_lonely_record_has_no_neighbour():
    with pytest.raises(ValueError, match="at least two records, got 1"):
        all_radii(np.ones((1, 3)), 3)
