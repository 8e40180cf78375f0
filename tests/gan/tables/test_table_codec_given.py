"""Conditions: values and ranges as sets of codes and cells."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from typed_tables import cycle, described

from gan.errors import ConfigError
from gan.tables.codec import TableCodec
from storage.records.schema import Condition

ROWS = 1200
NUMBERS = np.random.default_rng(21)
DAYS = [date(2024, 1, 1) + timedelta(days=day) for day in range(30)]


@pytest.fixture(scope="module")
def codec():
    moments = [datetime(2024, 7, 1, hour, tzinfo=UTC) for hour in range(24)]
    records = described(
        {
            "income": cycle(["<=50K", ">50K"], ROWS),
            "age": pa.array(cycle([20, 30, 40, None], ROWS)),
            "size": NUMBERS.normal(100, 20, ROWS).round(1),
            "price": pa.array(cycle([Decimal("9.99"), Decimal("20.00")], ROWS)),
            "works": cycle([True, False], ROWS),
            "day": pa.array(cycle(DAYS, ROWS)),
            "moment": pa.array(cycle(moments, ROWS), pa.timestamp("s", tz="Europe/Berlin")),
            "city": cycle(["Rome", "Oslo", "Bergen"], ROWS),
            "region": cycle(["south", "north", "north"], ROWS),
            "word": pa.array(cycle(["null", None, "x"], ROWS)),
            "id": [str(row) for row in range(ROWS)],
            "one": ["same"] * ROWS,
        },
        kinds={"id": "key", "one": "constant"},
        forms={"id": "99999"},
        constraints=[{"kind": "combinations", "columns": ["city", "region"]}],
    )
    return TableCodec.fit(records, "income")


def chosen(codec, *given):
    """Return the values of each given column that meet the conditions."""
    for column, cells in zip(codec.columns, codec.cell_masks(given), strict=True):
        if given[-1].column in column.fields:
            return column.vocabulary(given[-1].column).filter(pa.array(cells)).to_pylist()
    raise AssertionError


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("income", (">50K",), [">50K"]),
        ("age", ("30", "20"), [20, 30]),
        ("age", ("null",), [None]),
        ("age", ("40", "null"), [40, None]),
        ("price", ("9.99",), [Decimal("9.99")]),
        ("price", ("9.990",), [Decimal("9.99")]),
        ("works", ("true",), [True]),
        ("day", ("2024-01-05",), [date(2024, 1, 5)]),
        ("region", ("north",), ["north", "north"]),
        ("word", ("null",), ["null"]),
        ("moment", ("2024-07-01T10:00:00",), [datetime(2024, 7, 1, 8, tzinfo=UTC)]),
        ("moment", ("2024-07-01T10:00:00Z",), [datetime(2024, 7, 1, 10, tzinfo=UTC)]),
        ("moment", ("2024-07-01 10:00:00+02:00",), [datetime(2024, 7, 1, 8, tzinfo=UTC)]),
    ],
)
def test_values_are_read_as_the_columns_type(codec, column, values, expected):
    assert chosen(codec, Condition(column=column, values=values)) == expected


@pytest.mark.parametrize(
    ("column", "low", "high", "expected"),
    [
        ("age", "25", None, [30, 40]),
        ("age", "19.5", "30.5", [20, 30]),
        ("age", None, "20", [20]),
        ("price", "9.995", None, [Decimal("20.00")]),
        ("day", "2024-01-29", "2024-02-10", DAYS[28:]),
    ],
)
def test_ranges_keep_their_ends_and_no_null(codec, column, low, high, expected):
    assert chosen(codec, Condition(column=column, low=low, high=high)) == expected


def test_a_range_inside_a_bin_allows_the_code_and_some_of_its_cells(codec):
    given = (Condition(column="size", low="99", high="103"),)
    cells = chosen(codec, *given)
    assert cells
    assert 99 <= min(cells) <= max(cells) <= 103
    index = [column.name for column in codec.columns].index("size")
    codes = np.split(codec.allowed(given, per_class=False)[0], np.cumsum(codec.code_counts)[:-1])
    column = codec.columns[index]
    touched = {
        code
        for code in range(column.codes)
        for cell in range(column.first_cells[code], column.first_cells[code + 1])
        if 99 <= column.vocabularies[0][cell].as_py() <= 103
    }
    assert set(np.flatnonzero(codes[index]).tolist()) == touched
    assert all(codes[place].all() for place in range(len(codes)) if place != index)


def test_rows_of_classes(codec):
    allowed = codec.allowed((), per_class=True)
    assert allowed.shape == (2, sum(codec.code_counts))
    assert allowed[:, :2].tolist() == [[True, False], [False, True]]
    assert allowed[:, 2:].all()
    rich = codec.allowed((Condition(column="income", values=(">50K",)),), per_class=True)
    assert rich[:, :2].tolist() == [[False, False], [False, True]]
    assert codec.allowed((), per_class=False) is None
    one = codec.allowed((Condition(column="works", values=("true",)),), per_class=False)
    assert one.shape == (1, sum(codec.code_counts))


def test_conditions_on_columns_that_belong_together_meet(codec):
    given = (
        Condition(column="region", values=("north",)),
        Condition(column="city", values=("Oslo",)),
    )
    assert chosen(codec, *given) == ["Oslo"]
    wrong = (
        Condition(column="region", values=("south",)),
        Condition(column="city", values=("Oslo",)),
    )
    with pytest.raises(ConfigError, match="contradict each other"):
        codec.allowed(wrong, per_class=False)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            Condition(column="nope", values=("1",)),
            "'nope', which the table does not have: it has inc",
        ),
        (Condition(column="id", values=("1",)), "'id', which is a key and not learnt"),
        (Condition(column="one", values=("same",)), "'one', which is a constant and not learnt"),
        (Condition(column="income", values=("rich",)), "'rich' in column 'income'.* <=50K, >50K"),
        (Condition(column="income", values=("null",)), "'null' in column 'income'"),
        (Condition(column="works", values=("maybe",)), "'maybe' in column 'works'.*true"),
        (Condition(column="age", values=("25",)), "'25' in column 'age'.*it knows 20, 30, 40"),
        (Condition(column="size", values=("1e9",)), "'1e9' in column 'size'.*give a range"),
        (Condition(column="age", low="50"), "from 50 to any in column 'age': .* knows 20 to 40"),
        (Condition(column="age", low="40", high="20"), "from 40 to 20 in column 'age'"),
        (Condition(column="age", low="old"), "bound 'old' on column 'age'"),
        (Condition(column="day", low="31.12.2024"), "bound '31.12.2024' on column 'day'.*date32"),
        (Condition(column="city", low="A", high="M"), "range on column 'city' of type string"),
    ],
)
def test_what_cannot_be_given_is_refused_in_one_sentence(codec, given, sentence):
    with pytest.raises(ConfigError, match=sentence) as caught:
        codec.allowed((given,), per_class=False)
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError):
        codec.check((given,), 10)
