"""What users train on tables: which column, as what, on which rows, with which remedies."""

import numpy as np
import pyarrow as pa
import pytest
from small_tables import with_meaning

from gan.device import one_thread_everywhere
from gan.errors import DataError
from gan.lift.config import LiftConfig
from gan.lift.measure import LiftRequest, measure_lift
from gan.lift.task import Made, TrainingSet
from gan.modalities import Splits
from gan.tables.downstream import OTHERS, build_task
from gan.tables.downstream_remedies import remedied


def table(rows, seed, *, rare=0.5, label="kind", **more):
    """Two numbers and a colour that follow the label, with holes; the label as text or number."""
    numbers = np.random.default_rng(seed)
    yes = numbers.random(rows) < rare
    size = numbers.normal(np.where(yes, 1.0, 0.0), 1.0)
    colour = np.where(numbers.random(rows) < np.where(yes, 0.7, 0.3), "red", "blue")
    columns = {
        "size": pa.array(size, mask=numbers.random(rows) < 0.1),
        "colour": pa.array(colour, mask=numbers.random(rows) < 0.1),
        "noise": numbers.normal(size=rows),
    }
    target = np.where(yes, "yes", "no") if label == "kind" else size * 3 + numbers.normal(size=rows)
    return with_meaning({**columns, label: pa.array(target)}, **more)


@pytest.fixture(autouse=True)
def a_short_training(monkeypatch):
    """Of the network: it learns these tables in a tenth of its steps."""
    monkeypatch.setattr("gan.tables.downstream_models.NET_STEPS", 150)
    monkeypatch.setattr("gan.tables.downstream_models.NET_RATE", 0.02)


def task_of(train, label="kind", validation=None, holdout=None):
    splits = Splits(
        train=train,
        validation=train if validation is None else validation,
        holdout=train if holdout is None else holdout,
        label=label,
    )
    return build_task(splits, seed=0)


def fitted(task, model, data, seed=1):
    with one_thread_everywhere():
        return task.scores(model, data, seed)


def replaced(records, name, values):
    position = records.column_names.index(name)
    return records.set_column(position, name, pa.array(values))


def test_text_booleans_and_few_integers_are_classes_and_the_rest_is_numbers():
    train = table(60, 1)
    assert (task_of(train).goal, task_of(train).what) == ("classes", "class of kind")
    numbers = np.arange(60)
    for values, goal in (
        (numbers % 2 == 0, "classes"),
        (numbers % 3, "classes"),
        (numbers / 7, "numbers"),
    ):
        kinds = with_meaning({"size": numbers * 1.0, "target": values})
        task = task_of(kinds, "target")
        assert task.goal == goal
        assert len(task.classes) == (0 if goal == "numbers" else len(set(values.tolist())))


def test_a_column_that_is_not_modelled_or_stands_alone_is_not_predicted():
    keys = with_meaning({"size": np.arange(30.0), "id": np.arange(30)}, kinds={"id": "key"})
    assert task_of(keys, "id") is None
    assert task_of(with_meaning({"kind": ["a", "b"] * 20})) is None


def test_rare_values_are_one_class_and_unknown_answers_are_left_out():
    kinds = ["a"] * 20 + ["b"] * 15 + ["c"] * 3 + ["d"] * 2 + [None] * 5
    train = with_meaning({"size": np.arange(45.0), "kind": kinds}, min_group=5)
    task = task_of(train)
    assert task.classes == ("a", "b", OTHERS)
    assert np.bincount(task.targets("holdout")).tolist() == [20, 15, 5]
    found = fitted(task, "linear", TrainingSet(real=train))
    assert found["validation"].shape == (40, 3)


@pytest.mark.parametrize("model", ["lightgbm", "linear", "mlp"])
def test_numbers_are_predicted(model):
    train, holdout = table(300, 1, label="value"), table(200, 2, label="value")
    task = task_of(train, "value", holdout=holdout)
    assert (task.goal, task.classes, task.remedies(model)) == ("numbers", (), {})
    found = fitted(task, model, TrainingSet(real=train))["holdout"]
    truth = task.targets("holdout")
    assert 1 - np.square(found - truth).mean() / truth.var() > 0.6


@pytest.mark.parametrize("model", ["lightgbm", "linear"])
def test_certain_soft_labels_equal_hard_ones_and_a_weight_of_two_equals_two_copies(model):
    train = table(120, 1).drop_columns(["noise"])
    train = with_meaning({name: train[name] for name in train.column_names})
    task, synthetic = task_of(train), table(80, 2).select(train.column_names)
    labels = synthetic["kind"].to_pylist()
    certain = np.array([[float(label == name) for name in task.classes] for label in labels])
    hard = TrainingSet(real=train, synthetic=synthetic)
    soft = TrainingSet(real=train, synthetic=synthetic, probabilities_NC=certain)
    one, two = (fitted(task, model, data)["holdout"] for data in (hard, soft))
    assert np.array_equal(one, two)
    if model == "linear":
        heavy = TrainingSet(real=train.slice(0, 0), synthetic=train, synthetic_weight=2.0)
        twice = TrainingSet(real=train, copies=2)
        one, two = (fitted(task, model, data)["holdout"] for data in (heavy, twice))
        assert one == pytest.approx(two, abs=1e-6)


def test_soft_labels_outweigh_the_label_column():
    train = table(200, 1)
    task = task_of(train)
    wrong = ["yes" if label == "no" else "no" for label in train["kind"].to_pylist()]
    own = [
        [0.95 if label == name else 0.05 for name in task.classes]
        for label in train["kind"].to_pylist()
    ]
    data = TrainingSet(
        real=train.slice(0, 0),
        synthetic=replaced(train, "kind", wrong),
        probabilities_NC=np.array(own),
    )
    taught = TrainingSet(real=data.synthetic, real_probabilities_NC=data.probabilities_NC)
    for model in task.models:
        found = fitted(task, model, data)["holdout"]
        assert (found.argmax(axis=1) == task.targets("holdout")).mean() > 0.6, model
        assert np.array_equal(fitted(task, model, taught)["holdout"], found)


def test_remedies_make_classes_equal_and_smote_needs_numbers_and_two_rows():
    train = table(120, 1, rare=0.2)
    task = task_of(train)
    assert list(task.remedies("lightgbm")) == ["class weights", "oversampling", "SMOTE"]
    learning = task._learning(TrainingSet(real=train), 0)
    counts = np.bincount(learning.targets_N)
    weighted = remedied(learning, "class weights", 0)
    assert np.ptp(np.bincount(weighted.targets_N, weights=weighted.weights_N)) < 1e-9
    for remedy in ("oversampling", "SMOTE"):
        more = remedied(learning, remedy, 0)
        assert np.bincount(more.targets_N).tolist() == [counts[0], counts[0]]
        assert np.array_equal(more.rows_NF[:120], learning.rows_NF, equal_nan=True)
    smote = remedied(learning, "SMOTE", 0).rows_NF[120:]
    assert len(np.unique(smote[:, 0])) > len(smote) / 2
    levels = with_meaning({"colour": ["red", "blue"] * 20, "kind": ["a", "b", "b", "b"] * 10})
    assert "SMOTE" not in task_of(levels).remedies("lightgbm")
    yes = np.flatnonzero(np.array(train["kind"].to_pylist()) == "yes")
    one = train.take(pa.array([i for i in range(120) if i not in set(yes[1:].tolist())]))
    with pytest.raises(DataError, match="SMOTE needs 2 rows of every class, and one has 1"):
        fitted(task, "linear", TrainingSet(real=one, remedy="SMOTE"))


def test_one_class_alone_teaches_nothing():
    train = table(60, 1)
    alone = train.filter(pa.compute.equal(train["kind"], "no"))
    with pytest.raises(DataError, match=r"'kind' has one value in \d+ rows"):
        fitted(task_of(train), "lightgbm", TrainingSet(real=alone))


def test_a_model_of_an_installed_package_is_offered_last_and_trained(monkeypatch):
    from sklearn.naive_bayes import GaussianNB

    monkeypatch.setattr("gan.tables.downstream.installed_models", lambda: {"bayes": "Mine."})
    monkeypatch.setattr("gan.lift.plan.installed_models", lambda: {"bayes": "Mine."})
    monkeypatch.setattr("gan.lift.installed.load_model", lambda _: GaussianNB)
    train, holdout = table(150, 1), table(100, 2)
    task = task_of(train, validation=holdout, holdout=holdout)
    assert list(task.models) == ["lightgbm", "linear", "mlp", "bayes"]
    found = fitted(task, "bayes", TrainingSet(real=train, remedy="class weights"))
    assert (found["holdout"].argmax(axis=1) == task.targets("holdout")).mean() > 0.65


@pytest.mark.full
@pytest.mark.parametrize(
    ("kind", "model", "rows", "answer"),
    [
        ("unseen", "mlp", 60, "helps"),
        ("shuffled", "lightgbm", 600, "hurts"),
        ("copies", "linear", 600, "no measurable effect"),
    ],
)
def test_with_real_models_the_answer_is_what_is_known_by_construction(kind, model, rows, answer):
    train = table(rows, 1)
    source = train if kind == "copies" else table(2000, 4)
    labels = np.array(source["kind"].to_pylist())
    if kind == "shuffled":
        labels = np.random.default_rng(0).permutation(labels)
        source = replaced(source, "kind", labels)
    numbers = np.random.default_rng(5)

    def make(wanted):
        if isinstance(wanted, int):
            return Made(source.take(pa.array(numbers.choice(len(labels), wanted))))
        parts = [numbers.choice(np.flatnonzero(labels == c), n) for c, n in wanted]
        return Made(source.take(pa.array(np.concatenate(parts))))

    task = task_of(train, validation=table(1000, 2), holdout=table(1500, 3))
    config = LiftConfig(seeds=3, models=(model,))
    lift = measure_lift(task, train, make, LiftRequest(config=config, seed=0, label="kind"))
    assert lift.answer == answer
