"""What is said of a version whose rows are not those that the gate judged."""

import pytest

from storage.lake.composition import SHOWN_MOVES, Composition
from storage.lake.synthesis import SynthesisConfig
from storage.records.schema import Condition

REAL = {
    "train": (("no", 88), ("yes", 12)),
    "validation": (("no", 20), ("yes", 3)),
    "holdout": (("no", 10), ("yes", 2)),
}


def composed(published=(), filled_up=(), splits=REAL, **synthesis):
    config = SynthesisConfig(**{"balance": "real"} | synthesis)
    return Composition(
        synthesis=config, published=published, splits=splits, filled_up=filled_up, words="rows"
    )


def test_real_shares_are_not_re_weighted():
    (text,) = composed((("no", 880), ("yes", 120))).sentences
    assert text.startswith("Nothing is re-weighted")


def test_rounding_of_few_records_is_no_re_weighting():
    (text,) = composed((("no", 9), ("yes", 1)), balance="real").sentences
    assert text.startswith("Nothing is re-weighted")


def test_rows_without_classes_are_as_the_generator_makes_them():
    (text,) = composed(splits={"train": ()}).sentences
    assert text.endswith("rows are published as the generator makes them")
    assert composed(splits={"train": ()}).share_distance is None


def test_equal_classes_say_how_far_they_are_from_the_judged_rows():
    found = composed((("no", 500), ("yes", 500)), balance="equal")
    assert found.share_distance == pytest.approx(0.38)
    (text,) = found.sentences
    assert "synthesis.balance: equal" in text
    assert "0.38 from the real ones" in text
    assert "no: 0.88 became 0.50, yes: 0.12 became 0.50" in text
    assert text.endswith("not for these")
    assert found.to_json()["share_distance"] == 0.38


def test_equal_classes_of_balanced_data_are_not_re_weighted():
    found = composed((("a", 5), ("b", 5)), splits={"train": (("a", 9), ("b", 9))}, balance="equal")
    assert "Nothing is re-weighted" in found.sentences[0]


def test_a_class_that_is_not_made_counts_too():
    found = composed(
        (("yes", 10),),
        balance="fractions",
        class_fractions=({"label": "yes", "fraction": 1.0},),
    )
    assert found.share_distance == pytest.approx(0.88)


def test_conditions_are_no_part_of_the_verdict():
    given = (Condition(column="sex", values=("f",)), Condition(column="age", low="30"))
    (text,) = composed(given=given).sentences
    assert "synthesis.given on sex, age" in text
    assert "not of these" in text
    assert composed(given=given).to_json()["given"] == ["sex", "age"]


def test_fill_says_what_a_reader_ends_up_with_and_what_was_not_counted():
    counted = (("no", 108), ("yes", 15))
    found = composed((("no", 0), ("yes", 93)), counted, balance="fill")
    texts = found.sentences
    assert (
        "with the 123 real rows of train and validation you have 108 of no, 108 of yes" in texts[1]
    )
    assert "the 12 of holdout: with them too you have 118 of no, 110 of yes" in texts[2]
    assert found.to_json()["filled_up"] == [["no", 108], ["yes", 15]]


def test_fill_of_everything_leaves_nothing_out():
    counted = (("no", 118), ("yes", 17))
    texts = composed(
        (("no", 0), ("yes", 101)), counted, balance="fill", fill_counts="all"
    ).sentences
    assert len(texts) == 2
    assert "118 of no, 118 of yes" in texts[1]


def test_many_classes_are_counted_and_not_listed():
    real = {"train": tuple((name, 1 + name) for name in range(40))}
    texts = composed(
        tuple((name, 40 - name) for name in range(40)), real["train"], splits=real, balance="fill"
    ).sentences
    assert texts[0].count(" became ") == SHOWN_MOVES
    assert "most of all" in texts[0]
    assert "you have 41 of each of 40 classes" in texts[1]
