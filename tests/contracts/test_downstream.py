"""What the downstream task of every modality does that has one."""

import numpy as np
import pyarrow as pa
import pytest

from gan.device import one_thread_everywhere
from gan.lift.task import DownstreamTask, Priced, TrainingSet
from gan.modalities import Splits, load_modality
from storage.records.modalities import MODALITIES

REPRESENTATIVE = "tables"
NAMES = [
    name if name == REPRESENTATIVE else pytest.param(name, marks=pytest.mark.full)
    for name, row in MODALITIES.items()
    if row.downstream is not None
]

FORECAST = {"series"}
"""Modalities whose records say what comes next, without any label."""


@pytest.fixture(scope="module")
def tasks() -> dict[str, tuple[DownstreamTask, Splits]]:
    """Made once for each modality, when it is first asked for."""
    return {}


@pytest.fixture(params=NAMES)
def made(request, example, tasks):
    """The task of a modality, and its splits: 120, 30 and 30 records of two classes."""
    name = request.param
    if name not in tasks:
        records = example(name, 180)
        splits = Splits(
            train=records.slice(0, 120),
            validation=records.slice(120, 30),
            holdout=records.slice(150),
            label="kind",
        )
        tasks[name] = load_modality(name).build_task(splits, seed=3), splits
    return tasks[name]


def scores(task, model, data, seed=1):
    with one_thread_everywhere():
        return task.scores(model, data, seed)


@pytest.mark.parametrize("name", NAMES)
def test_without_a_label_no_class_is_predicted(name, example):
    records = example(name, 60)
    splits = Splits(train=records, validation=records, holdout=records, label=None)
    task = load_modality(name).build_task(splits, seed=0)
    assert (task is None) == (name not in FORECAST)
    assert task is None or not task.classes


def test_it_says_what_is_predicted_and_with_what(made):
    task, splits = made
    assert task.goal == "classes"
    assert "kind" in task.what
    assert set(task.classes) == {"above", "below"}
    assert task.models
    assert all(sentence.endswith(".") for sentence in task.models.values())
    for model in task.models:
        assert isinstance(task.remedies(model), dict)
    for split, records in (("validation", splits.validation), ("holdout", splits.holdout)):
        labels = [task.classes[c] for c in task.targets(split)]
        assert labels == records["kind"].to_pylist()


@pytest.mark.full
def test_every_model_learns_and_gives_probabilities(made):
    task, splits = made
    for model in task.models:
        found = scores(task, model, TrainingSet(real=splits.train))
        for split in ("validation", "holdout"):
            assert found[split].shape == (30, 2)
            assert found[split].sum(axis=1) == pytest.approx(1.0, abs=1e-5)
        right = found["holdout"].argmax(axis=1) == task.targets("holdout")
        assert right.mean() > 0.8, model


@pytest.mark.full
def test_equal_arguments_give_equal_scores_and_synthetic_rows_count_by_their_weight(made):
    task, splits = made
    model = next(iter(task.models))
    plain = TrainingSet(real=splits.train)
    one, two = (scores(task, model, plain)["holdout"] for _ in range(2))
    assert np.array_equal(one, two)
    other = splits.train.column("kind").combine_chunks()
    swapped = pa.array(["below" if value == "above" else "above" for value in other.to_pylist()])
    position = splits.train.column_names.index("kind")
    wrong = splits.train.set_column(position, "kind", swapped)
    light = TrainingSet(real=splits.train, synthetic=wrong, synthetic_weight=0.01)
    heavy = TrainingSet(real=splits.train, synthetic=wrong, synthetic_weight=100.0)
    right = [
        (scores(task, model, data)["holdout"].argmax(axis=1) == task.targets("holdout")).mean()
        for data in (light, heavy)
    ]
    assert right[0] > right[1]


def test_synthetic_records_alone_and_soft_labels_are_learned_from(made):
    task, splits = made
    model = next(iter(task.models))
    labels = splits.train["kind"].to_pylist()
    soft = np.array([[0.9 if label == name else 0.1 for name in task.classes] for label in labels])
    data = TrainingSet(real=splits.train.slice(0, 0), synthetic=splits.train, probabilities_NC=soft)
    found = scores(task, model, data)["holdout"]
    assert (found.argmax(axis=1) == task.targets("holdout")).mean() > 0.8


@pytest.mark.full
def test_every_remedy_can_be_had(made):
    task, splits = made
    model = next(iter(task.models))
    rare = splits.train.filter(pa.array([i % 2 == 0 or i < 20 for i in range(120)]))
    for remedy in task.remedies(model):
        found = scores(task, model, TrainingSet(real=rare, remedy=remedy))
        assert np.isfinite(found["validation"]).all(), remedy


def test_what_it_costs_is_said_without_a_clock(made):
    task, _ = made
    assert isinstance(task, Priced)
    assert task.record_s > 0
    for model in task.models:
        assert 0 < task.cost_s(model, 1000) <= task.cost_s(model, 100_000)
        assert task.cost_s(model, 1000) == task.cost_s(model, 1000)
