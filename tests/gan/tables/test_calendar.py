"""Dates whose day of the week, or times whose hour, follows other columns."""

import json

import numpy as np
import pyarrow as pa
import pytest
from small_tables import with_meaning

from gan.tables.codec import TableCodec
from gan.tables.columns.calendar import CalendarNumeric, phases_of
from gan.tables.columns.numeric import Numeric
from gan.tables.columns.partners import SAMPLE
from gan.tables.columns.values import CodePlaces, to_units
from gan.tables.networks.masked import place_nodes

ROWS, GROUP = 6000, 10


def days(numbers, rows=ROWS):
    return numbers.integers(17_000, 17_400, rows).astype(np.int32)


def stays(days_N, numbers, effect=1.0):
    weekend = (days_N + 3) % 7 >= 4
    return numbers.poisson(1 + 2 * effect * weekend)


def table(moments, values, group=GROUP):
    return with_meaning({"when": moments, "stay": values}, min_group=group)


@pytest.fixture(scope="module")
def arrivals():
    numbers = np.random.default_rng(3)
    days_N = days(numbers)
    return table(pa.array(days_N).cast(pa.date32()), stays(days_N, numbers))


@pytest.fixture(scope="module")
def parted(arrivals):
    return TableCodec.fit(arrivals, None)


def test_every_row_keeps_its_day_of_the_week_and_nearly_its_date(arrivals, parted):
    column = parted.columns[0]
    assert isinstance(column, CalendarNumeric)
    assert column.cycle == "weekday"
    cells_N = column.encode(arrivals)
    codes_N = column.codes_of(cells_N)
    (shown,) = column.decode(cells_N, {})
    there, here = (to_units(each, 0)[0] for each in (arrivals["when"], shown))
    assert np.mean((there + 3) % 7 == (here + 3) % 7) > 0.998, "days that are not shown apart"
    assert np.abs(there - here).max() <= 14
    assert np.bincount(codes_N).min() >= GROUP
    again = column.first_cells[codes_N] + np.random.default_rng(0).integers(
        np.diff(column.first_cells)[codes_N]
    )
    (drawn,) = column.decode(again, {})
    assert np.mean((to_units(drawn, 0)[0] + 3) % 7 == (there + 3) % 7) > 0.97, "but what is rare"


def test_it_shows_the_dates_that_it_would_show_without_the_parts(parted):
    column = parted.columns[0]
    both = (each.vocabularies[0].cast(pa.int32()).to_numpy() for each in (column, column.own))
    np.testing.assert_array_equal(*(np.sort(each) for each in both))


def test_it_comes_back_from_json(arrivals, parted):
    again = TableCodec.from_json(json.loads(json.dumps(parted.to_json())))
    assert again == parted
    np.testing.assert_array_equal(again.encode(arrivals).values, parted.encode(arrivals).values)


def test_a_phase_that_few_rows_of_a_bin_have_shares_a_code_with_others(arrivals):
    days_N, _ = to_units(arrivals["when"], 0)
    numbers = np.random.default_rng(5)
    kept = ((days_N + 3) % 7 != 6) | (numbers.random(ROWS) < 0.03)
    column = TableCodec.fit(arrivals.filter(pa.array(kept)), None).columns[0]
    assert -1 in {phase for group, phase in column.entries if group >= 0}
    assert 6 not in {phase for _, phase in column.entries}
    rows = np.bincount(column.codes_of(column.encode(arrivals)), minlength=column.codes)
    assert all(rows[code] >= GROUP for code, (_, phase) in enumerate(column.entries) if phase >= 0)


def test_what_goes_with_no_other_column_stays_as_it_is(arrivals):
    numbers = np.random.default_rng(4)
    mixed = table(arrivals["when"].combine_chunks(), numbers.permutation(arrivals["stay"]))
    assert isinstance(TableCodec.fit(mixed, None).columns[0], Numeric)
    rows = 3 * SAMPLE
    seldom = np.where(np.arange(rows) % 3 == 1, np.arange(rows) % 400 + 17_000, -1)
    moments = pa.array(seldom, mask=seldom < 0).cast(pa.int32()).cast(pa.date32())
    unseen = table(moments, numbers.integers(0, 9, rows))
    assert isinstance(TableCodec.fit(unseen, None).columns[0], Numeric), "none in the sample"
    few = arrivals.slice(0, 400)
    assert isinstance(TableCodec.fit(few, None).columns[0], Numeric)


@pytest.mark.parametrize("unit", ["s", "ns"])
def test_times_are_parted_by_the_hour_and_nulls_stay(unit):
    numbers = np.random.default_rng(6)
    seconds_N = 1_600_000_000 + numbers.integers(0, 90 * 86_400, ROWS)
    hour_N = seconds_N % 86_400 // 3600
    moments = pa.array(seconds_N).cast(pa.timestamp("s")).cast(pa.timestamp(unit))
    missing = pa.array(numbers.random(ROWS) < 0.05)
    moments = pa.compute.if_else(missing, pa.scalar(None, moments.type), moments)
    records = table(moments, numbers.poisson(np.where(hour_N < 8, 1, 6)))
    column = TableCodec.fit(records, None).columns[0]
    assert isinstance(column, CalendarNumeric)
    assert column.cycle == "hour"
    (shown,) = column.decode(column.encode(records), {})
    assert shown.is_null().equals(moments.is_null())
    here_M, known = to_units(shown, 0)
    phases_M = phases_of(here_M, "hour", moments.type)[known]
    assert np.mean(phases_M == hour_N[known]) > 0.95


def test_few_rows_are_parted_by_coarser_parts_of_the_day():
    numbers = np.random.default_rng(8)
    seconds_N = 1_600_000_000 + numbers.integers(0, 90 * 86_400, 700)
    night = seconds_N % 86_400 < 6 * 3600
    records = table(
        pa.array(seconds_N * 10**6).cast(pa.timestamp("us")), numbers.poisson(1 + 6 * night)
    )
    assert TableCodec.fit(records, None).columns[0].cycle in {"three hours", "six hours"}


def test_codes_of_one_phase_share_a_node_and_those_of_one_bin_a_place():
    places = CodePlaces(along=(0, 0, 1, 1, 2), phases=(0, 1, 0, 1, -1))
    column, spacings = place_nodes((False,) * 5, 10, smooth=True, places=places)
    rows = [{node.row for node in nodes} for nodes in column]
    own = {code: code + 10 for code in range(5)}
    assert rows == [{own[0], 15}, {own[1], 16}, {own[2], 15}, {own[3], 16}, {own[4]}]
    assert len(spacings) == 7
    long = CodePlaces(along=tuple(code // 2 for code in range(60)), phases=(0, 1) * 30)
    column, _ = place_nodes((False,) * 60, 0, smooth=True, places=long)
    assert {node for node in column[8] if node.row > 1} == {
        node for node in column[9] if node.row > 1
    }
