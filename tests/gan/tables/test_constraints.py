"""Which records break a constraint, and what is said of real ones that do."""

from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from gan.errors import DataError
from gan.tables.constraints import check_real, violations
from storage.records.schema import Constraint


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
    for said in ("strict", "whole_days"):
        with pytest.raises(ValueError, match=f"says {said}, which only an inequality can"):
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
