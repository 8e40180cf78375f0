"""Downstream models of images: what they learn from, and that equal steps mean equal steps."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch

from gan.errors import DataError
from gan.images import downstream
from gan.images.classifiers import CLASSIFIERS, count_steps, training_cost_s
from gan.images.codec import write_images
from gan.images.downstream import ImageTask, build_task
from gan.images.examples import SIDE
from gan.images.pixels import shrunken
from gan.lift.task import TrainingSet
from gan.modalities import Splits

SEED = 5


def _table(images_NHWC: np.ndarray, classes_N: np.ndarray) -> pa.Table:
    return pa.table({"image": write_images(images_NHWC), "digit": pa.array(classes_N)})


def _task(train: pa.Table, rest: pa.Table, label: str | None = "digit") -> ImageTask:
    half = rest.num_rows // 2
    splits = Splits(
        train=train, validation=rest.slice(0, half), holdout=rest.slice(half), label=label
    )
    task = build_task(splits, seed=SEED)
    assert isinstance(task, ImageTask)
    return task


def _thinned(records: pa.Table, digit: int, kept: int) -> pa.Table:
    """Return the records with only so many of one digit."""
    labels = records["digit"].to_numpy()
    others = np.flatnonzero(labels != digit)
    return records.take(np.sort(np.concatenate([others, np.flatnonzero(labels == digit)[:kept]])))


@pytest.fixture(scope="module")
def task(digits: pa.Table) -> ImageTask:
    return _task(digits.slice(0, 200), digits.slice(200))


@pytest.fixture(scope="module")
def baseline(task: ImageTask, digits: pa.Table) -> dict[str, np.ndarray]:
    return dict(task.scores("convnet", TrainingSet(real=digits.slice(0, 200)), 0))


def test_without_two_classes_there_is_no_task(digits: pa.Table) -> None:
    ones = digits.filter(pa.compute.equal(digits["digit"], 1))
    splits = Splits(train=digits, validation=digits, holdout=digits)
    assert build_task(splits, seed=0) is None
    splits = Splits(train=ones, validation=ones, holdout=ones, label="digit")
    assert build_task(splits, seed=0) is None


def test_it_learns_digits(task: ImageTask, baseline: dict[str, np.ndarray]) -> None:
    for split in ("validation", "holdout"):
        probabilities_EK = baseline[split]
        assert probabilities_EK.dtype == np.float64
        assert probabilities_EK.sum(1) == pytest.approx(1, abs=1e-5)
        right = probabilities_EK.argmax(1) == task.targets(split)
        assert right.mean() > 0.85
    assert task.goal == "classes"
    assert task.what == "class of digit"
    assert task.classes == tuple(str(digit) for digit in range(10))


def test_equal_arguments_give_equal_scores_and_copies_change_nothing(
    task: ImageTask, digits: pa.Table, baseline: dict[str, np.ndarray]
) -> None:
    torch.rand(3)  # the global stream has no part in it
    twice = task.scores("convnet", TrainingSet(real=digits.slice(0, 200), copies=2), 0)
    assert np.array_equal(twice["holdout"], baseline["holdout"])


@pytest.fixture(scope="module")
def probed(task: ImageTask, digits: pa.Table) -> np.ndarray:
    found = task.scores("linear-probe", TrainingSet(real=digits.slice(0, 200)), 0)
    return found["holdout"]


def test_the_linear_probe_learns_digits_too(
    task: ImageTask, digits: pa.Table, probed: np.ndarray
) -> None:
    assert list(task.models) == list(CLASSIFIERS)
    assert (probed.argmax(1) == task.targets("holdout")).mean() > 0.75
    other = task.scores("linear-probe", TrainingSet(real=digits.slice(0, 200)), 1)
    assert not np.array_equal(other["holdout"], probed)


def test_a_teachers_labels_go_before_the_label_column(task: ImageTask, digits: pa.Table) -> None:
    real = digits.slice(0, 200)
    soft_NK = np.eye(10)[real["digit"].to_numpy()] * 0.9 + 0.01
    wrong = real.set_column(1, "digit", pa.array((real["digit"].to_numpy() + 1) % 10))
    data = TrainingSet(real=real.slice(0, 0), synthetic=wrong, probabilities_NC=soft_NK)
    found = task.scores("linear-probe", data, 0)
    assert (found["holdout"].argmax(1) == task.targets("holdout")).mean() > 0.75
    # weight 0 is not there; without soft labels the column is believed
    held = task._examples(replace(data, real=real, synthetic_weight=0.0), 0)
    assert held.chance_N[200:].sum() == 0
    taught = TrainingSet(real=wrong, real_probabilities_NC=soft_NK, copies=2)
    assert task._examples(taught, 0).targets_NK.numpy() == pytest.approx(soft_NK)
    plain = task._examples(replace(data, probabilities_NC=None), 0)
    assert np.array_equal(plain.targets_NK.argmax(1).numpy(), wrong["digit"].to_numpy())


def test_nothing_is_learnt_from_one_class(task: ImageTask, digits: pa.Table) -> None:
    ones = digits.filter(pa.compute.equal(digits["digit"], 1))
    with pytest.raises(DataError, match=r"images of one class \(1\)"):
        task.scores("convnet", TrainingSet(real=ones), 0)
    with pytest.raises(DataError, match="there is none"):
        task.scores("convnet", TrainingSet(real=ones.slice(0, 0)), 0)


def test_remedies_for_rare_classes_equalise_them(task: ImageTask, digits: pa.Table) -> None:
    rare = _thinned(digits.slice(0, 200), 4, 3)
    thin = _task(rare, digits.slice(200))
    assert {"class weights", "oversampling", "SMOTE"} <= set(thin.remedies("convnet"))
    assert not {"class weights", "oversampling", "SMOTE"} & set(task.remedies("convnet"))
    masses = {}
    for remedy in ("", "oversampling", "class weights", "SMOTE"):
        held = thin._examples(TrainingSet(real=rare, remedy=remedy), 0)
        counted_N = held.chance_N * held.weight_N
        masses[remedy] = (held.targets_NK * counted_N[:, None]).sum(0)
    assert masses[""][4] == 3
    for remedy in ("oversampling", "class weights", "SMOTE"):
        assert masses[remedy].numpy() == pytest.approx(float(masses[remedy][0]), rel=1e-4)


def test_smote_leaves_a_class_of_one_image_alone(digits: pa.Table) -> None:
    rare = _thinned(digits, 4, 1)
    thin = _task(rare, rare)
    held = thin._examples(TrainingSet(real=rare, remedy="SMOTE"), 0)
    counts = held.targets_NK.sum(0)
    assert counts[4] == 1
    assert len(set(counts.tolist())) == 2


@pytest.mark.full
@pytest.mark.parametrize("name", ["flips", "crops", "mixup"])
def test_augmentation_can_be_a_remedy(
    task: ImageTask, digits: pa.Table, probed: np.ndarray, name: str
) -> None:
    assert name in task.remedies("linear-probe")
    data = TrainingSet(real=digits.slice(0, 200), remedy=name)
    found = task.scores("linear-probe", data, 0)
    assert not np.array_equal(found["holdout"], probed)


def _stripes(turned: Callable[[np.ndarray], np.ndarray]) -> pa.Table:
    """Return images of two classes: a bright part above or below, or turned left or right."""
    noise = np.random.default_rng(0).integers(0, 60, (120, 8, 8, 1))
    classes_N = np.arange(120) % 2
    noise[classes_N == 0, :4] += 150
    noise[classes_N == 1, 4:] += 150
    return _table(turned(noise.astype(np.uint8)), classes_N)


@pytest.mark.full
def test_mirror_images_are_usual_only_where_they_keep_the_class() -> None:
    upright = _stripes(lambda images: images)
    assert "flips" not in _task(upright, upright).remedies("convnet")
    lying = _stripes(lambda images: np.ascontiguousarray(images.swapaxes(1, 2)))
    assert "flips" in _task(lying, lying).remedies("convnet")


def test_larger_images_are_averaged_down_and_cost_no_more() -> None:
    images = np.random.default_rng(1).integers(0, 256, (4, 96, 128, 3)).astype(np.uint8)
    large = _table(images, np.array([0, 1, 0, 1]))
    pixels_NCHW, _ = _task(large, large)._read(large)
    assert pixels_NCHW.shape == (4, 3, 24, 32)
    assert pixels_NCHW[0, :, 0, 0].numpy() == pytest.approx(
        images[0, :4, :4].mean((0, 1)) / 127.5 - 1, abs=1e-5
    )
    costs = [training_cost_s("convnet", side, side, 0) for side in (8, 16, 17, 28, 32, 35)]
    assert max(costs) < 1.1 * training_cost_s("convnet", 28, 28, 0)
    assert count_steps(28, 28) > count_steps(32, 32) > count_steps(8, 8)


def test_it_says_what_a_fit_costs_by_constants(task: ImageTask) -> None:
    assert task.cost_s("convnet", 200) == task.cost_s("convnet", 5000, "SMOTE")
    assert task.cost_s("linear-probe", 200) < task.cost_s("convnet", 200) < 1
    assert task.record_s == downstream.RECORD_S


def test_images_are_averaged_down_in_parts_as_they_are_at_once(monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (7, 48, 48, 3), dtype=np.uint8)
    whole = shrunken(images, SIDE)
    monkeypatch.setattr("gan.images.pixels.AT_ONCE", 3)
    parts = shrunken(images, SIDE)
    assert torch.equal(parts, whole)
    assert parts.stride() == whole.stride()


def test_of_many_images_a_seeded_part_is_scored(monkeypatch, digits: pa.Table) -> None:
    monkeypatch.setattr(downstream, "MOST_SCORED", 30)
    first, again = (_task(digits.slice(0, 60), digits.slice(200)) for _ in range(2))
    for split in ("validation", "holdout"):
        assert len(first.targets(split)) == 30
        assert np.array_equal(first.targets(split), again.targets(split))
