"""Rules that bend, choose and compare, each with its counter-example."""

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from rule_search import ROWS, days, kept, search, seconds

from storage.records.constraint import Constraint
from storage.records.moment_parts import passed, whole_months
from storage.records.piecewise import piecewise
from storage.sources.tables.structure.everywhere import RuleCheck

R = np.random.default_rng(12)
PAY, HOURS = R.gamma(9, 120, ROWS).round(2), R.normal(40, 6, ROWS).round(1)
PLANNED, LOADED = R.integers(20, 60, ROWS), R.integers(20, 60, ROWS)
ONE, TWO, THREE = (R.gamma(3, 10, ROWS).round(1) for _ in range(3))
RATE, EXTRA, BONUS = R.gamma(8, 3, ROWS).round(2), R.integers(0, 9, ROWS), R.gamma(5, 2, ROWS)
START = R.integers(0, 9_000, ROWS)
END = START + R.integers(0, 9_000, ROWS)
BONUS = BONUS.round(2)


RATED = np.append([0, 1, 2], R.integers(0, 3, ROWS - 3))
LEVEL = pa.array([["x", "y", None][each] for each in RATED])
DAY = date(2024, 6, 30)


def of(kind, *columns, **said):
    return Constraint(kind=kind, columns=columns, **said)


FOUND = {
    "capped": (
        {"pay": PAY, "c": np.minimum(0.05 * PAY, 60).round(2)},
        of("piecewise", "c", "pay", cuts=[1200], weights=[0.05, 0], offset=60),
        "c is 0.05 times pay, but at most 60, in all rows",
    ),
    "above a threshold": (
        {"hours": HOURS, "c": np.maximum(HOURS - 40, 0).round(1)},
        of("piecewise", "c", "hours", cuts=[40], weights=[0, 1]),
        "c is hours - 40, but at least 0, in all rows",
    ),
    "by brackets": (
        {"pay": PAY, "c": (0.1 * PAY + 0.2 * np.maximum(PAY - 1000, 0)).round(2)},
        of("piecewise", "c", "pay", cuts=[1000], weights=[0.1, 0.3], offset=100),
        "c is a function of pay in straight pieces that bends at 1000 in all rows",
    ),
    "apart": (
        {"a": PLANNED, "b": LOADED, "c": np.abs(PLANNED - LOADED)},
        of("piecewise", "c", "a", "b", cuts=[0], weights=[-1, 1]),
        "c is how far apart a and b are in all rows",
    ),
    "what is left": (
        {"a": ONE, "b": TWO, "c": np.maximum(ONE - TWO, 0).round(1)},
        of("piecewise", "c", "a", "b", cuts=[0], weights=[0, 1]),
        "c is a minus b, but at least 0, in all rows",
    ),
    "largest": (
        {"a": ONE, "b": TWO, "d": THREE, "c": np.max([ONE, TWO, THREE], axis=0)},
        of("largest", "c", "a", "b", "d"),
        "c is the largest of a, b and d in all rows",
    ),
    "smallest": (
        {"a": ONE, "b": TWO, "c": np.minimum(ONE, TWO)},
        of("smallest", "c", "a", "b"),
        "c is the smallest of a and b in all rows",
    ),
    "two products": (
        {"a": HOURS, "b": RATE, "d": EXTRA, "e": BONUS, "c": HOURS * RATE - 1.5 * EXTRA * BONUS},
        of("products", "c", "a", "b", "d", "e", weights=[1, -1.5]),
        "c is a times b minus 1.5 times d times e",
    ),
    "more or not": (
        {"a": ONE, "b": TWO, "c": ONE > TWO},
        of("band", "c", "a", "b", cuts=[0.05], levels=["false", "true"]),
        "c says whether a is more than b, in all rows",
    ),
    "as much or more": (
        {"a": PLANNED, "b": LOADED, "c": np.where(PLANNED >= LOADED, "yes", "no")},
        of("band", "c", "a", "b", cuts=[-0.5], levels=["no", "yes"]),
        "c says whether a is as much as, or more than, b, in all rows",
    ),
    "won, drawn, lost": (
        {"a": EXTRA, "b": EXTRA[::-1].copy(), "c": np.sign(EXTRA - EXTRA[::-1])},
        of("band", "c", "a", "b", cuts=[-0.5, 0.5], levels=["-1", "0", "1"]),
        "c says whether a is less than b, equal or more, in all rows",
    ),
    "late": (
        {"a": seconds(END), "b": seconds(START[::-1]), "c": START[::-1] < END},
        of("band", "c", "a", "b", cuts=[0], levels=["false", "true"]),
        "c says whether a is more than b, in all rows",
    ),
    "an age": (
        {"a": days(START), "b": days(END), "c": whole_months(days(END), days(START)) // 12},
        of("difference", "c", "b", "a", unit="years"),
        "c is the whole years from a to b in all rows",
    ),
    "months": (
        {"a": days(START), "b": days(END), "c": whole_months(days(END), days(START))},
        of("difference", "c", "b", "a", unit="months"),
        "c is the whole months from a to b in all rows",
    ),
    "nights": (
        {
            "a": seconds(START * 3600),
            "b": seconds(END * 3600),
            "c": END // 24 - START // 24,
        },
        of("difference", "c", "b", "a", unit="days", whole_days=True),
        "c is the days by the calendar from a to b in all rows",
    ),
    "an age on a day": (
        {"a": days(START), "c": passed(days(START), "years until", DAY)},
        of("part", "c", "a", part="years until", until="2024-06-30"),
        "c is the whole years from a to 2024-06-30 in all rows",
    ),
    "days since": (
        {"a": seconds(START * 86_000), "c": passed(seconds(START * 86_000), "days until", DAY)},
        of("part", "c", "a", part="days until", until=DAY),
        "c is the whole days from a to 2024-06-30 in all rows",
    ),
    "years with a decimal": (
        {"a": days(START), "c": passed(days(START), "years of 365.25 days until", DAY).round(1)},
        of("part", "c", "a", part="years of 365.25 days until", until=DAY, decimals=1),
        "c is the years of 365.25 days from a to 2024-06-30, rounded, in all rows",
    ),
    "years between": (
        {"a": days(START), "b": days(END), "c": ((END - START) / 365.25).round(1)},
        of("difference", "c", "b", "a", unit="years of 365.25 days"),
        "c is the years of 365.25 days from a to b, rounded, in all rows",
    ),
    "a logarithm": (
        {"a": ONE + 0.1, "c": np.log10(ONE + 0.1).round(3)},
        of("function", "c", "a", function="log10"),
        "c is the logarithm to base 10 of a, rounded to 3 decimals, in all rows",
    ),
    "an exponential": (
        {"a": HOURS / 10, "c": np.exp(HOURS / 10).round(2)},
        of("function", "c", "a", function="exp"),
        "c is the exponential of a, rounded to 2 decimals, in all rows",
    ),
    "a root": (
        {"a": PAY, "b": ONE + 1, "c": np.sqrt(PAY * (ONE + 1) / 3600).round(3)},
        of("function", "c", "a", "b", function="root", scale=1 / 3600),
        "c is the square root of 1/3600 times a times b, rounded to 3 decimals, in all rows",
    ),
    "a length": (
        {"a": ONE - 30, "b": TWO - 30, "c": np.hypot(ONE - 30, TWO - 30).round(2)},
        of("function", "c", "a", "b", function="length"),
        "c is the square root of the sum of the squares of a and b, rounded to 2 decimals",
    ),
    "a time of day": (
        {
            "a": seconds(START * 5000),
            "c": np.array(["night", "day", "late"])[(START * 5000 // 3600 % 24 + 2) // 8 % 3],
        },
        of(
            "part",
            "c",
            "a",
            part="hour",
            levels=["night"] * 6 + ["day"] * 8 + ["late"] * 8 + ["night"] * 2,
        ),
        "c says the hour of a in all rows",
    ),
    "a rate by level": (
        {
            "a": LEVEL,
            "b": PAY,
            "c": (PAY * np.array([0.8, 0.9, 1])[RATED]).round(2),
        },
        of("rates", "c", "a", "b", levels=["x", "y", "null"], weights=[0.8, 0.9, 1]),
        "c is b times a rate that a says, in all rows",
    ),
    "a quarter": (
        {
            "a": days(START),
            "c": [f"{d.year}-Q{(d.month + 2) // 3}" for d in days(START).to_pylist()],
        },
        of("part", "c", "a", part="text", pattern="{year}-Q{quarter}"),
        "c writes a as {year}-Q{quarter} in all rows",
    ),
    "a quarter of one year": (
        {
            "a": days(START % 300 + 19_730),
            "c": [
                f"Q{(d.month + 2) // 3} {d.year}" for d in days(START % 300 + 19_730).to_pylist()
            ],
        },
        of("part", "c", "a", part="text", pattern="Q{quarter} {year}"),
        "c writes a as Q{quarter} {year} in all rows",
    ),
    "a month": (
        {"a": days(START % 1500), "c": pc.strftime(days(START % 1500), "%b %Y")},
        of("part", "c", "a", part="text", pattern="{short month name} {year}"),
        "c writes a as {short month name} {year} in all rows",
    ),
}


def altered(values):
    """Change one value: a number by two, a level to another."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "if":
        wrong = values.copy()
        wrong[100] += 2
        return wrong
    plain = values.tolist() if isinstance(values, np.ndarray) else pa.array(values).to_pylist()
    plain[100] = next(other for other in plain if other != plain[100])
    return plain


@pytest.mark.parametrize("kind", FOUND)
def test_a_rule_is_found_where_it_holds_in_all_rows_and_only_there(kind):
    columns, constraint, why = FOUND[kind]
    columns = {
        n: c.round(2) if kind == "two products" and n == "c" else c for n, c in columns.items()
    }
    found = [rule for rule in search(columns).kept if rule.constraint.columns[0] == "c"]
    assert [rule.constraint for rule in found] == [constraint]
    assert found[0].why.startswith(why)
    wrong = kept(columns | {"c": altered(columns["c"])})
    assert all(names[0] != "c" for _, names in wrong)


@pytest.mark.parametrize("kind", FOUND)
def test_every_row_is_compared_with_a_rule(kind):
    columns, constraint, _ = FOUND[kind]
    table = pa.table(columns)
    check = RuleCheck(constraint, table)
    check.add(table)
    assert check.broken is None
    check.add(pa.table(columns | {"c": altered(columns["c"])}).cast(table.schema))
    assert check.broken is not None


def test_a_logarithm_that_has_no_number_is_the_one_value_of_those_rows():
    amount = np.where(R.random(ROWS) < 0.2, 0, ONE + 1).round(1)
    with np.errstate(divide="ignore"):
        log = np.where(amount > 0, np.log(amount), 0).round(3)
    gone = pa.array(log, mask=amount == 0)
    assert kept({"a": amount, "c": log}) == [("function", ("c", "a"))]
    assert ("function", ("c", "a")) in kept({"a": amount, "c": gone})
    assert kept({"a": amount, "c": np.where(amount > 0, log, TWO)}) == []


def test_a_rate_by_level_needs_levels_of_rows_and_numbers_enough():
    few = np.where(np.arange(ROWS) < 5, "rare", LEVEL.fill_null("z").to_numpy(False))
    rate = np.where(few == "rare", 0.5, np.array([0.8, 0.9, 1])[RATED])
    assert kept({"a": few, "b": PAY, "c": (PAY * rate).round(2)}) == []
    three = np.array([100.0, 200.0, 300.0])[R.integers(0, 3, ROWS)]
    rules = kept({"a": LEVEL, "b": three, "c": (three * np.array([0.8, 0.9, 1])[RATED]).round(2)})
    assert "rates" not in {kind for kind, _ in rules}
    noisy = (PAY * np.array([0.8, 0.9, 1])[RATED] + R.normal(size=ROWS)).round(2)
    assert kept({"a": LEVEL, "b": PAY, "c": noisy}) == []


def test_a_table_without_numbers_has_no_rules_of_numbers():
    assert kept({"a": LEVEL, "b": LEVEL[::-1]}, free=False) == []


def test_missing_values_break_no_rule_that_bends():
    gone = R.random(ROWS) < 0.1
    pay = pa.array(PAY, mask=gone)
    capped = pa.array(np.minimum(0.05 * PAY, 60).round(2), mask=gone)
    assert ("piecewise", ("c", "pay")) in kept({"pay": pay, "c": capped})
    full = np.minimum(0.05 * PAY, 60).round(2)
    assert kept({"pay": pay, "c": full}) == []


@pytest.mark.parametrize("kind", ["late", "an age", "nights", "an age on a day", "a quarter"])
def test_missing_moments_break_no_rule(kind):
    columns, constraint, _ = FOUND[kind]
    gone = pa.array(R.random(ROWS) < 0.1)
    some = {name: pa.array(one) for name, one in columns.items()}
    some |= {name: pc.if_else(gone, pa.scalar(None, one.type), one) for name, one in some.items()}
    found = [rule.constraint for rule in search(some).kept]
    assert constraint in found
    check = RuleCheck(constraint, pa.table(some))
    check.add(pa.table(some))
    assert check.broken is None


def test_both_parts_of_a_whole_follow_from_it():
    hours = {"hours": HOURS, "over": np.maximum(HOURS - 40, 0).round(1)}
    names = {"hours": HOURS, "usual": np.minimum(HOURS, 40), "over": hours["over"]}
    assert {columns[0] for _, columns in kept(names)} == {"usual", "over"}


def test_a_curve_a_staircase_and_few_points_are_no_pieces():
    assert kept({"a": PAY, "c": np.cbrt(PAY).round(2)}) == []
    assert kept({"a": PAY, "c": (PAY // 400) * 70}) == []
    few = R.integers(0, 5, ROWS)
    assert kept({"a": few, "c": np.abs(few - 2), "b": ONE})[:1] != [("piecewise", ("c", "a"))]


def test_a_column_that_is_seldom_the_largest_is_none_of_them():
    rare = np.where(np.arange(ROWS) < 9, 500.0, 0.0)
    found = kept({"a": ONE, "b": TWO, "d": rare, "c": np.max([ONE, TWO, rare], axis=0)})
    assert all(kind != "largest" for kind, _ in found)


def test_a_code_of_a_level_that_is_made_is_put_together():
    far = R.gamma(2, 150, ROWS).round(1)
    zone = np.array(["A", "B", "C"])[(far > 100).astype(int) + (far > 300)]
    carrier = R.choice(["DHL", "UPS"], ROWS)
    code = np.char.add(np.char.add(carrier, "/"), zone)
    columns = {"carrier": carrier, "far": far, "zone": zone, "code": code}
    assert kept(columns) == [("band", ("zone", "far")), ("lookup", ("code", "carrier", "zone"))]


def test_pounds_are_made_of_kilograms():
    kg = R.normal(75, 12, ROWS).round(1)
    assert kept({"lb": (2.20462 * kg).round(1), "kg": kg}) == [("linear", ("lb", "kg"))]


def test_a_piecewise_function_is_straight_between_its_bends():
    found = piecewise(np.array([-1.0, 0, 1, 2, 3, np.nan]), [0, 2], [1, 2, 0], 5)
    np.testing.assert_array_equal(found, [4, 5, 7, 9, 9, np.nan])


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (
            {"kind": "piecewise", "cuts": [1], "weights": [1]},
            "1 cuts and 1 weights; give one weight",
        ),
        ({"kind": "piecewise", "cuts": [2, 1], "weights": [1, 1, 1]}, "has cuts that do not rise"),
        ({"kind": "products", "columns": "abcdef"}, "has 5 columns to be multiplied; give two"),
        ({"kind": "products", "columns": "abcde", "weights": [1]}, "has 1 weights; give one for"),
        ({"kind": "part", "part": "years until"}, "has until without one of the parts years"),
        ({"kind": "part", "part": "text"}, "has a pattern without the part text, or that"),
        ({"kind": "part", "part": "text", "pattern": "{age}"}, "has 'age' in its pattern; there"),
    ],
)
def test_a_constraint_that_is_incomplete_is_refused(said, problem):
    columns = tuple(said.pop("columns", "ab"))
    with pytest.raises(ValueError, match=problem):
        Constraint(columns=columns, **said)


def test_what_is_not_looked_for_among_many_columns_is_said():
    draw = np.random.default_rng(4)
    numbers = {f"n{at}": draw.normal(size=60) for at in range(42)}
    (said,) = [one for one in search(numbers, free=False).unsearched if "a level says" in one]
    assert said == (
        "rates that a level says were looked for among the first 40 of 42 columns of numbers, "
        "logarithms and roots among 42"
    )
