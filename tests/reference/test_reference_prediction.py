"""Metrics of predictions against scikit-learn, and against slow loops."""

import numpy as np
import pytest
from sklearn import metrics

from gan.metrics.prediction import (
    mean_absolute_error,
    mean_present,
    one_against_rest,
    weighted_average_precision,
    weighted_brier,
    weighted_calibration_error,
    weighted_log_loss,
    weighted_recalls,
)


@pytest.fixture
def many():
    numbers = np.random.default_rng(5)
    classes = numbers.integers(0, 3, 90)
    raw = numbers.random((90, 3)) + np.eye(3)[classes] * 0.4
    probabilities = np.round(raw / raw.sum(axis=1, keepdims=True), 1)  # with ties
    weights = numbers.integers(0, 4, (5, 90)).astype(float)
    return classes, probabilities, weights


def test_average_precision_equals_scikit_learns(many):
    classes, probabilities, weights = many
    found = weighted_average_precision(probabilities[:, 1], classes == 1, weights)
    slow = [
        metrics.average_precision_score(classes == 1, probabilities[:, 1], sample_weight=one)
        for one in weights
    ]
    assert found == pytest.approx(slow)
    assert np.isnan(weighted_average_precision(probabilities[:, 1], classes == 7, weights)).all()


def test_one_against_rest_equals_scikit_learns(many):
    classes, probabilities, weights = many
    scored = np.array([0, 1, 2])
    for kind, score in (
        ("auc", metrics.roc_auc_score),
        ("average_precision", metrics.average_precision_score),
    ):
        found = one_against_rest(kind, probabilities, classes, scored, weights)
        slow = [
            np.mean([score(classes == c, probabilities[:, c], sample_weight=one) for c in scored])
            for one in weights
        ]
        assert found == pytest.approx(slow)


def test_recalls_equal_scikit_learns(many):
    classes, probabilities, weights = many
    predicted = probabilities.argmax(axis=1)
    found = weighted_recalls(predicted == classes, classes, 4, weights)
    for row, one in zip(found, weights, strict=True):
        slow = metrics.recall_score(classes, predicted, average=None, sample_weight=one)
        assert row[:3] == pytest.approx(slow)
        assert np.isnan(row[3])
    assert mean_present(found) == pytest.approx(found[:, :3].mean(axis=1))


def test_calibration_equals_slow_loops(many):
    classes, probabilities, weights = many
    total = weights.sum(axis=1)
    away = [((probabilities[i] - np.eye(3)[c]) ** 2).sum() for i, c in enumerate(classes)]
    assert weighted_brier(probabilities, classes, weights) == pytest.approx(weights @ away / total)
    own = [-np.log(max(probabilities[i, c], 1e-6)) for i, c in enumerate(classes)]
    assert weighted_log_loss(probabilities, classes, weights) == pytest.approx(
        weights @ own / total
    )
    slow = []
    for one in weights:
        gaps = dict.fromkeys(range(15), 0.0)
        for i, c in enumerate(classes):
            sure = probabilities[i].max()
            right = probabilities[i].argmax() == c
            gaps[min(int(sure * 15), 14)] += one[i] * (float(right) - sure)
        slow.append(sum(abs(gap) for gap in gaps.values()) / one.sum())
    assert weighted_calibration_error(probabilities, classes, weights) == pytest.approx(slow)


def test_the_mean_absolute_error_equals_scikit_learns(many):
    _, probabilities, weights = many
    values, predicted = probabilities[:, 0], probabilities[:, 1]
    slow = [metrics.mean_absolute_error(values, predicted, sample_weight=one) for one in weights]
    assert mean_absolute_error(values, predicted, weights) == pytest.approx(slow)
