"""Hard facts of a table: what no generator may do, and what real rows do themselves."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from judged_tables import OPTIONS, cancer, cut, replaced, shop
from small_tables import with_meaning

from gan.gate import GateConfig, judge
from gan.modalities import Splits
from gan.tables.judge import METRICS, build_reference, evaluate
from gan.tables.keys import form_pattern
from storage.records.table_metadata import read_table_metadata, with_table_metadata

LABEL = "back"


@pytest.fixture(scope="module")
def made():
    return cut(shop(1200), (500, 200, 200), LABEL)


@pytest.fixture(scope="module")
def reference(made):
    return build_reference(made[0], OPTIONS)


@pytest.fixture(scope="module")
def unseen(made):
    return made[1]


def fact(name, candidate, reference):
    found = reference.facts.find(candidate)
    return next(one for one in found if one.name == name)


@pytest.mark.parametrize(
    ("column", "values", "sentence"),
    [
        ("region", ["south"] * 300, "region has a new level (300)"),
        ("price", [1e6] * 300, "price is out of range (300)"),
        ("price", [float("inf")] * 300, "price is infinite (300)"),
        ("size", [None] * 300, "size is null (300)"),
        ("shop", ["other"] * 300, "shop is not constant (300)"),
        ("id", [f"a{i:06d}" for i in range(300)], "id is of another form (300)"),
        ("id", ["A000001", *["A000002"] * 299], "id is a repeated key (298)"),
    ],
)
def test_values_that_real_rows_do_not_have(unseen, reference, column, values, sentence):
    found = fact("validity", replaced(unseen, column, values), reference)
    assert not found.holds
    assert sentence in found.text


def test_what_real_rows_do_themselves_is_allowed_as_often(unseen, reference):
    """Prices outside train's range come in the holdout, too."""
    share = reference.facts.holdout_invalid / reference.holdout_rows
    assert 0 < share < 0.1
    price = unseen["price"].to_numpy().copy()
    price[: round(share * len(price))] = 1000.0
    assert fact("validity", replaced(unseen, "price", price), reference).holds


def test_a_constraint_that_fails_once_is_named(unseen, reference):
    size = unseen["size"].to_numpy().copy()
    size[0] = -3
    found = fact("constraints", replaced(unseen, "size", size), reference)
    assert not found.holds
    assert "range of 'size'" in found.text
    assert "1 of 300 rows" in found.text


def test_a_class_that_never_comes_is_missing(unseen, reference):
    found = fact("classes", replaced(unseen, LABEL, [False] * 300), reference)
    assert not found.holds
    assert found.text == "missing class True: no row among 300"


def test_one_exact_copy_is_chance_where_rows_come_near_one_another(made, reference):
    """Rows of the table that differ in their day alone show that chance may hit one."""
    splits, unseen = made
    mixed = pa.concat_tables([unseen.slice(0, 299), splits.train.slice(0, 1)])
    found = fact("exact_copies", mixed, reference)
    assert found.holds
    assert found.text == (
        "1 of 300 rows equal a training row in all columns (0.33%): 1 of 500 distinct training "
        "records are hit and 0 of 400 unseen ones, as chance explains"
    )


def test_ten_of_train_and_none_of_what_is_unseen_are_no_chance(made, reference):
    splits, unseen = made
    mixed = pa.concat_tables([unseen.slice(0, 290), splits.train.slice(0, 10)])
    found = fact("exact_copies", mixed, reference)
    assert not found.holds
    assert "10 of 500 distinct training records are hit and 0 of 400 unseen ones" in found.text


def test_one_exact_copy_is_one_too_many_where_nothing_comes_near_anything():
    splits, unseen = cut(cancer(), (228, 113, 114), "diagnosis", 0)
    mixed = pa.concat_tables([unseen.slice(0, 113), splits.train.slice(0, 1)])
    found = fact("exact_copies", mixed, build_reference(splits, OPTIONS))
    assert not found.holds
    assert found.text.startswith("1 of 114 rows equal a training row in all columns (0.88%")


def test_keys_do_not_make_rows_differ(made, reference):
    splits, _ = made
    fresh = replaced(splits.train.slice(0, 300), "id", [f"B{i:06d}" for i in range(300)])
    assert fact("exact_copies", fresh, reference).value == 1.0


def few_values(rows, seed):
    rng = np.random.default_rng(seed)
    return with_meaning(
        {"a": rng.integers(12, size=rows), "b": rng.choice(list("abcdefgh"), rows)},
        kinds={"a": "integer"},
    )


def test_rows_that_repeat_by_nature_are_no_copies_and_no_leak():
    """Of 96 possible rows nearly all are in train: whoever draws new ones meets them."""
    splits, unseen = cut(few_values(1000, 0), (400, 200, 200), None)
    evaluation = evaluate(unseen, build_reference(splits, OPTIONS))
    facts = {one.name: one for one in evaluation.facts}
    assert judge(evaluation, METRICS, GateConfig()).verdict != "block"
    assert evaluation.find("copies", "all") is None
    assert facts["exact_copies"].holds
    assert facts["exact_copies"].value > 0.9
    assert facts["overlap"].holds
    assert facts["overlap"].text.endswith("as it must be where rows of the source repeat")


def test_repeats_within_train_allow_for_repeats_where_splits_are_by_content():
    """Equal rows lie in one split, so none of the holdout equals one of train."""
    table = few_values(1200, 0)
    side = (
        table["a"].to_numpy() * 8 + pa.compute.rank(table["b"], tiebreaker="dense").to_numpy()
    ) % 3
    parts = [table.filter(pa.array(side == which)) for which in range(3)]
    splits, _ = cut(table, (10, 10, 10), None)
    splits = dataclasses.replace(splits, train=parts[0], validation=parts[1], holdout=parts[2])
    facts = build_reference(splits, OPTIONS).facts
    assert not facts.train_digests & facts.unseen_digests
    found = {one.name: one for one in facts.find(few_values(300, 9))}
    assert found["overlap"].value == 0
    assert 0.2 < found["exact_copies"].value < 0.5
    assert found["exact_copies"].holds


def test_splits_that_overlap_block_unless_it_is_expected(made, unseen):
    splits = dataclasses.replace(made[0], holdout=made[0].train.slice(0, 200))
    leaking = build_reference(splits, OPTIONS)
    found = fact("overlap", unseen, leaking)
    assert not found.holds
    assert found.text == "200 of 400 rows of validation and holdout are in another split, too"
    expected = build_reference(splits, dataclasses.replace(OPTIONS, overlap_expected=True))
    assert fact("overlap", unseen, expected).holds


def test_a_share_of_nulls_that_is_wrong_is_measured_with_its_noise(unseen, reference):
    full = replaced(unseen, "note", ["a"] * 300)
    found = evaluate(full, reference).find("null_rate", "all/note")
    train = reference.splits.train["note"]
    assert found.metric.value == pytest.approx(train.null_count / len(train))
    assert found.metric.low > 0.2
    assert max(found.reals) < 0.15


def test_forms_as_patterns():
    assert form_pattern(
        "A-99\\9f"
    ) == "^[ABCDEFGHIJKLMNOPQRSTUVWXYZ]\\-[0123456789][0123456789]9" + ("[0123456789abcdef]$")


def test_a_rule_that_was_found_is_told_and_blocks_nothing():
    numbers = np.random.default_rng(0)
    one, other = (numbers.integers(0, 50, 900) for _ in range(2))
    rule = {"kind": "sum", "columns": ["total", "one", "other"]}
    real = {"one": one, "other": other, "total": one + other}
    table = with_meaning(real, constraints=[rule], min_group=10)
    metadata = read_table_metadata(table.schema)
    wrong = pa.table({**real, "total": numbers.permutation(one + other)})
    found = {}
    for named in (0, None):
        schema = with_table_metadata(table.schema, dataclasses.replace(metadata, named=named))
        parts = [
            table.replace_schema_metadata(schema.metadata).slice(i * 300, 300) for i in range(3)
        ]
        splits = Splits(train=parts[0], validation=parts[1], holdout=parts[2], label=None)
        reference = build_reference(splits, OPTIONS)
        evaluation = evaluate(wrong.slice(0, reference.wanted), reference)
        found[named] = next(fact for fact in evaluation.facts if fact.name == "constraints")
    assert found[0].holds
    assert "which was found in the real rows, does not hold in" in found[0].text
    assert not found[None].holds
