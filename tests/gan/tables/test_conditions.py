"""Rows under conditions: what is given holds in every row, and the others follow from it."""

import json

import numpy as np
import pyarrow as pa
import pytest
from known_truth import LANDS, truth

from gan.errors import ConfigError
from gan.sample import CHANGED
from storage.records.schema import Condition

KEPT = ("kind", "size", "works", "city", "low")


def column(records, name):
    return records[name].to_numpy()


def made(sampler, rows, *given, **options):
    return sampler.records(rows, **{"seed": 5, "index": 0} | options, given=given)


def test_a_mere_number_of_rows_leaves_the_classes_to_the_generator(truth_sampler):
    kinds = column(made(truth_sampler, 3000), "kind")
    shares = [np.mean(kinds == kind) for kind in "xyz"]
    assert np.abs(np.array(shares) - [0.5, 0.3, 0.2]).max() < 0.06


def test_classes_come_as_many_as_asked(truth_sampler):
    records = made(truth_sampler, (("x", 20), ("z", 400)))
    kinds = column(records, "kind")
    assert [int(np.sum(kinds == kind)) for kind in "xyz"] == [20, 0, 400]
    assert abs(np.median(column(records, "size")[kinds == "z"]) - 20) < 0.5


@pytest.mark.parametrize(
    ("kind", "middle", "share"), [("x", 0, 0.9), ("y", 10, 0.5), ("z", 20, 0.1)]
)
def test_a_given_value_decides_the_others(truth_sampler, kind, middle, share):
    records = made(truth_sampler, 1500, Condition(column="kind", values=(kind,)))
    assert set(records["kind"].to_pylist()) == {kind}
    assert abs(np.median(column(records, "size")) - middle) < 0.4
    assert abs(np.mean(column(records, "works")) - share) < 0.13


def test_a_given_range_holds_exactly_and_decides_the_others(truth_sampler):
    records = made(truth_sampler, 1500, Condition(column="size", low="9.6", high="10.3"))
    sizes = column(records, "size")
    assert sizes.min() >= 9.6
    assert sizes.max() <= 10.3
    assert np.mean(column(records, "kind") == "y") > 0.9
    assert abs(np.mean(column(records, "works")) - 0.5) < 0.1


def test_pairs_of_conditions_and_classes(truth_sampler):
    given = Condition(column="works", values=("false",)), Condition(column="low", low="2", high="3")
    records = made(truth_sampler, (("x", 300), ("y", 300)), *given)
    assert not column(records, "works").any()
    assert set(records["low"].to_pylist()) == {2, 3}
    kinds, sizes = column(records, "kind"), column(records, "size")
    assert abs(np.median(sizes[kinds == "x"])) < 0.4
    assert abs(np.median(sizes[kinds == "y"]) - 10) < 0.4


def test_one_column_of_a_combination(truth_sampler):
    records = made(truth_sampler, 400, Condition(column="land", values=("IT",)))
    assert set(records["city"].to_pylist()) == {"Rome", "Pisa"}


def test_shards_go_on_where_the_last_ended(truth_sampler):
    shards = [
        made(truth_sampler, 250, index=index, first_row=250 * index, shards=4) for index in range(4)
    ]
    records = pa.concat_tables([shard.replace_schema_metadata(None) for shard in shards])
    assert len(set(records["id"].to_pylist())) == 1000
    low, high = column(records, "low"), column(records, "high")
    assert np.all(low <= high)
    np.testing.assert_array_equal(column(records, "total"), low + high)
    pairs = zip(records["city"].to_pylist(), records["land"].to_pylist(), strict=True)
    assert set(pairs) <= set(LANDS.items())
    counts = [json.loads(shard.schema.metadata[CHANGED]) for shard in shards]
    assert {count["rows"] for count in counts} == {250}
    assert all(0 <= count["changed"] <= count["redrawn"] <= 250 for count in counts)
    again = made(truth_sampler, 250, index=2, first_row=500, shards=4)
    assert again.equals(shards[2])


def test_likelier_rows_are_those_of_the_table(truth_sampler):
    real = pa.table(truth(500, seed=9))
    numbers = np.random.default_rng(0)
    shuffled = pa.table({name: real[name].take(numbers.permutation(500)) for name in KEPT})
    for name in set(real.column_names) - set(KEPT):
        shuffled = shuffled.append_column(name, real[name])
    one, other = (truth_sampler.log_likelihood(each) for each in (real, shuffled))
    assert one.shape == (500,)
    assert one.mean() > other.mean() + 1


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (Condition(column="wings", values=("2",)), "'wings'"),
        (Condition(column="kind", values=("w",)), "'w'"),
        (Condition(column="size", low="900"), "900"),
        (Condition(column="id", values=("K00001",)), "'id'"),
        (Condition(column="total", values=("3",)), "'total'"),
    ],
)
def test_conditions_that_cannot_be(truth_sampler, given, match):
    with pytest.raises(ConfigError, match=match):
        made(truth_sampler, 10, given)
    with pytest.raises(ConfigError, match=match):
        truth_sampler.snapshot.codec.check([given], 10)
