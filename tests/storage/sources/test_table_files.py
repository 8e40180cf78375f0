"""Tables in the files that people have: packed texts, JSON lines, Arrow, ORC, Excel, and others."""

import bz2
import datetime as dt
import gzip
import io
import json
import lzma
import pickle
import zipfile

import openpyxl
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest

from storage.errors import SourceError
from storage.records.table_metadata import read_table_metadata
from storage.shards.format import load_format
from storage.sources.config import SourceConfig
from storage.sources.open import open_source

ROWS = 200
TABLE = pa.table(
    {
        "age": [18 + i % 60 for i in range(ROWS)],
        "paid": [None if i % 9 == 0 else i / 4 for i in range(ROWS)],
        "city": ["Aachen", "Bonn", "Celle", "Düren"] * (ROWS // 4),
        "day": [dt.date(2020, 1 + i % 12, 1 + i % 28) for i in range(ROWS)],
    }
)


def as_csv() -> bytes:
    lines = [
        f"{row['age']},{'' if row['paid'] is None else row['paid']},{row['city']},{row['day']}"
        for row in TABLE.to_pylist()
    ]
    return "\n".join(["age,paid,city,day", *lines, ""]).encode()


def as_json_lines() -> bytes:
    return "\n".join(json.dumps(row, default=str) for row in TABLE.to_pylist()).encode()


def zipped(*files: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for number, data in enumerate(files):
            archive.writestr(f"{number}.csv", data)
    return sink.getvalue()


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


def workbook(above: int = 0) -> bytes:
    book = openpyxl.Workbook()
    book.active.title = "People"
    rows = [["Made by hand"]] * above + [TABLE.column_names]
    rows += [list(row.values()) for row in TABLE.to_pylist()]
    for row in rows:
        book.active.append(row)
    book.create_sheet("Notes").append(["nothing"])
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def written(write) -> bytes:
    sink = pa.BufferOutputStream()
    write(sink)
    return sink.getvalue().to_pybytes()


def stream(sink) -> None:
    with pa.ipc.new_stream(sink, TABLE.schema) as writer:
        writer.write_table(TABLE)


FILES = {
    "a.csv.gz": gzip.compress(as_csv()),
    "a.csv.zst": zstd(as_csv()),
    "a.csv.bz2": bz2.compress(as_csv()),
    "a.tsv.xz": lzma.compress(as_csv().replace(b",", b"\t")),
    "a.csv.zip": zipped(as_csv()),
    "a.jsonl": as_json_lines(),
    "a.ndjson.gz": gzip.compress(as_json_lines()),
    "a.json": json.dumps(TABLE.to_pylist(), default=str).encode(),
    "a.feather": written(lambda sink: feather.write_feather(TABLE, sink)),
    "a.arrow": written(stream),
    "a.orc": written(lambda sink: orc.write_table(TABLE, sink)),
    "a.xlsx": workbook(),
    "titled.xlsx": workbook(above=2),
}
KINDS = {"age": "integer", "paid": "float", "city": "category", "day": "date"}


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_is_the_same_table(prepared, tmp_path, name):
    (tmp_path / name).write_bytes(FILES[name])
    found = prepared(tmp_path / name, label="city")
    kinds = {one.name: one.kind for one in read_table_metadata(found.schema).columns}
    if "json" in name:
        assert found.schema.field("day").type in (pa.timestamp("us"), pa.date32())
        kinds["day"] = "date"
    assert kinds == KINDS
    rows = {(row["age"], row["paid"], row["city"]) for row in TABLE.to_pylist()}
    for part in found.records.values():
        assert {(r["age"], r["paid"], r["city"]) for r in part.to_pylist()} <= rows
    assert sum(found.rows.values()) == ROWS


def test_a_folder_of_such_files_and_others_beside_usual_ones(prepared, tmp_path):
    (tmp_path / "a.jsonl").write_bytes(as_json_lines())
    (tmp_path / "b.jsonl").write_bytes(as_json_lines())
    assert sum(prepared(tmp_path, label="city").rows.values()) == 2 * ROWS
    pq.write_table(TABLE, tmp_path / "a.parquet")
    (tmp_path / "a.xlsx").write_bytes(workbook())
    assert open_source(SourceConfig(uri=str(tmp_path), label=None)).description.kind == "parquet"


def test_a_sheet_is_named_and_chosen(prepared, tmp_path):
    (tmp_path / "a.xlsx").write_bytes(workbook())
    notes = prepared(tmp_path / "a.xlsx", label="city").notes
    assert any("sheet 'People'" in note and "1 others are not" in note for note in notes)
    with pytest.raises(SourceError, match="no sheet 'People ', only 'People', 'Notes'"):
        prepared(tmp_path / "a.xlsx", label="city", sheet="People ")
    (tmp_path / "a.csv").write_bytes(as_csv())
    with pytest.raises(SourceError, match="'People' has no effect on the CSV files"):
        prepared(tmp_path / "a.csv", label="city", sheet="People")


@pytest.mark.parametrize(
    ("name", "data", "part"),
    [
        ("a.jsonl", b'{"a": 1}\n{"a": "x"}\n', "no readable JSON Lines file"),
        ("a.json", b"[1, 2]", "not of objects with names"),
        ("a.json", b"[" * 100_000, "no readable JSON Lines file"),
        ("a.feather", b"ARROW1 broken", "no readable Arrow file"),
        ("a.orc", b"broken", "no readable ORC file"),
        ("a.xlsx", b"broken", "no readable workbook"),
        ("a.xlsx", zipped(b"a"), "no readable workbook"),
        ("a.csv.zip", zipped(as_csv(), as_csv()), "a zip of 2 files"),
        ("a.csv.zip", zipped(as_csv())[:-90], "cannot be unpacked"),
        ("a.csv.zst", zstd(as_csv())[:-9], "broken zstd file"),
        ("a.csv.bz2", bz2.compress(as_csv())[:-9], "broken bzip2 file"),
        ("a.csv.xz", lzma.compress(as_csv())[:-9], "broken xz file"),
        ("a.pkl", pickle.dumps(1), "read_pickle('a.pkl')"),
        ("a.dta", b"x", "pandas.read_stata('"),
        ("a.sav", b"x", "pandas.read_spss('"),
        ("a.xls", b"x", "pandas.read_excel('"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(prepared, tmp_path, name, data, part):
    (tmp_path / name).write_bytes(data)
    for uri in (tmp_path / name, tmp_path) if name.endswith(".pkl") else (tmp_path / name,):
        with pytest.raises(SourceError) as error:
            prepared(uri, label=None)
        assert part in str(error.value)
        assert "\n" not in str(error.value)


def test_durations_bytes_and_structs_are_values_and_stored_as_they_were(prepared, tmp_path):
    table = TABLE.append_column("took", pa.array(range(ROWS), pa.duration("s")))
    table = table.append_column("raw", pa.array([b"ab", "ü".encode()] * (ROWS // 2)))
    table = table.append_column("at", pa.array([{"x": i, "y": {"z": "q"}} for i in range(ROWS)]))
    pq.write_table(table, tmp_path / "a.parquet")
    columns = [{"name": "city", "kind": "category"}]
    found = prepared(tmp_path / "a.parquet", label="city", columns=columns)
    assert found.schema.field("took").type == pa.int64()
    assert found.schema.names[-2:] == ["at.x", "at.y.z"]
    train = found.records["train"]
    parquet = load_format("table-parquet")
    schema = parquet.file_schema(train.schema)
    assert schema.field("took").type == pa.duration("s")
    assert schema.field("raw").type == pa.binary()
    data = parquet.encode(train, {})
    assert parquet.decode(data).schema.equals(schema)
    assert parquet.decode(data, train.schema).equals(train.replace_schema_metadata(None))
    left = prepared(tmp_path / "a.parquet", label="city", columns=[{"name": "at", "text": "drop"}])
    assert "at.x" not in left.schema.names


def test_every_column_without_values_of_a_table_is_proposed_to_be_left_out(prepared, tmp_path):
    table = TABLE.append_column("tags", pa.array([["a"]] * ROWS))
    table = table.append_column("blob", pa.array([b"\xff"] * ROWS))
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(SourceError, match=r"'tags' \(list.*'blob' \(binary\)") as error:
        prepared(tmp_path / "a.parquet", label="city")
    assert [one.value["name"] for one in error.value.proposals] == ["tags", "blob"]
    columns = [one.value for one in error.value.proposals]
    assert prepared(tmp_path / "a.parquet", label="city", columns=columns).rows["train"] > 0
