"""Which records break a constraint, and what is said of real ones that do."""

from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from gan.errors import DataError
from gan.tables.constraints import check_real, violations
from storage.records.constraint import Constraint


def broken(constraint, real=None, **columns):
    return violations(pa.table(columns), [constraint], real)[0].tolist()


def test_ranges_hold_at_their_ends_and_for_nulls():
    both = Constraint(kind="range", columns=("a",), low=1, high=3)
    assert broken(both, a=[0, 1, 3, 4, None]) == [True, False, False, True, False]
    assert broken(both, a=[0.99, 1.0, float("nan")]) == [True, False, False]
    low = Constraint(kind="range", columns=("a",), low=1)
    assert broken(low, a=[Decimal("0.5"), Decimal("1e9")]) == [True, False]


@pytest.mark.parametrize(
    ("below", "above"),
    [
        ([1, 2, 3, None], [2, 2, 2, 0]),
        ([1, 2, 3, None], [1.5, 2.0, 2.5, 0.0]),
        ([Decimal("1.0"), Decimal("2.0"), Decimal("3.0"), None], [2, 2, 2, 0]),
        (
            [date(2020, 1, day) for day in (1, 2, 3)] + [None],
            np.array(["2020-01-02"] * 3 + ["2019-01-01"], dtype="datetime64[us]"),
        ),
        (
            [datetime(2020, 1, day, tzinfo=UTC) for day in (1, 2, 3)] + [None],
            np.array(["2020-01-02"] * 3 + ["2019-01-01"], dtype="datetime64[us]"),
        ),
    ],
    ids=["integers", "mixed numbers", "decimals", "date and timestamp", "zones"],
)
def test_inequalities_compare_across_types(below, above):
    weak = Constraint(kind="inequality", columns=("a", "b"))
    strict = Constraint(kind="inequality", columns=("a", "b"), strict=True)
    columns = {"a": pa.array(below), "b": pa.array(above)}
    assert broken(weak, **columns) == [False, False, True, False]
    assert broken(strict, **columns) == [False, True, True, False]


ZONED = pa.timestamp("us", "+02:00")


def test_a_date_is_a_whole_day():
    at = pa.array(
        np.array(
            ["2022-01-19T00", "2022-01-19T08", "2022-01-19T23", "2022-01-20"], "datetime64[us]"
        )
    )
    due = pa.array([date(2022, 1, 19)] * 4)
    weak = Constraint(kind="inequality", columns=("at", "due"))
    strict = Constraint(kind="inequality", columns=("at", "due"), strict=True)
    back = Constraint(kind="inequality", columns=("due", "at"), strict=True)
    assert broken(weak, at=at, due=due) == [False, False, False, True]
    assert broken(strict, at=at, due=due) == [True, True, True, True]
    assert broken(back, at=at, due=due) == [True, True, True, False]
    late = pa.array([datetime(2022, 1, 19, 23, tzinfo=UTC)], ZONED)
    assert broken(weak, at=late, due=due[:1]) == [True], "it is the 20th there"


def test_timestamps_are_compared_by_day_when_the_constraint_says_so():
    late, early = (np.array([f"2022-01-19T{hour}"], "datetime64[us]") for hour in ("09", "08"))
    days = Constraint(kind="inequality", columns=("a", "b"), whole_days=True)
    exact = Constraint(kind="inequality", columns=("a", "b"))
    assert broken(exact, a=late, b=early) == [True]
    assert broken(days, a=late, b=early) == [False]
    assert "whole_days" not in exact.to_json()
    assert Constraint(**days.to_json()) == days
    for said, kinds in (("strict", ""), ("whole_days", " or a difference")):
        with pytest.raises(ValueError, match=f"says {said}, which only an inequality{kinds} can"):
            Constraint(kind="unique", columns=("a",), **{said: True})


def test_chains_compare_neighbours():
    chain = Constraint(kind="inequality", columns=("a", "b", "c"))
    assert broken(chain, a=[1, 2, 1], b=[2, 1, 2], c=[3, 3, 1]) == [False, True, True]


def test_sums_of_floats_allow_for_rounding_and_no_more():
    total = Constraint(kind="sum", columns=("t", "a", "b"))
    a, b = [0.1, 0.1, 5.0, None], [0.2, 0.2, 5.0, 1.0]
    assert broken(total, t=[0.3, 0.31, 10.0, 1.0], a=a, b=b) == [False, True, False, False]
    assert broken(total, t=[3, 4], a=[1, 1], b=[2, 2]) == [False, True]


def test_combinations_are_those_of_the_real_records():
    pairs = Constraint(kind="combinations", columns=("city", "land"))
    real = pa.table({"city": ["Bonn", "Rome", None], "land": ["DE", "IT", "IT"]})
    made = {"city": ["Rome", "Rome", None, "Oslo"], "land": ["IT", "DE", "IT", "NO"]}
    assert broken(pairs, real, **made) == [False, True, False, True]
    assert broken(pairs, **made) == [False] * 4


def test_unique_spares_the_first_and_rows_with_nulls():
    unique = Constraint(kind="unique", columns=("a", "b"))
    a, b = [1, 1, 1, 2, 1, 1], ["x", "x", "y", "x", None, None]
    assert broken(unique, a=a, b=b) == [False, True, False, False, False, False]


def test_real_records_must_keep_what_is_asked():
    numbers = np.arange(30)
    records = pa.table({"a": numbers, "b": np.where(numbers % 10 == 0, numbers - 1, numbers)})
    fine = Constraint(kind="inequality", columns=("b", "a"))
    check_real(records, [fine])
    wrong = Constraint(kind="inequality", columns=("a", "b"))
    with pytest.raises(DataError, match=r"inequality 'a' <= 'b' does not hold in 3 of 30 real"):
        check_real(records, [fine, wrong])


def test_formulas_hold_up_to_the_rounding_of_their_column():
    product = Constraint(kind="product", columns=("t", "n", "p"))
    ratio = Constraint(kind="ratio", columns=("bmi", "w", "h", "h"))
    linear = Constraint(kind="linear", columns=("f", "c"), weights=(1.8,), offset=32.0)
    assert broken(
        product, t=[7.5, 7.49, 3.33, 9.0], n=[3, 3, 3, None], p=[2.5, 2.5, 1.11, 1.0]
    ) == [False, True, False, False]
    assert broken(ratio, bmi=[24.2, 25.2, 24.2, 1.0], w=[70.0] * 4, h=[1.7, 1.7, 1.7, 0.0]) == [
        False,
        True,
        False,
        False,
    ]
    assert broken(linear, f=[32, 34, 36, 50], c=[0, 1, 2, 11]) == [False, False, False, True]


def test_a_candidate_is_held_against_the_rounding_of_real_rows():
    product = Constraint(kind="product", columns=("t", "n", "p"))
    prices = np.arange(1, 200) / 8
    real = pa.table({"t": np.floor(3 * prices), "n": [3] * 199, "p": prices})
    made = {"t": np.rint(3 * prices), "n": [3] * 199, "p": prices}
    assert sum(broken(product, real, **made)) > 80
    assert not any(broken(product, **made))


def test_differences_count_from_one_moment_to_the_other():
    def rule(unit):
        return Constraint(kind="difference", columns=("n", "end", "start"), unit=unit)

    start = pa.array([date(2024, 1, 1), date(2024, 1, 1), None])
    end = pa.array([date(2024, 1, 8), date(2024, 1, 7), date(2024, 1, 7)])
    assert broken(rule("days"), n=[7, 7, 7], end=end, start=start) == [False, True, False]
    at = pa.array([datetime(2024, 1, 1, 23, 30, tzinfo=UTC)] * 3, ZONED)
    until = pa.array([datetime(2024, 1, 2, 5, tzinfo=UTC)] * 3, pa.timestamp("s", "UTC"))
    assert broken(rule("hours"), n=[5.5, 5.4, None], end=until, start=at) == [False, True, False]
    day = pa.array([date(2024, 1, 4)] * 3)
    assert broken(rule("days"), n=[2, 3, None], end=day, start=at) == [False, True, False], (
        "it is the 2nd there"
    )


def test_bands_begin_at_their_cuts():
    bands = Constraint(
        kind="band", columns=("band", "age"), cuts=(18.0, 65.0), levels=("young", "adult", "old")
    )
    ages = [17.9, 18.0, 65.0, 64.0, None, 3.0]
    names = ["young", "adult", "adult", "adult", "old", None]
    assert broken(bands, age=ages, band=names) == [False, False, True, False, False, False]
    codes = Constraint(kind="band", columns=("band", "age"), cuts=(18.0,), levels=("0", "1"))
    assert broken(codes, age=[1, 20, 20], band=[0, 1, 0]) == [False, False, True]


def test_lookups_agree_among_themselves_and_with_what_many_real_rows_say():
    lookup = Constraint(kind="lookup", columns=("land", "city", "year"))
    made = {
        "city": ["Bonn", "Bonn", "Bonn", "Oslo", None, "Bonn"],
        "year": [1, 1, 1, 1, 1, 2],
        "land": ["DE", "DE", "NO", "NO", "XX", "NO"],
    }
    assert broken(lookup, **made) == [False, False, True, False, False, False]
    real = pa.table({"city": ["Bonn"] * 3, "year": [2] * 3, "land": ["DE"] * 3})
    assert broken(lookup, real, **made) == [False, False, True, False, False, True]


def test_exactly_one_is_neither_none_nor_two():
    one = Constraint(kind="one_of", columns=("a", "b", "c"))
    assert broken(one, a=[1, 0, 1, 1], b=[0, 0, 1, None], c=[False] * 4) == [
        False,
        True,
        True,
        False,
    ]


def test_conditions_hold_one_way_or_both():
    def rule(**said):
        return Constraint(
            kind="conditional", columns=("days", "seen"), value="-1", when=("0", "null"), **said
        )

    columns = {"days": [-1, 5, -1, 5, -1], "seen": [0, 0, 3, 3, None]}
    assert broken(rule(), **columns) == [False, True, True, False, False]
    assert broken(rule(exactly=False), **columns) == [False, True, False, False, False]
    gone = Constraint(kind="conditional", columns=("why", "late"), value="null", when=("false",))
    why, late = ["bank", None, None, "mail"], [True, True, False, False]
    assert broken(gone, why=why, late=late) == [False, True, False, True]
