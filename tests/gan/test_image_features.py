import numpy as np
import pytest
import torch

from gan.errors import DataError
from gan.images.codec import read_images
from gan.images.evaluation import features
from gan.images.evaluation.features import fit_extractors


@pytest.fixture(scope="module")
def images(digits):
    return read_images(digits)


@pytest.fixture(scope="module")
def labels(digits):
    return digits["digit"].to_numpy()


@pytest.fixture(scope="module")
def nets(images, labels):
    return fit_extractors(images, labels, seed=0)


def test_two_nets_where_there_are_labels_one_where_not(nets, images):
    assert [net.name for net in nets] == ["classifier", "random"]
    assert [net.name for net in fit_extractors(images, None, 0)] == ["random"]
    one_class = np.zeros(len(images), dtype=np.int64)
    assert [net.name for net in fit_extractors(images, one_class, 0)] == ["random"]


def test_features_are_standardised_by_train(nets, images):
    for net in nets:
        found = net(images)
        assert found.dtype == np.float64
        assert np.allclose(found.mean(axis=0), 0, atol=1e-6)
        assert np.allclose(found.std(axis=0), 1, atol=1e-6)


def test_batch_size_and_order_change_nothing(nets, images, monkeypatch):
    for net in nets:
        whole = net(images)
        assert np.allclose(net(images[::-1])[::-1], whole, atol=1e-4)
        monkeypatch.setattr(features, "BATCH", 7)
        assert np.allclose(net(images), whole, atol=1e-4)
        monkeypatch.undo()


def test_the_same_seed_gives_the_same_net_whatever_the_global_state(images, labels):
    first = fit_extractors(images[:100], labels[:100], seed=5)
    torch.rand(3)
    np.random.default_rng(0).random()
    again = fit_extractors(images[:100], labels[:100], seed=5)
    other = fit_extractors(images[:100], labels[:100], seed=6)
    for one, two, three in zip(first, again, other, strict=True):
        assert np.array_equal(one(images), two(images))
        assert not np.allclose(one(images), three(images))


def test_the_classifier_knows_digits_it_has_not_seen(images, labels):
    classifier = fit_extractors(images[:200], labels[:200], seed=0)[0]
    assert (classifier.predict(images[200:]) == labels[200:]).mean() > 0.8


def test_constant_columns_are_dropped(images):
    """A feature that train does not vary would put an unseen image at any distance."""
    dark = images.copy()
    dark[:, :4] = 0
    net = fit_extractors(dark, None, 0)[0]
    assert np.isfinite(net(images)).all()
    assert np.abs(net(images)).max() < 1e3


def test_equal_images_are_refused():
    same = np.full((30, 8, 8, 1), 7, dtype=np.uint8)
    with pytest.raises(DataError, match="all 30 training images give the same random features"):
        fit_extractors(same, None, 0)


@pytest.mark.parametrize("shape", [(8, 8, 1), (16, 24, 3), (33, 65, 4), (128, 128, 3)])
def test_any_shape_gives_the_same_number_of_features(shape, monkeypatch):
    monkeypatch.setattr(features, "MAX_STEPS", 3)
    images = np.random.default_rng(0).integers(0, 256, (24, *shape), dtype=np.uint8)
    labels = np.arange(24) % 2
    for net in fit_extractors(images, labels, 0):
        assert net(images).shape == (24, features.FEATURES)
