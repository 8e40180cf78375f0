"""Numbers with signs and units are read as numbers where every text of them is written again."""

import io

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.records.table_metadata import read_table_metadata
from storage.shards.format import load_format
from storage.sources.config import SourceConfig
from storage.sources.prepare import prepare
from storage.sources.tables.csv_numbers import Marks
from storage.sources.tables.dialect import dialect_of
from storage.sources.tables.known_table import read_like
from storage.sources.tables.number_formats import Doubt, find_signed

POINT, OPEN = Marks(), Marks(proven=False)


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["$1,234.50", "$9.00", "-$5.00"], [1234.5, 9.0, -5.0]),
        (["€ 12,50", "€ 1.234,50"], [12.5, 1234.5]),
        (["12.5%", "3.0%"], [12.5, 3.0]),
        (["12.5 %", "3 %"], [12.5, 3.0]),
        (["3.20 EUR", "11.05 EUR"], [3.2, 11.05]),
        (["1 234,5 kg", "12,5 kg"], [1234.5, 12.5]),
        (["1\u202f234,5 €", "12,5 €"], [1234.5, 12.5]),
        (["12'345.60 CHF", "1.00 CHF"], [12345.6, 1.0]),
        (["12kg", "5kg"], [12, 5]),
        (["12 m2", "5 m2"], [12, 5]),
        (["5 €/h", "17 €/h"], [5, 17]),
        (["(1,234.00)", "5.00"], [-1234.0, 5.0]),
        (["$-5.00", "$6.00"], [-5.0, 6.0]),
        (["($5.00)", "$6.00"], [-5.0, 6.0]),
        (["5.00-", "6.00"], [-5.0, 6.0]),
        (["\u22125.0%", "6.0%"], [-5.0, 6.0]),
        (["1.2M", "3.4M"], [1.2, 3.4]),
        (["36 months", "60 months"], [36, 60]),
        (["$12,345,678,901.25", "$1.00"], [12345678901.25, 1.0]),
    ],
)
def test_numbers_with_a_format_are_numbers(texts, numbers):
    found = find_signed(pa.array(texts), POINT)
    assert found.values_V.to_pylist() == numbers


@pytest.mark.parametrize(
    "texts",
    [
        ["00501%", "12345%"],  # leading zeros are not written again
        ["C536379", "C536381"],
        ["Town 716", "Town 1"],
        ["3rd", "4th"],
        ["1.2M", "3.4K"],
        ["$5", "€5"],
        ["(030) 1234", "(040) 99"],
        ["+49301234", "+33123"],
        ["555-1234", "555-9999"],
        ["1,2,3%", "4%"],
        ["$1,234", "$1234"],  # thousands are not set apart alike
        ["12.50%", "3.125%"],
        ["1.2.3", "1.2.4"],
        ["-5", "7"],
    ],
)
def test_what_no_format_writes_again_stays_text(texts):
    assert find_signed(pa.array(texts), POINT) is None


def test_thousands_or_decimals_are_not_guessed():
    texts = pa.array(["€ 1,500", "€ 2,250"])
    assert find_signed(texts, OPEN) == Doubt(mark=",")
    assert find_signed(texts, POINT).values_V.to_pylist() == [1500, 2250]
    assert find_signed(texts, Marks(decimal=",")).values_V.to_pylist() == [1.5, 2.25]


ROWS = 300
AMOUNTS = [f"{'-' if i % 7 == 0 else ''}${i * 37.25 + 0.5:,.2f}" for i in range(ROWS)]
SHARES = [f"{i % 83 / 4:.2f}".rstrip("0").rstrip(".") + " %" for i in range(ROWS)]
ZIPS = [f"{501 + i % 20 * 4000:05d}" for i in range(ROWS)]


def csv_lines(delimiter: str = ",") -> str:
    rows = zip(AMOUNTS, SHARES, ZIPS, range(ROWS), strict=True)
    cells = ((f'"{a}"' if delimiter in a else a, s, z, str(i % 3)) for a, s, z, i in rows)
    lines = [delimiter.join(one) for one in cells]
    return "\n".join([delimiter.join(("paid", "share", "zip", "kind")), *lines]) + "\n"


def prepared(tmp_path, **given):
    config = SourceConfig(label="kind", **given)
    return prepare(config, folder=tmp_path / "cache", min_group=10)


def test_a_csv_of_money_and_percent_is_written_as_it_was(tmp_path):
    (tmp_path / "a.csv").write_text(csv_lines())
    found = prepared(tmp_path, uri=str(tmp_path / "a.csv"))
    kinds = {one.name: one.kind for one in read_table_metadata(found.schema).columns}
    assert kinds == {"paid": "float", "share": "float", "zip": "category", "kind": "integer"}
    for part in found.records.values():
        text = load_format("csv").encode(part, {}).decode()
        assert set(text.splitlines()[1:]) <= set(csv_lines().splitlines())
        assert (
            load_format("csv")
            .decode(text.encode(), part.schema)
            .equals(part.replace_schema_metadata(None))
        )
    assert found.split_rule["formats"] == ["paid", "share"]


def test_the_kind_that_init_prints_reads_them_too(tmp_path):
    (tmp_path / "a.csv").write_text(csv_lines(";"))
    columns = [{"name": "paid", "kind": "float"}, {"name": "share", "kind": "float"}]
    found = prepared(tmp_path, uri=str(tmp_path / "a.csv"), columns=columns)
    assert found.schema.field("paid").type == pa.float64()
    assert dialect_of(found.schema).style("share").affixes == ("", " %")
    text = [{"name": "paid", "kind": "category"}, {"name": "share", "kind": "text", "text": "drop"}]
    found = prepared(tmp_path, uri=str(tmp_path / "a.csv"), columns=text)
    assert found.schema.names == ["paid", "zip", "kind"]
    assert found.schema.field("paid").type == pa.string()
    assert "formats" not in found.split_rule


def test_signed_numbers_prove_the_decimal_mark_of_a_file(tmp_path):
    lines = [f"1,{i:03d};{i},50 €;{i % 3}" for i in range(ROWS)]
    (tmp_path / "a.csv").write_text("\n".join(["size;paid;kind", *lines]) + "\n")
    found = prepared(tmp_path, uri=str(tmp_path / "a.csv"))
    assert dialect_of(found.schema).decimal == ","
    assert found.records["train"]["paid"].to_pylist()[0] % 1 == 0.5


DAYS = [f"{1 + i % 28}.{1 + i % 12}.20{10 + i % 15}" for i in range(ROWS)]
CELLS = {
    "day": DAYS,
    "at": [f"2024-01-{1 + i % 28:02d} {i % 24:02d}:30:00" for i in range(ROWS)],
    "paid": AMOUNTS,
    "gap": ["" if i % 9 == 0 else f"{i / 8:.3f}" for i in range(ROWS)],
    "hole": [None if i % 9 == 0 else f"{i * 7919 % 997} kg" for i in range(ROWS)],
    "wrong": [None if i % 9 == 0 else "" if i % 9 == 1 else f"{i}%" for i in range(ROWS)],
    "zip": ZIPS,
    "code": [f"{i:05d}" for i in range(ROWS)],
    "count": [str(i * 7919 % 271) for i in range(ROWS)],
    "level": [str(i % 5) for i in range(ROWS)],
    "kind": [str(i % 3) for i in range(ROWS)],
}


def test_texts_in_parquet_are_dates_and_numbers_and_are_texts_again(tmp_path):
    source = pa.table(CELLS)
    pq.write_table(source, tmp_path / "a.parquet")
    found = prepared(
        tmp_path,
        uri=str(tmp_path / "a.parquet"),
        columns=[{"name": "wrong", "kind": "text", "text": "drop"}],
    )
    kinds = {one.name: one.kind for one in read_table_metadata(found.schema).columns}
    assert kinds == {
        "day": "date",
        "at": "timestamp",
        "paid": "float",
        "gap": "float",
        "hole": "integer",
        "zip": "category",
        "code": "key",
        "count": "integer",
        "level": "category",
        "kind": "category",
    }
    parquet = load_format("table-parquet")
    kept = source.drop_columns("wrong")
    rows = {tuple(row.values()) for row in kept.to_pylist()}
    for part in found.records.values():
        data = parquet.encode(part, {})
        written = parquet.decode(data)
        assert written.schema.equals(kept.schema)
        assert parquet.file_schema(part.schema).equals(kept.schema)
        assert {tuple(row.values()) for row in written.to_pylist()} <= rows
        assert parquet.decode(data, part.schema).equals(part.replace_schema_metadata(None))


def test_texts_that_no_format_writes_again_stay_texts(tmp_path):
    days = [*DAYS[:-1], "01.02.2013"]
    source = pa.table({"day": days, "wrong": CELLS["wrong"], "kind": CELLS["kind"]})
    pq.write_table(source, tmp_path / "a.parquet")
    columns = [{"name": name, "kind": "category"} for name in ("day", "wrong")]
    found = prepared(tmp_path, uri=str(tmp_path / "a.parquet"), columns=columns)
    assert set(found.schema.types) == {pa.string()}
    columns = [{"name": "wrong", "kind": "category"}, {"name": "day", "kind": "date"}]
    found = prepared(tmp_path, uri=str(tmp_path / "a.parquet"), columns=columns)
    assert found.schema.field("day").type == pa.date32(), "as the recipe says"
    parquet = load_format("table-parquet")
    assert parquet.file_schema(found.schema).field("day").type == pa.date32()


@pytest.mark.parametrize("name", ["a.parquet", "a.csv"])
def test_more_rows_of_a_known_table_are_read_and_written_alike(tmp_path, name):
    names = ["day", "paid", "y", "kind"]
    source = pa.table(CELLS | {"y": [float(i % 2) for i in range(ROWS)]}).select(names)
    holes = source.slice(0, 20).set_column(1, "paid", pa.array([None, *AMOUNTS[1:20]]))
    holes = holes.set_column(2, "y", pa.array([None, *[0.0, 1.0] * 9, 0.0]))
    for table, file in ((source, name), (holes, f"holes-{name}")):
        if name.endswith("csv"):
            table.to_pandas().to_csv(tmp_path / file, index=False)
        else:
            pq.write_table(table, tmp_path / file)
    config = SourceConfig(uri=str(tmp_path / name), label="y")
    known = prepare(config, folder=tmp_path / "cache", min_group=10).schema
    read = read_like(config, str(tmp_path / f"holes-{name}"), known)
    assert [read.table.schema.field(n).type for n in names] == [known.field(n).type for n in names]
    rows = read.table.replace_schema_metadata(read.metadata)
    parquet = load_format("table-parquet")
    if name.endswith("parquet"):
        assert parquet.decode(parquet.encode(rows, {})).equals(holes)
    else:
        text = load_format("csv").encode(rows, {}).decode()
        again = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
        assert again["paid"].tolist() == ["", *AMOUNTS[1:20]]
        assert again["y"].tolist() == ["", *["0.0", "1.0"] * 9, "0.0"]
