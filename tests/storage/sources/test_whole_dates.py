"""Dates that are stored as whole numbers are learnt as dates, and published as numbers."""

import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

from storage.records.table_metadata import read_table_metadata
from storage.shards.format import load_format
from storage.sources.config import ColumnConfig, SourceConfig
from storage.sources.prepare import prepare
from storage.sources.tables import csv_file, parquet_table
from storage.sources.tables.whole_dates import are_dates, read_days, write_days

ROWS = 1200
DAYS = pa.array(np.random.default_rng(2).integers(16_000, 19_000, ROWS), pa.int32())
MISSING = np.arange(ROWS) % 9 == 0


def numbers(kind: pa.DataType) -> pa.ChunkedArray:
    return write_days(pa.chunked_array([DAYS.cast(pa.date32())]), kind)


def table(late: int | None = None) -> pa.Table:
    """Rows with dates as numbers, one column with gaps; `late` stands in the last row."""
    values = numbers(pa.int64()).to_numpy().copy()
    if late is not None:
        values[-1] = late
    return pa.table(
        {
            "age": np.arange(ROWS) % 60 + 18,
            "opened": pa.array(values.astype(np.int32)),
            "closed": pa.array(values, mask=MISSING),
            "code": values % 7 * 10_000_019 + np.arange(ROWS) % 40 * 1_111,
        }
    )


def ready(tmp_path: Path, rows: pa.Table, kind: str, **settings: object):
    file = tmp_path / f"rows.{kind}"
    pq.write_table(rows, file) if kind == "parquet" else csv.write_csv(rows, file)
    config = SourceConfig(uri=str(file), label=None, **settings)
    return prepare(config, folder=tmp_path / "prepared", min_group=10)


def kinds(prepared) -> dict[str, str]:
    return {one.name: one.kind for one in read_table_metadata(prepared.schema).columns}


def test_every_day_is_read_and_written_again():
    days = pa.array(np.arange(-354_285, 2_932_897, 11, dtype=np.int32)).cast(pa.date32())
    column = pa.chunked_array([days, pa.array([datetime.date(2024, 2, 29), None])])
    written = write_days(column, pa.int64())
    assert written[-2].as_py() == 20240229
    assert are_dates(written)
    assert read_days(written).equals(pa.chunked_array([column.combine_chunks()]))


@pytest.mark.parametrize("odd", [20230229, 20241301, 20240100, 0, -20240101, 202401010, 2**62])
def test_one_number_that_is_no_date_makes_all_of_them_numbers(odd):
    assert are_dates(numbers(pa.int64()))
    assert not are_dates(pa.chunked_array([*numbers(pa.int64()).chunks, pa.array([odd])]))
    with pytest.raises(ValueError, match="no date"):
        read_days(pa.chunked_array([pa.array([odd])]))


def test_a_few_numbers_may_be_dates_by_chance():
    assert not are_dates(pa.chunked_array([pa.array([20240101, 20240102] * 50)]))
    assert not are_dates(pa.chunked_array([pa.array([2**63], pa.uint64())]))
    assert not are_dates(pa.chunked_array([pa.nulls(3, pa.int64())]))


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_they_are_dates_to_learn_and_numbers_to_read(tmp_path, kind):
    prepared = ready(tmp_path, table(), kind)
    assert kinds(prepared)["opened"] == kinds(prepared)["closed"] == "date"
    assert kinds(prepared)["code"] == "integer"
    records = prepared.records["train"]
    assert pa.types.is_date(records.schema.field("opened").type)
    shards = load_format("table-parquet")
    shard = shards.encode(records, {})
    stored = pq.read_table(pa.BufferReader(shard))
    whole = {"parquet": pa.int32(), "csv": pa.int64()}[kind]
    assert (stored["opened"].type, stored["closed"].type) == (whole, pa.int64())
    assert set(stored["opened"].to_pylist()) <= set(table()["opened"].to_pylist())
    assert shards.decode(shard, records.schema).equals(records.replace_schema_metadata())
    assert stored["closed"].null_count == records["closed"].null_count > 0


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.parametrize(("late", "found"), [(None, "date"), (20240231, "integer")])
def test_of_more_rows_than_are_kept_every_one_counts(tmp_path, monkeypatch, kind, late, found):
    monkeypatch.setattr(parquet_table, "BLOCK_ROWS", 400)
    monkeypatch.setattr(csv_file, "_STREAM_BLOCK_BYTES", 1 << 13)
    prepared = ready(tmp_path, table(late), kind, max_rows=1000)
    assert kinds(prepared)["opened"] == found


def test_the_recipe_overrules(tmp_path):
    columns = (ColumnConfig(name="opened", kind="integer"),)
    assert kinds(ready(tmp_path, table(), "parquet", columns=columns))["opened"] == "integer"
    few = pa.table({"a": np.arange(200) % 7, "day": [20240101, 20240102] * 100})
    columns = (ColumnConfig(name="day", kind="date"),)
    assert kinds(ready(tmp_path, few, "csv", columns=columns))["day"] == "date"


def test_numbers_of_more_than_64_bits_stay_texts(tmp_path):
    long = pa.table({"a": np.arange(200) % 7, "long": [f"12{n:018d}" for n in range(200)]})
    assert kinds(ready(tmp_path, long, "csv"))["long"] == "key"
