"""Exact copies are a comparison: what chance explains passes, what it does not is found."""

import numpy as np
import pytest

from gan.evaluation.exact_copies import exact_copies, find_chance
from gan.metrics.copies import record_digests, repeated
from gan.metrics.equality import count_equals, near, near_others, part_hashes

TABLES = {
    "few values": (12, 8),
    "eight columns": (10,) * 8,
    "a wide column": (1000, 50, 20, 5, 3, 2, 2),
    "fifteen columns": (3,) * 15,
    "twenty columns": (3,) * 20,
    "forty flags": (2,) * 40,
    "numbers": (10_000,) * 6,
}
"""Levels of each column; some levels are frequent, as in real tables."""


def drawn(rng, levels, rows):
    columns = []
    for count in levels:
        shares = np.cumsum(1 / np.arange(1, count + 1))
        columns.append(np.searchsorted(shares / shares[-1], rng.random(rows)))
    return np.stack(columns, axis=1).astype(np.int32)


def deduplicated(rng, levels, rows):
    """Return distinct rows: what somebody left who dropped all repeats."""
    return rng.permutation(np.unique(drawn(rng, levels, rows), axis=0))


def judged(fakes, train, unseen):
    digests = record_digests(train)
    equals = count_equals(
        record_digests(fakes), frozenset(digests), frozenset(record_digests(unseen))
    )
    repeats = repeated(digests)
    return exact_copies(
        equals, lambda: find_chance(fakes, train, unseen, repeats), "rows equal a training row"
    )


def blocked_perfect_generators(levels, rows, trials):
    """Return how often rows of the same distribution are blocked, and how often one hits train."""
    blocked = hit = 0
    for seed in range(trials):
        rng = np.random.default_rng(seed)
        real = deduplicated(rng, levels, rows)
        cut = int(0.8 * len(real))
        found = judged(drawn(rng, levels, rows), real[:cut], real[cut:])
        blocked, hit = blocked + (not found.holds), hit + (found.value > 0)
    return blocked, hit


def test_a_perfect_generator_that_hits_by_chance_is_not_blocked():
    found = [blocked_perfect_generators(levels, 1000, 6) for levels in TABLES.values()]
    assert sum(blocked for blocked, _ in found) == 0
    assert sum(hit for _, hit in found) >= 20


@pytest.mark.full
def test_perfect_generators_are_blocked_in_less_than_1_percent():
    found = [blocked_perfect_generators(levels, 4000, 150) for levels in TABLES.values()]
    assert sum(blocked for blocked, _ in found) < 0.01 * 150 * len(TABLES)


@pytest.mark.full
def test_repeats_of_the_source_are_no_copies():
    """Every content lies in one split with all its repeats, so unseen rows are never hit."""
    for seed in range(50):
        rng = np.random.default_rng(seed)
        real = drawn(rng, (1000, 1000, 1000), 3000).astype(np.int64)
        content = real[:, 0] * 10**6 + real[:, 1] * 1000 + real[:, 2]
        side = content * 2654435761 % 5
        fakes = drawn(rng, (1000, 1000, 1000), 3000).astype(np.int64)
        assert judged(fakes, real[side > 0], real[side == 0]).holds


@pytest.mark.parametrize("name", ["twenty columns", "forty flags", "numbers"])
def test_a_generator_that_copies_1_percent_is_found(name):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        real = deduplicated(rng, TABLES[name], 4000)
        cut = int(0.8 * len(real))
        fakes = drawn(rng, TABLES[name], 5000)
        fakes[:50] = real[rng.choice(cut, 50, replace=False)]
        assert not judged(fakes, real[:cut], real[cut:]).holds


def test_it_is_found_among_hits_by_chance_when_it_copies_more():
    rng = np.random.default_rng(0)
    real = deduplicated(rng, TABLES["fifteen columns"], 4000)
    cut = int(0.8 * len(real))
    fakes = drawn(rng, TABLES["fifteen columns"], 5000)
    assert judged(fakes, real[:cut], real[cut:]).value > 0
    fakes[:150] = real[rng.choice(cut, 150, replace=False)]
    assert not judged(fakes, real[:cut], real[cut:]).holds


def test_one_record_that_comes_again_and_again_is_one_hit():
    real = np.arange(200, dtype=np.int32)[:, None] * np.ones((1, 3), dtype=np.int32)
    equals = count_equals(
        record_digests(real[[0] * 50 + [150]]),
        frozenset(record_digests(real[:120])),
        frozenset(record_digests(real[100:])),
    )
    assert (equals.rows, equals.seen, equals.unseen) == (50, 1, 1)
    assert (equals.seen_records, equals.unseen_records) == (100, 80)
    assert not equals.more_of_train


def slow_near(a, b):
    return np.array([min((row != other).sum() for other in b) <= 1 for row in a])


@pytest.mark.parametrize("kind", [np.int32, np.uint8])
def test_near_equals_loops(kind):
    rng = np.random.default_rng(4)
    a, b = (rng.integers(5, size=(60, 7)).astype(kind) for _ in range(2))
    hashes = part_hashes(a), part_hashes(b)
    assert hashes[0].shape == (60, 7)
    assert near(*hashes).tolist() == slow_near(a, b).tolist()
    distinct = np.unique(a, axis=0)
    rest = [np.delete(distinct, place, axis=0) for place in range(len(distinct))]
    slow = sum(slow_near(row[None], other)[0] for row, other in zip(distinct, rest, strict=True))
    assert 0 < near_others(hashes[0]).sum() == slow


def test_parts_of_an_image_are_bands_of_it():
    rng = np.random.default_rng(5)
    images = rng.integers(256, size=(20, 28, 28, 3)).astype(np.uint8)
    other = images.copy()
    other[:, :2] += 1
    assert part_hashes(images).shape == (20, 12)
    assert near(part_hashes(other), part_hashes(images)).all()
    other[:, -2:] += 1
    assert not near(part_hashes(other), part_hashes(images)).any()
