"""Rules hold in every row, and drawing again does not change what is allowed anyway."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest
from small_tables import RowSampler, broken, repaired, with_meaning

from gan.codecs import ShardRequest
from gan.errors import ConfigError
from gan.tables.rejection import repair
from storage.records.schema import Condition

NONE = np.zeros(0, dtype=np.int64)


def steps(rows=3000, *, strict=False, nulls=True):
    """Three rising columns: number, whole number with nulls, number."""
    numbers = np.random.default_rng(1)
    low = numbers.normal(0, 1, rows).round(2)
    middle = np.ceil(low) + numbers.integers(1, 3, rows)
    high = middle + numbers.gamma(1.0, 1, rows).round(2) + 0.01
    missing = numbers.random(rows) < (0.1 if nulls else 0)
    columns = {
        "low": low,
        "middle": pa.array(middle.astype(int), mask=missing),
        "high": high,
        "other": numbers.choice(["a", "b"], rows),
    }
    chain = {"kind": "inequality", "columns": ["low", "middle", "high"], "strict": strict}
    return with_meaning(columns, constraints=[chain])


def test_nothing_to_obey_is_nothing_to_do():
    sampler = RowSampler(with_meaning({"a": [1, 2, 3] * 20, "b": [1, 2] * 30}))
    assert repair(sampler.codec, sampler.draw(9), ShardRequest(), sampler.resample) is None


@pytest.mark.parametrize("strict", [False, True])
def test_chains_hold_in_every_row(strict):
    sampler = RowSampler(steps(strict=strict)).shuffled()
    before = sampler.codec.decode(sampler.draw(2000), NONE)
    assert broken(sampler, before) > 500
    found, records = repaired(sampler, 2000)
    assert broken(sampler, records) == 0
    assert found.redrawn > 500
    assert found.changed == 0
    assert records["middle"].null_count > 100


def test_drawing_again_is_conditioning():
    """Two dice of which the first is at most the second: every such pair is equally likely."""
    numbers = np.random.default_rng(2)
    columns = {"a": numbers.integers(1, 7, 4000), "b": np.full(4000, 6)}
    columns["b"][:2000] = numbers.integers(1, 7, 2000)
    columns["b"] = np.maximum(columns["a"], columns["b"])
    sampler = RowSampler(
        with_meaning(columns, constraints=[{"kind": "inequality", "columns": ["a", "b"]}])
    )
    faces = np.stack(np.meshgrid(np.arange(6), np.arange(6)), axis=-1).reshape(-1, 2)
    sampler.cells = faces.astype(np.int32)
    _, records = repaired(sampler, 21_000)
    pairs, counts = np.unique(np.stack([records["a"], records["b"]]), axis=1, return_counts=True)
    assert pairs.shape[1] == 21
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)


def test_dates_stand_before_moments():
    numbers = np.random.default_rng(3)
    start = np.array(
        [date(2024, 1, 1) + timedelta(int(day)) for day in numbers.integers(0, 90, 900)]
    )
    end = pa.array(start).cast(pa.timestamp("us")).to_numpy() + numbers.integers(0, 10**6, 900)
    chain = {"kind": "inequality", "columns": ["start", "end"]}
    sampler = RowSampler(with_meaning({"start": start, "end": end}, constraints=[chain])).shuffled()
    _, records = repaired(sampler, 900)
    assert broken(sampler, records) == 0


@pytest.mark.parametrize("whole_days", [False, True])
@pytest.mark.parametrize("strict", [False, True])
def test_moments_stand_before_the_end_of_a_day(whole_days, strict):
    numbers = np.random.default_rng(4)
    day = np.datetime64("2024-01-01") + np.sort(numbers.integers(0, 20, 900))
    at = day.astype("datetime64[us]") + numbers.integers(0, 86_400_000_000, 900)
    due = day + numbers.integers(0, 3, 900) + strict
    columns = {"at": at, "due": due.astype("datetime64[us]") if whole_days else pa.array(due)}
    step = {"kind": "inequality", "columns": ["at", "due"], "strict": strict}
    table = with_meaning(columns, constraints=[step | {"whole_days": whole_days}])
    sampler = RowSampler(table).shuffled()
    _, records = repaired(sampler, 900)
    assert broken(sampler, records) == 0
    same = records["at"].to_numpy().astype("datetime64[D]") == records["due"].to_numpy().astype(
        "datetime64[D]"
    )
    assert same.any() != strict
    sampler.cells = sampler.cells[:1].copy()
    sampler.cells[:] = [sampler.codec.columns[0].cells // 2, 0]
    found, records = repaired(sampler, 50)
    assert broken(sampler, records) == 0
    assert found.changed == 50


def test_what_no_draw_meets_is_repaired_within_the_vocabulary():
    table = steps(nulls=False)
    sampler = RowSampler(table)
    top, bottom = sampler.codec.columns[0].cells - 1, 0
    sampler.cells = sampler.cells[:1].copy()
    sampler.cells[:, :3] = [top, bottom, bottom]
    found, records = repaired(sampler, 50)
    assert broken(sampler, records) == 0
    assert found.changed == 50
    for name in ("low", "middle", "high"):
        assert set(records[name].to_pylist()) <= set(table[name].to_pylist())


def test_a_range_on_a_total_holds():
    numbers = np.random.default_rng(4)
    a, b = numbers.integers(0, 50, 2000), numbers.integers(0, 50, 2000)
    keep = (a + b <= 60) & (a + b >= 10)
    rules = [
        {"kind": "sum", "columns": ["total", "a", "b"]},
        {"kind": "range", "columns": ["total"], "low": 10, "high": 60},
        {"kind": "inequality", "columns": ["a", "total"]},
    ]
    columns = {"a": a[keep], "total": (a + b)[keep], "b": b[keep]}
    sampler = RowSampler(with_meaning(columns, constraints=rules)).shuffled()
    found, records = repaired(sampler, 1500)
    assert broken(sampler, records) == 0
    assert found.redrawn > 100


def test_ranges_that_end_inside_a_bin():
    """Half of one bin and all of others: exact at the end, and each in proportion."""
    values = np.random.default_rng(5).uniform(0, 100, 20_000).round(2)
    sampler = RowSampler(with_meaning({"x": values, "z": [0, 1] * 10_000}, min_group=5))
    given = (Condition(column="x", low="20.5", high="31.7"),)
    mask = sampler.codec.allowed(given, per_class=False)[0]
    codes = sampler.codec.columns[0].code_of_cell
    sampler.cells = sampler.cells[mask[codes[sampler.cells[:, 0]]]]
    _, records = repaired(sampler, 20_000, given=given)
    made = records["x"].to_numpy()
    assert made.min() >= 20.5
    assert made.max() <= 31.7
    quantiles = np.quantile(made, [0.05, 0.25, 0.5, 0.75, 0.95])
    real = np.quantile(values[(values >= 20.5) & (values <= 31.7)], [0.05, 0.25, 0.5, 0.75, 0.95])
    assert np.abs(quantiles - real).max() < 0.35


UNIQUE = {"kind": "unique", "columns": ["city", "size"]}


def places(rows=4000):
    numbers = np.random.default_rng(6)
    size = numbers.gamma(2.0, 20, rows).round(1)
    city = numbers.choice(["Bonn", "Oslo", "Rome"], rows, p=[0.6, 0.3, 0.1])
    pairs = np.unique(np.stack([city, size.astype(str)]), axis=1)
    columns = {"city": pairs[0], "size": pairs[1].astype(float)}
    return with_meaning(columns, constraints=[UNIQUE])


@pytest.mark.parametrize("rows", [[150] * 4, [40] * 12, [300, 300, 10]])
def test_unique_over_shards_that_do_not_know_of_each_other(rows):
    sampler = RowSampler(places())
    shards = [
        repaired(sampler, count, shard=index, shards=len(rows)) for index, count in enumerate(rows)
    ]
    records = pa.concat_tables([records for _, records in shards])
    assert records.num_rows == sum(rows)
    assert broken(sampler, records) == 0
    cities = records["city"].to_pylist()
    assert abs(cities.count("Bonn") / len(cities) - 0.5) < 0.15


def test_unique_takes_the_very_last_combination():
    columns = {"a": np.arange(60) % 6, "b": np.arange(60) // 6}
    sampler = RowSampler(
        with_meaning(columns, constraints=[{"kind": "unique", "columns": ["a", "b"]}])
    )
    shards = [repaired(sampler, 20, shard=index, shards=3)[1] for index in range(3)]
    assert broken(sampler, pa.concat_tables(shards)) == 0
    with pytest.raises(ConfigError, match="about 20 combinations in each of 3 shards"):
        repaired(sampler, 21, shard=0, shards=3)
    sampler.codec.check((), 60)
    with pytest.raises(ConfigError, match=r"allows 60 combinations .* 61 rows"):
        sampler.codec.check((), 61)


def test_unique_leaves_classes_alone():
    columns = {"kind": ["x"] * 30 + ["y"] * 30, "a": [*range(30), *range(30)]}
    table = with_meaning(columns, constraints=[{"kind": "unique", "columns": ["kind", "a"]}])
    sampler = RowSampler(table, label="kind")
    labels_N = np.repeat([0, 1], [10, 25])

    def resample(rows_M, _):
        drawn = sampler.draw(len(rows_M))
        drawn[:, 0] = labels_N[rows_M]
        return drawn

    drawn = resample(np.arange(35), 0)
    found = repair(sampler.codec, drawn, ShardRequest(labels_N=labels_N), resample)
    records = sampler.codec.decode(found.values, labels_N)
    assert records["kind"].to_pylist() == ["x"] * 10 + ["y"] * 25
    assert broken(sampler, records) == 0


def test_unique_and_inequality_together():
    a, b = np.triu_indices(12)
    rules = [
        {"kind": "unique", "columns": ["a", "b"]},
        {"kind": "inequality", "columns": ["a", "b"]},
    ]
    sampler = RowSampler(with_meaning({"a": a, "b": b}, constraints=rules)).shuffled()
    found, records = repaired(sampler, 60)
    assert broken(sampler, records) == 0
    assert found.redrawn > 0


def test_null_combinations_are_not_compared():
    columns = {"a": pa.array([None] * 38 + [1, 2]), "b": [0, 1] * 20}
    rule = {"kind": "unique", "columns": ["a"]}
    sampler = RowSampler(with_meaning(columns, constraints=[rule]))
    sampler.codec.check((), 1000)
    _, records = repaired(sampler, 40)
    assert broken(sampler, records) == 0
    assert records["a"].null_count >= 38


def test_conditions_that_contradict_a_constraint_are_refused():
    sampler = RowSampler(steps(nulls=False))
    given = (Condition(column="low", low="2.5"), Condition(column="high", high="0"))
    with pytest.raises(ConfigError, match=r"'low' <= 'middle' <= 'high' cannot be met"):
        sampler.codec.check(given, 10)
    sampler.codec.check(given[:1], 10)


def test_more_rows_than_keys_are_refused():
    table = with_meaning(
        {"id": [f"{n:02}" for n in range(60)], "a": [1, 2] * 30, "b": [1, 2, 3] * 20},
        kinds={"id": "key"},
        forms={"id": "99"},
    )
    sampler = RowSampler(table)
    sampler.codec.check((), 100)
    with pytest.raises(ConfigError, match=r"101 rows need .* column 'id'.* has 100"):
        sampler.codec.check((), 101)
