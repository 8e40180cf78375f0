"""Constraints that hold by construction: combinations, sums and ranges."""

import json
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from typed_tables import cycle, decoded, described, every_cell

from gan.errors import ConfigError, DataError
from gan.tables.codec import TableCodec

ROWS = 1000
CITIES = {"Rome": "south", "Oslo": "north", "Bergen": "north", None: None}


def again(codec):
    """Return the codec after the way through JSON."""
    return TableCodec.from_json(json.loads(json.dumps(codec.to_json())))


def random_rows(codec, rows=5000, seed=0):
    """Return what a generator without any knowledge would make."""
    numbers = np.random.default_rng(seed)
    cells = [numbers.integers(0, column.cells, rows) for column in codec.columns]
    return codec.decode(np.stack(cells, axis=1).astype(np.int32), np.zeros(rows, dtype=np.int64))


def test_combinations_hold_in_every_row():
    cities = cycle(list(CITIES), ROWS)
    regions = [CITIES[city] for city in cities]
    records = described(
        {"city": cities, "size": np.arange(ROWS), "region": regions, "flag": [True] * ROWS},
        constraints=[{"kind": "combinations", "columns": ["region", "city", "flag"]}],
    )
    codec = again(TableCodec.fit(records, None))
    joint = codec.columns[0]
    assert (joint.name, joint.fields, joint.codes) == ("city + region", ("city", "region"), 4) or (
        joint.fields == ("city", "region", "flag")
    )
    assert (
        decoded(codec, records)
        .select(["city", "region"])
        .equals(records.select(["city", "region"]))
    )
    found = random_rows(codec)
    pairs = set(zip(found["city"].to_pylist(), found["region"].to_pylist(), strict=True))
    assert pairs == set(CITIES.items())


def test_unknown_combinations_become_the_most_similar():
    train = described(
        {
            "a": ["x"] * 50 + ["x"] * 30 + ["y"] * 20 + ["y"] * 2,
            "b": [1] * 50 + [2] * 30 + [3] * 20 + [1] * 2,
            "c": ["p"] * 50 + ["q"] * 30 + ["p"] * 20 + ["q"] * 2,
            "d": cycle([0, 1], 102),
        },
        constraints=[{"kind": "combinations", "columns": ["a", "b", "c"]}],
    )
    codec = TableCodec.fit(train, None)
    strange = pa.table(
        {
            "a": ["y", "x", "z", None],
            "b": [2, 3, 2, None],
            "c": ["q", "p", "r", None],
            "d": [0, 0, 0, 0],
        }
    )
    found = decoded(codec, strange).select(["a", "b", "c"]).to_pylist()
    assert [tuple(row.values()) for row in found] == [
        ("x", 2, "q"),
        ("x", 1, "p"),
        ("x", 2, "q"),
        ("x", 1, "p"),
    ]
    assert "1 combination that fewer than 10 rows hold (2 % of the rows)" in codec.notes[0]


def test_a_label_may_be_part_of_a_combination():
    cities = cycle(["Rome", "Oslo", "Bergen"], ROWS)
    records = described(
        {"city": cities, "region": [CITIES[city] for city in cities], "size": np.arange(ROWS)},
        constraints=[{"kind": "combinations", "columns": ["city", "region"]}],
    )
    codec = TableCodec.fit(records, "region")
    assert codec.classes == ("north", "south")
    labels = codec.encode(records).labels_N
    assert [codec.classes[label] for label in labels] == records["region"].to_pylist()
    allowed = codec.allowed((), per_class=True)
    assert allowed[:, : codec.code_counts[0]].sum(axis=1).tolist() == [2, 1]


def test_too_many_combinations_are_refused():
    records = described(
        {"a": np.arange(ROWS), "b": np.arange(ROWS), "c": cycle([0, 1], ROWS)},
        constraints=[{"kind": "combinations", "columns": ["a", "b"]}],
    )
    with pytest.raises(DataError, match=r"no combination of a \+ b is held by 10 rows"):
        TableCodec.fit(records, None)


def sums(kind, values, total=None):
    parts = [pa.array(cycle(part, ROWS), kind) for part in values]
    whole = total or [
        None if None in row else sum(row)
        for row in zip(*(part.to_pylist() for part in parts), strict=True)
    ]
    columns = {"all": pa.array(whole, kind), "a": parts[0], "b": parts[1]}
    return described(columns, constraints=[{"kind": "sum", "columns": ["all", "a", "b"]}])


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.int32(), ([1, 2, None], [10, 20])),
        (pa.float64(), ([0.1, 0.2, 7.35], [0.2, 19.99])),
        (pa.float32(), ([0.1, 0.2, None], [0.2, 19.99])),
        (pa.decimal128(10, 2), ([Decimal("0.10"), Decimal("2.55")], [Decimal("9.99"), None])),
    ],
)
def test_totals_are_derived_exactly(kind, values):
    records = sums(kind, values)
    if pa.types.is_floating(kind):
        total = np.round(records["all"].to_numpy(), 2).astype(kind.to_pandas_dtype())
        column = pa.array(total, kind, from_pandas=True)
        records = records.set_column(0, records.schema.field(0), column)
    codec = again(TableCodec.fit(records, None))
    assert [column.name for column in codec.columns] == ["a", "b"]
    assert decoded(codec, records).equals(records)
    found = random_rows(codec)
    sums_found = [
        None if None in row else sum(row)
        for row in zip(found["a"].to_pylist(), found["b"].to_pylist(), strict=True)
    ]
    for whole, expected in zip(found["all"].to_pylist(), sums_found, strict=True):
        assert (whole is None) == (expected is None)
        assert whole is None or abs(float(whole) - float(expected)) < 1e-5


def test_a_null_part_may_count_as_nothing():
    records = sums(pa.int64(), ([1, 2, None], [10, 20, 30]), total=cycle([11, 22, 30], ROWS))
    codec = again(TableCodec.fit(records, None))
    assert decoded(codec, records).equals(records)


def test_a_total_may_be_missing_for_reasons_of_its_own():
    total = [None if row % 7 == 0 else 11 * (1 + row % 2) for row in range(ROWS)]
    records = sums(pa.int64(), ([1, 2], [10, 20]), total=total)
    codec = again(TableCodec.fit(records, None))
    assert codec.code_counts == (2, 2, 2)
    assert decoded(codec, records).equals(records)
    found = random_rows(codec)
    assert 0.4 < found["all"].null_count / len(found) < 0.6


def test_totals_are_summed_in_any_mix_of_types():
    columns = {
        "all": pa.array(cycle([Decimal("3.50"), Decimal("1.25")], ROWS), pa.decimal128(9, 2)),
        "a": pa.array(cycle([3, 1], ROWS), pa.int8()),
        "b": pa.array(cycle([Decimal("0.50"), Decimal("0.25")], ROWS), pa.decimal128(9, 2)),
    }
    records = described(columns, constraints=[{"kind": "sum", "columns": ["all", "a", "b"]}])
    assert decoded(TableCodec.fit(records, None), records).equals(records)


def test_a_total_that_is_the_label_or_does_not_add_up_is_refused():
    records = sums(pa.int64(), ([1, 2], [10, 20]))
    with pytest.raises(DataError, match="label column 'all' is the sum of a, b"):
        TableCodec.fit(records, "all")
    wrong = sums(pa.int64(), ([1, 2], [10, 20]), total=[5] * ROWS)
    with pytest.raises(DataError, match="does not hold in 1000 of 1000 real rows"):
        TableCodec.fit(wrong, None)


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.decimal128(21, 2)])
def test_cells_outside_a_range_are_never_made(kind):
    values = cycle([*range(0, 120, 3), 999], ROWS * 2)
    records = described(
        {"age": pa.array(values, pa.int64()).cast(kind), "b": cycle([0, 1], ROWS * 2)},
        constraints=[
            {"kind": "range", "columns": ["age"], "low": 18.0},
            {"kind": "range", "columns": ["age"], "low": 0.0, "high": 99.0},
        ],
    )
    cells = [float(value) for value in every_cell(TableCodec.fit(records, None))["age"].to_pylist()]
    assert min(cells) == 18
    assert max(cells) == 99


def test_ranges_are_read_as_they_are_written():
    records = described(
        {"share": cycle([0.07, 0.29, 0.57, 0.58], ROWS), "b": cycle([0, 1], ROWS)},
        constraints=[{"kind": "range", "columns": ["share"], "low": 0.07, "high": 0.57}],
    )
    assert every_cell(TableCodec.fit(records, None))["share"].to_pylist() == [0.07, 0.29, 0.57]


def test_ranges_hold_inside_combinations():
    records = described(
        {"a": cycle([1, 2, 3, 4], ROWS), "b": cycle(["p", "q", "r", "s"], ROWS), "c": range(ROWS)},
        constraints=[
            {"kind": "combinations", "columns": ["a", "b"]},
            {"kind": "range", "columns": ["a"], "high": 2.0},
        ],
    )
    cells = every_cell(TableCodec.fit(records, None))
    assert (cells["a"].to_pylist(), cells["b"].to_pylist()) == ([1, 2], ["p", "q"])


def test_a_range_that_leaves_nothing_is_refused():
    def fit(*ranges, **columns):
        constraints = [{"kind": "range", "columns": ["a"]} | one for one in ranges]
        records = described(
            {"a": np.arange(ROWS), "b": cycle([0, 1], ROWS)} | columns, constraints=constraints
        )
        return TableCodec.fit(records, None)

    with pytest.raises(DataError, match="no value of column 'a' in train lies in the range 5000"):
        fit({"low": 5000.0})
    with pytest.raises(ConfigError, match="contradict"):
        fit({"low": 10.0}, {"high": 5.0})
