"""What pandas writes in many dialects is read with its types and values, and written back."""

import numpy as np
import pandas as pd
import pytest

from storage.shards.format import load_format
from storage.sources.config import SourceConfig
from storage.sources.listing import find_files
from storage.sources.tables.csv_source import read_csv_files
from storage.sources.tables.dialect import dialect_of

ROWS = 150
TYPES = {
    "number": "double",
    "count": "int64",
    "zip": "string",
    "text": "string",
    "ok": "bool",
    "day": "date32[day]",
    "time": "timestamp[us]",
    "eight": "int64",
    "colour": "string",
}
DAYS = ("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d-%b-%Y")
TIMES = ("%Y-%m-%d %H:%M:%S", "%d.%m.%Y %H:%M", "%m/%d/%Y %I:%M %p", "%Y-%m-%dT%H:%M:%S")
TEXTS = ("Köln", "a,b;c", 'say "hi"', "two\nlines", "x|y\tz")


def frame(draw):
    day = pd.Timestamp("2020-01-01") + pd.to_timedelta(draw.integers(0, 1500, ROWS), unit="D")
    time = pd.Timestamp("2020-01-01") + pd.to_timedelta(draw.integers(0, 10**6, ROWS), unit="min")
    return pd.DataFrame(
        {
            "number": np.where(draw.random(ROWS) < 0.2, np.nan, draw.normal(0, 999, ROWS).round(3)),
            "count": draw.integers(-50, 10**6, ROWS),
            "zip": [f"{number:05}" for number in draw.integers(0, 99_999, ROWS)],
            "text": draw.choice(TEXTS, ROWS),
            "ok": draw.choice(["yes", "no"], ROWS),
            "day": day,
            "time": time,
            "eight": draw.integers(10**7, 10**8, ROWS),
            "colour": pd.Series(draw.choice(["red", "blue"], ROWS)).where(draw.random(ROWS) > 0.1),
        }
    )


@pytest.mark.parametrize("seed", range(12))
def test_what_pandas_writes_is_read_and_written_back(tmp_path, seed):
    draw = np.random.default_rng(seed)
    wanted = frame(draw)
    delimiter = (",", ";", "\t", "|")[seed % 4]
    decimal = "," if seed % 8 == 1 else "."
    written = wanted.assign(
        day=wanted["day"].dt.strftime(str(draw.choice(DAYS))),
        time=wanted["time"].dt.strftime(str(draw.choice(TIMES))),
    )
    (tmp_path / "a.csv").write_bytes(
        written.to_csv(
            sep=delimiter,
            decimal=decimal,
            index=False,
            na_rep=str(draw.choice(["", "NA", "?", "NULL", "-"])),
            lineterminator=str(draw.choice(["\n", "\r\n"])),
            quoting=int(draw.integers(0, 3)),
        ).encode(str(draw.choice(["utf-8", "utf-8-sig", "cp1252", "utf-16"])))
    )
    config = SourceConfig(uri=str(tmp_path / "a.csv"), label=None)
    found = read_csv_files(find_files(config, None), config)
    table = found.table
    dialect = dialect_of(found.table.schema)
    assert (dialect.delimiter, dialect.decimal) == (delimiter, decimal)
    assert {field.name: str(field.type) for field in table.schema} == TYPES
    for name in ("number", "count", "eight"):
        np.testing.assert_array_equal(table.column(name).to_numpy(), wanted[name])
    for name in ("zip", "text"):
        assert table.column(name).to_pylist() == wanted[name].tolist()
    assert table.column("colour").null_count == wanted["colour"].isna().sum()
    seconds = table.column("time").to_numpy().astype("datetime64[s]")
    np.testing.assert_array_equal(seconds, wanted["time"].to_numpy().astype("datetime64[s]"))
    days = table.column("day").to_numpy().astype("datetime64[D]")
    np.testing.assert_array_equal(days, wanted["day"].to_numpy().astype("datetime64[D]"))
    data = load_format("csv").encode(table, {})
    assert load_format("csv").decode(data, table.schema).equals(table)
    (tmp_path / "a.csv").write_bytes(data)
    assert read_csv_files(find_files(config, None), config).table.equals(table)
