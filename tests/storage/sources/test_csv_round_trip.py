"""CSV shards: in the dialect of the source, read back exactly, and read by others as the source."""

import datetime as dt
import gzip
import io
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import IntegrityError, SourceError
from storage.shards.format import load_format
from storage.sources.config import SourceConfig
from storage.sources.listing import find_files
from storage.sources.tables.csv_source import read_csv_files
from storage.sources.tables.dialect import Dialect, Style, with_dialect
from storage.sources.tables.source import TableRead

FORMAT = load_format("csv")

EXCEL = (
    "sep=;\r\nName;Betrag;Kauf;PLZ\r\n"
    "Müller;1.234,50;31.12.2025;01234\r\nMaier;12,00;01.01.2024;99999\r\n"
).encode("utf-8-sig")

FILES = {
    "excel": EXCEL,
    "windows": "Stadt;Maß\r\nKöln;1,5\r\nZürich;2,5\r\n".encode("cp1252"),
    "american": b'when,paid,ok\n12/31/2025,"1,234.50",TRUE\n01/15/2025,2.00,FALSE\n',
    "unix": b"a,b\n1,x\n2,?\n?,z\n",
    "unpadded": b"d,t\n1/31/2025,1:05 PM\n12/1/2024,11:30 AM\n",
    "quotes": b'a,b\n1,"two\nlines"\n2,"say ""hi"", ok"\n',
    "spaces": b'age, job, pay\n39, State-gov, 1.5\n50, "Own, small", ?\n',
    "trailing": b"a;b;;\n1;2;;\n3;4;;\n",
    "index": b",a\n0,x\n1,y\n",
    "wide": "a\tb\n1\tü\n2\tz\n".encode("utf-16"),
    "zones": b"t\tu\n2025-01-01T10:00:00+01:00\t10:30\n2025-07-01T10:00:00+01:00\t11:30\n",
    "script": b"t,u\n2025-01-01T10:00:00.123Z,1\n2025-07-01T10:00:00.000Z,2\n",
    "postgres": b"t,u\n2025-01-01 10:00:00+01,1\n2025-07-01 10:00:00+01,2\n",
    "bigquery": b"t,u\n2025-01-01 10:00:00 UTC,1\n2025-07-01 10:00:00 UTC,2\n",
    "french": "a;b\n1\u202f234,50;x\n2,25;y\n".encode(),
    "header": b'" a ","b, c"\nx,1\ny,2\n',
    "single": b"a,b\n1,'x, y'\n2,'z, w'\n",
}


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], TableRead]:
    """Read bytes as a source."""

    def run(data: bytes) -> TableRead:
        (tmp_path / "a.csv").write_bytes(data)
        config = SourceConfig(uri=str(tmp_path / "a.csv"), label=None)
        return read_csv_files(find_files(config, None), config)

    return run


@pytest.mark.parametrize("name", FILES)
def test_a_source_is_written_as_it_was(read, name):
    table = read(FILES[name]).table
    data = FORMAT.encode(table, {})
    assert FORMAT.decode(data, table.schema).equals(table.replace_schema_metadata(None))
    if name != "header":
        assert data == FILES[name]
    assert read(data).table.equals(table)
    assert read(data).metadata == read(FILES[name]).metadata


def test_pandas_reads_synthetic_rows_as_it_reads_the_source(read):
    options = {"sep": ";", "decimal": ",", "thousands": ".", "skiprows": 1, "dtype": {"PLZ": str}}
    table = read(EXCEL).table
    made = pa.concat_tables([table.slice(1), table.slice(0, 1)])
    source = pd.read_csv(io.BytesIO(EXCEL), **options)
    found = pd.read_csv(io.BytesIO(FORMAT.encode(made, {})), **options)
    assert found.dtypes.equals(source.dtypes)
    assert found["Betrag"].tolist() == [12.0, 1234.5]
    assert found["PLZ"].tolist() == ["99999", "01234"]


@pytest.mark.parametrize("name", ["american", "unix", "quotes", "header", "trailing"])
def test_pandas_and_duckdb_agree_on_types(read, tmp_path, name):
    table = read(FILES[name]).table
    (tmp_path / "made.csv").write_bytes(FORMAT.encode(table, {}))
    (tmp_path / "source.csv").write_bytes(FILES[name])
    frames = [pd.read_csv(tmp_path / file) for file in ("made.csv", "source.csv")]
    pd.testing.assert_frame_equal(*frames)
    rows = [
        duckdb.sql(f"SELECT * FROM read_csv('{tmp_path / file}')")  # noqa: S608
        for file in ("made.csv", "source.csv")
    ]
    assert rows[0].types == rows[1].types
    assert rows[0].fetchall() == rows[1].fetchall()


def mixed_table():
    return pa.table(
        {
            "i": pa.array([1, None], pa.int32()),
            "s": ["", None],
            "f": [1.0, 1e300],
            "g": pa.array([0.1, None], pa.float32()),
            "d": pa.array([Decimal("1.50"), None], pa.decimal128(18, 2)),
            "b": [True, None],
            "day": pa.array([dt.date(1969, 12, 31), None]),
            "t": pa.array([dt.time(1, 2, 3), None], pa.time64("us")),
            "m": pa.array([1, None], pa.timestamp("us")),
            "z": pa.array([None, 1_000_000], pa.timestamp("us", "Europe/Berlin")),
            'n, "x"': ["NA", " x\r\ny "],
        }
    )


def test_every_type_is_read_back_exactly_without_a_dialect():
    table = mixed_table()
    data = FORMAT.encode(table, {})
    assert FORMAT.decode(data, table.schema).equals(table)
    assert data.startswith(b'i,s,f,g,d,b,day,t,m,z,"n, ""x"""\r\n1,"",1.0,0.1,1.50,true,')
    assert FORMAT.inspect(data, table.schema) == (2, table.schema)
    assert FORMAT.decode(data).column_names == table.column_names


def test_moments_that_the_format_would_cut_are_written_in_full():
    styles = {"t": Style(format="%d.%m.%Y %H:%M")}
    table = pa.table({"t": pa.array([61_000_001], pa.timestamp("us")), "x": [1]})
    table = table.cast(with_dialect(table.schema, Dialect(styles=styles)))
    data = FORMAT.encode(table, {})
    assert b"1970-01-01 00:01:01.000001" in data
    assert FORMAT.decode(data, table.schema).equals(table)


@given(
    st.lists(
        st.tuples(
            st.one_of(
                st.none(),
                st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
            ),
            st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
            st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
            st.one_of(st.none(), st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 1, 1))),  # noqa: DTZ001
        ),
        max_size=8,
    ),
    st.sampled_from(
        [
            Dialect(),
            Dialect(delimiter=";", decimal=",", thousands=".", line_end="\n", bom=True),
            Dialect(
                delimiter="\t",
                decimal=",",
                encoding="utf-16-le",
                bom=True,
                trailing=1,
                styles={"f": Style(decimals=3, null="NA", nulls=("NA",)), "i": Style(null="-")},
            ),
            Dialect(
                delimiter="|",
                quote="'",
                thousands="'",
                sep_line=True,
                styles={
                    "i": Style(grouped=True, header="I 1"),
                    "t": Style(format="%-m/%-d/%Y %H:%M"),
                },
            ),
        ]
    ),
)
def test_whatever_is_written_is_read_back(rows, dialect):
    names = ["s", "f", "i", "t"]
    kinds = [pa.string(), pa.float64(), pa.int64(), pa.timestamp("us")]
    arrays = [pa.array([row[i] for row in rows], kind) for i, kind in enumerate(kinds)]
    schema = with_dialect(pa.schema(zip(names, kinds, strict=True)), dialect)
    table = pa.table(arrays, schema=schema)
    data = FORMAT.encode(table, {})
    assert FORMAT.decode(data, schema).equals(table)
    assert FORMAT.encode(pa.concat_tables([table.slice(0, 1), table.slice(1)]), {}) == data


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"0.1", b"zero"),
        (b"true", b"maybe"),
        (b"1969-12-31", b"1969-13-31"),
        (b"i,s", b"j,s"),
        (b"0.1,", b"0.1"),
        (b'"N,A"', b'"N,A'),
        (b'"N,A"\r\n', b'"N,A"'),
    ],
)
def test_an_altered_shard_is_refused(old, new):
    table = mixed_table().set_column(10, "n", pa.array(["x", "N,A"]))
    data = FORMAT.encode(table, {})
    FORMAT.decode(data, table.schema)
    with pytest.raises(IntegrityError, match="no complete CSV file of these columns"):
        FORMAT.decode(data.replace(old, new, 1), table.schema)


def test_the_format_says_what_it_is():
    schema = with_dialect(pa.schema([("a", pa.int64())]), Dialect(delimiter=";"))
    both = schema.with_metadata({**schema.metadata, b"other": b"x"})
    assert FORMAT.file_schema(both).metadata == schema.metadata
    assert not FORMAT.file_schema(pa.schema([("a", pa.int64())])).metadata
    assert (FORMAT.extension, FORMAT.sample_ids) == ("csv", False)
    assert FORMAT.metadata(b"a\r\n1\r\n") == {}
    rows = pa.table(
        {"a": np.arange(1000), "b": ["some text"] * 1000, "c": [dt.date(2025, 1, 1)] * 1000}
    )
    actual = len(FORMAT.encode(rows, {})) / 1000
    assert 0.5 < FORMAT.bytes_per_row(rows.schema) / actual < 2


ARMED = ["=1+1", "+49 89", "-x", "@a", "\tb", "\rc", "'=2", "''-", "plain", "'quoted'", "", None]


def test_formulas_are_disarmed_only_where_it_is_wanted_and_numbers_never():
    rows = pa.table(
        {"=name": pa.array(ARMED), "n": pa.array([-1.5] * len(ARMED)), "i": [-2] * len(ARMED)}
    )
    assert FORMAT.planned_schema(rows.schema, escape_formulas=False) == rows.schema
    plain = FORMAT.encode(rows, {})
    schema = FORMAT.planned_schema(rows.schema, escape_formulas=True)
    escaped = FORMAT.encode(rows.replace_schema_metadata(schema.metadata), {})
    assert pd.read_csv(io.BytesIO(plain), keep_default_na=False).iloc[:2, 0].tolist() == ARMED[:2]
    frame = pd.read_csv(io.BytesIO(escaped), keep_default_na=False)
    assert frame.columns.tolist() == ["'=name", "n", "i"]
    cells = frame["'=name"].tolist()
    assert not any(str(cell).startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)
    assert cells[:2] == ["'=1+1", "'+49 89"]
    assert cells[8:10] == ["plain", "'quoted'"]
    assert (frame["n"] == -1.5).all()
    assert (frame["i"] == -2).all()
    assert FORMAT.decode(escaped, schema) == rows
    assert "apostrophe" in FORMAT.remarks(FORMAT.file_schema(schema))[0]
    assert FORMAT.remarks(rows.schema) == ()
    assert FORMAT.decode(plain, rows.schema) == rows


def test_the_stored_dialect_says_so_only_where_it_is_wanted():
    assert b"escape_formulas" not in Dialect().to_json()
    escaping = Dialect(escape_formulas=True)
    assert Dialect.from_json(escaping.to_json()) == escaping


def test_a_packed_file_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 500_000))
    found = find_files(SourceConfig(uri=str(path)), None)
    monkeypatch.setattr("storage.sources.memory.available_bytes", lambda: 4 << 20)
    with pytest.raises(SourceError, match=r"'bomb\.csv\.gz' of .* unpacks to more than 1\.0 MiB"):
        read_csv_files(found, SourceConfig(uri=str(path)))
    monkeypatch.setattr("storage.sources.memory.available_bytes", lambda: 1 << 30)
    assert len(read_csv_files(found, SourceConfig(uri=str(path))).table) == 500_000


def test_text_that_does_not_fit_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "large.csv"
    path.write_bytes(b"a,b\n" + b"1,2\n" * 5000)
    found = find_files(SourceConfig(uri=str(path)), None)
    monkeypatch.setattr("storage.sources.memory.available_bytes", lambda: 1 << 16)
    monkeypatch.setattr(found.store, "get", None)  # nothing is read
    with pytest.raises(SourceError, match=r"hold 19\.5 KiB of text, and 64\.0 KiB are free"):
        read_csv_files(found, SourceConfig(uri=str(path)))
