"""What texts become: numbers, dates, booleans, text, nulls; what is not guessed."""

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import SourceError
from storage.sources.config import CsvConfig
from storage.sources.tables.csv_dates import check_format, parse, write
from storage.sources.tables.csv_numbers import Marks, distinct
from storage.sources.tables.csv_types import CsvRules, typed
from storage.sources.tables.csv_words import as_text, text_nulls


def rules_of(**given):
    csv = CsvConfig(**given)
    return CsvRules(marks=Marks(), csv=csv, locate=lambda row: f"line {row + 2} of 'a.csv'")


POINT = rules_of()


def column(texts):
    return distinct("c", pa.chunked_array([texts[: len(texts) // 2], texts[len(texts) // 2 :]]))


def values(texts, kind=None, rules=POINT):
    """Return type and values of a column of texts."""
    one = column(texts)
    result = typed(one, rules, kind)
    if result is None:
        result = as_text(one, text_nulls(one, frozenset())[0])
    rows = one.rows(result.values_U)
    return str(rows.type), rows.to_pylist()


@pytest.mark.parametrize(
    ("texts", "kind", "expected"),
    [
        (["1", "-20", "0"], "int64", [1, -20, 0]),
        (["01234", "99999"], "string", ["01234", "99999"]),
        (["20250131", "20251231"], "int64", [20250131, 20251231]),
        (["2019", "2020"], "int64", [2019, 2020]),
        (["+4915112345678", "+493012345678"], "string", ["+4915112345678", "+493012345678"]),
        (["1.50", "2.00"], "double", [1.5, 2.0]),
        (["1e3", ".5", "-2."], "double", [1000.0, 0.5, -2.0]),
        (["0", "1"], "int64", [0, 1]),
        (["true", "false"], "bool", [True, False]),
        (["TRUE", "FALSE", ""], "bool", [True, False, None]),
        (["yes", "no", "NA"], "bool", [True, False, None]),
        (["yes", "No"], "string", ["yes", "No"]),
        (["yes", "no", "maybe"], "string", ["yes", "no", "maybe"]),
        (["$1", "$2"], "int64", [1, 2]),
        (["$1", "€2"], "string", ["$1", "€2"]),
        (["1.2.3", "1.2.4"], "string", ["1.2.3", "1.2.4"]),
        (["192.168.0.1", "10.0.0.1"], "string", ["192.168.0.1", "10.0.0.1"]),
        (["12:30", "09:05"], "time64[us]", [dt.time(12, 30), dt.time(9, 5)]),
        (["1:05 PM", "12:00 AM"], "time64[us]", [dt.time(13, 5), dt.time(0, 0)]),
        (["2024-02-29", "2025-01-31"], "date32[day]", [dt.date(2024, 2, 29), dt.date(2025, 1, 31)]),
        (["31.12.25", "1.2.25"], "date32[day]", [dt.date(2025, 12, 31), dt.date(2025, 2, 1)]),
        (["13/02/2025", "01/03/2025"], "date32[day]", [dt.date(2025, 2, 13), dt.date(2025, 3, 1)]),
        (["2/13/2025", "1/3/2025"], "date32[day]", [dt.date(2025, 2, 13), dt.date(2025, 1, 3)]),
        (
            ["31-Dec-2025", "01-Jan-2026"],
            "date32[day]",
            [dt.date(2025, 12, 31), dt.date(2026, 1, 1)],
        ),
        (
            ["2025-01-31 10:00", "2025-01-31 10:30"],
            "timestamp[us]",
            [dt.datetime(2025, 1, 31, 10), dt.datetime(2025, 1, 31, 10, 30)],  # noqa: DTZ001
        ),
        (
            ["2025-01-31T10:00:00", "2025-01-31T10:30:00.25"],
            "timestamp[us]",
            [dt.datetime(2025, 1, 31, 10), dt.datetime(2025, 1, 31, 10, 30, 0, 250000)],  # noqa: DTZ001
        ),
        (
            ["20141013T000000", "20150225T123000"],
            "timestamp[us]",
            [dt.datetime(2014, 10, 13), dt.datetime(2015, 2, 25, 12, 30)],  # noqa: DTZ001
        ),
        (["1", "?", "3"], "int64", [1, None, 3]),
        (["1.5", "-", "NULL"], "double", [1.5, None, None]),
        (["2025-01-31", "N/A"], "date32[day]", [dt.date(2025, 1, 31), None]),
        (["good", "?", "bad"], "string", ["good", None, "bad"]),
        (["+", "-", "+"], "string", ["+", "-", "+"]),
        (["NA", "DE", "FR", "GB"], "string", ["NA", "DE", "FR", "GB"]),
        (["NA", "small", "large"], "string", [None, "small", "large"]),
        (["None", "BrkFace", "Stone"], "string", ["None", "BrkFace", "Stone"]),
        (["", " ", "x"], "string", [None, None, "x"]),
    ],
)
def test_a_column_becomes_what_all_its_values_are(texts, kind, expected):
    assert values(texts) == (kind, expected)


def test_zones_are_kept_where_they_agree():
    kind, found = values(["2025-01-01T10:00:00+01:00", "2025-07-01T10:00:00+01:00"])
    assert kind == "timestamp[us, tz=+01:00]"
    assert found[0].utctimetuple().tm_hour == 9
    for zone in ("Z", " UTC", "+00", "+0000"):
        kind, found = values([f"2025-01-01T10:00:00{zone}", f"2025-01-01T11:00:00{zone}"])
        assert (kind, found[0].hour) == ("timestamp[us, tz=UTC]", 10)
    mixed = typed(column(["2025-01-01T10:00:00+01:00", "2025-07-01T10:00:00+02:00"]), POINT)
    assert str(mixed.values_U.type) == "timestamp[us, tz=UTC]"
    assert "kept in UTC" in mixed.notes[0]


def test_numbers_too_large_for_64_bits():
    lengths = typed(column(["123456789012345678901", "1"]), POINT)
    assert lengths.values_U.to_pylist() == [Decimal(123456789012345678901), Decimal(1)]
    ids = typed(column(["12345678901234567890", "99999999999999999999"]), POINT)
    assert str(ids.values_U.type) == "string"
    assert "64 bits" in lengths.notes[0]
    assert "kept as text" in ids.notes[0]
    assert values(["9223372036854775807", "1"]) == ("int64", [9223372036854775807, 1])


@pytest.mark.parametrize(
    ("texts", "kind", "expected"),
    [
        (["01234", "99999"], "integer", ("int64", [1234, 99999])),
        (["1", "2"], "float", ("double", [1.0, 2.0])),
        (["1.10", "2.255"], "decimal", ("decimal128(18, 3)", [Decimal("1.10"), Decimal("2.255")])),
        (["y", "n"], "boolean", ("bool", [True, False])),
        (["0", "1"], "boolean", ("bool", [False, True])),
        (
            ["01/13/2025", "1/2/2025"],
            "date",
            ("date32[day]", [dt.date(2025, 1, 13), dt.date(2025, 1, 2)]),
        ),
        (["1", "x", "2"], "category", ("string", ["1", "x", "2"])),
        (["1", "2"], "category", ("int64", [1, 2])),
        (["1.50", "2.00"], "category", ("string", ["1.50", "2.00"])),
        (["01/02/2025", "03/04/2025"], "text", ("string", ["01/02/2025", "03/04/2025"])),
    ],
)
def test_the_recipe_says_the_kind(texts, kind, expected):
    assert values(texts, kind) == expected


@pytest.mark.parametrize("texts", [["01/02/2025", "03/04/2024"], ["1-2-24", "3-4-24"]])
def test_days_and_months_that_can_be_swapped_are_asked_for(texts):
    with pytest.raises(SourceError, match=r"read equally well as .* and as "):
        typed(column(texts), POINT)
    for wanted, day in (("%d/%m/%Y", 1), ("%m/%d/%Y", 2)):
        if "/" in texts[0]:
            rules = rules_of(date_format=wanted)
            assert values(texts, rules=rules)[1][0].day == day


def test_the_format_of_the_recipe_holds_for_times_of_these_days():
    rules = rules_of(date_format="%d/%m/%Y")
    kind, found = values(["01/02/2025 10:00", "03/04/2025 11:00"], rules=rules)
    assert (kind, found[0].month) == ("timestamp[us]", 2)
    assert values(["20250131", "20251231"], rules=rules_of(date_format="%Y%m%d"))[0] == (
        "date32[day]"
    )
    with pytest.raises(SourceError, match=r"line 2 of 'a.csv' holds a value of the form"):
        typed(column(["12/31/2025", "01/02/2025"]), rules)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ([*map(str, range(99)), "oops"], "whole numbers and words"),
        ([*map(str, range(990)), "12O", "1l"], "whole numbers and words"),
        ([*(f"{i}.5" for i in range(30)), *["big"] * 20], "numbers and words"),
        ([*(f"2025-01-{i % 28 + 1:02}" for i in range(60)), "2025-02-30"], "year-month-day"),
    ],
)
def test_a_few_words_among_numbers_are_a_fault(texts, words):
    with pytest.raises(SourceError, match=r"line \d+ of 'a.csv' holds ") as refused:
        typed(column(texts), POINT)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "texts",
    [
        ["10", "12", "12a", "14", "7b"],
        ["A1", "B2", "33", "44"],
        [*(f"{i:05}" for i in range(5000, 15000, 100))],
        [*map(str, range(40, 50)), "S", "M", "L"],
        [*map(str, range(536000, 536990)), *(f"C{n}" for n in range(536000, 536010))],
        [*map(str, range(536000, 536990)), *(f"{n}A" for n in range(536000, 536010))],
    ],
)
def test_codes_are_no_fault(texts):
    assert typed(column(texts), POINT) is None


@given(
    st.lists(
        st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2199, 12, 31)),  # noqa: DTZ001
        min_size=1,
        max_size=20,
    ),
    st.sampled_from(
        [
            "%Y-%m-%d %H:%M:%S.%f",
            "%d.%m.%Y %H:%M:%S.%f",
            "%-m/%-d/%Y %-I:%M:%S.%f %p",
            "%d %B %Y %H:%M:%S.%f",
        ]
    ),
)
def test_what_is_written_is_read_again(moments, form):
    micros = pa.array(moments, pa.timestamp("us")).cast(pa.int64()).to_numpy()
    again = parse(write(micros, form), form)
    assert again.ok_N.all()
    assert (again.micros_N == micros).all()


def test_formats_agree_with_the_standard_library():
    moment = dt.datetime(2024, 2, 29, 23, 5, 9, 120)  # noqa: DTZ001
    micros = pa.array([moment], pa.timestamp("us")).cast(pa.int64()).to_numpy()
    for form in ("%Y-%m-%d", "%d.%m.%y", "%d-%b-%Y %I:%M %p", "%B %d, %Y", "%H:%M:%S.%f"):
        assert write(micros, form)[0].as_py() == moment.strftime(form)


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ("%d.%m.%Y", None),
        ("%H:%M", None),
        ("%Q", "'%Q' is not among"),
        ("%Y", "no whole date"),
        ("%d%d", "twice"),
    ],
)
def test_a_format_of_the_recipe_is_checked(form, problem):
    found = check_format(form)
    assert found is None if problem is None else problem in found
