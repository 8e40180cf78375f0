"""What every modality's codec must do."""

import json

import numpy as np
import pyarrow as pa
import pytest
import torch

from gan.errors import DataError, SnapshotError
from gan.modalities import load_modality
from storage.records.modalities import MODALITIES

pytestmark = pytest.mark.parametrize("modality", [*MODALITIES, "vectors"])


@pytest.fixture(params=["kind", None], ids=["labelled", "unlabelled"])
def label(request):
    return request.param


def test_records_survive_the_round_trip(modality, label, example):
    records = example(modality, 24)
    codec = load_modality(modality).codec.fit(records, label)
    encoded = codec.encode(records)
    samples = codec.to_samples(torch.from_numpy(encoded.values.copy()))
    assert len(samples) == 24
    assert samples.isfinite().all()
    decoded = codec.decode(codec.to_values(samples), encoded.labels_N)
    kept = records.select(decoded.column_names)
    assert decoded.schema.equals(kept.schema, check_metadata=True)
    assert label is None or decoded[label].equals(kept[label])
    again = codec.encode(decoded)
    assert torch.equal(codec.to_samples(torch.from_numpy(again.values.copy())), samples)


def test_what_is_stored_decodes_to_itself(modality, label, example):
    records = example(modality, 24)
    codec = load_modality(modality).codec.fit(records, label)
    encoded = codec.encode(records)
    decoded = codec.decode(encoded.values, encoded.labels_N)
    again = codec.encode(decoded)
    np.testing.assert_array_equal(again.values, encoded.values)
    assert codec.decode(again.values, again.labels_N).equals(decoded)


def test_json_round_trip(modality, label, example):
    records = example(modality, 24)
    codec = load_modality(modality).codec.fit(records, label)
    again = type(codec).from_json(json.loads(json.dumps(codec.to_json())))
    assert again == codec
    assert again.modality == modality
    np.testing.assert_array_equal(again.encode(records).values, codec.encode(records).values)


def test_classes_are_sorted_and_indexed(modality, example):
    records = example(modality, 24)
    codec = load_modality(modality).codec.fit(records, "kind")
    assert codec.classes == tuple(sorted(set(records["kind"].to_pylist())))
    labels_N = codec.encode(records).labels_N
    assert [codec.classes[i] for i in labels_N] == records["kind"].to_pylist()


def test_order_and_chunks_do_not_matter(modality, example):
    records = example(modality, 24)
    codec = load_modality(modality).codec.fit(records, "kind")
    chunked = pa.concat_tables([records.slice(0, 5), records.slice(5)])
    for one, other in zip(codec.encode(chunked), codec.encode(records), strict=True):
        np.testing.assert_array_equal(one, other)
    part = codec.encode(records.slice(3, 4))
    np.testing.assert_array_equal(part.values, codec.encode(records).values[3:7])


def test_a_missing_label_and_no_records_are_named(modality, example):
    records = example(modality, 24)
    codec_type = load_modality(modality).codec
    with pytest.raises(DataError, match="'sort'"):
        codec_type.fit(records, "sort")
    with pytest.raises(DataError):
        codec_type.fit(records.slice(0, 0), "kind")


def test_foreign_json_is_refused(modality, example):
    codec = load_modality(modality).codec.fit(example(modality, 24), "kind")
    with pytest.raises(SnapshotError):
        type(codec).from_json({**codec.to_json(), "modality": "smells"})
    with pytest.raises(SnapshotError):
        type(codec).from_json({"modality": modality})
