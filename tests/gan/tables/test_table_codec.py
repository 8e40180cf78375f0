"""The table codec: types, nulls, codes and cells, unseen values, JSON, what it refuses."""

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch
from typed_tables import cycle, decoded, described, every_cell, shuffled

from gan.errors import SnapshotError
from gan.tables.codec import TableCodec

ROWS = 300

DAYS = [date(2020, 1, 1) + timedelta(days=7 * week) for week in range(12)]
MOMENTS = [datetime(2024, 3, 30, hour, 30, tzinfo=UTC) for hour in range(12)]

TYPES = {
    "int8": pa.array(cycle([-5, 0, 7], ROWS), pa.int8()),
    "uint64": pa.array(cycle([0, 1, 2**60], ROWS), pa.uint64()),
    "float16": pa.array(np.array(cycle([0.5, 1.25, -3.0], ROWS), dtype=np.float16)),
    "float32": pa.array(cycle([0.1, 0.2, 19.99], ROWS), pa.float32()),
    "float64": pa.array(cycle([0.1, 0.25, -1e-3], ROWS), pa.float64()),
    "free": pa.array(cycle([1 / 3, 2 / 7, -1e-30, 1e300], ROWS), pa.float64()),
    "decimal": pa.array(cycle([Decimal("1.50"), Decimal("-20.05")], ROWS), pa.decimal128(12, 2)),
    "large_decimal": pa.array(cycle([Decimal("0.1"), Decimal(7)], ROWS), pa.decimal256(40, 1)),
    "boolean": pa.array(cycle([True, False, True], ROWS)),
    "string": pa.array(cycle(["a", "Ä b", ""], ROWS), pa.string()),
    "large_string": pa.array(cycle(["x", "null"], ROWS), pa.large_string()),
    "dictionary": pa.array(cycle(["x", "y"], ROWS)).dictionary_encode(),
    "small_dictionary": pa.array(
        cycle(["y", "x"], ROWS), pa.dictionary(pa.int8(), pa.large_string())
    ),
    "number_dictionary": pa.array(cycle([5, 3], ROWS)).dictionary_encode(),
    "date32": pa.array(cycle(DAYS, ROWS), pa.date32()),
    "date64": pa.array(cycle(DAYS, ROWS), pa.date64()),
    "time32": pa.array(cycle([time(8), time(23, 59, 59)], ROWS), pa.time32("s")),
    "time64": pa.array(cycle([time(8, 0, 0, 5), time(0)], ROWS), pa.time64("us")),
    "seconds": pa.array(cycle([7, -86_400, 2**33], ROWS), pa.timestamp("s")),
    "zoned": pa.array(cycle(MOMENTS, ROWS), pa.timestamp("ns", tz="Europe/Berlin")),
    "duration": pa.array(cycle([timedelta(hours=1), timedelta(days=2)], ROWS), pa.duration("ms")),
}


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("holes", [False, True], ids=["whole", "holes"])
def test_values_that_many_rows_hold_come_back_exactly(name, holes):
    column = TYPES[name]
    if holes:
        gaps = np.arange(ROWS) % 5 == 2
        column = pc.if_else(pa.array(gaps), pa.scalar(None, column.type), column)
    records = described({"it": column, "other": cycle(["p", "q"], ROWS)})
    codec = TableCodec.fit(records, None)
    codec = TableCodec.from_json(json.loads(json.dumps(codec.to_json())))
    found = decoded(codec, records)
    assert found.schema.equals(records.schema, check_metadata=True)
    assert found["it"].to_pylist() == records["it"].to_pylist()
    assert (None in [value.as_py() for value in codec.columns[0].vocabularies[0]]) == holes


def test_nan_is_null_and_stays_null():
    values = np.where(np.arange(ROWS) % 3 == 0, np.nan, np.arange(ROWS) % 3)
    records = described({"it": values, "other": cycle(["p", "q"], ROWS)})
    found = decoded(TableCodec.fit(records, None), records)["it"]
    assert found.null_count == 100
    np.testing.assert_array_equal(found.is_null().to_numpy(), np.isnan(values))


@pytest.mark.parametrize("decimals", [0, 1, 2, 4])
def test_floats_keep_their_decimals(decimals):
    values = np.round(np.random.default_rng(1).lognormal(3, 1, 2000), decimals)
    records = described({"it": values, "other": cycle(["p", "q"], 2000)})
    codec = TableCodec.fit(records, None)
    cells = every_cell(codec)["it"].to_numpy()
    assert codec.columns[0].decimals == decimals
    np.testing.assert_array_equal(cells, np.round(cells, decimals))
    assert len(np.unique(cells)) > 50


def test_whole_days_and_steps_stay_whole():
    numbers = np.random.default_rng(2)
    days = pa.array(numbers.integers(0, 9000, 2000) * 86_400_000_000, pa.timestamp("us"))
    prices = numbers.integers(100, 900, 2000) * 500
    records = described({"day": days, "price": prices})
    cells = every_cell(TableCodec.fit(records, None))
    assert not (cells["day"].cast(pa.int64()).to_numpy() % 86_400_000_000).any()
    assert not (cells["price"].to_numpy() % 500).any()


def test_atoms_and_bins():
    numbers = np.random.default_rng(3)
    gains = np.where(numbers.random(5000) < 0.9, 0.0, numbers.lognormal(8, 1, 5000).round(2))
    records = described({"gain": gains, "size": numbers.normal(size=5000)})
    codec = TableCodec.fit(records, None)
    gain, size = codec.columns
    encoded = codec.encode(records)
    codes = codec.to_samples(torch.from_numpy(encoded.values)).numpy()
    zero = codes[gains == 0, 0]
    assert len(set(zero)) == 1
    assert not np.isin(codes[gains > 0, 0], zero[0]).any()
    assert gain.first_cells[zero[0] + 1] - gain.first_cells[zero[0]] == 1
    shares = np.bincount(codes[:, 1], minlength=size.codes) / 5000
    assert 60 <= size.codes <= 80
    assert shares.min() >= 25 / 5000
    assert shares.max() < 2 / size.codes
    assert codec.code_counts == (gain.codes, size.codes)


def test_marginals_survive_uniform_positions():
    numbers = np.random.default_rng(4)
    values = np.concatenate([numbers.normal(0, 1, 3000), numbers.normal(50, 1, 3000)])
    records = described({"it": values, "other": cycle(["p", "q"], 6000)})
    codec = TableCodec.fit(records, None)
    samples = codec.to_samples(torch.from_numpy(codec.encode(records).values)).double()
    samples += torch.from_numpy(numbers.random(samples.shape))
    found = codec.decode(codec.to_values(samples), np.zeros(6000, dtype=np.int64))["it"].to_numpy()
    shares = np.linspace(0.02, 0.98, 49)
    shares = shares[np.abs(shares - 0.5) > 0.01]
    np.testing.assert_allclose(np.quantile(found, shares), np.quantile(values, shares), atol=0.15)
    assert not ((found > 5) & (found < 45)).any()


def test_codes_and_positions_choose_cells():
    records = described({"it": np.arange(2000) * 1.5, "other": cycle(["p", "q"], 2000)})
    codec = TableCodec.fit(records, None)
    column = codec.columns[0]
    sizes = np.diff(column.first_cells)
    for code in (0, column.codes - 1):
        packed = torch.tensor([[code + 0.0, 1.0], [code + 0.9999, 1.5]], dtype=torch.float64)
        cells = codec.to_values(packed)
        assert cells[0, 0] == column.first_cells[code]
        assert cells[1, 0] == column.first_cells[code] + sizes[code] - 1
        assert codec.to_samples(torch.from_numpy(cells)).tolist() == [[code, 1], [code, 1]]
    outside = torch.tensor([[-3.0, 7.5]], dtype=torch.float64)
    assert codec.to_samples(torch.from_numpy(codec.to_values(outside))).tolist() == [[0, 1]]


def test_few_rows_make_few_bins_and_many_rows_many():
    def codes(rows):
        values = np.random.default_rng(5).normal(size=rows)
        records = described({"it": values, "other": cycle(["p", "q"], rows)})
        return TableCodec.fit(records, None).columns[0].codes

    assert 8 <= codes(300) <= 20
    assert 35 <= codes(2_000) <= 60
    assert 110 <= codes(20_000) <= 160


def test_codes_keep_the_variance_of_a_long_tail():
    values = np.random.default_rng(9).lognormal(12, 0.8, 20_000).round(-1)
    records = described({"it": values, "other": cycle(["p", "q"], 20_000)})
    codec = TableCodec.fit(records, None)
    codes = codec.to_samples(torch.from_numpy(codec.encode(records).values)).numpy()[:, 0]
    rows = np.bincount(codes)
    inside = values - (np.bincount(codes, weights=values) / rows)[codes]
    assert inside.var() < 0.02 * values.var()
    assert rows.min() >= 10


def test_what_train_never_had_becomes_the_nearest():
    numbers = np.random.default_rng(6)
    train = described(
        {
            "size": numbers.integers(0, 1000, 2000),
            "colour": cycle(["red", "blue"], 2000),
            "works": cycle([True, True, False], 2000),
        }
    )
    codec = TableCodec.fit(train, "colour")
    strange = pa.table(
        {
            "size": pa.array([-(2**40), 2**40, None, 500]),
            "colour": ["green", "green", None, "red"],
            "works": pa.array([None, None, True, False]),
        }
    )
    found = decoded(codec, strange)
    cells = every_cell(codec)["size"].to_numpy()
    assert found["size"].to_pylist()[:2] == [cells.min(), cells.max()]
    assert abs(found["size"][3].as_py() - 500) < 20
    assert 400 < found["size"][2].as_py() < 600
    colours = found["colour"].to_pylist()
    assert colours[0] == colours[1]
    assert set(colours) <= {"red", "blue"}
    assert found["works"].to_pylist() == [True, True, True, False]


def test_rare_levels_become_others_in_proportion():
    rare = [f"rare {number}" for number in range(2000)]
    colours = shuffled(["red"] * 3000 + ["blue"] * 1000 + rare)
    records = described({"colour": colours, "other": cycle(["p", "q"], 6000)})
    codec = TableCodec.fit(records, None)
    found = decoded(codec, records)["colour"].to_pylist()
    assert set(found) == {"red", "blue"}
    assert 0.72 < found.count("red") / 6000 < 0.78
    assert codec.notes == (
        "colour: 2000 levels that fewer than 10 rows hold (33 % of the rows) became other levels, "
        "in proportion to their rows",
    )


def test_a_public_vocabulary_is_kept():
    levels = [f"A{number:02}" for number in range(90)]
    values = pa.array([*range(90), *range(10_000, 10_210)], pa.int64())
    columns = {"code": levels + ["B00"] * 210, "number": values}
    records = described(columns, public=("code", "number"))
    codec = TableCodec.fit(records, None)
    assert set(every_cell(codec)["code"].to_pylist()) == {*levels, "B00"}
    assert decoded(codec, records)["code"].to_pylist() == columns["code"]
    assert every_cell(codec)["number"].to_pylist()[-1] == 10_209
    assert codec.notes == ()


def test_very_many_levels_share_codes():
    numbers = np.random.default_rng(7)
    towns = np.concatenate([np.repeat(np.arange(1500), 10), numbers.zipf(1.3, 20_000) % 1500])
    records = described(
        {"town": [f"town {town}" for town in towns], "other": cycle(["p", "q"], len(towns))}
    )
    codec = TableCodec.fit(records, None)
    town = codec.columns[0]
    assert (town.cells, town.codes) == (1500, 1000 + 32)
    assert decoded(codec, records).equals(records)
    again = TableCodec.from_json(json.loads(json.dumps(codec.to_json())))
    assert again == codec


def test_classes_of_a_label():
    rows = 400
    numbers = np.random.default_rng(8)
    records = described(
        {
            "works": cycle([True, False], rows),
            "stars": pa.array(cycle([5, 1, 3], rows), pa.int16()),
            "price": numbers.normal(size=rows),
            "colour": cycle(["red", "blue", "green", "grey"], rows),
        }
    )
    found = {name: TableCodec.fit(records, name) for name in records.column_names}
    assert found["works"].classes == (False, True)
    assert found["stars"].classes == (1, 3, 5)
    assert found["price"].classes == ()
    assert found["colour"].classes == ("blue", "green", "grey", "red")
    assert [codec.label_column for codec in found.values()] == [0, 1, 2, 3]
    assert TableCodec.fit(records, None).label_column is None
    labels = found["stars"].encode(records).labels_N
    assert [found["stars"].classes[label] for label in labels] == records["stars"].to_pylist()


def test_rare_classes_of_whole_numbers_become_the_nearest():
    rings = [5] * 50 + [9] * 50 + [30, 29, 4]
    records = described({"rings": rings, "other": cycle(["p", "q"], 103)})
    codec = TableCodec.fit(records, "rings")
    assert codec.classes == (5, 9)
    assert decoded(codec, records)["rings"].to_pylist()[-3:] == [9, 9, 5]
    assert "3 values that fewer than 10 rows hold" in codec.notes[0]


def test_constants_are_made():
    records = described(
        {
            "one": ["here"] * ROWS,
            "two": pa.array([7] * ROWS, pa.int32()),
            "size": np.arange(ROWS),
            "other": cycle(["p", "q"], ROWS),
        },
        kinds={"one": "constant"},
    )
    codec = TableCodec.fit(records, None)
    assert [column.name for column in codec.columns] == ["size", "other"]
    found = decoded(codec, records)
    assert found["one"].to_pylist() == ["here"] * ROWS
    assert found["two"].equals(records["two"])


def test_a_constant_may_have_nulls():
    gaps = cycle(["here", None, "here"], ROWS)
    records = described({"one": gaps, "other": cycle(["p", "q"], ROWS)}, kinds={"one": "constant"})
    codec = TableCodec.fit(records, None)
    assert codec.code_counts == (2, 2)
    assert decoded(codec, records).equals(records)


def test_json_is_stable_and_complete():
    records = described(dict(TYPES))
    codec = TableCodec.fit(records, "boolean")
    text = json.dumps(codec.to_json(), sort_keys=True, allow_nan=False)
    again = TableCodec.from_json(json.loads(text))
    assert json.dumps(again.to_json(), sort_keys=True) == text
    assert again == codec
    assert hash(again) == hash(codec)
    shuffled_rows = records.take(pa.array(shuffled(np.arange(ROWS))))
    assert json.dumps(TableCodec.fit(shuffled_rows, "boolean").to_json(), sort_keys=True) == text
    assert TableCodec.fit(records, "string") != codec


def test_foreign_types_in_json_are_refused():
    records = described({"it": np.arange(ROWS), "other": cycle(["p", "q"], ROWS)})
    data = TableCodec.fit(records, None).to_json()
    for text in ("list<item: int64>", "os.system", "timestamp[us, tz=]", "decimal128(99, 2)"):
        with pytest.raises(SnapshotError, match=r"table codec|no type"):
            TableCodec.from_json({**data, "schema": [["it", text, True]]})
    with pytest.raises(SnapshotError, match="version"):
        TableCodec.from_json({**data, "version": "ganmill-table-codec/0"})


def test_codes_of_cells_take_two_bytes_and_are_kept_once():
    numbers = np.random.default_rng(0)
    records = described({"x": numbers.lognormal(3, 1, 60_000).round(2), "y": cycle([0, 1], 60_000)})
    codec = TableCodec.fit(records, None)
    cells_ND = codec.encode(records).values
    codes_ND = codec.to_samples(torch.from_numpy(cells_ND))
    assert codes_ND.dtype == torch.int64
    column = codec.columns[0]
    assert column.cells > 20_000
    np.testing.assert_array_equal(codes_ND[:, 0], column.codes_of(cells_ND[:, 0]))
    kept = sum(one.nbytes for one in column.__dict__.values() if isinstance(one, np.ndarray))
    assert kept < 2.2 * column.cells
    held = [one for one in codec.__dict__.values() if isinstance(one, tuple)]
    assert not any(isinstance(one, torch.Tensor) for each in held for one in each)
