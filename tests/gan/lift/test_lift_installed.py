"""A user's own downstream model comes from an installed package, by an entry point."""

from importlib import metadata

import numpy as np
import pytest
from toy_task import MeansTask
from toy_task import rows as rows_of

from gan.errors import ConfigError, DataError
from gan.lift.config import LiftConfig
from gan.lift.installed import (
    GROUP,
    class_scores,
    class_scores_of,
    fit_installed,
    installed_models,
    load_model,
    number_scores_of,
    origins,
)
from gan.lift.plan import models_of


class Nearest:
    """A model like scikit-learn's, without sample weights: the class of the nearest mean."""

    def fit(self, rows, targets):
        self.classes_ = np.unique(targets)
        self.counts = np.bincount(targets)
        self.means = np.stack([rows[targets == c].mean(axis=0) for c in self.classes_])
        return self

    def predict_proba(self, rows):
        distances = np.square(rows[:, None] - self.means).sum(axis=2)
        return np.exp(-distances) / np.exp(-distances).sum(axis=1, keepdims=True)


class Weighted(Nearest):
    def fit(self, rows, targets, sample_weight=None):
        self.weights = sample_weight
        return super().fit(rows, targets)


NOT_A_MODEL = 3


@pytest.fixture
def packages(monkeypatch):
    """Three packages are installed that bring a model."""
    points = [
        metadata.EntryPoint(name=name, group=GROUP, value=value)
        for name, value in (
            ("nearest", f"{__name__}:Nearest"),
            ("gone", "no_such_package:build"),
            ("number", f"{__name__}:NOT_A_MODEL"),
        )
    ]

    def entry_points(*, group, name=None):
        return [one for one in points if one.group == group and name in (None, one.name)]

    monkeypatch.setattr(metadata, "entry_points", entry_points)
    monkeypatch.setattr(metadata.EntryPoint, "load", lambda self: load(self.value))


def load(value):
    module, _, name = value.partition(":")
    if module != __name__:
        message = f"No module named {module!r}"
        raise ModuleNotFoundError(message)
    return globals()[name]


@pytest.mark.usefixtures("packages")
def test_it_is_listed_without_being_loaded_and_trained_where_it_is_named():
    assert list(installed_models()) == ["gone", "nearest", "number"]
    rows, targets = np.array([[0.0], [0.2], [3.0], [3.2]]), np.array([0, 0, 2, 2])
    model = fit_installed("nearest", rows, targets, np.ones(4), seed=1)
    scores = class_scores(model, np.array([[0.1], [3.1]]), 3)
    assert scores.argmax(axis=1).tolist() == [0, 2]
    assert scores[:, 1].tolist() == [0, 0]


@pytest.mark.usefixtures("packages")
def test_weights_reach_a_model_that_takes_them_and_choose_rows_for_one_that_does_not(monkeypatch):
    rows, targets = np.zeros((400, 1)), np.repeat([0, 1], 200)
    weights = np.repeat([1.0, 9.0], 200)
    drawn = fit_installed("nearest", rows, targets, weights, seed=1)
    assert drawn.counts[1] > 330
    monkeypatch.setitem(globals(), "Nearest", Weighted)
    assert fit_installed("nearest", rows, targets, weights, seed=1).weights is weights


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gone", "cannot be imported .*No module named 'no_such_package'"),
        ("number", "nothing that can be called"),
        ("nobody", "no installed package brings a downstream model 'nobody'"),
    ],
)
def test_what_cannot_be_loaded_is_refused_in_one_sentence(name, said):
    with pytest.raises(ConfigError, match=said):
        load_model(name)


class Failing(Nearest):
    """Fails wherever it is told to."""

    at = "fit"

    def fit(self, rows, targets):
        self.fail("fit")
        return super().fit(rows, targets)

    def predict_proba(self, rows):
        self.fail("predict_proba")
        return np.full((len(rows), 2), np.nan) if self.at == "nan" else super().predict_proba(rows)

    def predict(self, rows):
        return np.zeros(len(rows) + 1)

    def fail(self, where):
        if self.at == where:
            message = "out of\nluck"
            raise RuntimeError(message)


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("fit", "^nearest: RuntimeError: out of luck$"),
        ("predict_proba", "^nearest: RuntimeError: out of luck$"),
        ("nan", "^nearest: predict_proba gives numbers that are not finite$"),
    ],
)
def test_whatever_it_raises_is_one_sentence_that_fails_its_arm_alone(monkeypatch, at, said):
    monkeypatch.setitem(globals(), "Nearest", Failing)
    monkeypatch.setattr(Failing, "at", at)
    rows, targets = np.array([[0.0], [0.2], [3.0], [3.2]]), np.array([0, 0, 1, 1])

    def fitted():
        model = fit_installed("nearest", rows, targets, np.ones(4), seed=1)
        return class_scores_of("nearest", model, rows, 2)

    with pytest.raises(DataError, match=said):
        fitted()


@pytest.mark.usefixtures("packages")
def test_what_cannot_be_loaded_and_what_answers_no_numbers_fail_as_data():
    with pytest.raises(DataError, match="cannot be imported"):
        fit_installed("gone", np.zeros((4, 1)), np.zeros(4), np.ones(4), seed=1)
    with pytest.raises(DataError, match="one finite number for each of 4 rows"):
        number_scores_of("nearest", Failing(), np.zeros((4, 1)))


@pytest.mark.usefixtures("packages")
def test_where_named_models_come_from_is_known_and_a_built_in_one_is_of_no_package():
    assert origins(("nearest", "lightgbm")) == {"nearest": [f"{__name__}:Nearest", ""]}


def test_a_built_in_model_stays_where_a_package_brings_one_of_its_name(monkeypatch):
    monkeypatch.setattr(
        "gan.lift.plan.installed_models", lambda: {"means": "Theirs.", "mine": "A model."}
    )
    task = MeansTask(rows_of(40, 1), rows_of(40, 2), models=("means", "mine"))
    assert models_of(task, LiftConfig()) == ("means",)
