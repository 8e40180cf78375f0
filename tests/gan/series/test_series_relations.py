"""Which relations are found, and that none is found in noise."""

import numpy as np
import pytest
import torch
from small_series import autoregression, make_series, sticky

from gan.series.codec import SeriesCodec
from gan.series.columns.relations import LOG_UNIT, History, history_of, next_history
from gan.series.columns.variables import Coder, Reached


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


def test_lots_as_large_as_an_entity_are_said_beside_its_first_value(numbers):
    size = np.exp(numbers.normal(6, 1, (80, 1))).astype(int)
    sold = numbers.poisson(size / 50 * np.ones((80, 30)))
    arrives = (numbers.random((80, 30)) < 0.1) * size * 3 // 2
    arrives[:, 0] = 0
    variables = {"sold": sold, "stock": size + np.cumsum(arrives - sold, axis=1)}
    codec, found = relations(variables, 80, 30)
    stock = codec.variables[1]
    assert [each.of_first for each in stock.relations] == [False, False, True, False]
    assert [kind for kind, *_ in found["stock"]] == ["sum", "lot", "sum", "sum"]
    assert stock.only_grows
    factors = np.exp(stock.relations[2].offsets.vocabularies[0].to_numpy() * LOG_UNIT)
    assert np.median(factors) == pytest.approx(1.5, abs=0.1)
    units = torch.tensor([[[5.0, 1_000.0], [20.0, 980.0], [20.0, 960.0 + 1_530.0]]])
    present = torch.ones_like(units, dtype=torch.bool)
    history = history_of(units, present, [each.addend for each in codec.variables])
    coder = Coder(stock, 1)
    reached = coder.reach(history, units, present)
    codes = coder.encode(units[..., 1], coder.find(units[..., 1])[0], reached)
    place = coder.codes - stock.relations[3].codes - codes[0, 2]
    assert 0 < place <= stock.relations[2].codes
    last = Reached(
        [each[:, 2] for each in reached.references],
        [each[:, 2] for each in reached.valid],
        reached.first[:, 2],
    )
    drawn = coder.decode(codes[:, 2], torch.tensor([0.5]), last)
    assert float(drawn[0]) == pytest.approx(960 + 1_530, rel=0.03)
    assert type(codec).from_json(codec.to_json()) == codec


def test_a_meter_adds_what_was_used_the_step_before(numbers):
    used = numbers.integers(1, 50, (60, 20))
    meter = 100 + np.cumsum(used, axis=1) - used
    codec, _ = relations({"meter": meter, "used": used}, 60, 20)
    by_name = {each.name: each for each in codec.variables}
    addend = by_name["meter"].addend
    assert (codec.variables[addend.variable].name, addend.sign, addend.lagged) == ("used", 1, True)


def test_what_moves_little_by_little_is_predicted(numbers):
    codec, found = relations({"load": autoregression(numbers, 60, 60, 0.995).round(4)}, 60, 60)
    assert found["load"] == [("predicted", True, ())]
    relation = codec.variables[0].relations[0]
    assert sum(term.weight for term in relation.prediction.terms) == pytest.approx(0.99, abs=0.02)
    own = codec.variables[0].own
    assert np.median(relation.offsets.widths) < np.median(own.widths) / 2
    _, loose = relations({"load": autoregression(numbers, 60, 60, 0.3).round(4)}, 60, 60)
    assert loose["load"] == []


@pytest.mark.parametrize(("steps", "lags"), [(800, 12), (400, 6), (60, 3)])
def test_a_wave_under_noise_is_predicted_from_more_values_where_series_are_long(
    numbers, steps, lags
):
    turns = np.arange(steps) / 24 + numbers.random((40, 1))
    wave = 20 * np.sin(2 * np.pi * turns) + 0.05 * numbers.normal(size=(40, steps))
    codec, found = relations({"load": wave.round(2)}, 40, steps)
    assert found["load"] == [("predicted", True, ())]
    assert codec.variables[0].lags == lags


def test_prices_that_move_by_percents_have_codes_of_factors(numbers):
    factors = np.where(numbers.random((80, 30)) < 0.15, numbers.normal(1, 0.05, (80, 30)), 1)
    factors[:, 0] = np.exp(numbers.normal(3.0, 1.0, 80))
    codec, found = relations({"price": np.cumprod(factors, axis=1).round(2)}, 80, 30)
    assert found["price"] == [("last", False, ()), ("last", True, ())]
    assert codec.variables[0].relations[1].relative


def test_counts_are_said_by_their_own_codes_however_well_they_are_predicted(numbers):
    level = np.array([3, 8, 900])[np.arange(60) % 3, None]
    counts = numbers.poisson(level * np.ones((60, 30)))
    codec, found = relations({"count": counts}, 60, 30)
    assert found["count"] == []
    assert np.corrcoef(counts[:, 1:].ravel(), counts[:, :-1].ravel())[0, 1] > 0.9
    assert codec.variables[0].own.codes < codec.variables[0].own.cells


def test_what_follows_another_variable_of_the_step_is_predicted_from_it(numbers):
    heat = numbers.normal(size=(60, 30)).round(4)
    power = (2 * heat + 0.1 * numbers.normal(size=(60, 30))).round(4)
    codec, found = relations({"heat": heat, "power": power}, 60, 30)
    assert found == {"heat": [], "power": [("predicted", True, ())]}
    prediction = codec.variables[1].relations[0].prediction
    assert prediction.inside == {0}
    weights = {(term.variable, term.lag): term.weight for term in prediction.terms}
    assert weights[0, 0] == pytest.approx(2.0, abs=0.02)


def test_the_last_values_are_the_same_all_at_once_and_step_after_step(numbers):
    units = torch.from_numpy(numbers.normal(size=(40, 9, 2)))
    present = torch.from_numpy(numbers.random((40, 9, 2)) < 0.6)
    addends, lags = [None, None], 3
    history = history_of(units, present, addends, lags)
    steps = History(*(torch.zeros_like(each[:, 0]) for each in history))
    for step in range(9):
        there = steps.has_last
        torch.testing.assert_close(history.has_last[:, step], there)
        torch.testing.assert_close(history.recent[:, step][there], steps.recent[there])
        torch.testing.assert_close(history.first[:, step], steps.first)
        steps = next_history(steps, units[:, step], present[:, step], addends)
