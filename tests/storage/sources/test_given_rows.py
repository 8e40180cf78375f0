"""Rows that somebody brings get the columns and types of the known table, or one sentence."""

from datetime import date
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest

from storage.errors import SourceError
from storage.records.constraint import Constraint
from storage.records.schema import Column
from storage.records.table_metadata import TableMetadata, read_table_metadata, with_table_metadata
from storage.sources.builder import load_builder
from storage.sources.config import SourceConfig
from storage.sources.given import GivenRequest
from storage.sources.tables.dialect import Dialect, Style, with_dialect

KINDS = {
    "id": "key",
    "city": "category",
    "code": "category",
    "units": "integer",
    "price": "decimal",
    "weight": "float",
    "day": "date",
    "paid": "boolean",
    "shop": "constant",
}
TYPES = {
    "id": pa.string(),
    "city": pa.string(),
    "code": pa.string(),
    "units": pa.int16(),
    "price": pa.decimal128(8, 2),
    "weight": pa.float32(),
    "day": pa.date32(),
    "paid": pa.bool_(),
    "shop": pa.string(),
}


def known(*constraints):
    columns = tuple(Column(name=name, kind=kind) for name, kind in KINDS.items())
    metadata = TableMetadata(columns=columns, constraints=constraints)
    schema = with_table_metadata(pa.schema(list(TYPES.items())), metadata)
    return schema.empty_table()


ROWS = pd.DataFrame(
    {
        "id": ["k1", "k2", "k3", "k4"],
        "city": ["Bonn", "Rome", "Bonn", "Oslo"],
        "code": ["007", "12", "007", "12"],
        "units": [1.0, 2.0, None, 4.0],
        "price": [1.5, 2.25, 3.0, 4.75],
        "weight": [1, 2, 3, 4],
        "day": pd.to_datetime(["2026-01-01", "2026-02-03", "2026-03-04", "2026-11-30"]),
        "paid": [True, False, True, None],
        "shop": "A",
    }
)


def read(uri, tmp_path, table=None, **config):
    source = {"uri": "real.csv", "label": "city", **config}
    return load_builder("tables").read_given(
        GivenRequest(
            uri=str(uri),
            config=SourceConfig(**source),
            known=known() if table is None else table,
            min_group=10,
            folder=tmp_path,
        )
    )


def as_csv(rows, path):
    rows.to_csv(path, index=False)


def as_semicolons(rows, path):
    rows.to_csv(path, index=False, sep=";")


def as_parquet(rows, path):
    rows.to_parquet(path)


@pytest.mark.parametrize(
    ("write", "suffix"),
    [(as_csv, "csv"), (as_semicolons, "csv"), (as_parquet, "parquet")],
    ids=["csv", "semicolons", "parquet"],
)
def test_what_pandas_writes_gets_the_known_types(tmp_path, write, suffix):
    write(ROWS.assign(sample_id=range(4), p_yes=0.5), tmp_path / f"given.{suffix}")
    given = read(tmp_path / f"given.{suffix}", tmp_path, csv={"delimiter": ";"})
    assert given.records.schema.equals(known().schema, check_metadata=True)
    assert given.records["units"].to_pylist() == [1, 2, None, 4]
    assert given.records["code"].to_pylist() == ["007", "12", "007", "12"]
    assert given.records["day"].to_pylist()[1] == date(2026, 2, 3)
    assert given.records["paid"].to_pylist() == [True, False, True, None]
    assert given.records["price"].to_pylist()[1] == Decimal("2.25")
    assert any("left out: 'sample_id', 'p_yes'" in note for note in given.notes)
    assert given.absent == ()
    assert not any("rounded" in note for note in given.notes)


def test_the_source_s_words_for_missing_values_are_nulls(tmp_path):
    dialect = Dialect(styles={"city": Style(null="?", nulls=("?", "n/a"))})
    table = known().cast(with_dialect(known().schema, dialect))
    rows = ROWS.assign(city=["?", "Rome", "n/a", "Oslo"], code="?").astype({"city": "category"})
    as_parquet(rows, tmp_path / "given.parquet")
    given = read(tmp_path / "given.parquet", tmp_path, table, label=None)
    assert given.records["city"].to_pylist() == [None, "Rome", None, "Oslo"]
    assert given.records["code"].to_pylist() == ["?"] * 4
    assert "read as missing values, as the source writes them: in 'city'" in given.notes


def test_more_decimals_are_rounded_and_said(tmp_path):
    as_csv(ROWS.assign(price=[1.234, 2.2, 3.0, 4.7]), tmp_path / "given.csv")
    given = read(tmp_path / "given.csv", tmp_path)
    assert given.records["price"].to_pylist()[0] == Decimal("1.23")
    assert any(note == "rounded to the decimals of the source: 'price'" for note in given.notes)


def test_columns_that_say_nothing_of_a_row_may_be_absent(tmp_path):
    as_csv(ROWS.drop(columns=["id", "shop"]), tmp_path / "given.csv")
    given = read(tmp_path / "given.csv", tmp_path)
    assert given.absent == ("id", "shop")
    metadata = read_table_metadata(given.records.schema)
    assert [column.name for column in metadata.columns] == given.records.column_names
    unique = known(Constraint(kind="unique", columns=("id",)))
    with pytest.raises(SourceError, match=r"lacks 'id' that the source 'real.csv' has"):
        read(tmp_path / "given.csv", tmp_path, unique)


def test_rows_without_a_label_leave_as_those_of_the_source_do(tmp_path):
    as_parquet(ROWS.assign(city=["Bonn", None, "Rome", "Oslo"]), tmp_path / "given.parquet")
    many = read(tmp_path / "given.parquet", tmp_path)
    assert many.records["city"].null_count == 1
    few = read(tmp_path / "given.parquet", tmp_path, label_nulls="drop")
    assert few.records.num_rows == 3
    assert few.notes[-1] == "left out, as they have no 'city': 1 of 4 rows"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"units": list("abcd")}, "'units' cannot be read as integer"),
        ({"units": [1.5, 2, 3, 4]}, "'units' of .* is double and cannot be read as int16"),
        ({"units": [1, 2, 3, 70_000]}, "'units' of .* is int64 and cannot be read as int16"),
        ({"price": [1e9, 2, 3, 4]}, "'price' of .* is double and cannot be read as decimal"),
    ],
)
def test_values_that_are_of_no_known_type_are_refused(tmp_path, change, sentence):
    as_parquet(ROWS.assign(**change), tmp_path / "given.parquet")
    with pytest.raises(SourceError, match=sentence):
        read(tmp_path / "given.parquet", tmp_path)


@pytest.mark.parametrize("name", ["absent.csv", "mixed"])
def test_a_refusal_speaks_of_the_data_not_of_the_recipe(tmp_path, name):
    (tmp_path / "mixed").mkdir()
    as_csv(ROWS, tmp_path / "mixed/a.csv")
    as_parquet(ROWS, tmp_path / "mixed/b.parquet")
    with pytest.raises(SourceError) as caught:
        read(tmp_path / name, tmp_path)
    assert str(caught.value).startswith("The data set ")
    assert "source.uri" not in str(caught.value)
    assert "DATA" in str(caught.value)
