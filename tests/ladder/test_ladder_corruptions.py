"""Damaged candidates, each made of real digits nobody has seen: blocked, for the right reason."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from scipy.ndimage import gaussian_filter

from gan.evaluation.promotion import Contender, compare
from gan.gate import GateConfig, judge
from gan.images.codec import write_images
from gan.images.judge import METRICS, evaluate

Rows = tuple[np.ndarray, np.ndarray]


def _records(images, labels):
    return pa.table({"image": write_images(images), "label": labels})


def _noise(digits, rng) -> Rows:
    images = digits.images[digits.unseen]
    noisy = images + rng.normal(0, 0.3 * 255, images.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), digits.labels[digits.unseen]


def _blur(digits, rng) -> Rows:
    images = gaussian_filter(digits.images[digits.unseen].astype(float), (0, 1, 1, 0))
    return images.astype(np.uint8), digits.labels[digits.unseen]


def _lose(count: int) -> Callable[..., Rows]:
    def make(digits, rng) -> Rows:
        left = digits.unseen[digits.labels[digits.unseen] >= count]
        rows = np.resize(left, len(digits.unseen))
        return digits.images[rows], digits.labels[rows]

    return make


def _disguise(count: int) -> Callable[..., Rows]:
    """The labels are there, but the images under them are of other classes."""

    def make(digits, rng) -> Rows:
        labels = digits.labels[digits.unseen]
        images = digits.images[digits.unseen].copy()
        lost = labels < count
        images[lost] = images[rng.choice(np.flatnonzero(~lost), lost.sum())]
        return images, labels

    return make


def _mislabel(digits, rng) -> Rows:
    return digits.images[digits.unseen], (digits.labels[digits.unseen] + 1) % 10


def _collapse(digits, rng) -> Rows:
    rows = np.resize(rng.choice(digits.unseen, 50, replace=False), len(digits.unseen))
    return digits.images[rows], digits.labels[rows]


def _copy(share: float) -> Callable[..., Rows]:
    def make(digits, rng) -> Rows:
        size = len(digits.unseen)
        copied = rng.choice(digits.train, round(share * size), replace=False)
        rows = np.concatenate([copied, digits.unseen[: size - len(copied)]])
        return digits.images[rows], digits.labels[rows]

    return make


def _near_copy(digits, rng) -> Rows:
    """Training images with a little noise: no exact copy among them."""
    images, labels = _copy(1.0)(digits, rng)
    noisy = images + rng.integers(-8, 9, images.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), labels


def _constant(digits, rng) -> Rows:
    images = digits.images[digits.unseen]
    return np.full_like(images, 90), digits.labels[digits.unseen]


LADDER = {
    "noise": (_noise, {"coverage", "density"}, {"copies", "exact_copies", "classes"}),
    "blur": (_blur, {"coverage"}, {"copies", "exact_copies", "classes"}),
    "one class lost": (_lose(1), {"classes", "coverage"}, {"copies", "exact_copies", "density"}),
    "five classes lost": (_lose(5), {"classes", "coverage"}, {"exact_copies", "density"}),
    "one class in disguise": (_disguise(1), {"coverage"}, {"classes", "exact_copies", "density"}),
    "five classes in disguise": (_disguise(5), {"coverage"}, {"classes", "exact_copies"}),
    "wrong labels": (_mislabel, {"coverage", "label_accuracy"}, {"classes", "copies", "density"}),
    "collapse": (_collapse, {"coverage", "repeats"}, {"copies", "exact_copies", "classes"}),
    "copies": (_copy(1.0), {"copies", "exact_copies"}, {"coverage", "classes", "density"}),
    "half copies": (_copy(0.5), {"copies", "exact_copies"}, {"coverage", "classes", "density"}),
    "near copies": (_near_copy, {"copies"}, {"exact_copies", "coverage", "density"}),
    "constant": (_constant, {"spread", "coverage"}, {"copies", "exact_copies", "classes"}),
}
"""Name → how it is made, the metrics that must block it, the metrics that must not."""


REPRESENTATIVE = {"noise", "wrong labels", "collapse", "half copies"}
"""One of each kind of damage, a lost class below; `make test-full` judges all."""


@pytest.fixture(scope="module")
def damaged(digits, digits_reference):
    """Return what is measured of a damage, once each."""

    @cache
    def measure(name):
        candidate = _records(*LADDER[name][0](digits, np.random.default_rng(7)))
        return evaluate(candidate, digits_reference)

    return measure


@pytest.mark.parametrize(
    "name",
    [
        name if name in REPRESENTATIVE else pytest.param(name, marks=pytest.mark.full)
        for name in LADDER
    ],
)
def test_a_damaged_candidate_is_blocked_for_the_right_reason(name, damaged):
    _, guilty, innocent = LADDER[name]
    judgement = judge(damaged(name), METRICS, GateConfig())
    blocking = {reason.metric for reason in judgement.reasons if reason.outcome == "block"}
    assert judgement.verdict == "block"
    assert guilty <= blocking
    assert not innocent & blocking


def test_a_lost_class_is_named(digits, digits_reference):
    candidate = _records(*_lose(1)(digits, np.random.default_rng(0)))
    judgement = judge(evaluate(candidate, digits_reference), METRICS, GateConfig())
    texts = [reason.text for reason in judgement.reasons if reason.outcome == "block"]
    assert any("missing class 0" in text for text in texts)
    assert {r.scope for r in judgement.reasons if r.outcome == "block"} == {
        "all",
        "classifier/0",
        "random/0",
    }


def test_other_real_images_are_not_blocked_and_do_not_pretend(unseen_digits):
    judgement = judge(unseen_digits, METRICS, GateConfig())
    assert judgement.verdict != "block"
    assert set(judgement.unknown) <= {"copies"}


def test_a_blocked_challenger_is_not_promoted_even_without_a_champion(damaged):
    evaluation = damaged("collapse")
    challenger = Contender(
        name="new", evaluation=evaluation, judgement=judge(evaluation, METRICS, GateConfig())
    )
    comparison = compare(challenger, None, GateConfig())
    assert not comparison.promote
    assert "blocked" in comparison.reason


def test_a_worse_challenger_loses_and_a_better_one_wins(digits, digits_reference, unseen_digits):
    gate = GateConfig(accept_unknown=True)
    soft = gaussian_filter(digits.images[digits.unseen].astype(float), (0, 0.4, 0.4, 0))
    softened = _records(soft.astype(np.uint8), digits.labels[digits.unseen])
    evaluations = {"real": unseen_digits, "soft": evaluate(softened, digits_reference)}
    contenders = {
        name: Contender(name=name, evaluation=one, judgement=judge(one, METRICS, gate))
        for name, one in evaluations.items()
    }
    assert contenders["soft"].judgement.verdict == "warn"
    worse = compare(contenders["soft"], contenders["real"], gate)
    assert not worse.promote
    assert "fd" in worse.reason
    assert compare(contenders["real"], contenders["real"], gate).promote
