from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_digits

from gan.errors import DataError
from gan.images import pixels
from gan.images.codec import read_images
from gan.images.evaluation import trained
from gan.images.evaluation.feature_nets import (
    FEATURES,
    RANDOM_WIDTHS,
    FeatureNet,
    TrainedNet,
    initialise,
)
from gan.images.evaluation.features import Extractor, NetOutput, fit_extractors, predicted_classes
from gan.images.evaluation.trained import ASSESSING, JUDGING, ClassTask, Effort, train

QUICK = Effort(members=2, first=2_000, least=3_000, hard=0, epochs=0.0, most=3_000)
FLASH = Effort(first=64, least=64, hard=0, epochs=0.0, most=64)


@pytest.fixture(scope="module")
def images(digits):
    return read_images(digits)


@pytest.fixture(scope="module")
def labels(digits):
    return digits["digit"].to_numpy()


@pytest.fixture(scope="module")
def nets(images, labels):
    return fit_extractors(images[:200], labels[:200], seed=0, effort=QUICK)


def test_a_classifier_where_there_are_labels_a_self_supervised_net_where_not(nets, images):
    assert [net.name for net in nets] == ["classifier", "classifier", "random"]
    plain = ["self-supervised", "random"]
    assert [net.name for net in fit_extractors(images, None, 0, effort=FLASH)] == plain
    one_class = np.zeros(len(images), dtype=np.int64)
    assert [net.name for net in fit_extractors(images, one_class, 0, effort=FLASH)] == plain


def test_features_are_standardised_by_train(nets, images):
    for net in nets:
        found = net(images[:200])
        assert found.dtype == np.float64
        assert np.allclose(found.mean(axis=0), 0, atol=1e-6)
        assert np.allclose(found.std(axis=0), 1, atol=1e-6)


def test_batch_size_and_order_change_nothing(nets, images, monkeypatch):
    for net in nets:
        whole = net(images)
        assert np.allclose(net(images[::-1])[::-1], whole, atol=1e-3)
        monkeypatch.setattr(pixels, "AT_ONCE", 7)
        assert np.allclose(net(images), whole, atol=1e-3)
        monkeypatch.undo()


@pytest.mark.parametrize("labelled", [True, False])
def test_the_same_seed_gives_the_same_net_whatever_the_global_state(images, labels, labelled):
    classes = labels[:100] if labelled else None
    first = fit_extractors(images[:100], classes, seed=5, effort=FLASH)
    torch.rand(3)
    np.random.default_rng(0).random()
    again = fit_extractors(images[:100], classes, seed=5, effort=FLASH)
    other = fit_extractors(images[:100], classes, seed=6, effort=FLASH)
    for one, two, three in zip(first, again, other, strict=True):
        assert np.array_equal(one(images), two(images))
        assert not np.allclose(one(images)[:, :8], three(images)[:, :8])


def test_members_differ_and_name_unseen_digits_together(nets, images, labels):
    unseen = images[200:]
    seen = [net.see(unseen) for net in nets]
    assert not np.allclose(seen[0].features_NF[:, :8], seen[1].features_NF[:, :8])
    assert np.array_equal(seen[0].features_NF, nets[0](unseen))
    assert np.allclose(seen[0].probabilities_NK.sum(axis=1), 1)
    assert (predicted_classes(seen) == labels[200:]).mean() > 0.8
    assert predicted_classes(seen[2:]) is None


def test_hardly_a_unit_falls_silent(nets, images):
    """By Adam alone 43 to 45 of these 64 answer, and the fewer do, the farther is a candidate."""
    assert min(net(images[:2]).shape[1] for net in nets[:2]) >= 50


def test_members_vote_by_the_mean_of_their_probabilities():
    sure, unsure = (NetOutput(np.empty((1, 0)), np.array([p])) for p in ([0.9, 0.1], [0.4, 0.6]))
    assert predicted_classes([sure, unsure]).tolist() == [0]
    assert predicted_classes([unsure]).tolist() == [1]


@pytest.mark.full
def test_after_its_whole_effort_it_is_as_good_as_a_users():
    data, labels = load_digits(return_X_y=True)
    images = np.round(data.reshape(-1, 8, 8, 1) * 255 / 16).astype(np.uint8)
    order = np.random.default_rng(0).permutation(len(images))
    seen, unseen = order[:900], order[900:]
    for effort, least in ((JUDGING, 0.98), (ASSESSING, 0.96)):
        nets = fit_extractors(images[seen], labels[seen], seed=0, effort=effort)
        predicted = predicted_classes([net.see(images[unseen]) for net in nets])
        assert (predicted == labels[unseen]).mean() > least


def test_without_labels_other_images_are_far_and_unseen_ones_near(images):
    net = fit_extractors(images[:200], None, seed=0, effort=QUICK)[0]
    unseen = images[200:]
    soft = gaussian_filter(unseen.astype(float), (0, 1, 1, 0)).astype(np.uint8)
    assert np.abs(net(unseen).mean(axis=0)).mean() < 0.5 * np.abs(net(soft).mean(axis=0)).mean()


def test_grain_moves_random_features():
    """A projection that averages maps over the image would not see it."""
    rng = np.random.default_rng(0)
    spots = gaussian_filter(rng.normal(0, 1, (160, 24, 24, 1)), (0, 4, 4, 0))
    images = np.clip(128 + 100 * spots, 0, 255).astype(np.uint8)
    grain = np.clip(images + rng.normal(0, 12, images.shape), 0, 255).astype(np.uint8)
    net = fit_extractors(images[:80], None, seed=0, effort=FLASH)[-1]
    assert np.abs(net(grain[80:]).mean(axis=0)).max() > 2.0
    assert np.abs(net(images[80:]).mean(axis=0)).max() < 0.6


@pytest.mark.parametrize(("turned", "expected"), [(False, True), (True, False)])
def test_mirrored_images_are_shown_where_they_keep_their_class(turned, expected, monkeypatch):
    """Stripes at the top or at the bottom keep it, at the left or at the right they do not."""
    rng = np.random.default_rng(0)
    classes = np.arange(80) % 2
    images = rng.integers(0, 80, (80, 8, 8, 1), dtype=np.uint8)
    images[classes == 0, :3] += 150
    images[classes == 1, 5:] += 150
    if turned:
        images = images.transpose(0, 2, 1, 3).copy()
    shown = []
    draw = trained.Shifts.draw

    def spy(self, rows_N, rng, *, mirror):
        shown.append(mirror)
        return draw(self, rows_N, rng, mirror=mirror)

    monkeypatch.setattr(trained.Shifts, "draw", spy)
    net = TrainedNet(8, 8, 1, 2)
    initialise(net, 0, "classifier")
    train(net, images, ClassTask(classes), QUICK, seed=0)
    assert shown[0] is False
    assert shown[-1] is expected


def test_hard_images_are_shown_more_often_than_easy_ones():
    easy, hard = (JUDGING.second(wrong, rows=2_000) for wrong in (0.0, 0.2))
    assert easy < hard < JUDGING.second(0.6, rows=2_000) == JUDGING.second(1.0, rows=2_000)
    assert JUDGING.second(1.0, rows=10) <= 1_000, "few images are not shown for ever"
    assert replace(JUDGING, most=9_000).second(0.0, rows=20_000) == 9_000


def test_constant_columns_are_dropped(images):
    """A feature that train does not vary would put an unseen image at any distance."""
    dark = images.copy()
    dark[:, :4] = 0
    for net in fit_extractors(dark, None, 0, effort=FLASH):
        assert np.isfinite(net(images)).all()
        assert np.abs(net(images)).max() < 1e3


class Bright(FeatureNet):
    """Brightness, and whether an image is nearly white."""

    def features(self, pixels_NCHW):
        mean_N = pixels_NCHW.mean((1, 2, 3))
        return torch.stack([mean_N, torch.relu(mean_N - 0.98)], 1)


def test_a_column_that_answers_to_a_handful_of_images_is_dropped():
    """Its spread says nothing, and a few images more would move any distance."""
    draw = np.random.default_rng(0)
    levels = draw.integers(0, 240, 1000)
    levels[:3] = 255
    some = np.broadcast_to(levels[:, None, None, None], (1000, 8, 8, 1)).astype(np.uint8)
    assert Extractor("bright", Bright(), some)(some).shape == (1000, 1)
    levels[:30] = 255
    more = np.broadcast_to(levels[:, None, None, None], (1000, 8, 8, 1)).astype(np.uint8)
    assert Extractor("bright", Bright(), more)(more).shape == (1000, 2)


def test_equal_images_are_refused():
    same = np.full((30, 8, 8, 1), 7, dtype=np.uint8)
    with pytest.raises(DataError, match="all 30 training images give the same random features"):
        fit_extractors(same, None, 0)


@pytest.mark.parametrize("shape", [(1, 3, 1), (8, 8, 1), (16, 24, 3), (33, 65, 4), (128, 128, 3)])
@pytest.mark.parametrize("labelled", [True, False])
def test_any_shape_and_few_images(shape, labelled):
    images = np.random.default_rng(0).integers(0, 256, (12, *shape), dtype=np.uint8)
    labels = np.arange(12) if labelled else None
    trained, random = fit_extractors(images, labels, 0, effort=FLASH)
    assert np.isfinite(trained(images)).all()
    assert trained(images).shape[1] <= FEATURES
    assert random(images).shape[1] <= 2 * RANDOM_WIDTHS[-1]


def test_trained_nets_are_read_again(images, labels, tmp_path, monkeypatch):
    arguments = {"seed": 3, "effort": FLASH, "cache": tmp_path / "nets"}
    first = fit_extractors(images[:60], labels[:60], **arguments)[0]
    assert len(list((tmp_path / "nets").iterdir())) == 1
    calls = []
    monkeypatch.setattr(
        "gan.images.evaluation.features.train",
        lambda *args: calls.append(1) or train(*args),
    )
    again = fit_extractors(images[:60], labels[:60], **arguments)[0]
    assert not calls
    assert np.array_equal(first(images), again(images))
    assert np.array_equal(first.see(images).probabilities_NK, again.see(images).probabilities_NK)
    others = (
        (images[1:61], labels[:60], arguments),
        (images[:60], labels[1:61], arguments),
        (images[:60], None, arguments),
        (images[:60], labels[:60], arguments | {"seed": 4}),
        (images[:60], labels[:60], arguments | {"effort": replace(FLASH, first=65)}),
    )
    for changed, classes, settings in others:
        fit_extractors(changed, classes, **settings)
    assert len(calls) == len(others)


@pytest.mark.parametrize("damage", ["cut", "other net", "not a number", "nonsense"])
def test_a_damaged_net_is_made_anew(damage, images, labels, tmp_path):
    from safetensors.torch import load_file, save_file

    arguments = {"seed": 3, "effort": FLASH, "cache": tmp_path}
    first = fit_extractors(images[:60], labels[:60], **arguments)[0]
    [path] = tmp_path.iterdir()
    whole, state = path.read_bytes(), load_file(path)
    key = {"key": path.stem}
    if damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "nonsense":
        path.write_bytes(b"nonsense")
    elif damage == "other net":
        save_file({"weight": torch.zeros(2)}, path, key)
    else:
        save_file({name: value * float("nan") for name, value in state.items()}, path, key)
    again = fit_extractors(images[:60], labels[:60], **arguments)[0]
    assert np.array_equal(first(images), again(images))
    assert path.read_bytes() == whole


def test_a_folder_that_cannot_be_written_is_no_error(images, labels, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    nets = fit_extractors(images[:60], labels[:60], 0, effort=FLASH, cache=tmp_path / "file")
    assert len(nets) == 2


def test_only_the_newest_nets_are_kept(images, tmp_path, monkeypatch):
    monkeypatch.setattr("gan.images.evaluation.net_cache.KEPT", 2)
    for seed in range(4):
        fit_extractors(images[:30], None, seed, effort=FLASH, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
