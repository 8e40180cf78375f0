"""Which records of a data set are judged: as many as are wanted, in the holdout's class shares."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from gan.errors import DataError
from gan.given import GivenMake, draw, options_for
from gan.modalities import Options, Splits

HOLDOUT = {"a": 60, "b": 30, "c": 10}
WANTED = tuple((label, 4 * count) for label, count in HOLDOUT.items())


def reference(wanted=WANTED, seed=0):
    return SimpleNamespace(wanted=wanted, n=100, options=Options(seed=seed))


def data(**counts):
    labels = np.concatenate([np.repeat(label, count) for label, count in counts.items()])
    return pa.table({"kind": labels, "place": np.arange(len(labels))})


def shares(drawn):
    return dict(Counter(drawn.records["kind"].to_pylist()))


def test_classes_get_the_shares_of_the_holdout_where_there_are_enough_of_each():
    drawn = draw(data(a=500, b=500, c=500), reference(), "kind", "images")
    assert shares(drawn) == {"a": 240, "b": 120, "c": 40}
    assert drawn.notes == (
        "400 of its 1,500 images were drawn, with the class shares of the holdout",
    )
    places = drawn.records["place"].to_pylist()
    assert places == sorted(places)


def test_fewer_multiples_of_the_holdout_are_taken_so_that_the_shares_are_right():
    assert shares(draw(data(a=130, b=300, c=300), reference(), "kind", "images")) == {
        "a": 120,
        "b": 60,
        "c": 20,
    }


def test_a_lost_class_stays_lost_and_is_named():
    drawn = draw(data(a=500, b=500), reference(), "kind", "images")
    assert set(shares(drawn)) == {"a", "b"}
    assert drawn.records.num_rows == 400
    assert "fewer images of c than" in drawn.notes[-1]


def test_what_real_data_lack_by_chance_is_not_said():
    drawn = draw(data(a=58, b=31, c=11), reference(), "kind", "images")
    assert drawn.records.num_rows == 100
    assert drawn.notes == ()


def test_rows_are_drawn_at_random_and_the_same_every_time():
    rows = data(a=1000)
    drawn, again, other = (draw(rows, reference(250, seed), "kind", "rows") for seed in (0, 0, 1))
    assert drawn.records.equals(again.records)
    assert not drawn.records.equals(other.records)
    assert drawn.records.num_rows == 250
    assert draw(rows.slice(0, 90), reference(250), None, "rows").records.num_rows == 90


def test_few_records_are_compared_with_as_few():
    part = pa.table({"x": np.arange(200)})
    splits = Splits(train=part, validation=part, holdout=part)
    assert options_for(300, splits, Options(), "rows") == Options()
    assert options_for(50, splits, Options(), "rows") == Options(cap=50)
    with pytest.raises(DataError, match="the data set has 19 rows and 20 are needed"):
        options_for(19, splits, Options(), "rows")


def test_where_a_generator_would_make_records_the_data_set_gives_its_own():
    make = GivenMake(data(a=50, b=20, c=5), "kind", 0)
    once, again = (make((("a", 30), ("c", 9))).records for _ in range(2))
    assert dict(Counter(once["kind"].to_pylist())) == {"a": 30, "c": 5}
    assert len(set(once["place"].to_pylist())) == 35
    assert not once.equals(again)
    assert GivenMake(data(a=50, b=20, c=5), "kind", 0)((("a", 30), ("c", 9))).records.equals(once)
    assert make(40).records.num_rows == 40
    assert make(100).records.num_rows == 75
