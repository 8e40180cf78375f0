"""Which relations are found, and that none is found in noise."""

import numpy as np
import pytest
from small_series import autoregression, make_series, sticky

from gan.series.codec import SeriesCodec


def relations(variables, entities, steps, **more):
    columns = {name: np.asarray(values).ravel() for name, values in variables.items()}
    codec = SeriesCodec.fit(make_series(columns, [steps] * entities, **more), None)
    return codec, {
        each.name: [(one.reference, one.offsets is not None, one.ratios) for one in each.relations]
        for each in codec.variables
    }


@pytest.fixture
def numbers():
    return np.random.default_rng(11)


def test_noise_has_no_relation(numbers):
    _, found = relations(
        {
            "count": numbers.poisson(4, (80, 20)),
            "load": numbers.normal(size=(80, 20)).round(3),
            "word": numbers.choice(["a", "b", "c"], (80, 20)),
        },
        80,
        20,
    )
    assert found == {"count": [], "load": [], "word": []}


def test_what_stays_has_a_code_for_it(numbers):
    _, found = relations({"price": sticky(numbers, 80, 30)}, 80, 30)
    assert found["price"] == [("last", False, ())]


def test_promotions_return_and_have_a_ratio(numbers):
    base = np.round(np.exp(numbers.normal(3.0, 0.5, (80, 1))), 2) * np.ones((80, 30))
    promoted = np.repeat(numbers.random((80, 10)) < 0.3, 3, axis=1)
    price = np.round(np.where(promoted, 0.75 * base, base), 2)
    _, found = relations({"price": price}, 80, 30)
    assert found["price"][:2] == [("last", False, ()), ("back", False, ())]
    assert 0.75 in found["price"][2][2]


def test_a_stock_is_what_is_left_and_what_arrives(numbers):
    sold = numbers.poisson(5, (80, 30))
    arrives = (numbers.random((80, 30)) < 0.1) * numbers.integers(40, 90, (80, 1))
    stock = 500 + np.cumsum(arrives - sold, axis=1)
    codec, found = relations({"stock": stock, "sold": sold}, 80, 30)
    assert [each.name for each in codec.variables] == ["sold", "stock"]
    assert found == {
        "sold": [],
        "stock": [("sum", False, ()), ("lot", False, ()), ("sum", True, ())],
    }
    assert codec.variables[1].relations[0].addend == (0, -1, False)


def test_a_meter_adds_what_was_used_the_step_before(numbers):
    used = numbers.integers(1, 50, (60, 20))
    meter = 100 + np.cumsum(used, axis=1) - used
    codec, _ = relations({"meter": meter, "used": used}, 60, 20)
    by_name = {each.name: each for each in codec.variables}
    addend = by_name["meter"].addend
    assert (codec.variables[addend.variable].name, addend.sign, addend.lagged) == ("used", 1, True)


def test_what_moves_little_by_little_has_codes_of_changes(numbers):
    _, found = relations({"load": autoregression(numbers, 60, 60, 0.995).round(4)}, 60, 60)
    assert found["load"] == [("last", True, ())]
    _, loose = relations({"load": autoregression(numbers, 60, 60, 0.3).round(4)}, 60, 60)
    assert loose["load"] == []


def test_prices_that_move_by_percents_have_codes_of_factors(numbers):
    factors = np.where(numbers.random((80, 30)) < 0.15, numbers.normal(1, 0.05, (80, 30)), 1)
    factors[:, 0] = np.exp(numbers.normal(3.0, 1.0, 80))
    codec, found = relations({"price": np.cumprod(factors, axis=1).round(2)}, 80, 30)
    assert found["price"] == [("last", False, ()), ("last", True, ())]
    assert codec.variables[0].relations[1].relative
