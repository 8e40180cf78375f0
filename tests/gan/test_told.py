"""What a single image's statistics say, and whether classifiers tell two sets of images by them."""

import numpy as np
import pytest
from scipy.ndimage import convolve

from gan.codecs import Encoded
from gan.images.evaluation.c2st import (
    by_what,
    c2st,
    c2st_of_reals,
    network_scores,
    real_side,
    tree_scores,
)
from gan.images.evaluation.plain_statistics import plain_statistics
from gan.images.evaluation.usefulness import ImageUsefulness
from gan.metrics.auc import auc
from tests.ladder.faults import FAULTS
from tests.ladder.scenes import draw_scenes

N = 200


@pytest.fixture(scope="module")
def scenes():
    images, kinds = draw_scenes(2 * N, 0)
    return images[:N], images[N:], kinds


@pytest.fixture(scope="module")
def reals(scenes):
    return plain_statistics(scenes[0])


def of(names, values_NS, name):
    return values_NS[:, [index for index, one in enumerate(names) if one == name]]


@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 13, 4), (32, 28, 3), (5, 5, 1)])
def test_statistics_of_an_image_do_not_depend_on_the_others(shape, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (12, *shape), dtype=np.uint8)
    names, values_NS = plain_statistics(images)
    assert values_NS.shape == (12, len(names))
    assert np.isfinite(values_NS).all()
    monkeypatch.setattr("gan.images.evaluation.plain_statistics.CHUNK_VALUES", 1)
    assert plain_statistics(images)[0] == names
    np.testing.assert_allclose(plain_statistics(images)[1], values_NS, rtol=2e-3, atol=2e-3)


def test_black_images_and_white_ones_have_finite_statistics():
    for value in (0, 255):
        names, values_NS = plain_statistics(np.full((2, 8, 8, 3), value, dtype=np.uint8))
        assert np.isfinite(values_NS).all()
        assert of(names, values_NS, "share of black").all() == (value == 0)
        assert of(names, values_NS, "share of white").all() == (value == 255)


def test_grain_is_the_published_estimate_of_noise():
    """Immerkær 1996: the mean absolute response times √(π / 2) / 6 is the noise's own spread."""
    noise = np.random.default_rng(0).normal(128, 11, (4, 64, 64, 1))
    images = np.round(noise).astype(np.uint8)
    names, values_NS = plain_statistics(images)
    response_N = of(names, values_NS, "grain")[:, 0]
    np.testing.assert_allclose(response_N * np.sqrt(np.pi / 2) / 6, 11, rtol=0.05)
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]])
    own = convolve(images[0, ..., 0].astype(float), kernel)[1:-1, 1:-1]
    assert response_N[0] == pytest.approx(np.abs(own).mean(), rel=1e-4)


@pytest.mark.parametrize("name", FAULTS)
def test_trees_tell_what_a_person_sees_and_the_reason_names_it(name, scenes, reals):
    make, clue = FAULTS[name]
    names, reals_NS = reals
    _, fakes_MS = plain_statistics(make(scenes[1]))
    scores = tree_scores(reals_NS, fakes_MS, 0)
    assert auc(scores.fakes_M, scores.reals_N) > 0.9
    assert clue in by_what(names, reals_NS, fakes_MS)


def test_real_images_are_not_told_and_nothing_gives_them_away(scenes, reals):
    names, reals_NS = reals
    _, others_MS = plain_statistics(scenes[1])
    scores = tree_scores(reals_NS, others_MS, 0)
    assert auc(scores.fakes_M, scores.reals_N) < 0.6
    assert by_what(names, reals_NS, others_MS) == ""


def test_the_net_tells_a_chessboard_on_single_pixels(monkeypatch, scenes):
    monkeypatch.setattr("gan.images.evaluation.learner.STEPS", 120)
    reals, others = (images[:, ::4, ::4] for images in scenes[:2])
    scores = network_scores(reals, FAULTS["chessboard 20"][0](others), 0)
    assert auc(scores.fakes_M, scores.reals_N) > 0.9


def test_both_classifiers_measure_as_many_images_of_each_side(monkeypatch, scenes):
    monkeypatch.setattr("gan.images.evaluation.learner.STEPS", 5)
    monkeypatch.setattr("gan.images.evaluation.c2st.ROWS", {"statistics": 100, "network": 60})
    reals, others = (images[:, ::2, ::2] for images in scenes[:2])
    found = list(c2st(others, real_side(reals, 3, 0)))
    assert [item.metric.scope for item in found] == ["statistics", "network"]
    assert [item.metric.n for item in found] == [100, 60]
    again = list(c2st(others, real_side(reals, 3, 0)))
    assert found == again
    for item in found:
        assert len(item.replicates) == 3
        assert item.metric.low <= item.metric.value <= item.metric.high
        assert item.metric.ceiling.value == 0.5


def test_from_how_many_images_real_ones_pass_for_certain():
    """Upper ends of real images: of twenty a side beyond .75 too often, of a hundred never."""
    assert np.mean(np.array(c2st_of_reals(20).draws) <= 0.75) < 0.95
    assert np.mean(np.array(c2st_of_reals(100).draws) <= 0.75) == 1


def test_wrong_labels_teach_a_classifier_little(monkeypatch, scenes):
    monkeypatch.setattr("gan.images.evaluation.learner.STEPS", 30)
    monkeypatch.setattr("gan.images.evaluation.usefulness.BOOTSTRAPS", 30)
    one, two = (images[:, ::4, ::4] for images in scenes[:2])
    light = [(images.mean(axis=(1, 2, 3)) > 90).astype(np.int64) for images in (one, two)]
    usefulness = ImageUsefulness(
        Encoded(one, light[0]), Encoded(two, light[1]), classes=2, rows=len(one), seed=0
    )
    right, wrong = (
        {item.metric.name: item for item in usefulness.measure(Encoded(one, labels))}
        for labels in (light[0], 1 - light[0])
    )
    assert right["tstr"].metric.value > 0.7 > 0.3 > wrong["tstr"].metric.value
    assert wrong["tstr_gap"].metric.low > right["tstr_gap"].metric.high
    trtr = right["trtr"].metric.value
    assert right["tstr_gap"].metric.value == pytest.approx(trtr - right["tstr"].metric.value)
    assert len(right["tstr_gap"].reals) == 60
    assert np.mean(right["tstr_gap"].reals) == pytest.approx(np.quantile(usefulness.noise, 0.975))
