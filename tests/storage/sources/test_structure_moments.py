"""Rules on parts of moments and on products with more in them, each with its counter-example."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from rule_search import ROWS, days, kept, search, seconds

from storage.records.constraint import Constraint
from storage.records.moment_parts import NUMBERS, part_numbers, part_values
from storage.sources.tables.structure.everywhere import RuleCheck

NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@pytest.fixture
def draw():
    return np.random.default_rng(2)


@pytest.fixture
def day(draw):
    return draw.integers(0, 4000, ROWS)


def weekday(day):
    return np.array((day + 3) % 7)


def rules(columns):
    return [rule.constraint for rule in search(columns).kept]


def test_numbers_that_are_a_part_of_a_date(day):
    moment = days(day)
    columns = {"sold": moment, "year": pc.year(moment)}
    columns |= {"weekday": pc.day_of_week(moment, count_from_zero=False)}
    columns |= {"month": pc.add(pc.multiply(pc.year(moment), 100), pc.month(moment))}
    assert rules(columns) == [
        Constraint(kind="part", columns=("year", "sold"), part="year"),
        Constraint(kind="part", columns=("month", "sold"), part="year and month"),
        Constraint(kind="part", columns=("weekday", "sold"), part="day of the week", offset=1),
    ]
    wrong = np.array(pc.year(moment))
    wrong[7] += 1
    assert rules({"sold": moment, "year": wrong}) == []


def test_texts_and_flags_that_name_a_part_of_a_date(day):
    names = np.array(NAMES)[weekday(day)]
    columns = {"sold": days(day), "name": names, "free_day": weekday(day) >= 5}
    flags = ("false",) * 5 + ("true",) * 2
    assert rules(columns) == [
        Constraint(kind="part", columns=("name", "sold"), part="day of the week", levels=NAMES),
        Constraint(kind="part", columns=("free_day", "sold"), part="day of the week", levels=flags),
    ]
    names[3] = NAMES[(NAMES.index(names[3]) + 1) % 7]
    assert ("part", ("name", "sold")) not in kept({"sold": days(day), "name": names})


def test_a_name_that_few_rows_hold_is_not_shown(day):
    day = np.where(weekday(day) == 6, day + 1, day)
    day[:9] += (6 - weekday(day))[:9]
    assert (weekday(day) == 6).sum() == 9
    assert kept({"sold": days(day), "name": np.array(NAMES)[weekday(day)]}) == []


def test_moments_that_are_a_constant_time_apart(day, draw):
    columns = {"sold": days(day), "entered": days(day), "due": days(day + 30)}
    assert rules(columns) == [
        Constraint(kind="part", columns=("entered", "sold"), part="moment"),
        Constraint(kind="part", columns=("due", "sold"), part="moment", offset=30 * 86_400),
    ]
    at = day * 86_400 + draw.integers(0, 86_400, ROWS)
    assert rules({"sold": days(day), "at": seconds(at)}) == [
        Constraint(kind="part", columns=("sold", "at"), part="day")
    ]
    assert rules({"sold": days(day + draw.integers(0, 2, ROWS)), "at": seconds(at)}) == []
    later = day.copy()
    later[0] += 1
    assert rules({"sold": days(day), "due": days(later + 30)}) == []


def test_a_product_with_a_rate(draw):
    price, count = np.round(draw.gamma(3, 9, ROWS) + 1, 2), draw.integers(1, 9, ROWS)
    percent, share = draw.choice([0, 5, 20], ROWS), draw.choice([0, 0.07, 0.19], ROWS)
    columns = {"price": price, "count": count, "off": percent, "tax": share}
    columns["paid"] = np.round(price * count * (1 - percent / 100), 2)
    assert rules(columns) == [
        Constraint(kind="product", columns=("paid", "price", "count", "off"), rate=-0.01)
    ]
    del columns["count"]
    columns["paid"] = np.round(price * (1 + share), 2)
    assert rules(columns) == [
        Constraint(kind="product", columns=("paid", "price", "tax"), rate=1.0)
    ]
    columns["paid"] = np.round(price * (1 + share) + draw.choice([0, 0.02], ROWS), 2)
    assert rules(columns) == []
    columns["off"], columns["paid"] = np.where(draw.random(ROWS) < 0.02, 5, 0), price
    assert all(rule.rate == 0 for rule in rules(columns)), "equal prices tell of no discount"


def test_a_square(draw):
    side = np.round(draw.gamma(3, 2, ROWS) + 0.5, 2)
    area = np.round(side**2, 2)
    assert kept({"side": side, "area": area}) == [("product", ("area", "side", "side"))]
    assert kept({"side": side, "area": area + draw.choice([0, 0.02], ROWS)}) == []


@pytest.mark.parametrize("sign", [1, -1])
def test_a_product_plus_another_column(draw, sign):
    price, count = np.round(draw.gamma(3, 9, ROWS) + 1, 2), draw.integers(1, 9, ROWS)
    other = np.where(draw.random(ROWS) < 0.5, np.round(draw.gamma(2, 3, ROWS), 2), 0)
    columns = {"price": price, "count": count, "other": other}
    columns["order"] = np.round(price * count + sign * other, 2)
    order = ("order", "price", "count", "other")
    assert rules(columns) == [Constraint(kind="product", columns=order, weights=(sign,))]
    columns["other"] = np.where(np.arange(ROWS) == 5, 1, other)
    assert rules(columns) == []


def test_changes_and_margins_as_shares_and_in_percent(draw):
    old, new = np.round(draw.gamma(4, 9, (2, ROWS)) + 5, 2)
    columns = {"old": old, "new": new, "growth": np.round((new - old) / old * 100, 1)}
    change = ("growth", "new", "old")
    assert rules(columns) == [Constraint(kind="ratio", columns=change, scale=100, offset=-100)]
    columns["growth"] = np.round((new - old) / new, 4)
    change = ("growth", "old", "new")
    assert rules(columns) == [Constraint(kind="ratio", columns=change, scale=-1, offset=1)]
    columns["growth"][4] += 0.01
    assert rules(columns) == []


def test_every_row_is_compared_with_a_rule(day):
    moment = days(day)
    table = pa.table({"sold": moment, "year": pc.year(moment), "net": day, "rate": day % 3})
    table = table.append_column("paid", pa.array(day * (1 + 0.5 * (day % 3))))
    table = table.append_column("sum", pa.array(day * (day % 3) + 2 * day))
    for rule, name in (
        (Constraint(kind="part", columns=("year", "sold"), part="year"), "year"),
        (Constraint(kind="product", columns=("paid", "net", "rate"), rate=0.5), "paid"),
        (Constraint(kind="product", columns=("sum", "net", "rate", "net"), weights=(2,)), "sum"),
    ):
        check = RuleCheck(rule, table)
        check.add(table)
        assert check.broken is None
        place = table.column_names.index(name)
        check.add(table.set_column(place, name, pc.add(table[name], 1)))
        assert check.broken is not None


@pytest.mark.parametrize("part", list(NUMBERS))
def test_parts_are_those_of_the_wall_clock(part):
    moment = pa.array(["2026-03-31T22:30:00"]).cast(pa.timestamp("us"))
    zoned = pc.assume_timezone(moment, "UTC").cast(pa.timestamp("us", "Europe/Berlin"))
    local = pa.array(["2026-04-01T00:30:00"]).cast(pa.timestamp("us"))
    assert part_numbers(zoned, part) == part_numbers(local, part)
    assert np.isnan(part_numbers(pa.nulls(1, pa.timestamp("us")), part)).all()
    assert part_values(moment, part, pa.int64()).to_numpy() == part_numbers(moment, part)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"kind": "part"}, "has no part"),
        ({"kind": "part", "part": "year", "levels": ["a"]}, "has 1 levels for the part 'year'"),
        ({"kind": "part", "part": "quarter", "levels": ["a", "b"]}, "has 2 levels for the part"),
        ({"kind": "linear", "part": "year", "weights": [1.0]}, "says part, which only a part can"),
        ({"kind": "ratio", "rate": 1.0}, "says rate, which only a product can"),
        ({"kind": "product", "weights": [1.0]}, "has 1 weights; leave two columns"),
    ],
)
def test_a_constraint_that_is_incomplete_is_refused(said, problem):
    columns = ("a", "b", "c") if said["kind"] in ("ratio", "product") else ("a", "b")
    with pytest.raises(ValueError, match=problem):
        Constraint(columns=columns, **said)
