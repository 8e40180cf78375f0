import math

import numpy as np
import pyarrow as pa
import pytest
from judged_tables import cut, replaced, shop

from gan.bounds import pass_bounds
from gan.errors import DataError
from gan.tables.evaluation.assess import LABEL_NATS, RealTicks, rank
from gan.tables.judge import METRICS, build_assess


class Fixed:
    """A generator that always gives the same rows, as many as are asked for."""

    def __init__(self, table, likelihood=None):
        self.table, self.likelihood, self.asked = table, likelihood, []

    def __call__(self, rows):
        self.asked.append(rows)
        times = -(-rows // self.table.num_rows)
        return pa.concat_tables([self.table] * times).slice(0, rows)

    def log_likelihood(self, records):
        if self.likelihood is None:
            return None
        return np.full(records.num_rows, self.likelihood)


@pytest.fixture(scope="module")
def made():
    return cut(shop(2500), (900, 400, 400), "back")


@pytest.fixture(scope="module")
def assess(made):
    splits, _ = made
    return build_assess(splits.train, splits.validation, label="back", seed=0)


def shuffled(table):
    for seed, name in enumerate(("region", "size", "price", "back")):
        order = np.random.default_rng(seed).permutation(table.num_rows)
        place = table.column_names.index(name)
        table = table.set_column(place, table.schema.field(name), table[name].take(order))
    return table


def test_real_rows_rank_before_shuffled_before_collapsed(assess, made):
    unseen = made[1]
    flat = replaced(unseen, "price", np.full(unseen.num_rows, 3.0))
    tables = [unseen, shuffled(unseen), shuffled(flat.slice(0, 20))]
    ranks = [assess(Fixed(table), 0).rank for table in tables]
    assert ranks == sorted(ranks)
    assert ranks[0] < 1 < ranks[2]


def test_copies_are_told_and_rank_behind_unseen_rows(assess, made):
    splits, unseen = made
    copied, real = assess(Fixed(splits.train), 0), assess(Fixed(unseen), 0)
    assert copied.copies == 1.0
    assert copied.metrics["dcr_share"] > 0.65
    assert real.metrics["dcr_share"] == pytest.approx(0.5, abs=0.1)
    assert copied.rank > real.rank + 5


def test_with_many_rows_likelihood_ranks_and_with_few_the_gates_measures(assess, made):
    splits, unseen = made
    many = build_assess(splits.train, shop(1000, seed=5), label="back", seed=0)
    good, bad = Fixed(unseen, likelihood=-20.0), Fixed(unseen, likelihood=-25.0)
    found = many(good, 0)
    assert found.rank == 20.0 + LABEL_NATS * found.metrics["tstr_gap"] < many(bad, 0).rank
    assert found.metrics["validation_nll"] == 20.0
    assert assess(good, 0).rank == assess(bad, 0).rank < 2
    assert assess(bad, 0).metrics["validation_nll"] == 25.0


def test_generators_with_and_without_likelihoods_share_a_scale(made):
    """Their ranks do not: nats of a row against a sum over the gate's measures."""
    splits, unseen = made
    many = build_assess(splits.train, shop(1000, seed=5), label="back", seed=0)
    few = build_assess(splits.train, splits.validation, label="back", seed=0)
    with_them, without = many(Fixed(unseen, likelihood=-20.0), 0), many(Fixed(unseen), 0)
    assert with_them.rank > 20
    assert without.rank == without.gate_rank == without.shared_rank
    assert with_them.shared_rank == pytest.approx(without.shared_rank, abs=0.5)
    order = np.random.default_rng(3).permutation(unseen.num_rows)
    shuffled = unseen.set_column(0, unseen.schema.field(0), unseen.column(0).take(order))
    worse = many(Fixed(shuffled, likelihood=-20.0), 0)
    assert worse.shared_rank > with_them.shared_rank
    assert few(Fixed(unseen), 0).shared_rank == few(Fixed(unseen), 0).rank
    assert math.isinf(many(Fixed(unseen, likelihood=math.nan), 0).shared_rank)


def test_likelihoods_that_are_no_numbers_are_of_no_use(made):
    splits, unseen = made
    many = build_assess(splits.train, shop(1000, seed=5), label="back", seed=0)
    assert math.isinf(many(Fixed(unseen, likelihood=math.nan), 0).rank)


def test_a_tick_asks_for_a_few_times_the_validation(assess, made):
    sample = Fixed(made[1])
    assess(sample, 0)
    assert sample.asked == [1600]


def test_equal_samples_give_equal_assessments(assess, made):
    splits, unseen = made
    again = build_assess(splits.train, splits.validation, label="back", seed=0)
    assert assess(Fixed(unseen), 1) == again(Fixed(unseen), 2)


def test_rank_is_zero_for_real_rows_and_one_per_measure_at_its_pass_bound():
    real = RealTicks(one_way=0.02, two_way=0.05, coverage=0.97, limit=0.1, nominal=0.05)
    perfect = {"coverage_ratio": 1.0, "one_way": 0.02, "two_way": 0.05, "copies_share": 0.05}
    passes = pass_bounds(METRICS)
    assert rank(perfect, real, passes) == 0
    for worse in (
        {"coverage_ratio": 0.9},
        {"one_way": 0.04},
        {"two_way": 0.075},
        {"copies_share": 0.075},
    ):
        assert rank(perfect | worse, real, passes) == pytest.approx(1)
    better = {"coverage_ratio": 1.1, "one_way": 0.01, "two_way": 0.03, "copies_share": 0.0}
    assert rank(better, real, passes) == 0


def test_a_tiny_validation_is_refused(made):
    splits = made[0]
    with pytest.raises(DataError, match="the validation split has 5 records"):
        build_assess(splits.train, splits.validation.slice(0, 5), label="back", seed=0)


def test_samples_that_say_nothing_of_the_label_rank_behind_though_all_else_is_right(made):
    splits, unseen = made
    many = build_assess(splits.train, shop(1000, seed=5), label="back", seed=0)
    order = np.random.default_rng(0).permutation(unseen.num_rows)
    place = unseen.column_names.index("back")
    mixed = unseen.set_column(place, unseen.schema.field(place), unseen["back"].take(order))
    right, wrong = (many(Fixed(each, likelihood=-20.0), 0) for each in (unseen, mixed))
    assert right.metrics["tstr_gap"] < 0.1 < 0.2 < wrong.metrics["tstr_gap"]
    assert wrong.rank > right.rank + 1
    plain = build_assess(splits.train, splits.validation, label=None, seed=0)
    assert "tstr_gap" not in plain(Fixed(unseen), 0).metrics
