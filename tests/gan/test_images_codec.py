from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch

from gan.errors import ConfigError, DataError
from gan.images.codec import ImageCodec, read_images, write_images
from gan.modalities import load_modality
from gan.sample import allowed_codes, check_request
from storage.records.schema import Condition


def images(rows=4, size=(8, 8, 1)):
    return np.random.default_rng(0).integers(0, 256, (rows, *size), dtype=np.uint8)


@pytest.mark.parametrize("size", [(8, 8, 1), (9, 17, 3), (128, 128, 4)])
def test_every_byte_survives_the_networks_range(size):
    codec = ImageCodec(height=size[0], width=size[1], channels=size[2])
    values = images(size=size)
    samples = codec.to_samples(torch.from_numpy(values))
    assert samples.shape == (4, size[2], *size[:2])
    assert samples.min() >= -1
    assert samples.max() <= 1
    np.testing.assert_array_equal(codec.to_values(samples), values)


def test_what_leaves_the_range_is_clamped():
    codec = ImageCodec(height=8, width=8, channels=1)
    samples = torch.tensor([-9.0, -1.0, 1.0, 9.0]).repeat(16).view(1, 1, 8, 8)
    assert codec.to_values(samples).ravel()[:4].tolist() == [0, 0, 255, 255]


def test_memory_is_shared_both_ways():
    values = images()
    column = write_images(values)
    assert np.shares_memory(read_images(pa.table({"image": column})), values)


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        ([3, 1, 1, 2], pa.int64()),
        ([3, 1, 1, 2], pa.uint8()),
        ([True, False, True, True], pa.bool_()),
        (["b", "a", "a", "ö"], pa.large_string()),
    ],
)
def test_labels_keep_their_type(labels, kind):
    records = pa.table({"image": write_images(images()), "kind": pa.array(labels, kind)})
    codec = ImageCodec.from_json(ImageCodec.fit(records, "kind").to_json())
    encoded = codec.encode(records)
    assert codec.decode(encoded.values, encoded.labels_N).equals(records)


def with_nulls():
    storage = pa.array([[0] * 64, None], pa.list_(pa.uint8(), 64))
    kind = pa.fixed_shape_tensor(pa.uint8(), (8, 8, 1))
    return pa.table({"image": pa.ExtensionArray.from_storage(kind, storage)})


@pytest.mark.parametrize(
    ("records", "words"),
    [
        (pa.table({"picture": [1]}), "no column 'image', only picture"),
        (pa.table({"image": [1]}), "is int64: a fixed-shape tensor of uint8 is needed"),
        (with_nulls(), "1 nulls"),
        (pa.table({"image": write_images(images(size=(7, 8, 1)))}), "7 x 8 x 1"),
        (pa.table({"image": write_images(images(size=(8, 129, 1)))}), "source.resize"),
        (pa.table({"image": write_images(images(size=(8, 8, 2)))}), "1, 3 or 4 channels"),
    ],
)
def test_unfit_images_are_named(records, words):
    with pytest.raises(DataError, match=words):
        ImageCodec.fit(records, None)


def test_unfit_labels_and_shapes_are_named():
    table = pa.table({"image": write_images(images()), "kind": pa.array([0.5, 1.5, 2.5, 3.5])})
    with pytest.raises(DataError, match="is double"):
        ImageCodec.fit(table, "kind")
    codec = ImageCodec.fit(table, None)
    with pytest.raises(DataError, match=r"\(8, 9, 1\)"):
        codec.encode(pa.table({"image": write_images(images(size=(8, 9, 1)))}))


def test_unknown_modality_lists_the_known():
    with pytest.raises(ConfigError, match="choose one of images"):
        load_modality("smells")


def test_unknown_classes_and_nulls_are_named():
    images = write_images(np.zeros((3, 8, 8, 1), dtype=np.uint8))
    codec = ImageCodec.fit(pa.table({"image": images, "kind": ["a", "b", "a"]}), "kind")
    with pytest.raises(DataError, match="strange"):
        codec.encode(pa.table({"image": images, "kind": ["a", "strange", "a"]}))
    with pytest.raises(DataError, match="1 nulls"):
        ImageCodec.fit(pa.table({"image": images, "kind": ["a", None, "a"]}), "kind")


def test_images_take_no_conditions():
    codec = ImageCodec(height=8, width=8, channels=1, label="kind", label_type="string")
    given = [Condition(column="kind", values=("a",))]
    with pytest.raises(ConfigError, match=r"'kind'.*class_fractions"):
        check_request(codec, given, 10)
    with pytest.raises(ConfigError, match=r"'kind'.*images take no conditions but their class"):
        allowed_codes(codec, given, per_class=True)
    check_request(codec, [], 10**12)
    assert allowed_codes(codec, [], per_class=False) is None
    with pytest.raises(ConfigError, match="images were asked of a generator of 2 classes"):
        allowed_codes(replace(codec, classes=("a", "b")), [], per_class=False)


def test_images_of_few_levels_are_made_of_these_alone():
    levels = np.array([0, 17, 34, 85, 255], dtype=np.uint8)
    values = levels[np.random.default_rng(1).integers(0, 5, (16, 8, 8, 1))]
    codec = ImageCodec.from_json(
        ImageCodec.fit(pa.table({"image": write_images(values)}), None).to_json()
    )
    assert codec.levels == (0, 17, 34, 85, 255)
    made = codec.to_values(
        torch.rand(9, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    )
    assert set(np.unique(made)) == set(levels.tolist())
    bytes_N = torch.arange(256.0).view(1, 1, 16, 16) / 127.5 - 1
    nearest = codec.to_values(bytes_N).ravel()
    expected = levels[np.abs(np.arange(256)[:, None] - levels.astype(int)).argmin(1)]
    np.testing.assert_array_equal(nearest, expected)


def test_images_of_many_levels_keep_every_byte():
    codec = ImageCodec.fit(pa.table({"image": write_images(images(rows=40))}), None)
    assert codec.levels == ()
    assert codec.saturated == pytest.approx(2 / 256, abs=0.005)


def test_a_level_that_one_image_alone_has_is_not_remembered():
    values = np.random.default_rng(2).integers(0, 2, (30, 8, 8, 1)).astype(np.uint8) * 255
    values[3, 4, 4, 0] = 137
    codec = ImageCodec.fit(pa.table({"image": write_images(values)}), None)
    assert codec.levels == (0, 255)


def test_an_opaque_alpha_is_no_saturation():
    values = images(rows=40, size=(8, 8, 4)) // 2 + 50
    values[..., 3] = 255
    assert ImageCodec.fit(pa.table({"image": write_images(values)}), None).saturated == 0.0
