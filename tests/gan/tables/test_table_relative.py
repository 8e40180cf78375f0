"""Numbers beside another: equal ones, close ones; found, coded, decoded, kept apart from chance."""

import json

import numpy as np
import pyarrow as pa
import pytest
from small_tables import RowSampler, with_meaning
from typed_tables import cycle, decoded, described

from gan.codecs import ShardRequest
from gan.tables.codec import TableCodec
from gan.tables.columns.relative import RelativeNumeric
from gan.tables.impute import _allowed, _finish
from storage.records.schema import Condition

ROWS = 3000


def bills(seed=30):
    """Return a bill, the next one, which is close to it, and a payment that often equals it."""
    numbers = np.random.default_rng(seed)
    first = numbers.lognormal(9, 1, ROWS).round()
    later = first + numbers.normal(0, 40, ROWS).round()
    some = numbers.random(ROWS)
    paid = np.where(some < 0.15, first, np.where(some < 0.5, 0, numbers.lognormal(7, 1, ROWS)))
    return {
        name: pa.array(np.rint(each).clip(0).astype(np.int64))
        for name, each in (("first", first), ("later", later), ("paid", paid))
    }


def beside(codec):
    return {column.name: column for column in codec.columns if isinstance(column, RelativeNumeric)}


def drawn(codec, records, rows=ROWS, seed=0):
    """Return rows whose neighbours' values are drawn by themselves, a row's codes together."""
    cells_ND = codec.encode(records).values
    numbers = np.random.default_rng(seed)
    return codec.decode(cells_ND[numbers.integers(0, len(cells_ND), rows)], None)


def test_columns_that_lie_beside_another_are_found_and_keep_their_distance():
    records = described({**bills(), "other": cycle(["p", "q"], ROWS)})
    codec = TableCodec.fit(records, None)
    found = beside(codec)
    pairs = {tuple(sorted((name, each.neighbour))): each for name, each in found.items()}
    assert pairs["first", "later"].reach > 0
    assert found["paid"].reach == 0
    fakes = drawn(codec, records)
    equal = [
        np.mean(
            np.any(
                [
                    (t["paid"].to_numpy() == t[name].to_numpy()) & (t["paid"].to_numpy() > 0)
                    for name in ("first", "later")
                ],
                axis=0,
            )
        )
        for t in (records, fakes)
    ]
    assert abs(equal[0] - equal[1]) < 0.02
    apart = [np.abs(t["later"].to_numpy() - t["first"].to_numpy()) for t in (records, fakes)]
    np.testing.assert_allclose(*(np.quantile(each, [0.25, 0.5, 0.75]) for each in apart), atol=5)
    again = TableCodec.from_json(json.loads(json.dumps(codec.to_json())))
    assert again == codec
    assert decoded(again, records).equals(decoded(codec, records))


def test_differences_hold_when_the_neighbour_has_another_value():
    records = described({**bills(), "other": cycle(["p", "q"], ROWS)})
    codec = TableCodec.fit(records, None)
    names = [column.name for column in codec.columns]
    cells_ND = codec.encode(records).values
    (name, column), *_ = [each for each in beside(codec).items() if each[1].reach == 0]
    rows = np.flatnonzero(column.relative[cells_ND[:, names.index(name)]])
    moved = cells_ND[rows].copy()
    moved[:, names.index("first")] = np.random.default_rng(1).permutation(
        moved[:, names.index("first")]
    )
    made = codec.decode(moved, None)
    assert made[name].equals(made[column.neighbour])


def test_what_is_equal_by_chance_or_through_a_common_atom_is_no_relation():
    numbers = np.random.default_rng(31)
    zeros = [np.where(numbers.random(ROWS) < 0.6, 0, numbers.integers(1, 5000, ROWS)) for _ in "ab"]
    columns = {"a": zeros[0], "b": zeros[1], "small": numbers.integers(0, 300, ROWS)}
    columns["other"] = numbers.integers(0, 300, ROWS)
    assert not beside(TableCodec.fit(described(columns), None))


def test_a_neighbour_is_never_followed_in_a_circle():
    numbers = np.random.default_rng(32)
    base = numbers.integers(0, 100_000, ROWS)
    columns = {f"c{i}": base + numbers.integers(-3, 4, ROWS) for i in range(5)}
    codec = TableCodec.fit(described(columns), None)
    assert len(beside(codec)) == 4
    assert sorted(codec.decoding_order) == list(range(5))
    place = {codec.columns[index].name: at for at, index in enumerate(codec.decoding_order)}
    for name, column in beside(codec).items():
        assert place[column.neighbour] < place[name]


def test_conditions_are_met_by_what_is_decoded():
    records = described({**bills(), "other": cycle(["p", "q"], ROWS)})
    codec = TableCodec.fit(records, None)
    cells_ND = codec.encode(records).values
    made = codec.decode(cells_ND, None)
    for name, column in beside(codec).items():
        given = (Condition(column=name, low="4000", high="9000"),)
        classes_N = codec.classes_of(cells_ND, given, per_class=False)
        values = made[name].to_numpy()
        np.testing.assert_array_equal(classes_N >= 0, (values >= 4000) & (values <= 9000))
        masks = codec.cell_masks(given)
        index = [each.name for each in codec.columns].index(name)
        assert not (masks[index] & column.relative).any()


@pytest.mark.parametrize("holes", [False, True])
def test_an_inequality_holds_in_what_is_decoded(holes):
    columns = bills()
    low, high = (np.minimum, np.maximum)
    first, later = (columns[name].to_numpy() for name in ("first", "later"))
    columns = {"below": low(first, later), "above": high(first, later)}
    if holes:
        columns["above"] = pa.array(columns["above"], mask=np.arange(ROWS) % 10 == 3)
    rule = {"kind": "inequality", "columns": ["below", "above"]}
    records = with_meaning(columns, constraints=[rule], min_group=10)
    sampler = RowSampler(records).shuffled()
    assert beside(sampler.codec)
    repaired = sampler.codec.repair(sampler.draw(500), ShardRequest(), sampler.resample)
    made = sampler.codec.decode(repaired.values, None)
    pairs = zip(made["below"].to_pylist(), made["above"].to_pylist(), strict=True)
    assert all(a is None or b is None or a <= b for a, b in pairs)
    assert (made["above"].null_count > 0) == holes


def test_what_is_filled_beside_a_known_neighbour_follows_from_it():
    records = described({**bills(), "other": cycle(["p", "q"], ROWS)})
    codec = TableCodec.fit(records, None)
    cells_ND = codec.encode(records).values
    (name, column), *_ = [each for each in beside(codec).items() if each[1].reach == 0]
    index = [each.name for each in codec.columns].index(name)
    rows = np.flatnonzero(column.relative[cells_ND[:, index]])[:50]
    known = records.take(pa.array(rows))
    moved = pa.array(np.arange(50) * 7 + 3000)
    known = known.set_column(
        known.schema.get_field_index(column.neighbour), column.neighbour, moved
    )
    gaps = {name: np.ones(50, dtype=bool)}
    filled, _, _ = _finish(codec, known, gaps, cells_ND[rows])
    assert filled[name].to_pylist() == moved.to_pylist()
    allowed = _allowed(codec, known, gaps, cells_ND[rows])
    first = sum(codec.code_counts[:index])
    assert allowed[:, first : first + codec.code_counts[index]].all()


def stays(seed=40):
    """Return an amount and its logarithm, a length, a weight of its cube, a day and its price."""
    numbers = np.random.default_rng(seed)
    amount = numbers.lognormal(7, 1, ROWS).round(2)
    length = numbers.uniform(3, 9, ROWS).round(2)
    weight = (0.006 * length**3 * numbers.normal(1, 0.01, ROWS)).round(2)
    day = numbers.integers(17_000, 17_150, ROWS).astype("datetime64[D]")
    season = 90 + 30 * np.sin(day.astype(np.int64) / 25)
    return described(
        {
            "amount": pa.array(amount, mask=np.arange(ROWS) % 9 == 2),
            "log": pa.array(np.log(amount), mask=np.arange(ROWS) % 9 == 2),
            "length": length,
            "weight": weight,
            "day": pa.array(day),
            "price": season,
            "other": numbers.normal(size=ROWS),
        }
    )


def test_a_column_lies_beside_its_trend_in_one_of_other_units():
    records = stays()
    codec = TableCodec.fit(records, None)
    found = {
        tuple(sorted((name, each.neighbour))): each.trend for name, each in beside(codec).items()
    }
    assert set(found) == {("amount", "log"), ("length", "weight"), ("day", "price")}
    assert all(trend is not None for trend in found.values())
    assert found["amount", "log"].exact
    assert not found["length", "weight"].exact
    again = TableCodec.from_json(json.loads(json.dumps(codec.to_json())))
    assert again == codec
    assert decoded(again, records).equals(decoded(codec, records))


def test_what_follows_from_a_neighbour_follows_from_any_value_of_it():
    """Rows drawn by themselves keep a function, a cube and a season, within the trend's knots."""
    records = stays()
    fakes = drawn(TableCodec.fit(records, None), records).to_pandas()
    inner = fakes["amount"].between(*np.nanquantile(records["amount"].to_numpy(), [0.01, 0.99]))
    np.testing.assert_allclose(np.log(fakes["amount"][inner]), fakes["log"][inner], atol=0.02)
    assert (fakes["amount"].isna() == fakes["log"].isna()).all()
    apart = fakes["weight"] / (0.006 * fakes["length"] ** 3) - 1
    assert np.abs(apart).quantile(0.95) < 0.05
    days = (fakes["day"].astype("datetime64[s]").astype(np.int64) // 86_400).to_numpy()
    season = 90 + 30 * np.sin(days / 25)
    assert np.abs(fakes["price"] - season).quantile(0.95) < 2


def test_a_trend_has_no_knot_of_few_rows_and_no_extreme():
    numbers = np.random.default_rng(41)
    there, here = numbers.normal(0, 1, ROWS), np.zeros(ROWS)
    here = 3 * there + numbers.normal(0, 0.01, ROWS)
    there[0], here[0], here[1] = 1e6, -1e9, 1e9
    codec = TableCodec.fit(described({"there": there, "here": here}), None)
    (column,) = beside(codec).values()
    assert len(column.trend.there_V) <= ROWS / 10
    for knots in (column.trend.there_V, column.trend.here_V):
        assert np.abs(knots).max() < 20
        assert not np.isin(knots, np.concatenate([there, here])).any()


def test_noise_has_no_trend():
    numbers = np.random.default_rng(42)
    there = numbers.normal(size=ROWS)
    columns = {"there": there, "here": there + numbers.normal(0, 0.5, ROWS)}
    assert not beside(TableCodec.fit(described(columns), None))


def test_a_column_keeps_its_own_rounding_rather_than_a_neighbour():
    numbers = np.random.default_rng(0)
    amount = numbers.integers(1000, 90_000, 3000)
    rounded = np.round(amount, -2)
    codec = TableCodec.fit(with_meaning({"amount": amount, "rounded": rounded}, min_group=10), None)
    column = next(each for each in codec.columns if each.name == "rounded")
    assert not isinstance(column, RelativeNumeric)
    assert (column.vocabulary("rounded").to_numpy() % 100 == 0).mean() > 0.99
