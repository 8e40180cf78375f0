"""Names of classes in the shards of images: Hugging Face's ClassLabel, and our own key."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.records.schema import CLASS_NAMES, class_title, read_class_names, with_class_names
from storage.shards.images import PNG, RAW


@pytest.fixture
def records() -> pa.Table:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), np.uint8)
    images = pa.FixedShapeTensorArray.from_numpy_ndarray(pixels)
    table = pa.table({"image": images, "kind": pa.array([0, 1, 1, 0])})
    schema = with_class_names(table.schema, "kind", ["ring", "cross"])
    return table.replace_schema_metadata(schema.metadata | {b"other": b"x"})


def test_a_png_shard_has_a_class_label(records) -> None:
    data = PNG.encode(records, {"synthetic": "true"})
    features = json.loads(pq.read_metadata(io.BytesIO(data)).metadata[b"huggingface"])
    kind = features["info"]["features"]["kind"]
    assert kind == {"_type": "ClassLabel", "names": ["ring", "cross"]}
    assert pq.read_table(io.BytesIO(data))["kind"].type == pa.int64()
    assert PNG.decode(data).equals(records.replace_schema_metadata(None))


@pytest.mark.parametrize("shard_format", [PNG, RAW], ids=["png", "raw"])
def test_the_schema_of_the_manifest_keeps_the_names_alone(shard_format, records) -> None:
    schema = shard_format.file_schema(records.schema)
    assert read_class_names(schema) == {"kind": ("ring", "cross")}
    assert set(schema.metadata) == {CLASS_NAMES}
    plain = shard_format.file_schema(records.schema.remove_metadata())
    assert plain.metadata is None
    assert shard_format.inspect(shard_format.encode(records, {}))[1].equals(schema)


def test_a_raw_shard_says_the_names_itself(records) -> None:
    said = RAW.metadata(RAW.encode(records, {}))
    assert json.loads(said[CLASS_NAMES.decode()]) == {"kind": ["ring", "cross"]}


def test_titles_of_classes() -> None:
    names = ("ring", "cross")
    titles = [class_title(names, label) for label in (1, 2, -1, "cross", True)]
    assert titles == ["1 (cross)", "2", "-1", "cross", "True"]
