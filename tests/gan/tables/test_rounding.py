"""How a computed column is rounded is learnt from its rows, whichever program rounded them."""

import math
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan.tables.columns.rounding import Rounding, as_floats

NUMBERS = np.random.default_rng(5)
AMOUNTS = NUMBERS.integers(1, 20, 4000)
CENTS = NUMBERS.integers(1, 4000, 4000)
"""A price has cents, and the product is a quarter of it: every fourth is a tie or near one."""
EXACT = [Decimal(int(a)) * Decimal(int(c)) / Decimal(8) / 100 for a, c in zip(AMOUNTS, CENTS)]  # noqa: B905
COMPUTED = AMOUNTS * (CENTS / 100) / 8


@pytest.mark.parametrize(
    ("way", "mode"),
    [
        ("half up", ROUND_HALF_UP),
        ("half even", ROUND_HALF_EVEN),
        ("floor", ROUND_FLOOR),
        ("ceiling", ROUND_CEILING),
    ],
)
def test_decimals_of_a_database(way, mode):
    signed = [value * (-1) ** place for place, value in enumerate(EXACT)]
    rounded = [float(value.quantize(Decimal("0.01"), mode)) for value in signed]
    column, computed = pa.array(rounded), COMPUTED * (-1) ** np.arange(len(COMPUTED))
    found = Rounding.learn(computed, column)
    assert (found.way, found.decimals) == (way, 2)
    assert found.typed(computed, pa.float64()).equals(column)
    assert Rounding.from_json(found.to_json()) == found


def test_truncation_and_floor_differ_below_zero():
    down = [float((-value).quantize(Decimal("0.01"), ROUND_DOWN)) for value in EXACT]
    assert Rounding.learn(-COMPUTED, pa.array(down)).way == "truncation"


def test_floats_as_numpy_rounds_them():
    column = pa.array(np.round(COMPUTED, 2))
    found = Rounding.learn(COMPUTED, column)
    assert found.way == "half even of floats"
    assert found.typed(COMPUTED, pa.float64()).equals(column)
    assert np.round(1.005, 2) == 1.0, "what this is about: 1.005 * 100 is 100.49999999999999"
    assert (
        Rounding(way="half up", decimals=2)
        .typed(np.array([1.005]), pa.float64())
        .equals(pa.array([1.01]))
    )


@pytest.mark.parametrize(
    "kind", [pa.int32(), pa.decimal128(12, 4), pa.float32(), pa.float64()], ids=str
)
def test_every_type_keeps_its_steps(kind):
    places = 0 if pa.types.is_integer(kind) else 2
    column = pa.array(np.round(COMPUTED, places)).cast(kind, safe=False)
    noise = 1e-6 if pa.types.is_float32(kind) else 1e-12
    found = Rounding.learn(COMPUTED, column, noise)
    assert found.decimals == places
    assert found.typed(COMPUTED, kind).equals(column)
    assert not found.missed(COMPUTED, column).any()


def test_tens_are_found_where_nothing_finer_explains_them():
    computed = COMPUTED * 100
    column = pa.array(
        [int((10 * value).quantize(Decimal(1), ROUND_HALF_UP)) * 10 for value in EXACT]
    )
    assert Rounding.learn(computed, column).decimals == -1
    assert Rounding.learn(computed, column).typed(computed, pa.int64()).equals(column)


def test_unrounded_numbers_stay_as_they_are():
    ratios = AMOUNTS / CENTS
    found = Rounding.learn(ratios, pa.array(ratios))
    assert found.way == "none"
    assert found.typed(ratios, pa.float64()).equals(pa.array(ratios))
    assert found.missed(ratios, pa.array(ratios * (1 + 1e-5))).all()


def test_a_wrong_value_is_missed_and_ties_are_not():
    column = np.round(COMPUTED, 2)
    found = Rounding.learn(COMPUTED, pa.array(column))
    ties = np.abs(COMPUTED * 100 % 1 - 0.5) < 1e-9
    assert ties.sum() > 100
    other = np.where(ties, np.floor(COMPUTED * 100 + 0.5) / 100, column)
    assert not found.missed(COMPUTED, pa.array(other)).any()
    assert found.missed(COMPUTED, pa.array(column + 0.02)).all()


@given(st.floats(1e-3, 1e6))
@settings(max_examples=200, deadline=None)
def test_single_precision_is_read_as_the_decimal_it_stands_for(value):
    short = float(f"{value:.6g}")
    (read,) = as_floats(pa.array([short], pa.float32())).tolist()
    assert math.isclose(read, short, rel_tol=1e-12)
