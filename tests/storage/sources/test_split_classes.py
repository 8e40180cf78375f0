"""Classes that the hash would starve of a split have fractions of their own."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.records.modalities import MODALITIES
from storage.sources.checks import class_needs
from storage.sources.split import SplitConfig, as_digests, assign, units
from storage.sources.split_assignment import SplitInputs, assign_splits
from storage.sources.split_classes import ClassNeeds, Fractions, code_classes, own_fractions

IMAGES, TABLES = class_needs("images"), class_needs("tables", train=10)
BASE = Fractions(0.2, 0.2)


def digests(rows, seed):
    return np.random.default_rng(seed).integers(0, 256, (rows, 16), np.uint8)


def assigned(digests_N, labels, needs=IMAGES, split=None, **more):
    inputs = {
        "digests": digests_N,
        "final_digests": digests_N,
        "deciding": None,
        "held_out": np.zeros(len(digests_N), np.bool_),
        "classes": None if labels is None else code_classes(pa.array(labels), needs),
    }
    return assign_splits(split or SplitConfig(), SplitInputs(**(inputs | more)))


def counts(found, labels, label):
    mine = np.array(labels) == label
    return np.bincount(found.splits_N[mine], minlength=3)[:3].tolist()


def starving(rows, need, seeds=range(200)):
    """Return digests of which the hash puts fewer than needed into the holdout."""
    for seed in seeds:
        found = digests(rows, seed)
        if (units(found) < 0.2).sum() < need:
            return found
    raise AssertionError


def test_a_class_with_enough_records_gets_enough_of_the_holdout():
    rare, many = starving(110, 19), digests(900, 7)
    labels = ["rare"] * 110 + ["many"] * 900
    found = assigned(np.concatenate([rare, many]), labels)
    train, validation, holdout = counts(found, labels, "rare")
    assert holdout >= 20
    assert validation >= 20
    assert train >= 55
    plain = assigned(np.concatenate([rare, many]), None)
    np.testing.assert_array_equal(found.splits_N[110:], plain.splits_N[110:])
    ((label, *fractions),) = found.rule.pop("classes")
    assert label == "rare"
    assert fractions != [0.2, 0.2]
    assert found.rule == plain.rule
    assert "'rare' (validation" in found.notes[0]


def test_a_small_class_of_images_gives_more_than_its_share_but_keeps_half_for_training():
    labels = ["rare"] * 60 + ["many"] * 900
    found = assigned(digests(960, 3), labels)
    train, _, holdout = counts(found, labels, "rare")
    assert holdout >= 20
    assert train >= 25


@pytest.mark.parametrize("rows", [12, 35])
def test_a_class_that_is_too_small_is_divided_as_ever(rows):
    labels = ["rare"] * rows + ["many"] * 600
    found = assigned(digests(rows + 600, 3), labels)
    plain = assigned(digests(rows + 600, 3), None)
    np.testing.assert_array_equal(found.splits_N, plain.splits_N)
    assert found.rule == plain.rule
    assert found.notes == plain.notes


@given(st.integers(0, 50))
@settings(max_examples=10, deadline=None)
def test_whoever_has_enough_keeps_the_split_and_the_rule(seed):
    some, labels = digests(1200, seed), np.arange(1200) % 6
    found, plain = assigned(some, labels), assigned(some, None)
    np.testing.assert_array_equal(found.splits_N, plain.splits_N)
    assert found.rule == plain.rule


def test_a_few_records_of_several_classes_are_left_as_they_are():
    """Sixty judged ones would be needed, and validation leaves room for thirty."""
    some, labels = digests(160, 4), np.arange(160) % 3
    assert assigned(some, labels).rule == assigned(some, None).rule


def test_the_order_does_not_matter_and_equal_records_stay_together():
    some = np.concatenate([starving(110, 19), digests(500, 2)])
    some = np.concatenate([some, some[:40]])
    labels = np.array(["rare"] * 110 + ["many"] * 500 + ["rare"] * 30 + ["many"] * 10)
    order = np.random.default_rng(0).permutation(len(some))
    one, other = assigned(some, labels), assigned(some[order], labels[order])
    np.testing.assert_array_equal(one.splits_N[order], other.splits_N)
    assert one.rule == other.rule
    np.testing.assert_array_equal(one.splits_N[610:], one.splits_N[:40])


def test_tables_hold_no_class_beyond_its_share():
    """The holdout of a table stands for the whole table."""
    labels = ["rare"] * 30 + ["many"] * 970
    rare = starving(30, 6)
    found = assigned(np.concatenate([rare, digests(970, 1)]), labels, TABLES)
    assert "classes" not in found.rule
    labels = ["rare"] * 55 + ["many"] * 945
    rare = starving(55, 9)
    found = assigned(np.concatenate([rare, digests(945, 1)]), labels, TABLES)
    assert 10 <= counts(found, labels, "rare")[2] <= 16


def test_a_class_keeps_as_many_rows_of_train_as_may_be_shown():
    for seed in range(500):
        some = digests(17, seed)
        if (units(some) >= 0.4).sum() < 9:
            break
    labels = ["rare"] * 17 + ["many"] * 600
    found = assigned(np.concatenate([some, digests(600, 1)]), labels, TABLES)
    assert counts(found, labels, "rare")[0] >= 10


def test_records_without_a_label_follow_the_recipe():
    some = np.concatenate([starving(110, 19), digests(300, 2), digests(200, 4)])
    labels = ["rare"] * 110 + ["many"] * 300 + [None] * 200
    found = assigned(some, labels)
    assert found.rule["classes"][0][0] == "rare"
    plain = assign(some[410:], validation=0.2, holdout=0.2)
    np.testing.assert_array_equal(found.splits_N[410:], plain)


def test_a_holdout_of_its_own_leaves_only_validation_to_be_divided():
    some = digests(1000, 5)
    labels = ["rare"] * 110 + ["many"] * 890
    held = np.arange(1000) >= 800
    rule = SplitConfig(holdout_uri="elsewhere")
    for seed in range(100):
        some[:110] = digests(110, seed)
        if (units(some[:110]) < 0.2).sum() < 19:
            break
    found = assigned(some, labels, split=rule, held_out=held)
    assert (found.splits_N[800:] == 2).all()
    assert counts(found, labels, "rare")[1] >= 20
    assert found.rule["classes"][0][2] == 0.0


def test_groups_stay_on_one_side():
    some, labels = digests(600, 5), ["rare"] * 110 + ["many"] * 490
    groups = pa.array(np.arange(600) // 3)
    rule = SplitConfig(group_by="person")
    found = assigned(some, labels, split=rule, deciding=groups)
    assert "classes" not in found.rule
    assert (found.splits_N.reshape(-1, 3) == found.splits_N[::3, None]).all()


def test_of_equal_records_with_two_labels_the_rarer_decides():
    rare = starving(110, 19)
    some, labels = np.concatenate([rare, rare]), ["rare"] * 110 + ["many"] * 110
    some = np.concatenate([some, digests(900, 3)])
    found = assigned(some, [*labels, *["many"] * 900])
    np.testing.assert_array_equal(found.splits_N[:110], found.splits_N[110:220])
    assert counts(found, [*labels, *["many"] * 900], "rare")[2] >= 20


def test_no_record_and_no_class_are_no_trouble():
    none = code_classes(pa.array([], pa.string()), IMAGES)
    assert own_fractions(as_digests(b""), none, BASE) == {}
    nulls = code_classes(pa.array([None, None], pa.string()), ClassNeeds(holdout=5))
    assert own_fractions(digests(2, 0), nulls, BASE) == {}


def test_needs_are_those_of_the_judge():
    assert tuple(IMAGES) == (1, 20, 20)
    assert tuple(TABLES) == (10, 0, 10)
    assert {name: row.judged_class.alone for name, row in MODALITIES.items()}["images"]
