"""Sums over entities: correlations, profiles and shares against what loops give."""

import numpy as np
import pytest

from gan.modalities import Options
from gan.series.evaluation.aggregates import (
    Autocorrelations,
    CrossCorrelations,
    Nulls,
    OneNumber,
    Profiles,
    Unchanged,
    aggregates_of,
)
from gan.series.evaluation.context import build_series_context
from gan.series.evaluation.errors import PairErrors, SeriesErrors
from storage.records.series import lengths_of, steps_of
from tests.gan.series.panel import METADATA, make_panel, places_of, replaced_steps, share_panel
from tests.ladder.series_faults import LADDER, frozen, shuffled, swapped, wrong_weekday


@pytest.fixture(scope="module")
def panel():
    return share_panel(make_panel(400, 0), 0)


@pytest.fixture(scope="module")
def context(panel):
    return build_series_context(panel.splits, Options(halves=10, replicates=4))


def entities_of(observed, signal):
    ranks = observed.ranks_TS[:, signal].astype(float)
    return [ranks[a : a + n] for a, n in zip(observed.first, observed.lengths_N, strict=True)]


def test_autocorrelation_is_pooled_about_the_means_of_entities(context):
    measure = Autocorrelations(context)
    found = measure.correlations(measure.sums(context.holdout).sum(axis=0))
    for signal in (0, 3):
        own = [values - values.mean() for values in entities_of(context.holdout.observed, signal)]
        square = np.concatenate([values**2 for values in own]).mean()
        for row, lag in enumerate(measure.lags):
            products = np.concatenate([v[lag:] * v[:-lag] for v in own if len(v) > lag])
            assert found[row, signal] == pytest.approx(products.mean() / square, abs=1e-5)
    assert 7 in measure.lags


def test_cross_correlation_is_in_one_step_and_one_apart_either_way(context):
    measure = CrossCorrelations(context)
    found = measure._correlations(measure.sums(context.holdout).sum(axis=0))
    pair = int(np.flatnonzero((measure.first_P == 0) & (measure.second_P == 3))[0])
    one, two = (
        [values - values.mean() for values in entities_of(context.holdout.observed, signal)]
        for signal in (0, 3)
    )
    norm = np.sqrt(sum((v**2).sum() for v in one) * sum((v**2).sum() for v in two))
    both = list(zip(one, two, strict=True))
    assert found[0, pair] == pytest.approx(sum((a * b).sum() for a, b in both) / norm, abs=1e-5)
    later = sum((a[1:] * b[:-1]).sum() for a, b in both) / norm
    earlier = sum((a[:-1] * b[1:]).sum() for a, b in both) / norm
    assert found[1, pair] == pytest.approx(later, abs=1e-5)
    assert found[2, pair] == pytest.approx(earlier, abs=1e-5)


def test_profiles_are_means_by_phase(context):
    measure = Profiles(context)
    ((found, steps),) = measure.profiles(measure.sums(context.holdout).sum(axis=0))
    observed = context.holdout.observed
    own = np.concatenate([v - v.mean() for v in entities_of(observed, 0)])
    weekday = observed.moments.phases("weekday")
    for day in range(7):
        assert found[0, day] == pytest.approx(own[weekday == day].mean(), abs=1e-5)
        assert steps[0, day] == (weekday == day).sum()


def test_unchanged_and_lengths_are_counted_by_entity(context):
    measure = Unchanged(context)
    sums = measure.sums(context.holdout)
    entity, place = places_of(context.holdout.records, METADATA)
    price = steps_of(context.holdout.records, METADATA)["price"].to_numpy()
    stays = (price[1:] == price[:-1]) & (place[1:] > 0)
    assert sums[:, 1].tolist() == np.bincount(entity[1:][stays], minlength=80).tolist()
    assert sums[:, -1].tolist() == (lengths_of(context.holdout.records, METADATA) - 1).tolist()
    length = OneNumber("length", context)
    totals = length.sums(context.holdout).sum(axis=0)
    assert totals.sum() == 80
    assert length.errors(totals, totals).tolist() == [0.0]


def test_a_length_outside_those_of_train_has_a_code_of_its_own(context):
    length = OneNumber("length", context)
    lowest = np.flatnonzero(length.sums(context.train).sum(axis=0) == 0)
    assert {len(length.edges), len(length.edges) + 1} <= set(lowest.tolist())


def test_every_error_is_zero_of_the_same_entities(context):
    for one in aggregates_of(context):
        total = one.sums(context.holdout).sum(axis=0)
        assert one.errors(total, total) == pytest.approx(np.zeros(len(one.parts))), one.name


def test_nulls_are_found_in_variables_that_have_some(panel):
    price = steps_of(panel.train, METADATA)["price"].to_numpy().copy()
    price[::10] = np.nan
    holes = replaced_steps(panel.train, METADATA, price=price)
    splits = panel.splits.__class__(
        train=holes, validation=panel.validation, holdout=panel.holdout, label="shop"
    )
    own = build_series_context(splits, Options(halves=10, replicates=4))
    measure = Nulls(own)
    assert measure.parts == ("price",)
    train, holdout = (measure.sums(side).sum(axis=0) for side in (own.train, own.holdout))
    assert measure.errors(holdout, train)[0] == pytest.approx(0.1, abs=0.001)
    assert "null of price" in own.signals.names


@pytest.mark.parametrize(
    ("fault", "name", "scope", "least"),
    [
        (shuffled, "autocorrelation", "all", 5.0),
        pytest.param(frozen, "unchanged", "all/units", 10.0, marks=pytest.mark.full),
        (swapped, "cross_correlation", "all", 3.0),
        (wrong_weekday, "seasonality", "all/units", 3.0),
        pytest.param(LADDER["other length"][0], "length", "all", 3.0, marks=pytest.mark.full),
        pytest.param(LADDER["a quarter later"][0], "start", "all", 3.0, marks=pytest.mark.full),
    ],
)
def test_a_fault_shows_in_its_own_error_and_real_items_in_none(
    fault, name, scope, least, panel, context
):
    errors, sets = SeriesErrors(context), context.sets(80)
    made = fault(panel, np.random.default_rng(1))
    for records, is_fault in ((made, True), (panel.unseen, False)):
        found = {
            (one.metric.name, one.metric.scope): one.metric
            for one in errors.measure(context.side(records), sets)
        }
        metric = found[name, scope]
        assert (metric.ratio > least) == is_fault
        assert metric.low <= metric.value <= metric.high
        assert metric.ceiling.low <= metric.ceiling.value <= metric.ceiling.high


def test_pairs_see_static_columns_beside_variables(panel, context):
    order = np.random.default_rng(0).permutation(80)
    shops = panel.unseen["shop"].take(order)
    place = panel.unseen.column_names.index("shop")
    wrong = panel.unseen.set_column(place, panel.unseen.schema.field(place), shops)
    pairs, sets = PairErrors(context), context.sets(80)
    (real,), (fake,) = (
        list(pairs.measure(context.side(records), sets)) for records in (panel.unseen, wrong)
    )
    assert {one.name for one in pairs.columns} >= {"shop", "size", "units"}
    assert fake.metric.value > real.metric.value
    again = next(iter(pairs.measure(context.side(panel.unseen), sets)))
    assert again.metric == real.metric
