"""The label of a table: classes written as floats, and rows without one."""

import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.errors import SourceError
from storage.shards.format import load_format
from storage.sources.builder import load_builder
from storage.sources.config import SourceConfig

ROWS = 400


def frame(values) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({"age": rng.integers(18, 80, ROWS), "y": values})


TRUTH = [float(i % 3 == 0) for i in range(ROWS)]


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_label_of_whole_floats_has_classes_and_stays_as_written(prepared, tmp_path, name):
    source = frame(TRUTH)
    path = tmp_path / name
    source.to_csv(path, index=False) if name == "a.csv" else source.to_parquet(path)
    for columns in ([], [{"name": "y", "kind": "integer"}]):
        found = prepared(path, label="y", columns=columns)
        assert dict(found.class_counts["train"]).keys() == {0, 1}
        train = found.records["train"]
        written = load_format("csv").encode(train, {})
        assert set(pd.read_csv(io.BytesIO(written), dtype=str)["y"]) == {"0.0", "1.0"}
        assert load_format("csv").decode(written, train.schema)["y"].equals(train["y"])
        parquet = load_format("table-parquet")
        data = parquet.encode(train, {})
        assert pq.read_schema(pa.BufferReader(data)).field("y").type == pa.float64()
        assert parquet.decode(data, train.schema)["y"].equals(train["y"])
        assert parquet.file_schema(train.schema).field("y").type == pa.float64()


@pytest.mark.parametrize(
    "values",
    [
        [i / 2 for i in range(ROWS)],
        [float(i) for i in range(ROWS)],
        [float(i == 7) for i in range(ROWS)],
    ],
    ids=["halves", "many", "rare"],
)
def test_other_floats_are_a_quantity(prepared, tmp_path, values):
    frame(values).to_csv(tmp_path / "a.csv", index=False)
    found = prepared(tmp_path / "a.csv", label="y")
    assert found.class_counts["train"] == ()
    assert found.schema.field("y").type == pa.float64()


def test_the_recipe_may_say_that_it_is_a_quantity(prepared, tmp_path):
    frame(TRUTH).to_csv(tmp_path / "a.csv", index=False)
    columns = [{"name": "y", "kind": "float"}]
    assert prepared(tmp_path / "a.csv", label="y", columns=columns).class_counts["train"] == ()


def test_rows_without_a_label_are_named_and_left_out_when_the_recipe_says_so(prepared, tmp_path):
    frame([None if i % 4 == 0 else i % 2 for i in range(ROWS)]).to_csv(
        tmp_path / "a.csv", index=False
    )
    with pytest.raises(SourceError, match=r"null in 100 of 400 rows.*source\.label_nulls to drop"):
        prepared(tmp_path / "a.csv", label="y")
    found = prepared(tmp_path / "a.csv", label="y", label_nulls="drop")
    assert sum(found.rows.values()) == 300
    assert found.skipped == ()
    assert any("'y': 100 of 400 rows" in note for note in found.notes)
    assert sum(prepared(tmp_path / "a.csv", label=None).rows.values()) == 400


def test_what_is_left_out_by_default_is_in_no_key():
    builder = load_builder("tables")
    settings = [
        builder.settings(SourceConfig(uri="a.csv", **given), 10)
        for given in ({}, {"label_nulls": "few"}, {"label_nulls": "drop"})
    ]
    assert settings[0] == settings[1]
    assert "label_nulls" not in settings[0]
    assert settings[2]["label_nulls"] == "drop"
