"""The optional scores, with a stand-in for the package: the tests do not need it."""

import dataclasses
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pandas as pd
import pytest
from judged_tables import OPTIONS, cut, shop

from gan.evaluation.evaluate import evaluate
from gan.evaluation.reference import build_reference
from gan.gate import GateConfig, judge
from gan.tables.judge import METRICS


class QualityReport:
    """Says what it was given."""

    def generate(self, real, fake, metadata, verbose):
        assert not verbose
        assert list(real.columns) == list(fake.columns) == list(metadata["columns"])
        kinds = {name: column["sdtype"] for name, column in metadata["columns"].items()}
        assert kinds["region"] == "categorical"
        assert kinds["price"] == kinds["day"] == "numerical"
        self.rows = len(real)

    def get_properties(self):
        names = ["Column Shapes", "Column Pair Trends"]
        return pd.DataFrame({"Property": names, "Score": [0.9, self.rows / 1000]})


@pytest.fixture
def installed(monkeypatch):
    names = ["sdmetrics", "sdmetrics.reports", "sdmetrics.reports.single_table"]
    for name in names:
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    sys.modules[names[-1]].QualityReport = QualityReport


def scores(evaluation):
    return {m.name: m.value for m in evaluation.metrics if m.name.startswith("sdmetrics")}


@pytest.fixture(scope="module")
def made():
    return cut(shop(400), (100, 100, 100), "back")


def test_they_are_shown_and_not_judged(installed, made):
    splits, unseen = made
    reference = build_reference(splits, dataclasses.replace(OPTIONS, sdmetrics=True))
    evaluation = evaluate(unseen, reference)
    assert scores(evaluation) == {
        "sdmetrics_column_shapes": 0.9,
        "sdmetrics_column_pair_trends": 0.1,
    }
    judged = {reason.metric for reason in judge(evaluation, METRICS, GateConfig()).reasons}
    assert not judged & set(scores(evaluation))


def test_without_the_package_or_the_wish_there_are_none(monkeypatch, made):
    splits, unseen = made
    monkeypatch.setitem(sys.modules, "sdmetrics", None)
    wished = build_reference(splits, dataclasses.replace(OPTIONS, sdmetrics=True))
    assert scores(evaluate(unseen, wished)) == {}
    assert scores(evaluate(unseen, build_reference(splits, OPTIONS))) == {}
