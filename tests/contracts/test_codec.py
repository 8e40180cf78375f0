"""What every modality's codec must do."""

import json

import numpy as np
import pyarrow as pa
import pytest
import torch

from gan.errors import DataError, SnapshotError
from gan.modalities import MODALITIES, load_modality

pytestmark = pytest.mark.parametrize("modality", sorted(MODALITIES))


@pytest.fixture(params=["kind", None], ids=["labelled", "unlabelled"])
def label(request):
    return request.param


def test_records_survive_the_round_trip(modality, label, example):
    records = example(modality, 24)
    codec = load_modality(modality).CODEC.fit(records, label)
    encoded = codec.encode(records)
    samples = codec.to_samples(torch.from_numpy(encoded.values.copy()))
    assert samples.dtype == torch.float32
    assert samples.isfinite().all()
    values = codec.to_values(samples)
    decoded = codec.decode(values, encoded.labels_N)
    kept = records if label else records.drop_columns(["kind"])
    assert decoded.equals(kept)
    assert decoded.schema.equals(kept.schema)


def test_json_round_trip(modality, label, example):
    records = example(modality, 24)
    codec = load_modality(modality).CODEC.fit(records, label)
    again = type(codec).from_json(json.loads(json.dumps(codec.to_json())))
    assert again == codec
    assert again.modality == modality
    np.testing.assert_array_equal(again.encode(records).values, codec.encode(records).values)


def test_classes_are_sorted_and_indexed(modality, example):
    records = example(modality, 24)
    codec = load_modality(modality).CODEC.fit(records, "kind")
    assert codec.classes == tuple(sorted(set(records["kind"].to_pylist())))
    labels_N = codec.encode(records).labels_N
    assert [codec.classes[i] for i in labels_N] == records["kind"].to_pylist()


def test_order_and_chunks_do_not_matter(modality, example):
    records = example(modality, 24)
    codec = load_modality(modality).CODEC.fit(records, "kind")
    chunked = pa.concat_tables([records.slice(0, 5), records.slice(5)])
    for one, other in zip(codec.encode(chunked), codec.encode(records), strict=True):
        np.testing.assert_array_equal(one, other)
    part = codec.encode(records.slice(3, 4))
    np.testing.assert_array_equal(part.values, codec.encode(records).values[3:7])


def test_unknown_class_is_named(modality, example):
    records = example(modality, 24)
    codec = load_modality(modality).CODEC.fit(records, "kind")
    stranger = records.drop_columns(["kind"]).append_column("kind", pa.array(["strange"] * 24))
    with pytest.raises(DataError, match="strange"):
        codec.encode(stranger)


def test_missing_label_and_nulls_are_named(modality, example):
    records = example(modality, 24)
    codec_type = load_modality(modality).CODEC
    with pytest.raises(DataError, match="no label column 'sort'"):
        codec_type.fit(records, "sort")
    holes = records.drop_columns(["kind"]).append_column("kind", pa.array([None] + ["a"] * 23))
    with pytest.raises(DataError, match="1 nulls"):
        codec_type.fit(holes, "kind")
    with pytest.raises(DataError):
        codec_type.fit(records.slice(0, 0), "kind")


def test_foreign_json_is_refused(modality, example):
    codec = load_modality(modality).CODEC.fit(example(modality, 24), "kind")
    with pytest.raises(SnapshotError):
        type(codec).from_json({**codec.to_json(), "modality": "smells"})
    with pytest.raises(SnapshotError):
        type(codec).from_json({"modality": modality})
