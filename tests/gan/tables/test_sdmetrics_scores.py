"""The scores of a benchmark, with a stand-in for the package: the tests do not need it."""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pandas as pd
import pytest
from judged_tables import OPTIONS, cut, shop

from benchmarks.sdmetrics_scores import sdmetrics_scores
from gan.tables.judge import build_reference


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


@pytest.fixture(scope="module")
def made():
    return cut(shop(400), (100, 100, 100), "back")


def test_real_and_synthetic_rows_are_scored(installed, made):
    splits, unseen = made
    scores = sdmetrics_scores(build_reference(splits, OPTIONS).context, unseen)
    assert scores == {"sdmetrics_column_shapes": 0.9, "sdmetrics_column_pair_trends": 0.1}


def test_without_the_package_there_are_none(monkeypatch, made):
    splits, unseen = made
    monkeypatch.setitem(sys.modules, "sdmetrics", None)
    assert sdmetrics_scores(build_reference(splits, OPTIONS).context, unseen) == {}
