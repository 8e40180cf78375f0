"""Levels in the order of the label, and rare levels by the label of their row."""

import json

import numpy as np
import pyarrow as pa
import pytest
from small_tables import with_meaning

from gan.tables.codec import TableCodec
from gan.tables.columns.label_order import FEWEST_LEVELS, label_groups

ROWS, TEACHERS, G = 3000, 60, 10


def school(effect, seed=0, numeric=False):
    """Return rows of teachers whose pupils differ by so much, the last thirty teachers rare."""
    numbers = np.random.default_rng(seed)
    teacher = numbers.integers(0, TEACHERS, ROWS)
    teacher[: 30 * 5] = TEACHERS + np.repeat(np.arange(30), 5)
    ability = effect * numbers.normal(size=TEACHERS + 30)
    ability[TEACHERS:] = np.where(np.arange(30) < 15, 9 * effect, -9 * effect)
    score = ability[teacher] + numbers.normal(size=ROWS)
    label = np.round(score, 2) if numeric else np.where(score > 0, "yes", "no")
    names = pa.array([f"T{number:03}" for number in teacher])
    columns = {"teacher": names, "hour": pa.array(numbers.integers(8, 18, ROWS)), "passed": label}
    return with_meaning(columns, min_group=G)


def teachers_of(codec):
    return next(column for column in codec.columns if column.name == "teacher")


@pytest.mark.parametrize("numeric", [False, True])
def test_levels_that_tell_the_label_lie_in_its_order(numeric):
    records = school(1.0, numeric=numeric)
    column = teachers_of(TableCodec.fit(records, "passed"))
    frame = records.to_pandas()
    frame["passed"] = frame.passed if numeric else frame.passed == "yes"
    means = frame.groupby("teacher").passed.mean()
    shown = means[column.vocabulary("teacher").to_pylist()]
    assert column.is_smooth
    assert abs(np.corrcoef(np.arange(len(shown)), shown)[0, 1]) > 0.9


@pytest.mark.parametrize("seed", range(5))
def test_levels_that_say_nothing_stay_in_the_order_of_their_names(seed):
    column = teachers_of(TableCodec.fit(school(0.0, seed), "passed"))
    levels = column.vocabulary("teacher").to_pylist()
    assert not column.is_smooth
    assert levels == sorted(levels)


def test_few_levels_are_not_ordered():
    records = school(1.0)
    few = pa.array([name[-1:] for name in records["teacher"].to_pylist()])
    table = records.set_column(0, records.schema.field(0), few)
    assert FEWEST_LEVELS > 10
    assert not teachers_of(TableCodec.fit(table, "passed")).is_smooth


def test_a_rare_level_becomes_one_whose_rows_have_its_label():
    records = school(1.0)
    codec = TableCodec.fit(records, "passed")
    frame, levels = records.to_pandas(), teachers_of(codec).vocabulary("teacher").to_pandas()
    frame["shown"] = levels[codec.encode(records).values[:, 0]].to_numpy()
    rare = frame.teacher.str[1:].astype(int) >= TEACHERS
    kept_rate = (frame[~rare].passed == "yes").groupby(frame.shown).mean()
    passed, failed = (frame[rare & (frame.passed == one)].shown for one in ("yes", "no"))
    assert set(frame.shown) <= set(levels)
    assert kept_rate[passed].mean() > 0.58 > 0.42 > kept_rate[failed].mean()
    again = frame[rare].groupby(["teacher", "passed"]).shown.nunique()
    assert (again == 1).all()


def test_nothing_of_a_rare_level_is_stored_and_json_brings_all_back():
    records = school(1.0)
    codec = TableCodec.fit(records, "passed")
    text = json.dumps(codec.to_json())
    again = TableCodec.from_json(json.loads(text))
    assert not any(f"T{number:03}" in text for number in range(TEACHERS, TEACHERS + 30))
    assert again == codec
    np.testing.assert_array_equal(again.encode(records).values, codec.encode(records).values)


def test_a_label_that_is_a_number_has_few_groups():
    codes = np.arange(100)
    assert sorted(set(label_groups(codes, 100, ordered=True).tolist())) == list(range(8))
    assert label_groups(codes, 100, ordered=False) is codes
