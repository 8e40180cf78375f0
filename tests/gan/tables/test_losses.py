"""What privacy takes from columns: that it is found, measured, and said without a real value."""

import re

import numpy as np
import pyarrow as pa
import pytest
from small_tables import with_meaning

from gan.codecs import LossyCodec, losses_of
from gan.modalities import load_modality
from gan.tables.codec import TableCodec
from gan.tables.losses import compare, losses_figure
from storage.records.modalities import MODALITIES

ROWS = 1000
NUMBERS = np.random.default_rng(5)
BASE = {
    "age": NUMBERS.integers(20, 60, ROWS),
    "segment": pa.array(np.where(NUMBERS.random(ROWS) < 0.3, "gold", "bronze")),
}


def losses(columns, *, min_group=10, **more):
    records = with_meaning(BASE | columns, min_group=min_group, **more)
    found = TableCodec.fit(records, None).losses(records)
    return {loss.column: loss.text for loss in found}


def rare(value, other, count=8):
    values = [value] * count + [other] * (ROWS - count)
    return pa.array(np.random.default_rng(1).permutation(np.array(values, dtype=object)))


@pytest.mark.parametrize(
    "flag", [rare("yes", "no"), rare(True, False), rare(1, 0), rare(1.5, 0.0)], ids=str
)
def test_a_rare_flag_loses_all_variation(flag):
    text = losses({"flag": flag})["flag"]
    assert text.startswith("flag: it loses all variation: 1 of 2 ")
    assert "held by fewer than 10 rows" in text
    assert "privacy.min_group 10" in text
    assert "vocabulary: public" in text


def test_rare_levels_are_counted():
    cities = np.array(
        [f"c{i % 40}" if i < 200 else ("rome", "oslo")[i % 2] for i in range(ROWS)], dtype=object
    )
    text = losses({"city": pa.array(cities)})["city"]
    assert text.startswith("city: 40 of 42 levels, in 20 % of the rows, become")
    assert "c1" not in text


def test_levels_that_share_codes_are_counted():
    cities = pa.array([f"c{i % 1500}" for i in range(3000)])
    base = {"age": NUMBERS.integers(20, 60, 3000), "city": cities}
    records = with_meaning(base, min_group=1)
    (loss,) = TableCodec.fit(records, None).losses(records)
    assert loss.text.startswith("city: 500 of its levels, beyond the 1,000 commonest, share codes")


def heavy_tail():
    numbers = np.random.default_rng(8)
    claim = np.where(numbers.random(ROWS) < 0.7, 0.0, numbers.lognormal(6, 1.2, ROWS)).round(2)
    claim[:6] = (90_000.5, 80_000.25, 70_000.75, 60_000.5, 55_000.25, 50_000.75)
    return claim


def test_a_heavy_tail_says_how_sum_extremes_and_distinct_values_change():
    claim = heavy_tail()
    text = losses({"claim": claim})["claim"]
    assert re.search(r"its sum falls by [^,]*\d+ %", text)
    assert re.search(r"its largest value falls to less than (a|half|two thirds)", text)
    assert re.search(r"[\d.]+ % of its distinct values are left", text)
    for value in np.sort(claim)[-20:]:
        assert f"{value:g}" not in text
        assert f"{value:.0f}" not in text


def test_a_change_that_one_row_makes_is_a_range():
    claim = np.zeros(ROWS)
    claim[:40] = np.arange(1, 41)
    claim[7] = 1e6
    text = losses({"claim": claim})["claim"]
    assert "its sum falls by more than 90 %" in text
    assert "its largest value falls to less than a hundredth" in text


def test_a_small_change_that_one_row_makes_is_up_to_a_bound():
    claim = np.round(NUMBERS.normal(1000, 1, ROWS), 2)
    claim[0] = 20_000
    found = {one.measure: one for one in compare(pa.array(claim), pa.array(claim[1:]), 10)}
    assert found["sum"].text == "-up to 5 %"
    assert found["sum"].notable


def test_a_date_far_from_the_others_loses_its_tail():
    days = NUMBERS.integers(15_000, 16_000, ROWS)
    days[0] = 0
    text = losses({"day": pa.array(days.astype(np.int32), pa.date32())})["day"]
    assert "its lower tail reaches less than a twentieth as far" in text
    assert "sum" not in text


def test_columns_that_lose_only_distinct_values_share_a_sentence():
    found = losses({"one": NUMBERS.random(ROWS), "two": NUMBERS.random(ROWS)})
    assert found[""].startswith("one, two: values come from a curve through means of 10 rows")
    assert set(found) == {""}


def test_nothing_is_lost_where_every_value_may_be_shown():
    assert not losses({"flag": rare("yes", "no")}, min_group=1)
    assert not losses({})


def test_a_joint_column_names_its_parts():
    city = np.array(["rome", "oslo"] * (ROWS // 2), dtype=object)
    land = np.where(city == "rome", "it", "no").astype(object)
    city[:3], land[:3] = "nice", "fr"
    rule = {"kind": "combinations", "columns": ["city", "land"]}
    found = losses({"city": pa.array(city), "land": pa.array(land)}, constraints=[rule])
    assert found["city"].startswith("city: 1 of 3 levels, held by fewer than 10 rows, becomes")
    assert found["land"].startswith("land: 1 of 3 levels")


def test_a_total_loses_what_its_parts_lose():
    part, rest = heavy_tail(), NUMBERS.integers(0, 9, ROWS).astype(float)
    rule = {"kind": "sum", "columns": ["total", "part", "rest"]}
    columns = {"part": part, "rest": rest, "total": (part + rest).round(2)}
    found = losses(columns, constraints=[rule])
    assert re.search(r"its sum falls by [^,]*\d+ %", found["part"])
    assert re.search(r"its sum falls by [^,]*\d+ %", found["total"])


def test_rows_beyond_a_range_are_named():
    rule = {"kind": "range", "columns": ["age"], "low": 30.0}
    assert "of the rows lie beyond its range constraint" in losses({}, constraints=[rule])["age"]


def test_few_nulls_of_a_key_are_filled():
    keys = [None if i < 3 else f"K-{i:05}" for i in range(ROWS)]
    found = losses({"key": pa.array(keys)}, kinds={"key": "key"}, forms={"key": r"\K-99999"})
    assert found["key"].startswith("key: its nulls become values")


def test_the_figure_holds_shown_and_synthetic_rows_against_real_ones():
    records = with_meaning(BASE | {"claim": heavy_tail(), "flag": rare("yes", "no")}, min_group=10)
    codec = TableCodec.fit(records, None)
    fakes = codec.decode(codec.encode(records).values[::2], np.zeros(ROWS // 2, dtype=np.int64))
    figure = losses_figure(codec, records, fakes)
    rows = {(row[0], row[1]): row[2:] for row in figure.data["rows"]}
    assert rows["flag", "levels"] == ["1 of 2 left", "1 of 2 left"]
    assert all(cell.startswith("-") for cell in rows["claim", "sum"])
    assert all(cell.startswith("less than") for cell in rows["claim", "largest value"])
    assert {row[0] for row in figure.data["rows"]} == {"claim", "flag"}
    plain = with_meaning(BASE)
    assert losses_figure(TableCodec.fit(plain, None), plain, plain) is None


def test_a_codec_that_shows_everything_has_nothing_to_say():
    records = with_meaning(BASE)
    codec = TableCodec.fit(records, None)
    assert isinstance(codec, LossyCodec)
    assert losses_of(codec, records) == ()
    for name in MODALITIES:
        assert hasattr(load_modality(name).codec, "fit")
