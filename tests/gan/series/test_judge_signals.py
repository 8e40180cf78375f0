"""StepMoments, periods and signals: what every measure of series starts from."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from gan.errors import DataError
from gan.modalities import Options
from gan.series.evaluation.calendar import fit_calendar, moments_of
from gan.series.evaluation.context import build_series_context, judged_series
from gan.series.evaluation.facts import misplaced
from gan.series.evaluation.signals import fill_forward, fit_ranks, fit_signals, gaps_of
from storage.records.schema import Column
from storage.records.series import SeriesMetadata, Step, to_nested
from tests.gan.series.panel import METADATA, make_panel, share_panel


def hourly(step, zone=None, kind="timestamp"):
    return SeriesMetadata(
        entity=Column(name="id", kind="key"),
        time=Column(name="at", kind=kind),
        variables=(Column(name="x", kind="float"),),
        order=("id", "at", "x"),
        step=step,
        zone=zone,
    )


def stamps(start, count, hours, zone="UTC"):
    first = np.datetime64(start, "us")
    values = first + np.arange(count) * np.timedelta64(hours, "h")
    return pa.table({"at": pa.array(values).cast(pa.timestamp("us", zone))})


def test_moments_are_on_the_wall_clock_of_the_zone():
    metadata = hourly(Step(count=3_600_000_000, unit="microseconds"), "Europe/Zurich")
    moments = moments_of(stamps("2025-01-06T00:00", 2, 1), metadata)
    assert moments.phases("hour").tolist() == [1, 2]
    assert moments.phases("weekday").tolist() == [0, 0]
    assert moments.phases("month").tolist() == [0, 0]


@pytest.mark.parametrize("day", ["2025-03-30", "2025-10-26"])
def test_hours_are_regular_where_clocks_change(day):
    metadata = hourly(Step(count=3_600_000_000, unit="microseconds"), "Europe/Zurich")
    moments = moments_of(stamps(f"{day}T00:00", 8, 1), metadata)
    assert not any(hit.any() for hit in misplaced(moments, np.array([8]), metadata).values())


@pytest.mark.parametrize("day", ["2025-03-29", "2025-10-25"])
def test_days_are_regular_where_clocks_change(day):
    metadata = hourly(Step(count=1, unit="days"), "Europe/Zurich")
    local = np.datetime64(f"{day}T09:00", "us") + np.arange(4) * np.timedelta64(1, "D")
    at = pa.array(local).cast(pa.timestamp("us"))
    at = pa.compute.assume_timezone(at, "Europe/Zurich")
    moments = moments_of(pa.table({"at": at}), metadata)
    assert not any(hit.any() for hit in misplaced(moments, np.array([4]), metadata).values())


def test_months_are_regular_and_what_is_not_is_found_in_its_entity():
    metadata = hourly(Step(count=1, unit="months"), kind="date")
    days = np.array(
        ["2025-01-31", "2025-02-28", "2025-03-31", "2025-01-01", "2025-03-01", "2025-02-01"],
        dtype="datetime64[D]",
    )
    moments = moments_of(pa.table({"at": days}), metadata)
    found = misplaced(moments, np.array([3, 3]), metadata)
    assert [hit.tolist() for hit in found.values()] == [[False, True], [False, True]]
    assert "does not rise" in next(iter(found))


def test_periods_are_those_that_entities_are_long_enough_for():
    days = hourly(Step(count=1, unit="days"), kind="date")
    moments = moments_of(stamps("2025-01-01T00:00", 200, 24), days)
    long = fit_calendar(moments, np.array([200]), days)
    assert long.periods == ("weekday", "month")
    assert long.seasons == (7,)
    short = fit_calendar(moments, np.full(40, 5), days)
    assert (short.periods, short.season) == ((), 1)
    hours = hourly(Step(count=2 * 3_600_000_000, unit="microseconds"))
    moments = moments_of(stamps("2025-01-01T00:00", 500, 2), hours)
    assert fit_calendar(moments, np.array([500]), hours).seasons == (12, 84)
    years = hourly(Step(count=12, unit="months"), kind="date")
    firsts = np.arange("1960", "2010", dtype="datetime64[Y]").astype("datetime64[D]")
    moments = moments_of(pa.table({"at": firsts}), years)
    assert fit_calendar(moments, np.array([50]), years).periods == ()
    counted = hourly(Step(count=1, unit="ones"), kind="integer")
    moments = moments_of(pa.table({"at": np.arange(50)}), counted)
    assert fit_calendar(moments, np.array([50]), counted).periods == ()


def test_a_null_is_the_value_before_it_in_its_own_entity():
    values = np.array([[np.nan], [1.0], [np.nan], [np.nan], [2.0], [np.nan]])
    filled = fill_forward(values, np.array([0, 3]))
    assert filled[:, 0].tolist() == [0.0, 1.0, 1.0, 0.0, 2.0, 2.0]


def test_ranks_and_scale_hold_for_heavy_tails_and_constants():
    ranks = fit_ranks(np.array([1.0, 1.0, 2.0, 1e9, np.nan]))
    assert ranks.ranks(np.array([0.0, 1.0, 2.0, 1e12])).tolist() == [0.0, 0.25, 0.625, 1.0]
    assert np.isnan(ranks.ranks(np.array([np.nan]))).all()
    same = fit_ranks(np.full(5, 7.0))
    assert same.scaled(np.array([7.0, 8.0])) == pytest.approx([0.0, np.arcsinh(1.0)])
    empty = fit_ranks(np.array([np.nan]))
    assert np.isfinite(empty.scaled(np.array([3.0]))).all()


def test_levels_nulls_and_gaps_become_signals():
    metadata = SeriesMetadata(
        entity=Column(name="id", kind="key"),
        time=Column(name="at", kind="integer"),
        variables=(Column(name="x", kind="float"), Column(name="state", kind="category")),
        order=("id", "at", "x", "state"),
        min_group=2,
    )
    steps = pa.table(
        {
            "at": [0, 2, 3, 10, 15],
            "x": [1.0, None, 3.0, 4.0, 5.0],
            "state": ["a", "b", "a", "c", "a"],
        }
    )
    records = to_nested(pa.table({"id": ["p", "q"]}), steps, np.array([3, 2]), metadata)
    judged = judged_series(metadata, records, None)
    signals = fit_signals(records, metadata, judged.variables)
    levels = ("state a", "state, level 2", "state, level 3")
    assert signals.names == ("x", "null of x", *levels, "gap of at")
    observed = signals.of(records)
    assert observed.scaled_TS[:, 1].tolist() == [0, 1, 0, 0, 0]
    assert observed.scaled_TS[:, 2].tolist() == [1, 0, 1, 0, 1]
    assert gaps_of(observed.moments, observed.lengths_N)[[1, 2, 4]].tolist() == [2, 1, 5]
    assert np.isnan(observed.values_TV[[0, 3], 2]).all()
    assert observed.place.tolist() == [0, 1, 2, 0, 1]
    padded = observed.sequences(np.array([1]), 10)
    assert padded.values_NCL.shape == (1, 6, 2)
    assert padded.lengths_N.tolist() == [2]


def test_long_entities_are_seen_in_part_the_same_in_every_call():
    panel = make_panel(40, 0)
    signals = fit_signals(panel, METADATA, judged_series(METADATA, panel, None).variables)
    observed = signals.of(panel)
    once, again = (observed.sequences(np.arange(40), 10) for _ in range(2))
    assert (once.lengths_N == 10).all()
    assert np.array_equal(once.values_NCL, again.values_NCL)
    starts = observed._window_starts(10)
    assert (starts + 10 <= observed.lengths_N).all()
    assert len(np.unique(starts)) > 5


def test_what_cannot_be_compared_is_refused_in_one_sentence():
    panel = make_panel(60, 0)
    splits = share_panel(panel, 0).splits
    with pytest.raises(DataError, match="needs 20"):
        build_series_context(splits, Options())
    bare = replace(splits, train=panel.replace_schema_metadata(None))
    with pytest.raises(DataError, match="prepare them with ganmill"):
        build_series_context(bare, Options())
    keys = replace(METADATA, variables=(Column(name="units", kind="key"),))
    with pytest.raises(DataError, match="none of the 1 variables"):
        judged_series(keys, panel, None)
