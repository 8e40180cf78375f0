"""What users train on series: the class of an entity, or the next step."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from gan.device import one_thread_everywhere
from gan.errors import DataError
from gan.lift.task import Priced, TrainingSet
from gan.series.downstream import build_task
from storage.records.series import lengths_of, steps_of
from tests.gan.series.panel import METADATA, cut_steps, make_panel, replaced_steps, share_panel
from tests.ladder.series_faults import shuffled


@pytest.fixture(scope="module")
def panel():
    return share_panel(make_panel(400, 0), 0)


@pytest.fixture(scope="module")
def forecast(panel):
    return build_task(replace(panel.splits, label=None), seed=0)


def r_squared(task, model, data):
    with one_thread_everywhere():
        found = task.scores(model, data, 1)["holdout"]
    targets = task.targets("holdout")
    return 1 - np.square(found - targets).sum() / np.square(targets - targets.mean()).sum()


def test_without_a_label_the_next_step_is_forecast(panel, forecast):
    assert forecast.goal == "numbers"
    assert forecast.what == "change of units in the next step"
    assert forecast.classes == ()
    assert forecast.remedies("lightgbm") == {}
    assert len(forecast.targets("validation")) == len(forecast.targets("holdout")) == 80
    assert r_squared(forecast, "lightgbm", TrainingSet(real=panel.train)) > 0.1


@pytest.mark.full
@pytest.mark.parametrize("model", ["lightgbm", "linear", "mlp"])
def test_every_model_forecasts_and_equal_arguments_give_equal_scores(model, panel, forecast):
    data = TrainingSet(real=panel.train, synthetic=panel.unseen, synthetic_weight=0.5, copies=2)
    assert r_squared(forecast, model, data) > 0.2
    assert r_squared(forecast, model, data) == r_squared(forecast, model, data)


def test_items_in_any_order_teach_less(panel, forecast):
    wrong = shuffled(panel, np.random.default_rng(0))
    alone = TrainingSet(real=panel.train.slice(0, 0), synthetic=wrong)
    good = TrainingSet(real=panel.train.slice(0, 0), synthetic=panel.unseen)
    assert r_squared(forecast, "lightgbm", alone) < r_squared(forecast, "lightgbm", good)


def test_what_never_changes_teaches_nothing(panel, forecast):
    still = replaced_steps(
        panel.train, METADATA, units=np.ones(steps_of(panel.train, METADATA).num_rows)
    )
    with pytest.raises(DataError, match="'units' changes by one value"):
        forecast.scores("lightgbm", TrainingSet(real=still), 0)


def test_what_it_costs_is_said_without_a_clock(panel, forecast):
    for task in (forecast, build_task(panel.splits, seed=0)):
        assert isinstance(task, Priced)
        assert task.record_s > 0
        assert 0 < task.cost_s("lightgbm", 100) < task.cost_s("lightgbm", 10_000)


@pytest.mark.full
def test_with_a_label_the_class_of_an_entity_is_predicted(panel):
    task = build_task(panel.splits, seed=0)
    assert task.goal == "classes"
    assert task.what == "class of shop"
    assert set(task.classes) == {"beach", "city", "depot", "mall"}
    shops = [task.classes[c] for c in task.targets("holdout")]
    assert shops == panel.holdout["shop"].to_pylist()
    with one_thread_everywhere():
        found = task.scores("linear", TrainingSet(real=panel.train), 0)["holdout"]
    assert (found.argmax(axis=1) == task.targets("holdout")).mean() > 0.6
    place = panel.train.column_names.index("shop")
    turned = panel.train["shop"].take(np.roll(np.arange(160), 1))
    field = panel.train.schema.field("shop")
    others = panel.train.set_column(place, field, pa.chunked_array(turned.chunks))
    features = task._features
    assert np.array_equal(features.of(others), features.of(panel.train), equal_nan=True), (
        "the label is a feature"
    )


def test_where_no_number_is_there_nothing_is_forecast(panel):
    metadata = replace(METADATA, variables=(METADATA.variables[2],))
    names = metadata.nested_names

    def levels_only(records):
        from storage.records.series import with_series_metadata

        kept = records.select(list(names))
        described = with_series_metadata(kept.schema.remove_metadata(), metadata)
        return kept.replace_schema_metadata(described.metadata)

    parts = {name: levels_only(getattr(panel, name)) for name in ("train", "validation", "holdout")}
    splits = replace(panel.splits, label=None, **parts)
    assert build_task(splits, seed=0) is None


def test_where_no_step_follows_nothing_is_forecast(panel):
    def first_only(records):
        lengths_N = lengths_of(records, METADATA)
        first = np.concatenate([[0], np.cumsum(lengths_N)[:-1]])
        return cut_steps(records, METADATA, first, np.ones(len(lengths_N), dtype=int))

    parts = {name: first_only(getattr(panel, name)) for name in ("train", "validation", "holdout")}
    assert build_task(replace(panel.splits, label=None, **parts), seed=0) is None
