"""Colour photographs, scikit-learn's two in patches: real ones pass, faults in them are named."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.datasets import load_sample_images

from gan.gate import GateConfig, judge
from gan.images.codec import write_images
from gan.images.judge import METRICS, build_reference, evaluate
from gan.modalities import Options, Splits
from tests.ladder.faults import FAULTS

SIDE = 24
TRAIN, REST = 400, 160
"""Patches of train; of validation, holdout, and of those that nobody has seen."""

LOST_DETAIL = {"less power of fine detail", "less grain"}
"""Either names it; which of them tells more differs by a hundredth."""

pytestmark = pytest.mark.full


def cut_patches() -> tuple[np.ndarray, np.ndarray]:
    """Return patches that do not overlap, and which photograph each is of."""
    parts = []
    for image in load_sample_images().images:
        down, across = image.shape[0] // SIDE, image.shape[1] // SIDE
        whole = image[: down * SIDE, : across * SIDE]
        tiles = whole.reshape(down, SIDE, across, SIDE, 3).swapaxes(1, 2)
        parts.append(tiles.reshape(-1, SIDE, SIDE, 3))
    return np.concatenate(parts), np.repeat(np.arange(len(parts)), [len(part) for part in parts])


def table(images, labels):
    return pa.table({"image": write_images(images), "label": labels})


@pytest.fixture(scope="module")
def shares():
    images, labels = cut_patches()
    order = np.random.default_rng(0).permutation(len(images))
    cuts = np.cumsum([TRAIN, REST, REST, REST])
    return [(images[rows], labels[rows]) for rows in np.split(order, cuts)[:4]]


@pytest.fixture(scope="module")
def reference(shares):
    train, validation, holdout = (table(*share) for share in shares[:3])
    splits = Splits(train=train, validation=validation, holdout=holdout, label="label")
    return build_reference(splits, Options(halves=20, replicates=6))


def judged(images, labels, reference):
    return judge(evaluate(table(images, labels), reference), METRICS, GateConfig())


def not_passing(judgement):
    return {
        (reason.metric, reason.scope): reason.text
        for reason in judgement.reasons
        if reason.outcome in {"warn", "block"}
    }


def test_real_patches_are_not_blocked_and_not_told(shares, reference):
    judgement = judged(*shares[3], reference)
    assert judgement.verdict != "block"
    assert not {metric for metric, _ in not_passing(judgement)} & {"c2st", "fd", "coverage"}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_every_patch_does_not_pass_and_is_named(name, shares, reference):
    make, clue = FAULTS[name]
    images, labels = shares[3]
    found = not_passing(judged(make(images), labels, reference))
    clues = LOST_DETAIL if clue in LOST_DETAIL else {clue}
    assert any(each in found["c2st", "statistics"] for each in clues)


def test_half_of_the_patches_from_train_are_blocked(shares, reference):
    images, labels = (part.copy() for part in shares[3])
    half = len(images) // 2
    images[:half], labels[:half] = shares[0][0][:half], shares[0][1][:half]
    judgement = judged(images, labels, reference)
    assert judgement.verdict == "block"
    assert ("exact_copies", "all") in not_passing(judgement)
