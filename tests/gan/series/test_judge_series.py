"""The judge of series as a whole: its metrics, its reference, its assessment, its figures."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from flows.report.figures import figure
from gan.bounds import entry_of
from gan.errors import DataError
from gan.evaluation.foresight import foresee as gate_foresees
from gan.gate import GateConfig, in_force
from gan.modalities import Options
from gan.report import ReportInputs
from gan.series.evaluation import paper_scores
from gan.series.evaluation.assess import rank
from gan.series.evaluation.closeness import SeriesCopies, StretchSpace
from gan.series.evaluation.context import build_series_context
from gan.series.evaluation.forecasting import Forecasting
from gan.series.evaluation.usefulness import forecast_targets
from gan.series.figures.in_time import quantile_of_group
from gan.series.figures.samples import small_line
from gan.series.judge import (
    BARS,
    CURVES,
    METRICS,
    build_assess,
    build_reference,
    evaluate,
    figures,
    foresee,
)
from storage.records.series import steps_of
from tests.gan.series.panel import METADATA, few_items, replaced_steps
from tests.ladder.series_faults import independent, shifted_copies, shuffled


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """What no rule judges need not be good here."""
    for name in ("discriminative", "predictive"):
        monkeypatch.setitem(paper_scores.STEPS, name, 2)


@pytest.fixture(scope="module")
def panel():
    return few_items()[0]


@pytest.fixture(scope="module")
def reference():
    return few_items()[1]


@pytest.fixture(scope="module")
def evaluation(panel, reference):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("discriminative", "predictive"):
            patch.setitem(paper_scores.STEPS, name, 2)
        return evaluate(panel.unseen, reference, log_likelihood=likelihood)


def likelihood(records):
    return np.array([len(day) for day in records["day"].to_pylist()], dtype=float)


def test_every_metric_has_bounds_beside_a_ceiling_or_says_why_not(evaluation):
    for metric in evaluation.metrics:
        entry = entry_of(metric, METRICS)
        assert entry is not None, metric.name
        assert entry.not_judged or metric.ceiling is not None, metric.name
        assert bool(entry.limits) or bool(entry.not_judged)
        assert metric.low <= metric.value <= metric.high
    measured = {metric.name for metric in evaluation.metrics} | {"validation_nll", "null_rate"}
    assert measured == {entry.name for entry in METRICS}
    in_force(METRICS, GateConfig())


def test_charts_are_those_that_metrics_name():
    assert {name for one in METRICS for name in one.figures} == {one.id for one in BARS}
    assert {one.curve for one in METRICS if one.curve} == {one.id for one in CURVES}


def test_the_evaluation_says_what_it_is_of(panel, reference, evaluation):
    assert reference.n == evaluation.n == 80
    assert reference.wanted == 320
    assert evaluation.candidate_rows == 80
    assert dict(evaluation.candidate_class_counts).keys() == {"beach", "city", "depot", "mall"}
    assert sum(dict(evaluation.candidate_class_counts).values()) == 80
    assert "the naive one is the value 7 steps before" in " ".join(evaluation.notes)
    membership = evaluation.find("membership", "all").metric
    assert 0.3 < membership.value < 0.7


def test_what_is_foreseen_is_what_the_gate_says(panel, reference, evaluation):
    foreseen = foresee(panel.splits, Options(halves=20, replicates=20))
    found = gate_foresees(foreseen, METRICS, GateConfig())
    assert {reason.metric for reason in found.reasons} <= {"copies", "c2st"}
    for item in foreseen.reals:
        measured = evaluation.find(item.metric.name, item.metric.scope)
        assert measured.reals == item.reals


def test_too_few_are_refused(panel, reference):
    with pytest.raises(DataError, match="synthesize at least as many"):
        evaluate(panel.unseen.slice(0, 30), reference)
    few = replace(panel.splits, holdout=panel.holdout.slice(0, 5))
    with pytest.raises(DataError, match="holdout split has 5"):
        foresee(few, Options())


@pytest.mark.full
def test_equal_candidates_give_equal_numbers(panel, reference, evaluation):
    again = evaluate(panel.unseen, reference, log_likelihood=likelihood)
    assert again.measured == evaluation.measured
    other = build_reference(panel.splits, Options(halves=20, replicates=20))
    anew = evaluate(panel.unseen, other, log_likelihood=likelihood)
    assert anew.measured == evaluation.measured


def test_forecasts_see_nothing_of_what_comes(panel, reference):
    context = reference.context
    forecasting = Forecasting(
        signals=context.signals,
        calendar=context.calendar,
        statics=None,
        target=forecast_targets(context)[0],
    )
    rows = forecasting.rows(context.holdout, 0)
    units = steps_of(context.holdout.records, METADATA)["units"].to_numpy()
    last = forecasting.rows(context.holdout, 0, last_only=True)
    assert len(last.next_R) == 80
    ends = np.cumsum(context.holdout.observed.lengths_N) - 1
    scale = context.variables[0].ranks
    assert last.next_R == pytest.approx(scale.scaled(units[ends].astype(float)), abs=1e-5)
    changed = units.copy()
    changed[ends] += 1000
    other = context.side(replaced_steps(context.holdout.records, METADATA, units=changed))
    again = forecasting.rows(other, 0, last_only=True)
    assert np.array_equal(again.features_RF, last.features_RF, equal_nan=True)
    assert not np.allclose(again.next_R, last.next_R)
    assert np.bincount(rows.entity_R).max() <= 8


def test_a_naive_forecast_is_the_value_a_season_before(reference):
    context = reference.context
    forecasting = Forecasting(
        signals=context.signals, calendar=context.calendar, statics=None, target=0
    )
    last = forecasting.rows(context.holdout, 0, last_only=True)
    values = context.holdout.observed.scaled_TS[:, 0]
    ends = np.cumsum(context.holdout.observed.lengths_N) - 1
    assert last.naive_R == pytest.approx(values[ends - 7])
    assert last.last_R == pytest.approx(values[ends - 1])


def test_a_stretch_of_an_entity_is_found_where_it_was_moved_to(panel, reference):
    context = reference.context
    copies = SeriesCopies(context)
    moved = shifted_copies(1.0)(panel, np.random.default_rng(0))
    assert copies.distances(context.side(moved)).max() < 1e-3
    assert np.quantile(copies.distances(context.side(panel.unseen)), 0.1) > 1e-2
    space = StretchSpace(context)
    every = space.every(context.holdout, np.array([0]))
    two = space.two(context.holdout, np.array([0]))
    apart = np.abs(every.points_RF[:, None] - two.points_RF[None]).max(axis=2).min(axis=0)
    assert apart.max() == 0.0


def sampler(records, known=None):
    def sample(rows):
        return records.take(np.resize(np.arange(records.num_rows), rows))

    sample.log_likelihood = lambda _: known
    return sample


@pytest.fixture(scope="module")
def assess(panel):
    return build_assess(panel.train, panel.validation, label="shop", seed=0)


def test_a_tick_ranks_better_generators_first(panel, assess):
    rng = np.random.default_rng(0)
    real = assess(sampler(panel.unseen), 0)
    worse = assess(sampler(shuffled(panel, rng)), 0)
    worst = assess(sampler(independent(panel, rng)), 0)
    assert real.rank < worse.rank < worst.rank
    assert real.rank == real.gate_rank < 10
    assert {name for one in METRICS for name in one.ticks} <= real.metrics.keys() | {
        "validation_nll"
    }
    copied = assess(sampler(panel.train), 0)
    assert copied.copies == 1.0
    assert copied.rank > real.rank


def test_likelihood_ranks_where_there_is_one_and_enough_to_say_it_of(panel, assess):
    known = np.full(10, -3.0)
    found = assess(sampler(panel.unseen, known), 0)
    assert found.metrics["validation_nll"] == 3.0
    assert found.rank == found.gate_rank
    many = replace(assess, by_likelihood=True)(sampler(panel.unseen, known), 0)
    assert many.rank == 3.0
    assert many.gate_rank == found.gate_rank
    broken = replace(assess, by_likelihood=True)(sampler(panel.unseen, np.array([np.nan])), 0)
    assert broken.rank == np.inf


def test_a_rank_is_1_at_a_pass_bound():
    real = SimpleNamespace(errors={"one_way": 0.1, "length": 0.1}, nominal=0.05)
    passes = {
        "coverage": 0.8,
        "copies": 1.5,
        "c2st/kernels": 0.75,
        "c2st/statistics": 0.75,
        "one_way/all": 3.0,
        "length": 0.1,
    }
    perfect = {
        "coverage_ratio": 1.0,
        "copies_share": 0.05,
        "c2st_kernels": 0.5,
        "c2st_statistics": 0.5,
        "one_way": 0.1,
        "length": 0.1,
    }
    assert rank(perfect, real, passes) == 0.0
    for name, at in {
        "coverage_ratio": 0.8,
        "copies_share": 0.075,
        "c2st_kernels": 0.75,
        "one_way": 0.3,
        "length": 0.2,
    }.items():
        assert rank({**perfect, name: at}, real, passes) == pytest.approx(1.0), name


@pytest.fixture(scope="module")
def drawn(panel, reference, evaluation):
    inputs = ReportInputs(candidate=panel.unseen, reference=reference, label="shop")
    return {one.id: one for one in figures(evaluation, inputs)}


def test_figures_are_drawn_by_the_report(drawn):
    assert {"samples", "autocorrelation", "calendar-weekday", "column-overlays"} <= drawn.keys()
    assert {"fan-0", "pair-errors"} <= drawn.keys()
    for one in drawn.values():
        assert one.caption
        assert one.alt
        assert "<figure" in figure(one)
        json.dumps(dict(one.data), allow_nan=False)


def test_no_figure_shows_a_real_key_or_an_extreme_of_few(panel, reference, evaluation):
    """One real item is unlike all others; nothing of it is in any figure."""
    steps = steps_of(panel.train, METADATA)
    units, price = (steps[name].to_numpy().copy() for name in ("units", "price"))
    units[: len(units) // 100] = 123_456
    price[: len(price) // 100] = 98_765.43
    spoiled = replaced_steps(panel.train, METADATA, units=units, price=price)
    real = {f"I{number:05d}" for number in range(400)}
    splits = replace(panel.splits, train=spoiled)
    context = build_series_context(splits, Options(halves=5, replicates=2))
    keys = pa.array([f"I{number:05d}" for number in range(70_000, 70_080)])
    named = panel.unseen.set_column(0, "item", keys)
    inputs = ReportInputs(candidate=named, reference=SimpleNamespace(context=context), label="shop")
    text = json.dumps([dict(one.data) for one in figures(evaluation, inputs)])
    assert not any(key in text for key in real)
    assert "123456" not in text.replace(",", "")
    assert "98765" not in text.replace(",", "")


def test_a_quantile_of_few_is_none_and_else_a_mean_of_so_many():
    values = np.arange(100.0)
    assert quantile_of_group(values, 0.5, 10) == 49.5
    assert quantile_of_group(values, 0.1, 10) is None
    assert quantile_of_group(np.arange(200.0), 0.1, 10) == pytest.approx(19.5)
    assert quantile_of_group(values[:5], 0.5, 1) == 2.0


def test_a_small_line_goes_from_its_smallest_to_its_largest_value():
    assert small_line(np.array([0.0, 7.0, np.nan, 3.5])) == "▁█·▅"
    assert small_line(np.array([np.nan, np.nan])) == "··"
    assert small_line(np.array([2.0, 2.0])) == "▁▁"
    assert small_line(np.array([0.0, 1.0]), top=2.0) == "▁▅"
    assert len(small_line(np.arange(500.0))) == 28


@pytest.mark.full
def test_real_items_are_not_told_apart_by_the_score_of_papers(panel, reference, monkeypatch):
    monkeypatch.setitem(paper_scores.STEPS, "discriminative", 500)
    papers = reference.papers
    many = {"real": panel.unseen, "shuffled": shuffled(panel, np.random.default_rng(0))}
    found = {
        name: next(iter(papers.measure(reference.context.side(records)))).metric.value
        for name, records in many.items()
    }
    assert found["real"] < 0.2 < found["shuffled"]
