"""Moments of regular series: on the calendar, on the clocks of a time zone, and as numbers."""

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from storage.records.moments import counted, later, on_one_grid, regular_moments, unit_of
from storage.records.series import Step

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = 3_600_000_000


def after(moment, step, steps, kind, zone=None):
    moments = pa.array([moment] * len(steps), kind)
    return later(moments, np.array(steps), step, zone).to_pylist()


def test_months_keep_the_day_and_the_last_of_a_month_stays_the_last():
    month = Step(count=1, unit="months")
    assert after(date(2024, 1, 15), month, [0, 1, 12], pa.date32()) == [
        date(2024, 1, 15),
        date(2024, 2, 15),
        date(2025, 1, 15),
    ]
    assert after(date(2024, 1, 30), month, [1], pa.date32()) == [date(2024, 2, 29)]
    assert after(date(2024, 2, 29), month, [1, 12], pa.date32()) == [
        date(2024, 3, 31),
        date(2025, 2, 28),
    ]


def test_months_of_timestamps_keep_the_time_of_day():
    start, quarter = datetime.fromisoformat("2024-01-31T06:00"), Step(count=3, unit="months")
    found = after(start, quarter, [1], pa.timestamp("us"))
    assert found == [datetime.fromisoformat("2024-04-30T06:00")]


def test_days_on_clocks_have_23_or_25_hours():
    kind, day = pa.timestamp("us", "Europe/Berlin"), Step(count=24 * HOUR, unit="microseconds")
    found = after(datetime(2024, 3, 30, tzinfo=BERLIN), day, [1, 2], kind, "Europe/Berlin")
    assert [one.astimezone(BERLIN) for one in found] == [
        datetime(2024, 3, 31, tzinfo=BERLIN),
        datetime(2024, 4, 1, tzinfo=BERLIN),
    ]
    assert pa.array(found, kind)[1].value - pa.array(found, kind)[0].value == 23 * HOUR


def test_a_time_that_clocks_skip_becomes_the_next():
    kind, day = pa.timestamp("us", "Europe/Berlin"), Step(count=24 * HOUR, unit="microseconds")
    start = datetime(2024, 3, 30, 2, 30, tzinfo=BERLIN)
    (found,) = after(start, day, [1], kind, "Europe/Berlin")
    assert found.astimezone(BERLIN) == datetime(2024, 3, 31, 3, 0, tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("moment", "step", "kind", "expected"),
    [
        (5, Step(count=2, unit="ones"), pa.int16(), 9),
        (date(2024, 2, 28), Step(count=1, unit="days"), pa.date32(), date(2024, 3, 1)),
        (time(8, 0), Step(count=HOUR, unit="microseconds"), pa.time32("ms"), time(10, 0)),
    ],
)
def test_two_steps_later(moment, step, kind, expected):
    assert after(moment, step, [2], kind) == [expected]


def test_moments_of_all_entities_from_their_starts():
    starts = pa.array([date(2024, 1, 1), date(2024, 6, 1)], pa.date32())
    found = regular_moments(starts, np.array([3, 1]), Step(count=7, unit="days"))
    assert found.to_pylist() == [
        date(2024, 1, 1),
        date(2024, 1, 8),
        date(2024, 1, 15),
        date(2024, 6, 1),
    ]


def test_moments_are_counted_from_one_beginning():
    kind = pa.timestamp("us", "Europe/Berlin")
    noons = pa.array([datetime(2024, m, 1, 12, tzinfo=BERLIN) for m in (1, 7)], kind)
    wall = counted(noons, "microseconds", "Europe/Berlin")
    assert set(wall % (24 * HOUR)) == {12 * HOUR}
    assert set(counted(noons, "microseconds") % (24 * HOUR)) == {11 * HOUR, 10 * HOUR}
    assert np.diff(counted(noons, "months", "Europe/Berlin")).tolist() == [6]
    assert [unit_of(kind), unit_of(pa.date32()), unit_of(pa.int8())] == [
        "microseconds",
        "days",
        "ones",
    ]


@pytest.mark.parametrize(
    ("moments", "step", "expected"),
    [
        ([date(2024, 1, 1), date(2024, 1, 8), date(2024, 1, 22)], Step(count=7, unit="days"), True),
        ([date(2024, 1, 1), date(2024, 1, 9)], Step(count=7, unit="days"), False),
        ([date(2024, 1, 31), date(2024, 2, 29)], Step(count=1, unit="months"), True),
        ([date(2024, 1, 15), date(2024, 2, 29)], Step(count=1, unit="months"), False),
        ([date(2024, 1, 31), date(2024, 2, 29)], Step(count=3, unit="months"), False),
        ([date(2024, 2, 1), date(2024, 11, 1)], Step(count=3, unit="months"), True),
    ],
)
def test_a_grid_is_shared_by_all_entities(moments, step, expected):
    assert on_one_grid(pa.array(moments, pa.date32()), step) == expected
