"""Numbers that are round where other columns say so."""

import json

import numpy as np
import pyarrow as pa
import pytest
from small_tables import with_meaning

from gan.tables.codec import TableCodec
from gan.tables.columns.numeric import Numeric
from gan.tables.columns.relative import RelativeNumeric
from gan.tables.columns.rounded import RoundedNumeric, ValueLattice, phases_of
from gan.tables.columns.values import to_units

ROWS, GROUP = 4000, 10
CASH = np.random.default_rng(1).random(ROWS) < 0.4


def amounts(seed, spread=1.0):
    return np.exp(np.random.default_rng(seed).normal(8, spread, ROWS))


def gifts(by, seed=2, share=0.9):
    """Amounts that are whole hundreds where `by` says so, and the least is one hundred."""
    raw, numbers = amounts(seed), np.random.default_rng(seed + 100)
    hundreds = np.maximum(np.rint(raw / 100), 1) * 100
    return np.where(by & (numbers.random(ROWS) < share), hundreds, np.rint(raw)).astype(np.int64)


def table(**columns):
    return with_meaning({"cash": CASH, **columns}, min_group=GROUP)


@pytest.fixture(scope="module")
def donations():
    gift = pa.array(gifts(CASH), mask=np.random.default_rng(3).random(ROWS) < 0.05)
    return table(gift=gift, age=np.random.default_rng(4).integers(18, 90, ROWS))


@pytest.fixture(scope="module")
def codec(donations):
    return TableCodec.fit(donations, None)


def redrawn(column, cells_N, seed=0):
    """Return cells of the same codes."""
    codes_N = column.codes_of(cells_N)
    sizes_N = np.diff(column.first_cells)[codes_N]
    return column.first_cells[codes_N] + np.random.default_rng(seed).integers(sizes_N)


def test_what_is_round_stays_round_and_what_is_not_does_not(donations, codec):
    column = codec.columns[1]
    assert isinstance(column, RoundedNumeric)
    assert column.lattices == (ValueLattice(100, 0),)
    cells_N = column.encode(donations)
    (drawn,) = column.decode(redrawn(column, cells_N), {})
    assert drawn.is_null().equals(donations["gift"].combine_chunks().is_null())
    here_N, there_N = (to_units(each, 0)[0] for each in (drawn, donations["gift"]))
    assert np.mean((here_N % 100 == 0) == (there_N % 100 == 0)) > 0.99
    by_chance = column.own.encode(donations)
    (blind,) = column.own.decode(redrawn(column.own, by_chance), {})
    assert np.mean((to_units(blind, 0)[0] % 100 == 0) == (there_N % 100 == 0)) < 0.85
    assert np.corrcoef(*(np.log1p(each) for each in (here_N, there_N)))[0, 1] > 0.98


def test_it_shows_what_it_would_show_without_and_no_code_has_few_rows(donations, codec):
    column = codec.columns[1]
    both = (each.vocabularies[0].drop_null().to_numpy() for each in (column, column.own))
    np.testing.assert_array_equal(*(np.sort(each) for each in both))
    rows = np.bincount(column.codes_of(column.encode(donations)), minlength=column.codes)
    own = np.bincount(column.own.codes_of(column.own.encode(donations)), minlength=GROUP)
    assert rows.min() >= min(GROUP, own.min())
    assert column.codes < 1.4 * column.own.codes
    runs = np.flatnonzero([phase >= 0 for phase in column.places.phases])
    assert {column.places.phases[code] for code in runs} == {0}
    assert list(column.places.along) == sorted(column.places.along)


def test_a_value_goes_to_the_nearest_cell_of_its_code(donations, codec):
    column = codec.columns[1]
    cells_N = column.encode(donations)
    again_N = column.encode(table(gift=column.decode(cells_N, {})[0]))
    np.testing.assert_array_equal(column.codes_of(again_N), column.codes_of(cells_N))


def test_it_comes_back_from_json(donations, codec):
    again = TableCodec.from_json(json.loads(json.dumps(codec.to_json())))
    assert again == codec
    np.testing.assert_array_equal(again.encode(donations).values, codec.encode(donations).values)


def test_roundness_that_goes_with_nothing_parts_no_bin():
    coin = np.random.default_rng(5).random(ROWS) < 0.4
    near = np.rint(amounts(2) * np.exp(np.random.default_rng(7).normal(0, 0.3, ROWS)))
    columns = {"gift": gifts(coin), "near": near.astype(np.int64)}
    fitted = TableCodec.fit(table(**columns), None)
    assert not any(isinstance(each, RoundedNumeric) for each in fitted.columns)
    many = with_meaning({"cash": CASH, "gift": gifts(CASH)}, min_group=200)
    assert isinstance(TableCodec.fit(many, None).columns[1], Numeric), "codes would have few rows"
    label = TableCodec.fit(table(gift=gifts(CASH)), "gift")
    assert isinstance(label.columns[1], Numeric), "a label stays as it is"


def test_amounts_that_are_round_together_are_both_parted():
    pledge, gift = (gifts(CASH, seed=seed) for seed in (8, 9))
    records = with_meaning({"pledge": pledge, "gift": gift}, min_group=GROUP)
    for column in TableCodec.fit(records, None).columns:
        assert isinstance(column, RoundedNumeric)


@pytest.mark.parametrize(
    ("name", "lattice", "values"),
    [
        ("endings", ValueLattice(100, 99), lambda raw: np.floor(raw / 50) + 0.99),
        ("quarters", ValueLattice(25, 0), lambda raw: np.maximum(np.rint(raw / 100 * 4) / 4, 0.25)),
        (
            "dozens",
            ValueLattice(12, 0),
            lambda raw: np.maximum(np.rint(raw / 120), 1).astype(np.int64) * 12,
        ),
    ],
)
def test_endings_quarters_and_dozens_are_roundness(name, lattice, values):
    raw = amounts(10, 0.6)
    free = {
        "endings": (raw / 50).round(2),
        "quarters": (raw / 100).round(2),
        "dozens": np.rint(raw / 10).astype(np.int64),
    }[name]
    column = TableCodec.fit(table(amount=np.where(CASH, values(raw), free)), None).columns[1]
    assert isinstance(column, RoundedNumeric)
    assert lattice in column.lattices


def test_what_is_coded_beside_a_neighbour_stays_as_it_is():
    numbers = np.random.default_rng(11)
    bill = np.rint(amounts(12)).astype(np.int64)
    paid = np.where(numbers.random(ROWS) < 0.3, bill, gifts(CASH, seed=13))
    column = TableCodec.fit(table(bill=bill, paid=paid), None).columns[2]
    assert isinstance(column, RelativeNumeric)


def test_a_planted_row_is_no_code_and_no_lattice_of_its_own():
    gift = gifts(CASH)
    gift[:5] = 7_654_300 + np.arange(5) * 100
    planted = TableCodec.fit(table(gift=gift), None)
    column = planted.columns[1]
    assert isinstance(column, RoundedNumeric)
    assert column.vocabularies[0].to_numpy().max() < 1_000_000
    assert "76543" not in json.dumps(planted.to_json())


def test_atoms_are_of_their_phase_but_zero_is_nothing():
    some = np.random.default_rng(14).random(ROWS)
    paid = np.select([some < 0.2, some < 0.25, some < 0.3], [0, 5000, 777], gifts(CASH, seed=15))
    column = TableCodec.fit(table(paid=paid), None).columns[1]
    assert isinstance(column, RoundedNumeric)
    alone = np.flatnonzero(np.diff(column.first_cells) == 1)
    values = column.vocabularies[0].to_numpy()[column.first_cells[alone]]
    phases = np.array(column.places.phases)[alone]
    assert {0, 777, 5000} <= set(values.tolist())
    np.testing.assert_array_equal(phases == 0, (values % 100 == 0) & (values > 0))


def test_phases_are_of_the_coarsest_lattice():
    lattices = [ValueLattice(1000, 0), ValueLattice(100, 99), ValueLattice(10, 0)]
    found = phases_of(np.array([2000, 1099, 40, 41, -1000]), lattices)
    np.testing.assert_array_equal(found, [0, 1, 2, 3, 0])
