"""Moments on a grid: there and back, whatever the step and wherever it begins."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from gan.errors import DataError
from gan.series.columns.clock import Clock
from storage.records.schema import Column
from storage.records.series import SeriesMetadata, Step


def metadata(step):
    return SeriesMetadata(
        entity=Column(name="key", kind="key"), time=Column(name="day", kind="date"), step=step
    )


def round_trip(days, step):
    moments = pa.array(days)
    clock = Clock.fit(moments, np.array([0]), metadata(step))
    clock = Clock.from_json(clock.to_json())
    ticks = clock.ticks_of(moments)
    return clock.ticks_at(clock.index_of(ticks)), ticks


@pytest.mark.parametrize(
    ("days", "step"),
    [
        ([date(2024, 3, 31), date(2024, 6, 30), date(2024, 9, 30)], Step(count=3, unit="months")),
        ([date(2023, 2, 1), date(2024, 2, 1), date(2025, 2, 1)], Step(count=12, unit="months")),
        ([date(2024, 1, 15), date(2024, 2, 15)], Step(count=1, unit="months")),
        ([date(2024, 1, 3), date(2024, 1, 10)], Step(count=7, unit="days")),
    ],
    ids=["ends of quarters", "years from February", "days of months", "weeks"],
)
def test_moments_come_back(days, step):
    found, wanted = round_trip(days, step)
    assert found.tolist() == wanted.tolist()


def test_months_off_the_grid_are_refused():
    days = pa.array([date(2024, 1, 1), date(2024, 4, 1), date(2024, 6, 1)])
    with pytest.raises(DataError, match="not all 3 months apart"):
        Clock.fit(days, np.array([0]), metadata(Step(count=3, unit="months")))
