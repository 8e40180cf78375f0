"""Lessons: what trees say of the label, out of fold, and that the network learns it."""

import numpy as np
import pytest
import torch
from masked_toys import MIXED, ToyCodec, ToyColumn, make, random_codes

from gan.tables.networks import label_finish
from gan.tables.networks import lessons as module
from gan.tables.networks.label_finish import Finish, label_units
from gan.tables.networks.lessons import TRUTH, lessons, mixed
from gan.tables.networks.masked import BIAS_SCALE, inform_of_sets

STEPS = ToyCodec(
    (ToyColumn(2), *(ToyColumn(40, "numeric", 4) for _ in range(6)), ToyColumn(2)), label_column=7
)


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    monkeypatch.setattr(module, "ITERATIONS", 40)


def rows_of(codec, rows, seed, say):
    """Return codes in the network's order of a codec, the label as `say` has it."""
    layout = make(codec).layout
    codes = random_codes(codec, rows, seed)[:, list(layout.order)].numpy()
    codes[:, -1] = say(codes, np.random.default_rng(seed))
    return codes, layout


def chance(codes):
    """Return P(label = 1): a step in two columns, the other way round by a third."""
    high = (codes[:, 1] >= 24) & (codes[:, 2] < 20)
    low = (codes[:, 1] < 10) & (codes[:, 3] >= 25)
    return np.where(np.where(codes[:, 0] == 1, low, high), 0.9, 0.05)


def by_steps(codes, rng):
    return rng.random(len(codes)) < chance(codes)


def by_luck(codes, rng):
    return rng.random(len(codes)) < 0.5


def test_trees_tell_what_a_row_is_likely_to_be():
    codes, layout = rows_of(STEPS, 2000, 0, by_steps)
    found = lessons(codes, layout, seed=1)
    shares, made = found.shares_PJ.numpy(), found.codes_PD.numpy()[len(codes) :]
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-5)
    assert np.abs(shares[len(codes) :, 1] - chance(made)).mean() < 0.08
    own = codes[:, -1] == 1
    assert shares[: len(codes)][own, 1].min() >= TRUTH, "a real row's own class has its share"


def test_nobody_is_answered_by_trees_that_saw_his_row():
    codes, layout = rows_of(STEPS, 1500, 0, by_luck)
    shares = lessons(codes, layout, seed=1).shares_PJ.numpy()
    label, taught = codes[:, -1], shares[: len(codes)]
    own = (taught[np.arange(len(codes)), label] - TRUTH) / (1 - TRUTH)
    assert own.mean() == pytest.approx(0.5, abs=0.02), "trees that saw it would know it"
    made = shares[len(codes) :].reshape(-1, len(codes), 2)
    assert made[:, np.arange(len(codes)), label].mean() == pytest.approx(0.5, abs=0.02)


def test_made_rows_mix_rows_that_are_near():
    codes, layout = rows_of(STEPS, 2000, 0, by_luck)
    codes[:, 2] = codes[:, 1]
    rng = np.random.default_rng(0)
    one_fold = np.zeros(len(codes), int)
    made = mixed(codes, one_fold, layout, rng)
    changed = (made != codes).mean(0)
    assert 0.1 < changed[1:-1].min() <= changed[1:-1].max() <= 0.35
    for column in range(1, 7):
        np.testing.assert_array_equal(np.unique(made[:, column]), np.unique(codes[:, column]))
    apart = [
        np.abs(mixed(codes, one_fold, layout, rng)[:, 1] - codes[:, 2]).mean() for _ in range(8)
    ]
    strangers = np.abs(codes[rng.permutation(2000), 1] - codes[:, 2]).mean() * module.MIXED
    assert np.mean(apart) < 0.9 * strangers


def test_both_rows_that_are_mixed_are_of_one_fold():
    codes, layout = rows_of(STEPS, 500, 0, by_luck)
    folds = np.arange(500) % module.FOLDS
    codes[:, 1:7] = folds[:, None]
    made = mixed(codes, folds, layout, np.random.default_rng(0))
    np.testing.assert_array_equal(made[:, 1:7], codes[:, 1:7])


def test_equal_rows_and_seeds_give_equal_lessons():
    codes, layout = rows_of(STEPS, 400, 0, by_steps)
    first, again, other = (lessons(codes, layout, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.codes_PD, again.codes_PD)
    assert torch.equal(first.shares_PJ, again.shares_PJ)
    assert not torch.equal(first.codes_PD, other.codes_PD)


def test_many_levels_and_a_class_that_is_rare_are_served():
    codec = ToyCodec((ToyColumn(700), ToyColumn(9, "numeric"), ToyColumn(4)), label_column=2)
    codes, layout = rows_of(codec, 600, 0, lambda codes, _: np.arange(len(codes)) % 2)
    codes[0, -1] = 3
    shares = lessons(codes, layout, seed=1).shares_PJ.numpy()
    assert shares.shape == (600 * module.TIMES, 4)
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-5)
    assert not shares[:, 2].any()


@pytest.mark.parametrize(
    ("codec", "rows", "say"),
    [
        (STEPS, module.FEWEST_ROWS - 1, by_luck),
        (STEPS, module.MOST_ROWS + 1, by_luck),
        (STEPS, 500, lambda codes, _: np.zeros(len(codes))),
        (ToyCodec((*STEPS.columns[:-1], ToyColumn(40, "numeric")), label_column=7), 500, by_luck),
        (ToyCodec((*STEPS.columns[:-1], ToyColumn(30)), label_column=7), 500, by_luck),
        (ToyCodec(STEPS.columns), 500, by_luck),
    ],
    ids=["few rows", "many rows", "one class", "a number", "many classes", "no label"],
)
def test_there_are_none(codec, rows, say):
    codes, layout = rows_of(codec, rows, 0, say)
    assert lessons(codes, layout, seed=1) is None


def nats(network, fresh, condition=0.0):
    """Return what the label of fresh rows costs."""
    with torch.no_grad():
        codes = torch.from_numpy(fresh)
        logits = network.logits(codes, condition, network.weights(), lambda units: units)
    shares = logits[:, -2:].softmax(1).numpy()
    return -np.log(shares[np.arange(len(fresh)), fresh[:, -1]]).mean()


@pytest.fixture(scope="module")
def finished():
    """A network before and after its label was taught from 700 rows, and fresh rows."""
    codes, fresh = (rows_of(STEPS, rows, rows, by_steps)[0] for rows in (700, 4000))
    before, after = (make(STEPS, width=56) for _ in range(2))
    samples = torch.empty(codes.shape, dtype=torch.int64)
    samples[:, list(after.layout.order)] = torch.from_numpy(codes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ITERATIONS", 40)
        assert after.finish(lambda: samples, seed=1, most=150 * label_finish.ROWS)
    return before, after, fresh


def test_a_network_that_is_taught_knows_the_label(finished):
    before, after, fresh = finished
    p = chance(fresh)
    best = -(p * np.log(p) + (1 - p) * np.log(1 - p)).mean()
    share = p.mean()
    ignorant = -(share * np.log(share) + (1 - share) * np.log(1 - share))
    assert best < nats(after, fresh) < ignorant - 0.04 < nats(before, fresh)


def test_conditions_on_other_columns_leave_the_answer(finished):
    _, after, fresh = finished
    sets = after.partitions.draw(torch.from_numpy(fresh), torch.Generator().manual_seed(2))
    sets.given_ND[:, -1] = False
    with torch.no_grad():
        condition = inform_of_sets(sets, after.partitions, after.weights())
    assert condition.any()
    assert nats(after, fresh, condition) == pytest.approx(nats(after, fresh), abs=0.06)


def test_no_other_column_is_touched(finished):
    before, after, fresh = finished
    codes, labels = torch.from_numpy(fresh[:200]), slice(-2, None)
    with torch.no_grad():
        was, now = (
            each.logits(codes, 0.0, each.weights(), lambda units: units) for each in (before, after)
        )
    assert torch.equal(was[:, :-2], now[:, :-2])
    assert not torch.allclose(was[:, labels], now[:, labels], atol=0.1)


def test_its_logits_are_those_of_the_network():
    network = make(MIXED)
    codes_ND = random_codes(MIXED, 60)[:, network.order_D]
    sets = network.partitions.draw(codes_ND, torch.Generator().manual_seed(3))
    weights = network.weights()
    condition_NH = inform_of_sets(sets, network.partitions, weights)
    every_NK = network.logits(codes_ND, condition_NH, weights, lambda units: units)
    finish = Finish(network, inform_of_sets, BIAS_SCALE)
    found_NJ = finish.logits(label_units(network), codes_ND, sets)
    torch.testing.assert_close(found_NJ, every_NK[:, -5:], rtol=1e-4, atol=1e-4)


def test_of_a_label_that_is_partly_known_the_answer_keeps_its_share():
    network = make(MIXED)
    codes_ND = random_codes(MIXED, 400)[:, network.order_D]
    sets = network.partitions.draw(codes_ND, torch.Generator().manual_seed(3))
    finish, units = Finish(network, inform_of_sets, BIAS_SCALE), label_units(network)
    first = network.layout.ends[-2]
    low_N, high_N = (each[:, -1] - first for each in (sets.low_ND, sets.high_ND))
    assert ((high_N - low_N > 1) & (high_N - low_N < 5)).any()
    shares_NJ = torch.rand(400, 5, generator=torch.Generator().manual_seed(1))
    logits_NJ = finish.logits(units, codes_ND, sets)
    ranks_J, wanted = sets.ranks_K[first:] - first, 0.0
    for row in range(400):
        kept = (ranks_J >= low_N[row]) & (ranks_J < high_N[row])
        shares = shares_NJ[row][kept] / shares_NJ[row][kept].sum()
        wanted -= (shares * logits_NJ[row][kept].log_softmax(0)).sum().item() / 400
    found = finish.loss(units, codes_ND, shares_NJ, sets).item()
    assert found == pytest.approx(wanted, rel=1e-4)


def test_a_training_of_a_moment_is_not_finished():
    network, asked = make(MIXED), []
    assert not network.finish(lambda: asked.append(1), seed=1, most=39 * label_finish.ROWS)
    assert not asked
