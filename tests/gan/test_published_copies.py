"""Copies over all shards of a version: exact counts, the gate's rule, whatever the shards."""

import numpy as np
import pyarrow as pa
import pytest

from gan.evaluation import published_copies
from gan.evaluation.published_copies import CopyCounter
from gan.metrics.equality import part_hashes


def hashes(records):
    return part_hashes(np.stack([column.to_numpy() for column in records.columns], axis=1))


def rows(count, seed, levels=1_000):
    numbers = np.random.default_rng(seed)
    return pa.table({f"c{i}": numbers.integers(levels, size=count) for i in range(5)})


TRAIN, UNSEEN = rows(600, 1), rows(400, 2)


def counted(fakes, shards=1, train=TRAIN, unseen=UNSEEN):
    counter = CopyCounter(hashes, train, unseen, fakes.num_rows)
    size = -(-fakes.num_rows // shards)
    for start in range(0, fakes.num_rows, size):
        counter.add(fakes.slice(start, size))
    return counter.result("rows")


def test_rows_that_equal_nothing_hold():
    found = counted(rows(5_000, 3))
    assert (found.records, found.equal, found.equal_unseen, found.holds) == (5_000, 0, 0, True)


def test_one_copy_among_many_shards_is_found_and_blocks():
    fakes = pa.concat_tables([rows(4_000, 3), TRAIN.slice(17, 1), rows(4_000, 4)])
    found = counted(fakes, shards=11)
    assert (found.equal, found.trained_hit, found.holds) == (1, 1, False)
    assert "1 of 8,001 published rows equal a training record" in found.text


def test_the_baseline_is_told_and_copies_of_it_alone_hold_nothing_against_training():
    fakes = pa.concat_tables([UNSEEN.slice(0, 3), rows(1_000, 3)])
    found = counted(fakes)
    assert (found.equal, found.equal_unseen, found.unseen_hit, found.holds) == (0, 3, 3, True)


def test_real_rows_that_repeat_by_chance_hold():
    """Of few levels, rows equal one another anyway: no more in train than elsewhere."""
    train, unseen, fakes = (rows(n, seed, levels=3) for n, seed in ((600, 1), (400, 2), (5_000, 3)))
    found = counted(fakes, train=train, unseen=unseen)
    assert found.equal > 1_000
    assert found.holds
    assert "as chance explains" in found.text


def test_memorising_half_of_such_rows_does_not_hold():
    train, unseen = (rows(n, seed, levels=12) for n, seed in ((600, 1), (400, 2)))
    fakes = pa.concat_tables([rows(2_000, 3, levels=12), train.slice(0, 300)])
    assert counted(rows(2_000, 3, levels=12), train=train, unseen=unseen).holds
    assert not counted(fakes, train=train, unseen=unseen).holds


@pytest.mark.parametrize("shards", [2, 7])
def test_how_rows_are_cut_into_shards_changes_nothing(shards):
    fakes = pa.concat_tables([rows(900, 5, levels=4), TRAIN.slice(0, 40)])
    assert counted(fakes, shards) == counted(fakes)


def test_a_row_that_differs_in_one_value_is_near():
    changed = TRAIN.slice(0, 50).set_column(2, "c2", pa.array(np.full(50, -1)))
    found = counted(pa.concat_tables([changed, rows(50, 3)]))
    assert (found.equal, found.near, found.near_unseen) == (0, 50, 0)


def test_near_rows_are_looked_for_evenly_where_there_are_many(monkeypatch):
    monkeypatch.setattr(published_copies, "NEAR_ROWS", 100)
    found = counted(rows(1_000, 3), shards=10)
    assert found.near_records == 100
    assert found.records == 1_000
