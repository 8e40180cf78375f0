"""How many records of which classes, and their division into shards."""

from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from storage.errors import PlanError
from storage.lake.shard_plan import LEAST_SHARDS, MOST_SHARDS, plan_shards
from storage.lake.synthesis import (
    SynthesisConfig,
    apportion,
    counted_records,
    plan_classes,
    plan_rows,
    resolve_balance,
    resolve_seed,
)

REAL = (("ant", 70), ("bee", 20), ("cat", 10))
counts = st.lists(st.integers(0, 5000), min_size=1, max_size=12).filter(any)


@given(counts, st.integers(0, 10_000))
def test_apportion_is_exact_and_within_one_of_the_quota(weights, total):
    shares = apportion(weights, total)
    assert sum(shares) == total
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share - Fraction(weight * total, sum(weights))) < 1


def test_real_keeps_the_shares_of_the_real_data():
    config = SynthesisConfig(samples=1000, balance="real")
    assert plan_classes(config, REAL) == (("ant", 700), ("bee", 200), ("cat", 100))


def test_equal_makes_every_class_the_same():
    config = SynthesisConfig(samples=1000, balance="equal")
    assert plan_classes(config, REAL) == (("ant", 334), ("bee", 333), ("cat", 333))


def test_fill_counts_for_itself():
    counts = plan_classes(SynthesisConfig(samples=5, balance="fill"), REAL)
    assert counts == (("ant", 0), ("bee", 50), ("cat", 60))
    assert plan_rows(SynthesisConfig(samples=5, balance="fill"), counts) == 110


SPLITS = {
    "train": REAL,
    "validation": (("ant", 20), ("bee", 10), ("cat", 1)),
    "holdout": (("ant", 30), ("cat", 9)),
}


@pytest.mark.parametrize(
    ("fill_counts", "real"),
    [("train", (70, 20, 10)), ("source", (90, 30, 11)), ("all", (120, 30, 20))],
)
def test_fill_counts_the_records_it_says(fill_counts, real):
    config = SynthesisConfig(balance="fill", fill_counts=fill_counts)
    counted = counted_records(config, REAL, SPLITS)
    assert counted == (("ant", real[0]), ("bee", real[1]), ("cat", real[2]))
    made = dict(plan_classes(config, REAL, counted=counted))
    assert {count + made[label] for label, count in counted} == {max(real)}


def test_auto_is_what_the_kind_of_data_wants():
    assert resolve_balance(SynthesisConfig(), "images").balance == "equal"
    assert resolve_balance(SynthesisConfig(), "tables").balance == "real"
    said = SynthesisConfig(balance="equal")
    assert resolve_balance(said, "tables") is said


def test_fill_of_balanced_classes_is_refused():
    with pytest.raises(PlanError, match="nothing to fill"):
        plan_classes(SynthesisConfig(balance="fill"), ((0, 9), (1, 9)))


def fractions(*pairs):
    return tuple({"label": label, "fraction": fraction} for label, fraction in pairs)


def test_fractions_are_met_and_the_form_may_give_labels_as_text():
    config = SynthesisConfig(
        samples=10, balance="fractions", class_fractions=fractions(("1", 0.3), (0, 0.7))
    )
    assert plan_classes(config, ((0, 9), (1, 9), (2, 9))) == ((0, 7), (1, 3), (2, 0))


def test_an_unknown_class_is_refused_with_those_there_are():
    config = SynthesisConfig(balance="fractions", class_fractions=fractions(("dog", 1.0)))
    with pytest.raises(PlanError, match=r"'dog'.*ant, bee, cat"):
        plan_classes(config, REAL)


def test_fractions_that_do_not_sum_to_one_are_refused():
    config = SynthesisConfig(balance="fractions", class_fractions=fractions(("ant", 0.5)))
    with pytest.raises(PlanError, match=r"sum to 0\.5"):
        plan_classes(config, REAL)


@pytest.mark.parametrize(
    "wrong",
    [
        {"balance": "equal", "class_fractions": fractions(("ant", 1.0))},
        {"balance": "fractions"},
        {"balance": "equal", "fill_counts": "all"},
        {"samples": 0},
        {"shard_samples": 0},
        {"colour": 1},
    ],
)
def test_what_makes_no_sense_is_refused_at_construction(wrong):
    with pytest.raises(ValidationError):
        SynthesisConfig(**wrong)


def test_without_classes_there_are_rows_only():
    config = SynthesisConfig(samples=12)
    assert plan_classes(config, ()) == ()
    assert plan_rows(config, ()) == 12
    with pytest.raises(PlanError, match="unconditional"):
        plan_classes(SynthesisConfig(balance="fill"), ())


def test_night_becomes_the_scheduled_date():
    config = resolve_seed(SynthesisConfig(seed="night"), date(2026, 1, 31))
    assert config.seed == 20260131
    assert resolve_seed(config, date(2026, 2, 1)) is config


@given(
    st.lists(st.integers(0, 300), min_size=0, max_size=8),
    st.integers(1, 900),
    st.one_of(st.just("auto"), st.integers(1, 400)),
)
def test_shards_hold_every_row_once_and_every_class_evenly(sizes, alone, shard_samples):
    class_counts = tuple(enumerate(sizes)) if any(sizes) else ()
    rows = sum(sizes) or alone
    shards = plan_shards(class_counts, rows, 1000, shard_samples)
    assert [shard.index for shard in shards] == list(range(len(shards)))
    assert sum(shard.rows for shard in shards) == rows
    first_id = 0
    for shard in shards:
        assert shard.first_id == first_id
        first_id += shard.rows
        assert shard.rows >= 1
        for label, count in shard.class_counts:
            even = dict(class_counts)[label] * shard.rows / rows
            assert abs(count - even) < 2
    for label, count in class_counts:
        assert sum(dict(shard.class_counts).get(label, 0) for shard in shards) == count


def test_auto_makes_sixteen_shards_or_shards_of_32_to_64_mebibytes():
    few = plan_shards((), 10_000, 200, "auto")
    assert len(few) == LEAST_SHARDS
    many = plan_shards((), 10_000_000, 2000, "auto")
    assert all(32 * 2**20 <= shard.rows * 2000 <= 64 * 2**20 for shard in many)
    assert len(plan_shards((), 3, 2000, "auto")) == 3


def test_given_shards_are_full_but_the_last():
    assert [shard.rows for shard in plan_shards((), 25, 1, 10)] == [10, 10, 5]


def test_more_shards_than_names_are_refused():
    with pytest.raises(PlanError, match="shard_samples"):
        plan_shards((), MOST_SHARDS + 5, 1, 1)
