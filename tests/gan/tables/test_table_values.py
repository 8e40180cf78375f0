"""Values of numeric columns: as many, as large and as round as real ones, and nobody's own."""

import json

import numpy as np
import pyarrow as pa
import pytest
import torch
from small_tables import with_meaning
from typed_tables import cycle, described, every_cell

from gan.tables.codec import TableCodec
from gan.tables.columns.habits import learn_habits
from gan.tables.columns.numeric import Numeric

ROWS = 4000

DRAWS = {
    "amounts": lambda r, n: r.lognormal(8, 1.3, n).round(),
    "heavy tail": lambda r, n: (r.pareto(2, n) * 1000).round(),
    "cents": lambda r, n: r.lognormal(3, 0.8, n).round(2),
    "without a step": lambda r, n: r.normal(0, 1, n),
    "mostly zero": lambda r, n: np.where(r.random(n) < 0.6, 0, r.exponential(500, n)).round(),
}


def fitted(values):
    records = described({"it": values, "other": cycle(["p", "q"], len(values))})
    return TableCodec.fit(records, None), records


def synthesize(values, rows, seed=0):
    """Return values drawn as a perfect generator would: a real row's code, any place in it."""
    codec, records = fitted(values)
    numbers = np.random.default_rng(seed)
    samples = codec.to_samples(torch.from_numpy(codec.encode(records).values)).double()
    samples = samples[torch.from_numpy(numbers.integers(0, len(samples), rows))]
    samples += torch.from_numpy(numbers.random(samples.shape))
    return codec.decode(codec.to_values(samples), np.zeros(rows, dtype=np.int64))["it"]


@pytest.mark.parametrize("name", DRAWS)
def test_sums_distinct_values_and_tails_are_within_those_of_real_resamples(name):
    numbers = np.random.default_rng(20)
    real = DRAWS[name](numbers, ROWS)
    fakes = synthesize(real, ROWS).to_numpy()
    resamples = [numbers.choice(real, ROWS) for _ in range(200)]
    low, high = np.quantile([each.mean() for each in resamples], [0.001, 0.999])
    assert low <= fakes.mean() <= high
    others = [DRAWS[name](numbers, ROWS).std() for _ in range(200)]
    assert np.quantile(others, 0.001) <= fakes.std() <= np.quantile(others, 0.999)
    fresh = [len(np.unique(DRAWS[name](numbers, ROWS))) for _ in range(5)]
    assert 0.9 * min(fresh) <= len(np.unique(fakes)) <= 1.1 * max(fresh)
    largest = np.sort([DRAWS[name](numbers, ROWS).max() for _ in range(40)])
    assert largest[0] / 2 <= fakes.max() <= 2 * largest[-1]


def test_thousands_endings_and_days_are_as_common_as_they_were():
    numbers, some = np.random.default_rng(21), np.random.default_rng(22).random((3, ROWS))
    amounts = numbers.lognormal(9, 1, ROWS).round()
    amounts = np.where(some[0] < 0.3, np.rint(amounts / 1000) * 1000, amounts)
    found = synthesize(amounts, ROWS).to_numpy()
    assert abs(np.mean(found % 1000 == 0) - np.mean(amounts % 1000 == 0)) < 0.04
    prices = np.where(some[0] < 0.5, numbers.integers(3, 300, ROWS) + 0.99, 300 * some[1]).round(2)
    cents = np.rint(synthesize(prices, ROWS).to_numpy() * 100) % 100
    assert abs(np.mean(cents == 99) - np.mean(np.rint(prices * 100) % 100 == 99)) < 0.04
    days = 19_000 - numbers.exponential(900, ROWS).astype(np.int64)
    days -= ((days + 3) % 7 >= 5) * (1 + (days + 3) % 7 - 5) * (some[2] < 0.9)
    firsts = days.astype("datetime64[D]").astype("datetime64[M]").astype("datetime64[D]")
    days = np.where(some[1] < 0.2, firsts.astype(np.int64), days)
    column = pa.array(days.astype(np.int32)).cast(pa.date32())
    found = synthesize(column, ROWS).cast(pa.int32()).to_numpy()
    weekends = [np.mean((each.astype(np.int64) + 3) % 7 >= 5) for each in (days, found)]
    assert abs(weekends[0] - weekends[1]) < 0.04
    starts = [
        np.mean([str(day)[8:] == "01" for day in each.astype("datetime64[D]")])
        for each in (days, found)
    ]
    assert abs(starts[0] - starts[1]) < 0.04


def test_lattices_that_hold_points_of_finer_ones_get_the_share_that_is_theirs():
    numbers = np.random.default_rng(23)
    tens = numbers.integers(0, 10_000, 20_000) * 10
    hundreds = numbers.integers(0, 1000, 10_000) * 100
    habits = {(each.step, each.rest): each.share for each in _learn(tens, hundreds)}
    assert abs(habits[10, 0] - 2 / 3) < 0.03
    assert abs(habits[100, 0] - 1 / 3) < 0.03
    assert sum(habits.values()) > 0.99
    assert _learn(np.array([3, 17, 1000])) == _learn(np.array([4, 18, 2001]))


@pytest.mark.parametrize("step", [12, 60, 125, 3600, 86_400_000])
def test_values_that_are_multiples_of_a_step_stay_multiples(step):
    numbers = np.random.default_rng(24)
    real = np.rint(numbers.lognormal(6, 1, 1500)).astype(np.int64) * step
    found = synthesize(real, 2000).to_numpy()
    assert not np.any(found % step)
    assert len(np.unique(found)) > 0.5 * len(np.unique(real))
    prices = np.rint(numbers.lognormal(4, 1, 1500)) * 0.12
    cents = np.rint(synthesize(prices.round(2), 2000).to_numpy() * 100)
    assert not np.any(cents % 12)


def test_few_values_have_a_step_by_chance():
    some = np.arange(8) * 14 + 98
    assert {each.step for each in _learn(np.repeat(some, 20))} <= {1, 5, 10, 50, 100}


def _learn(*parts):
    return learn_habits(np.sort(np.concatenate(parts)), 10, pa.int64())


@pytest.mark.parametrize("name", ["amounts", "heavy tail", "without a step"])
def test_who_lies_at_the_end_does_not_move_the_tail(name):
    real = np.sort(DRAWS[name](np.random.default_rng(24), 2000))
    moved = real.copy()
    moved[-9:] = np.rint(moved[-9:] * np.linspace(1.5, 1e6, 9))
    cells = [every_cell(fitted(values)[0])["it"] for values in (real, moved)]
    assert cells[0].equals(cells[1])


def test_what_constraints_types_and_signs_exclude_is_not_drawn():
    numbers = np.random.default_rng(25)
    percent = (100 * numbers.beta(6, 1.1, 2000)).round(1)
    positive = numbers.lognormal(0, 2, 2000).round(2) + 0.01
    small = pa.array(numbers.binomial(250, 0.97, 2000).clip(0, 255), pa.uint8())
    narrow = described(
        {"it": positive, "other": cycle(["p", "q"], 2000)},
        constraints=[{"kind": "range", "columns": ["it"], "low": 0.5, "high": 20}],
    )
    assert every_cell(fitted(percent)[0])["it"].to_numpy().max() <= 100
    assert every_cell(fitted(positive)[0])["it"].to_numpy().min() > 0
    assert every_cell(fitted(small)[0])["it"].to_numpy().max() <= 255
    cells = every_cell(TableCodec.fit(narrow, None))["it"].to_numpy()
    assert 0.5 <= cells.min() < 0.6
    assert 18 < cells.max() <= 20


def test_values_that_come_in_clumps_stay_as_few():
    numbers = np.random.default_rng(28)
    offered = numbers.choice(100_000, 800, replace=False)
    real = numbers.choice(offered, ROWS)
    assert np.median(np.unique(real, return_counts=True)[1]) < 10
    found = synthesize(real, ROWS).to_numpy()
    assert len(np.unique(found)) == pytest.approx(len(np.unique(real)), rel=0.3)


def test_rare_values_among_common_ones_are_drawn_as_often_as_they_are():
    numbers = np.random.default_rng(27)
    days = 18_000 + numbers.integers(0, 600, 12_000)
    days = days[((days + 3) % 7 < 5) | (numbers.random(12_000) < 0.15)]
    common = np.unique(days, return_counts=True)
    assert (common[1] < 10).mean() > 0.2
    found = synthesize(pa.array(days.astype(np.int32)).cast(pa.date32()), len(days))
    found = found.cast(pa.int32()).to_numpy()
    weekends = [np.mean((each + 3) % 7 >= 5) for each in (days, found)]
    assert weekends[1] == pytest.approx(weekends[0], rel=0.2)
    assert len(np.unique(found)) > 0.95 * len(common[0])


def test_cells_of_a_bin_never_reach_a_value_that_has_cells_of_its_own():
    numbers = np.random.default_rng(26)
    values = np.where(numbers.random(6000) < 0.3, 5000, numbers.integers(0, 10_000, 6000))
    values[:15], values[15:30] = 7000, 7001
    codec, _ = fitted(values)
    column = codec.columns[0]
    cells = column.vocabularies[0].to_numpy()
    codes = column.code_of_cell[cells == 5000]
    assert len(codes) == 1
    expected = 15 / (6000 * np.mean(values != 5000))
    shares = [np.mean(cells[cells != 5000] == value) for value in (7000, 7001)]
    np.testing.assert_allclose(shares, expected, rtol=0.5)
    starts = cells[column.first_cells[:-1]]
    assert (np.diff(cells)[np.diff(column.code_of_cell) > 0] > 0).all()
    assert (np.diff(starts) > 0).all()


@pytest.mark.parametrize("seed", range(3))
def test_a_range_holds_in_every_cell_also_of_floats_without_a_step(seed):
    numbers = np.random.default_rng(seed)
    for values in (numbers.lognormal(5, 1, 1200), np.round(numbers.lognormal(5, 1, 1200), 2)):
        high = float(np.quantile(values, 0.99))
        rule = {"kind": "range", "columns": ["x"], "low": 1.0, "high": high}
        table = with_meaning(
            {"x": values, "y": numbers.integers(0, 9, 1200)}, min_group=10, constraints=[rule]
        )
        cells = TableCodec.fit(table, None).columns[0].vocabulary("x").to_numpy()
        assert cells.min() >= 1.0
        assert cells.max() <= high


def test_the_tails_of_small_tables_are_those_of_the_real_rows():
    errors = []
    for seed in range(12):
        numbers = np.random.default_rng(seed)
        values = np.round(numbers.lognormal(5, 1, 700), 2)
        cells, shares = shares_of_cells(values)
        errors.append(np.average(cells, weights=shares) / values.mean() - 1)
    assert abs(np.mean(errors)) < 0.04


def test_few_numbers_lie_beyond_the_ends_of_an_even_spread():
    beyond = []
    for seed in range(12):
        values = np.random.default_rng(seed).integers(102, 1500, 800)
        cells, shares = shares_of_cells(values)
        beyond.append(shares @ ((cells < values.min()) | (cells > values.max())))
    assert np.mean(beyond) < 5 / 800, "of further real rows 2 in 801 do"


def shares_of_cells(values):
    """Return what a column may show, and what share of its rows a perfect generator shows so."""
    table = with_meaning({"x": values, "y": np.arange(len(values)) % 9}, min_group=10)
    column = TableCodec.fit(table, None).columns[0]
    rows = np.bincount(column.code_of_cell[column.encode(table)], minlength=column.codes)
    shares = (rows / np.diff(column.first_cells))[column.code_of_cell] / len(values)
    return np.asarray(column.vocabulary("x"), dtype=np.float64), shares


def test_numbers_of_64_bits_and_single_floats_come_back_from_json_as_they_were():
    numbers = np.random.default_rng(0)
    columns = {
        "wide": numbers.integers(-(2**60), 2**60, 1500),
        "single": numbers.lognormal(3, 1, 1500).astype(np.float32),
        "half": numbers.normal(0, 20_000, 1500).clip(-60_000, 60_000).astype(np.float16),
        "byte": numbers.integers(-128, 128, 1500).astype(np.int8),
    }
    table = with_meaning(columns, min_group=1)
    codec = TableCodec.fit(table, None)
    again = TableCodec.from_json(json.loads(json.dumps(codec.to_json())))
    cells = codec.encode(table).values
    assert again.decode(cells, None).equals(codec.decode(cells, None))
    np.testing.assert_array_equal(again.encode(table).values, cells)


def numeric(values):
    ends = (None, None)
    return Numeric.fit("x", pa.array(values), 10, limits=ends, whole=False, months=True)


def test_numbers_that_are_months_stay_months():
    draw = np.random.default_rng(5)
    months = 1990 * 12 + (draw.beta(3, 1.2, 4000) * 400).astype(np.int64)
    column = numeric(months // 12 * 100 + months % 12 + 1)
    cells = column.vocabularies[0].to_numpy()
    assert ((cells % 100 >= 1) & (cells % 100 <= 12)).all()
    assert len(np.unique(cells)) > 150
    assert Numeric.from_json(column.to_json()).to_json() == column.to_json()
    found = cells[column.encode(pa.table({"x": months // 12 * 100 + months % 12 + 1}))]
    assert np.mean(found // 100 * 12 + found % 100 - 1 != months) < 0.03
    one_is_none = np.append(months // 12 * 100 + months % 12 + 1, 199_013)
    assert numeric(one_is_none).decimals == 0


def test_amounts_above_zero_do_not_reach_it():
    draw = np.random.default_rng(8)
    areas, small = np.exp(draw.normal(7.5, 0.4, 9000)), 280 + draw.beta(2.5, 1, 20) * 300
    areas = np.round(np.append(areas, small), -1).astype(np.int64)
    assert numeric(areas).vocabularies[0].to_numpy().min() > 100


def test_a_common_value_near_the_end_makes_no_long_tail():
    draw = np.random.default_rng(7)
    owed = -np.round(draw.exponential(300, 60)) - 1
    bills = np.concatenate([owed, np.zeros(900), np.round(draw.gamma(0.7, 40_000, 6000)) + 1])
    assert numeric(bills.astype(np.int64)).vocabularies[0].to_numpy().min() > -4_000


def test_rows_of_another_kind_at_the_end_have_a_tail_of_their_own():
    draw = np.random.default_rng(8)
    paid = np.append(draw.gamma(1, 900, 5000), draw.uniform(8_000, 41_000, 90))
    assert numeric(np.round(paid, 2)).vocabularies[0].to_numpy().max() < 90_000
