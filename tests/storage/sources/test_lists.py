"""Columns of lists of numbers: a column for every place, and lists again in shards."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.errors import IntegrityError, SourceError
from storage.shards.format import load_format
from storage.sources.config import SourceConfig
from storage.sources.prepare import prepare
from storage.sources.tables.lists import (
    LISTS_KEY,
    MOST_PLACES,
    cut_lists,
    join_lists,
    joined_schema,
    lists_of,
    split_lists,
)

ROWS = 300
KINDS = [
    pa.list_(pa.float32()),
    pa.list_(pa.float64(), 3),
    pa.large_list(pa.int16()),
    pa.list_(pa.float16(), 3),
]


def values(kind, rows=ROWS):
    draw = np.random.default_rng(0)
    found = draw.integers(0, 100, (rows, 3))
    if pa.types.is_floating(kind.value_type):
        return list((found / 4).astype(kind.value_type.to_pandas_dtype()))
    return found.tolist()


def table(kind=KINDS[0], rows=ROWS, **columns):
    return pa.table(
        {
            "age": np.random.default_rng(1).integers(18, 90, rows),
            "point": pa.array(values(kind, rows), kind),
            "sort": ["a", "b", "c"] * (rows // 3),
            **columns,
        }
    )


def prepared(tmp_path, **source):
    config = SourceConfig.model_validate(
        {"uri": str(tmp_path / "source"), "label": "sort", **source}
    )
    return prepare(config, folder=tmp_path / "cache", min_group=10)


def stored(tmp_path, *tables):
    (tmp_path / "source").mkdir()
    for number, one in enumerate(tables):
        pq.write_table(one, tmp_path / "source" / f"{number}.parquet")


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_lists_become_columns_and_lists_again(kind):
    rows = [[1, 2, 3], None, [4, None, 6], [7, 8, 9]]
    if pa.types.is_float16(kind.value_type):
        rows = [row and [value and np.float16(value) for value in row] for row in rows]
    whole = pa.table({"a": [1, 2, 3, 4], "e": pa.array(rows, kind), "z": list("wxyz")})
    for one in (whole, whole.slice(1, 3), pa.concat_tables([whole, whole.slice(2)])):
        cut, lists = cut_lists(one, "source")
        assert cut.column_names == ["a", "e_0", "e_1", "e_2", "z"]
        assert cut["e_1"].to_pylist() == [row and row[1] for row in one["e"].to_pylist()]
        joined = join_lists(cut, lists)
        assert joined["e"].to_pylist() == one["e"].to_pylist()
        assert joined.schema == joined_schema(cut.schema, lists)
        assert split_lists(joined, lists).equals(cut)


def test_a_source_of_vectors_is_a_table_of_numbers_and_shards_hold_vectors(tmp_path):
    stored(tmp_path, table(), table().slice(0, 3))
    found = prepared(tmp_path)
    assert found.schema.names == ["age", "point_0", "point_1", "point_2", "sort"]
    assert any("3 places of the lists in 'point'" in note for note in found.notes)
    records = found.records["train"]
    shard = load_format("table-parquet")
    data = shard.encode(records, {})
    published = pq.read_table(io.BytesIO(data))
    assert published.column_names == ["age", "point", "sort"]
    assert published.schema.field("point").type == pa.list_(pa.field("element", pa.float32()))
    together = list(zip(*(records[f"point_{i}"].to_pylist() for i in range(3)), strict=True))
    assert [tuple(row) for row in published["point"].to_pylist()] == together
    assert shard.file_schema(found.schema) == published.schema.remove_metadata()
    assert shard.decode(data, found.schema).equals(records.replace_schema_metadata(None))
    csv = load_format("csv")
    assert csv.decode(csv.encode(records, {}), found.schema).column_names == found.schema.names


def test_lists_of_json_lines_are_vectors_too(tmp_path):
    lines = [json.dumps(row) for row in table(pa.list_(pa.float64())).to_pylist()]
    (tmp_path / "source.jsonl").write_text("\n".join(lines))
    found = prepared(tmp_path, uri=str(tmp_path / "source.jsonl"))
    assert "point_2" in found.schema.names
    assert list(lists_of(found.schema)) == ["point"]


def test_what_is_left_out_is_no_list(tmp_path):
    stored(tmp_path, table())
    left = prepared(tmp_path, columns=[{"name": "point", "kind": "text", "text": "drop"}])
    assert left.schema.names == ["age", "sort"]
    place = prepared(tmp_path, columns=[{"name": "point_1", "kind": "text", "text": "drop"}])
    assert place.schema.names == ["age", "point_0", "point_2", "sort"]
    assert load_format("table-parquet").file_schema(place.schema).names == place.schema.names
    assert LISTS_KEY not in place.schema.metadata
    assert not any("lists" in note for note in place.notes)


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        ([[1.0, 2.0]] * 299 + [[1.0]], "differ in length, from 1 to 2 values; bring them to one"),
        ([[0.0] * (MOST_PLACES + 1)] * 300, f"have 257 values each, and a vector has 1 to {256}"),
        ([[]] * 300, "have 0 values each"),
        ([None] * 300, "are missing in every row; fill them"),
    ],
    ids=["lengths", "long", "empty", "missing"],
)
def test_lists_that_are_no_vectors_are_refused(tmp_path, column, sentence):
    odd = pa.array(column, pa.list_(pa.float64()))
    stored(tmp_path, table().append_column("odd", odd))
    with pytest.raises(SourceError, match="column 'odd'") as caught:
        prepared(tmp_path)
    assert sentence in str(caught.value)
    assert "{name: odd, kind: text, text: drop}" in str(caught.value)
    dropped = [{"name": "odd", "kind": "text", "text": "drop"}]
    assert "odd" not in prepared(tmp_path, columns=dropped).schema.names


def test_lists_of_two_lengths_in_two_files_are_refused(tmp_path):
    wider = pa.array([[1.0] * 4] * 300, pa.list_(pa.float32()))
    stored(tmp_path, table(), table().set_column(1, "point", wider))
    with pytest.raises(SourceError, match=r"have 3 values in '0\.parquet' and 4 in '1\.parquet'"):
        prepared(tmp_path)


def test_a_place_takes_no_name_of_another_column(tmp_path):
    stored(tmp_path, table(point_2=pa.array([0.5] * ROWS)))
    with pytest.raises(SourceError, match="there is a column 'point_2'; rename it"):
        prepared(tmp_path)


def test_lists_of_texts_stay_refused(tmp_path):
    stored(tmp_path, table(words=pa.array([["a", "b"]] * ROWS)))
    with pytest.raises(SourceError, match="neither encoded images nor values of a table: 'words'"):
        prepared(tmp_path)


def test_a_shard_with_a_shorter_list_is_damaged(tmp_path):
    stored(tmp_path, table())
    found = prepared(tmp_path)
    shard = load_format("table-parquet")
    short = pa.table({"age": [1], "point": [[1.0, 2.0]], "sort": ["a"]})
    sink = io.BytesIO()
    pq.write_table(short, sink)
    with pytest.raises(IntegrityError, match="has not 3 values"):
        shard.decode(sink.getvalue(), found.schema)
