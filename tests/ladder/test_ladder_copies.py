"""Near copies of digits are blocked as such; real digits and damaged ones are not."""

import dataclasses

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from gan.gate import GateConfig, judge
from gan.images.evaluation.near_copies import PixelReference
from gan.images.judge import METRICS, evaluate

full = pytest.mark.full


def clipped(images):
    return np.clip(np.round(images), 0, 255).astype(np.uint8)


def noisy(spread):
    def make(images, rng):
        return clipped(images + rng.normal(0, spread, images.shape))

    return make


def shifted(down, right):
    def make(images, rng):
        return np.roll(images, (down, right), axis=(1, 2))

    return make


def mirrored(images, rng):
    return images[:, :, ::-1]


def brighter(images, rng):
    return clipped(0.8 * images + 25)


def mirrored_shifted_and_noisy(images, rng):
    return noisy(8)(shifted(1, 1)(images[:, :, ::-1], rng), rng)


COPIES = {
    "mirrored": mirrored,
    "shifted down": shifted(1, 0),
    "shifted left": shifted(0, -1),
    "shifted both ways": shifted(1, -1),
    "a little noise": noisy(5),
    "more noise": noisy(10),
    "brighter": brighter,
    "mirrored, shifted and noisy": mirrored_shifted_and_noisy,
}
CHEAP = ("mirrored", "shifted both ways", "more noise")


@pytest.fixture(scope="module")
def pixels(digits):
    return made(digits)


def made(digits):
    unseen = np.concatenate([digits.validation, digits.holdout])
    return PixelReference(digits.images[digits.train], digits.images[unseen], 0, 20)


@pytest.fixture(scope="module")
def judged(unseen_digits):
    def verdict(measured):
        return judge(dataclasses.replace(unseen_digits, measured=tuple(measured)), METRICS, GATE)

    return verdict


GATE = GateConfig()


def blocking(judgement):
    return {reason.metric for reason in judgement.reasons if reason.outcome == "block"}


def mixed(digits, make, share, rng):
    """Return so large a share of changed training images, the rest images nobody has seen."""
    size = len(digits.unseen)
    copied = digits.images[rng.choice(digits.train, round(share * size), replace=False)]
    rest = digits.images[digits.unseen[: size - len(copied)]]
    return np.concatenate([make(copied, rng), rest])


@pytest.mark.parametrize("share", [0.5, pytest.param(1.0, marks=full)])
@pytest.mark.parametrize(
    "name", [name if name in CHEAP else pytest.param(name, marks=full) for name in COPIES]
)
def test_near_copies_are_blocked(name, share, digits, pixels, judged):
    fakes = mixed(digits, COPIES[name], share, np.random.default_rng(7))
    assert blocking(judged(pixels.measure(fakes))) == {"near_copies"}


@full
def test_they_are_no_exact_copies_and_the_gate_says_what_they_are(digits, digits_reference):
    fakes = mixed(digits, mirrored, 0.5, np.random.default_rng(7))
    candidate = digits.table(digits.unseen).set_column(
        0,
        "image",
        type(digits)(fakes, digits.labels, *[digits.train] * 4).table(np.arange(len(fakes)))[
            "image"
        ],
    )
    judgement = judge(evaluate(candidate, digits_reference), METRICS, GATE)
    assert "near_copies" in blocking(judgement)
    assert "exact_copies" not in blocking(judgement)


def test_few_copies_show_among_what_is_near(digits, pixels, judged):
    fakes = mixed(digits, noisy(5), 0.15, np.random.default_rng(7))
    judgement = judged(pixels.measure(fakes))
    assert "pixels/near" in {r.scope for r in judgement.reasons if r.outcome == "block"}


def test_interpolations_between_training_images_are_blocked(digits, pixels, judged):
    rng = np.random.default_rng(7)
    train = digits.images[digits.train].astype(float)
    flat = train.reshape(len(train), -1)
    chosen = rng.choice(len(train), len(digits.unseen), replace=False)
    squared = np.square(flat[chosen][:, None] - flat[None]).sum(axis=2)
    neighbours = np.argsort(squared, axis=1)[
        np.arange(len(chosen)), rng.integers(1, 6, len(chosen))
    ]
    weight = rng.random((len(chosen), 1, 1, 1))
    between = weight * train[chosen] + (1 - weight) * train[neighbours]
    assert blocking(judged(pixels.measure(clipped(between)))) == {"near_copies"}


@pytest.mark.parametrize("damage", ["none", "blur", "noise", "collapse", "mean", "constant"])
def test_what_copies_nothing_is_not_blocked_for_it(damage, digits, pixels, judged):
    rng = np.random.default_rng(7)
    images = digits.images[digits.unseen]
    fakes = {
        "none": lambda: images,
        "blur": lambda: clipped(gaussian_filter(images.astype(float), (0, 1, 1, 0))),
        "noise": lambda: noisy(76)(images, rng),
        "collapse": lambda: images[rng.integers(50, size=len(images))],
        "mean": lambda: clipped(0.5 * images + 0.5 * images.mean(axis=0)),
        "constant": lambda: np.full_like(images, 90),
    }[damage]()
    assert blocking(judged(pixels.measure(fakes))) == set()


@pytest.mark.parametrize("resplits", [3, pytest.param(200, marks=full)])
def test_real_images_are_blocked_in_at_most_1_percent_of_resplits(resplits, digits, judged):
    whole = np.concatenate([digits.train, digits.validation, digits.holdout, digits.unseen])
    cuts = np.cumsum([len(digits.train), len(digits.validation), len(digits.holdout)])
    blocked = 0
    for seed in range(resplits):
        parts = np.split(np.random.default_rng(seed).permutation(whole), cuts)
        cut = type(digits)(digits.images, digits.labels, *parts)
        blocked += bool(blocking(judged(made(cut).measure(cut.images[cut.unseen]))))
    assert blocked <= 0.01 * resplits


def test_nothing_near_anything_says_nothing(digits, pixels):
    noise = np.random.default_rng(0).integers(256, size=(50, 8, 8, 1)).astype(np.uint8)
    near = list(pixels.measure(noise))[1].metric
    assert (near.scope, near.n) == ("pixels/near", 0)
    assert (near.low, near.high) == (0.0, 1.0)


def test_where_all_real_images_are_on_one_side_nothing_is_said(digits):
    train = digits.images[digits.train]
    assert not list(PixelReference(train, train[:50], 0, 5).measure(train[:20]))


def test_where_the_users_split_decides_copies_stand_out_and_block_nothing(digits, judged):
    unseen = np.concatenate([digits.validation, digits.holdout])
    theirs = PixelReference(
        digits.images[digits.train], digits.images[unseen], 0, 20, by_chance=False
    )
    fakes = mixed(digits, mirrored, 0.5, np.random.default_rng(7))
    judgement = judged(theirs.measure(fakes))
    assert blocking(judgement) == set()
    (alarm, *_) = [one for one in judgement.unjudged if one.metric == "near_copies"]
    assert alarm.outcome == "alarm"
    assert "the user's own split decided" in alarm.text
