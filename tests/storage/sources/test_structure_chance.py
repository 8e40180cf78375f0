"""What columns that move together have by chance is no rule, and what holds against it is one."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from rule_search import kept, search

from storage.records.moment_parts import passed
from storage.sources.tables.structure.simple_numbers import simple_number
from storage.sources.tables.structure.smooth_null import normal_scores


def moving_together(seed: int, rows: int = 3000) -> dict:
    """Return counts, amounts, flags and levels that one hidden number moves, and noise."""
    draw = np.random.default_rng(seed)
    hidden = draw.normal(size=rows)

    def seen(noise):
        return (hidden + noise * draw.normal(size=rows)) / np.hypot(1, noise)

    return {
        "count": np.maximum(np.round(2 * seen(0.2)), 0).astype(int),
        "amount": np.where(seen(0.2) > 1, np.round(np.exp(seen(1) + 3), 0), 0),
        "flag": (seen(0.2) > -1).astype(int),
        "level": np.array(["a", "b", "c", "d"])[np.digitize(seen(0.2), [-1, 0, 1])],
        "size": np.round(np.exp(seen(1)), 2),
        "age": np.round(40 + 9 * seen(1)).astype(int),
    }


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_end_of_what_moves_together_is_no_condition(seed):
    table = moving_together(seed)
    at_a = table["level"] == "a"
    assert (table["amount"][at_a] == 0).all()
    assert (table["count"][table["flag"] == 0] == 0).all()
    found = search(table)
    assert (found.kept, found.named) == ((), ())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_value_that_a_level_has_whatever_else_is_in_the_row_is_a_condition(seed):
    table = moving_together(seed)
    draw = np.random.default_rng(seed)
    plan = draw.choice(["free", "basic", "full"], 3000, p=[0.3, 0.4, 0.3])
    table["paid"] = np.where((plan == "free") | (draw.random(3000) < 0.5), 0, table["age"])
    table["plan"] = plan
    (rule,) = search(table).kept
    assert rule.constraint.columns == ("paid", "plan")
    assert rule.constraint.when == ("free",)
    assert not rule.constraint.exactly


def test_what_is_nearly_an_equivalence_is_a_condition():
    draw = np.random.default_rng(3)
    joint = draw.random(3000) < 0.2
    income, told = (draw.gamma(3, 20, 3000).round(2) for _ in range(2))
    columns = {
        **moving_together(3),
        "income": pa.array(income, mask=~joint),
        "told": pa.array(told, mask=~joint | (draw.random(3000) < 0.02)),
        "kind": np.where(joint, "joint", "single"),
    }
    rules = {rule.constraint.columns for rule in search(columns).kept}
    assert rules == {("income", "kind"), ("told", "kind")}


def test_of_several_levels_those_are_named_where_exceptions_were_to_be_expected():
    draw, rows = np.random.default_rng(4), 4000
    level = draw.integers(0, 4, rows)
    missing = draw.random(rows) < np.array([1, 1, 0.5, 0.4])[level]
    gone = pa.array(draw.normal(size=rows), mask=missing)
    (rule,) = search({"level": [f"l{n}" for n in level], "gone": gone}).kept
    assert sorted(rule.constraint.when) == ["l0", "l1"]


def test_two_flags_of_which_one_never_comes_with_the_other_make_no_rule():
    draw = np.random.default_rng(5)
    one = draw.random(4000) < 0.3
    assert kept({"one": one, "other": ~one & (draw.random(4000) < 0.5)}) == []


def test_a_flag_says_where_a_date_is_missing():
    draw = np.random.default_rng(6)
    died = draw.random(2000) < 0.1
    date = pa.array(draw.integers(9000, 19_000, 2000).astype(np.int32), pa.date32(), mask=~died)
    text = np.where(died, "t", "f")
    columns = {"died": text, "date": date, "age": draw.integers(20, 90, 2000)}
    (rule,) = search(columns).kept
    assert set(rule.constraint.columns) == {"died", "date"}
    assert rule.constraint.exactly


def test_a_rule_that_cannot_be_kept_beside_another_is_named():
    draw = np.random.default_rng(11)
    born = draw.integers(12_000, 14_500, 2000)
    born = pa.array(born.astype(np.int32), pa.date32())
    age = passed(born, "years until", date(2025, 1, 1)).astype(int)
    room = [
        f"{each}{'AB'[other]}" for each, other in zip(age, draw.integers(0, 2, 2000), strict=True)
    ]
    found = search({"born": born, "age": age, "room": room})
    assert [rule.constraint.kind for rule in found.kept] == ["part"]
    (rule,) = found.named
    assert rule.why == "room decides age in all rows"
    assert rule.left_out == "another rule makes age already"


@pytest.mark.parametrize(
    ("value", "error", "number"),
    [
        (2 / 3 + 1e-4, 5e-4, 2 / 3),
        (0.6671, 2e-4, 0.667),
        (1.667, 4e-3, 1.67),
        (1.6667, 2e-4, 5 / 3),
        (1 / 60 + 1e-7, 1e-6, 1 / 60),
        (1 / 3.6, 1e-4, 1 / 3.6),
        (0.0200001, 1e-6, 0.02),
        (0.621371, 1e-7, 0.621371),
        (0.02953, 1e-6, 0.02953),
        (1e-9, 1e-6, 0.0),
    ],
)
def test_a_number_is_the_shortest_that_people_write(value, error, number):
    assert simple_number(value, error) == pytest.approx(number, rel=1e-15)
    assert simple_number(0.12345678912345, 1e-14) is None


def test_weights_of_few_different_rows_are_as_people_write_them():
    draw, rows = np.random.default_rng(7), 3000
    price = np.array([9.9, 14.0, 19.5, 45.0])[draw.integers(0, 4, rows)]
    net = np.round(draw.integers(1, 7, rows) * price, 2)
    sent = np.where(net >= 50, 0, 4.95)
    rate = np.array([7.7, 19.0, 20.0])[draw.integers(0, 3, rows)]
    vat = np.round((net + sent) * rate / 100, 2)
    found = search({"net": net, "sent": sent, "rate": rate, "vat": vat})
    (rule,) = [one for one in found.kept if one.constraint.columns[0] == "vat"]
    assert rule.constraint.kind == "products"
    assert rule.constraint.weights == (0.01, 0.01)


def test_a_third_is_a_third_in_a_formula_that_is_rounded():
    draw = np.random.default_rng(8)
    high = np.round(draw.normal(128, 15, 2000)).astype(int)
    low = np.round(draw.normal(80, 10, 2000)).astype(int)
    found = search({"high": high, "low": low, "mean": np.round((high + 2 * low) / 3, 1)})
    (rule,) = found.kept
    assert rule.constraint.weights == (1 / 3, 2 / 3)
    assert rule.constraint.offset == 0


def test_a_share_up_to_a_limit_bends_where_both_meet():
    draw = np.random.default_rng(9)
    pay = np.round(draw.gamma(9, 480, 3000), 2)
    fund = np.round(np.minimum(0.093 * pay, 700), 2)
    (rule,) = search({"pay": pay, "fund": fund}).kept
    assert rule.constraint.cuts == pytest.approx((700 / 0.093,), rel=1e-12)
    assert rule.why == "fund is 0.093 times pay, but at most 700, in all rows"


def test_scores_are_those_of_a_normal_distribution_by_rank():
    draw = np.random.default_rng(10)
    values = draw.normal(size=4000)
    assert np.abs(normal_scores(np.exp(values)) - values).mean() < 0.05
    assert normal_scores(np.array([5.0, 5.0, np.nan])) == pytest.approx([0, 0, 0])
    two = normal_scores(np.repeat([1.0, 2.0], 50))
    assert two[[0, -1]] == pytest.approx([-np.sqrt(2 / np.pi), np.sqrt(2 / np.pi)], abs=1e-3)
