"""The codec of series: what comes in comes out, whatever the moments and the holes."""

import datetime
import itertools
import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch
from small_series import make_series

from gan.errors import ConfigError, DataError
from gan.series.codec import SeriesCodec
from storage.records.schema import Condition
from storage.records.series import Step

HOURLY = Step(count=3_600_000_000, unit="microseconds")
RNG = np.random.default_rng(5)


def days(start: str, count: int) -> pa.Array:
    return pa.array(np.datetime64(start) + np.arange(count))


def irregular() -> pa.Table:
    seconds = np.concatenate([np.cumsum(RNG.integers(1, 900, n)) for n in (5, 3, 9, 2) * 6])
    moments = pa.array(seconds * 1_000_000 + 1_700_000_000_000_000, pa.timestamp("us"))
    values = RNG.normal(size=len(seconds)).round(2)
    return make_series({"load": values}, (5, 3, 9, 2) * 6, moments, step=None)


def zoned() -> pa.Table:
    local = np.datetime64("2026-03-25") + np.arange(8)
    one = pa.array(local.astype("datetime64[us]"))
    moments = pc.assume_timezone(pa.concat_arrays([one] * 20), "Europe/Berlin")
    return make_series({"load": RNG.integers(0, 9, 160)}, [8] * 20, moments, zone="Europe/Berlin")


def monthly(last: bool) -> pa.Table:
    months = np.arange("2024-01", "2024-07", dtype="datetime64[M]")
    ends = (months + 1).astype("datetime64[D]") - 1 if last else months.astype("datetime64[D]")
    moments = pa.array(np.tile(ends, 12))
    step = Step(count=1, unit="months")
    return make_series({"load": RNG.integers(0, 9, 72)}, [6] * 12, moments, step=step)


def hourly() -> pa.Table:
    hours = np.datetime64("2026-01-01T05", "us") + np.arange(30) * np.timedelta64(1, "h")
    load = RNG.normal(size=240)
    return make_series({"load": load}, [30] * 8, pa.array(np.tile(hours, 8)), step=HOURLY)


def with_holes() -> pa.Table:
    lengths = RNG.integers(1, 9, 40)
    steps = int(lengths.sum())
    number = pa.array(RNG.integers(0, 30, steps), mask=RNG.random(steps) < 0.3)
    word = pa.array(np.array(["on", "off", "idle"])[RNG.integers(0, 3, steps)])
    word = pc.if_else(pa.array(RNG.random(steps) < 0.2), pa.scalar(None, pa.string()), word)
    truth = pa.array(RNG.random(steps) < 0.5)
    statics = {"kind": ["a", "b"] * 20, "size": RNG.integers(1, 4, 40)}
    return make_series({"n": number, "w": word, "t": truth}, lengths, statics=statics)


def numbered() -> pa.Table:
    moments = pa.array(np.tile(np.arange(10) * 5 + 2, 10))
    step = Step(count=5, unit="ones")
    return make_series({"load": RNG.normal(size=100)}, [10] * 10, moments, step=step)


RECORDS = {
    "irregular": irregular,
    "zoned": zoned,
    "monthly": lambda: monthly(last=False),
    "month_ends": lambda: monthly(last=True),
    "hourly": hourly,
    "holes": with_holes,
    "numbered": numbered,
}


@pytest.fixture(params=RECORDS)
def records(request):
    return RECORDS[request.param]()


def test_everything_but_the_key_survives(records):
    codec = SeriesCodec.fit(records, None)
    encoded = codec.encode(records)
    assert encoded.values.shape == (
        len(records),
        2 + len(codec.whole.columns) + codec.width * len(codec.variables),
    )
    decoded = codec.decode(encoded.values, encoded.labels_N)
    assert decoded.schema.equals(records.schema, check_metadata=True)
    for name in records.column_names[1:]:
        short = np.asarray(pc.list_value_length(records["when"])) <= codec.width
        kept = pa.array(short)
        assert decoded[name].filter(kept).equals(records[name].filter(kept)), name
    assert not set(decoded["who"].to_pylist()) & set(records["who"].to_pylist())
    np.testing.assert_array_equal(codec.encode(decoded).values, encoded.values)
    again = SeriesCodec.from_json(json.loads(json.dumps(codec.to_json())))
    assert again == codec
    np.testing.assert_array_equal(again.encode(records).values, encoded.values)


def test_samples_are_finite_and_lead_back(records):
    codec = SeriesCodec.fit(records, None)
    encoded = codec.encode(records)
    samples = codec.to_samples(torch.from_numpy(encoded.values.copy()))
    assert samples.isfinite().all()
    decoded = codec.decode(codec.to_values(samples), encoded.labels_N)
    again = codec.to_samples(torch.from_numpy(codec.encode(decoded).values))
    assert torch.equal(again, samples)


def test_a_day_of_a_zone_has_its_own_length():
    codec = SeriesCodec.fit(zoned(), None)
    encoded = codec.encode(zoned())
    moments = codec.decode(encoded.values, encoded.labels_N)["when"][0].as_py()
    assert {each.astimezone(moments[0].tzinfo).hour for each in moments} == {0}
    apart = {second - first for first, second in itertools.pairwise(moments)}
    assert apart <= {datetime.timedelta(days=1), datetime.timedelta(hours=23)}


def test_the_calendar_follows_the_moments():
    codec = SeriesCodec.fit(hourly(), None)
    assert codec.clock.calendar == ("weekday", "hour", "month")
    assert codec.clock.seasons == (24, 168)
    moments = codec.clock.ticks_of(pa.array([np.datetime64("2024-02-29T23", "us")]))
    index = torch.from_numpy(codec.clock.index_of(moments))
    assert [int(each) for each in codec.clock.calendar_of(index)] == [3, 23, 1]


def test_starts_keep_to_the_place_of_the_week_that_all_have():
    mondays = np.datetime64("2026-01-05") + 7 * np.arange(40)
    moments = pa.array((mondays[:, None] + np.arange(5)).ravel())
    codec = SeriesCodec.fit(make_series({"load": RNG.normal(size=200)}, [5] * 40, moments), None)
    cells = np.stack([np.arange(c.cells)[:1].repeat(9) for c in codec.whole.columns], axis=1)
    _, starts = codec.spans(cells.astype(np.int32))
    assert set((codec.clock.ticks_at(starts + codec.base) + 3) % 7) == {0}


def test_series_longer_than_enough_others_are_cut():
    lengths = [*[6] * 30, 50]
    load = RNG.normal(size=sum(lengths))
    codec = SeriesCodec.fit(make_series({"load": load}, lengths, min_group=5), None)
    assert codec.width == 6


def test_a_condition_on_a_variable_is_refused_and_one_on_a_static_is_met():
    records = with_holes()
    codec = SeriesCodec.fit(records, "kind")
    with pytest.raises(ConfigError, match="'n', which is observed at every step"):
        codec.allowed((Condition(column="n", low="3"),), per_class=False)
    allowed = codec.allowed((Condition(column="size", values=("2",)),), per_class=True)
    assert allowed.shape[0] == 2
    encoded = codec.encode(records)
    classes = codec.classes_of(
        encoded.values, (Condition(column="size", values=("2",)),), per_class=True
    )
    wanted = np.where(records["size"].to_numpy() == 2, encoded.labels_N, -1)
    np.testing.assert_array_equal(classes, wanted)


def test_a_label_that_is_no_static_and_nothing_to_learn_are_named():
    records = with_holes()
    with pytest.raises(DataError, match="no static column 'n'"):
        SeriesCodec.fit(records, "n")
    flat = make_series({"load": np.ones(40)}, [4] * 10)
    with pytest.raises(DataError, match="need a variable"):
        SeriesCodec.fit(flat, None)
    empty = make_series({"load": pa.array([None] * 40, pa.float64())}, [4] * 10)
    with pytest.raises(DataError, match="all null"):
        SeriesCodec.fit(empty, None)
