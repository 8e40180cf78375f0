"""Faults that a person sees at first glance, in drawn scenes: they do not pass, and are named."""

import numpy as np
import pyarrow as pa
import pytest

from gan.gate import GateConfig, judge
from gan.images.codec import write_images
from gan.images.judge import METRICS, build_reference, evaluate
from gan.modalities import Options, Splits
from tests.ladder.faults import FAULTS
from tests.ladder.scenes import KINDS, draw_scenes

TRAIN, REST = 900, 400
"""Scenes of train; of validation, holdout, and of those that nobody has seen."""

pytestmark = pytest.mark.full


def table(images, kinds):
    return pa.table({"image": write_images(images), "label": kinds})


@pytest.fixture(scope="module")
def shares():
    images, kinds = draw_scenes(TRAIN + 3 * REST, 0)
    cuts = np.cumsum([TRAIN, REST, REST])
    return [(images[rows], kinds[rows]) for rows in np.split(np.arange(TRAIN + 3 * REST), cuts)]


@pytest.fixture(scope="module")
def reference(shares):
    train, validation, holdout = (table(*share) for share in shares[:3])
    splits = Splits(train=train, validation=validation, holdout=holdout, label="label")
    return build_reference(splits, Options(halves=20, replicates=6))


def judged(images, kinds, reference):
    return judge(evaluate(table(images, kinds), reference), METRICS, GateConfig())


def not_passing(judgement, *metrics):
    return {
        reason.scope: reason.text
        for reason in judgement.reasons
        if reason.metric in metrics and reason.outcome in {"warn", "block"}
    }


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_every_image_does_not_pass_and_is_named(name, shares, reference):
    make, clue = FAULTS[name]
    images, kinds = shares[3]
    judgement = judged(make(images), kinds, reference)
    assert judgement.verdict != "pass"
    assert "given away by" in not_passing(judgement, "c2st")["statistics"]
    assert clue in not_passing(judgement, "c2st")["statistics"]


def test_real_scenes_pass(shares, reference):
    assert judged(*shares[3], reference).verdict == "pass"


def test_a_class_of_18_noisy_images_does_not_pass(shares, reference):
    images, kinds = shares[3][0].copy(), shares[3][1]
    rng, members = np.random.default_rng(0), np.flatnonzero(kinds == 3)
    few = images[np.resize(members[:18], len(members))]
    images[members] = np.clip(few + rng.normal(0, 10, few.shape), 0, 255).astype(np.uint8)
    judgement = judged(images, kinds, reference)
    assert judgement.verdict != "pass"
    assert {"classifier/3", "random/3"} & set(not_passing(judgement, "coverage"))


def test_a_class_in_the_images_of_others_is_blocked(shares, reference):
    images, kinds = shares[3][0].copy(), shares[3][1]
    lost = kinds == 3
    images[lost] = np.resize(images[~lost], images[lost].shape)
    judgement = judged(images, kinds, reference)
    assert judgement.verdict == "block"
    assert "classifier/3" in not_passing(judgement, "coverage")


def test_half_of_every_class_from_a_few_images_is_blocked(shares, reference):
    images, kinds = shares[3][0].copy(), shares[3][1]
    for kind in range(KINDS):
        members = np.flatnonzero(kinds == kind)
        half = members[: len(members) // 2]
        images[half] = images[np.resize(members[-3:], len(half))]
    judgement = judged(images, kinds, reference)
    assert judgement.verdict == "block"
    assert "statistics" in not_passing(judgement, "c2st")
    assert "look like another one" in not_passing(judgement, "repeats")["pixels"]


def test_half_of_the_images_from_train_are_blocked(shares, reference):
    images, kinds = (part.copy() for part in shares[3])
    half = len(images) // 2
    images[:half], kinds[:half] = shares[0][0][:half], shares[0][1][:half]
    judgement = judged(images, kinds, reference)
    assert judgement.verdict == "block"
    assert "all" in not_passing(judgement, "exact_copies")
