"""The masked network: who sees what, what its likelihood is, and that a seed fixes it."""

import itertools

import numpy as np
import pytest
import torch
from masked_toys import MIXED, ToyCodec, ToyColumn, make, random_codes

from gan.tables.networks.masked_conditional import (
    lay_out,
    log_probabilities,
    negative_log_likelihood,
)


def plain(units):
    return units


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_column_depends_on_the_columns_before_it_alone(depth):
    network = make(MIXED, depth=depth)
    codes = random_codes(MIXED, 4)[:, network.order_D]
    weights, counts = network.weights(), network.layout.counts
    before = network.logits(codes, 0.0, weights, plain).split(counts, 1)
    for changed in range(len(counts)):
        others = codes.clone()
        others[:, changed] = (others[:, changed] + 1) % counts[changed]
        after = network.logits(others, 0.0, weights, plain).split(counts, 1)
        for column in range(len(counts)):
            assert torch.equal(before[column], after[column]) == (column <= changed)


def test_no_gradient_reaches_what_is_masked():
    network = make(MIXED)
    network.loss(random_codes(MIXED, 64), None, torch.Generator().manual_seed(3)).backward()
    (hidden,) = network.hidden_HH
    assert hidden.grad.abs().sum() > 0
    assert not hidden.grad[network.hidden_mask_HH == 0].any()


def test_few_codes_come_first_and_the_label_last():
    layout = lay_out(MIXED, {"width": 64, "trunk": 16, "label_width": 24})
    assert layout.order == (0, 4, 3, 1, 2)
    assert layout.counts == (2, 3, 7, 30, 5)
    assert layout.ordered == (False, False, True, True, False)
    assert layout.widths == (16, 16, 16, 16, 40), "the label gets units of its own"


def test_the_likelihoods_of_all_rows_sum_to_one():
    codec = ToyCodec((ToyColumn(3), ToyColumn(4, "numeric"), ToyColumn(2)), label_column=0)
    every = torch.tensor(list(itertools.product(range(3), range(4), range(2))))
    found = make(codec).log_likelihood(every)
    assert found.dtype == torch.float64
    assert found.exp().sum().item() == pytest.approx(1, abs=1e-5)
    assert found.exp().std() > 0.01


def test_before_training_all_codes_are_alike():
    found = make(MIXED, vivid=False).log_likelihood(random_codes(MIXED, 8))
    np.testing.assert_allclose(found, -np.log(MIXED.code_counts).sum(), rtol=1e-6)


def test_an_early_column_sees_a_condition_on_the_last():
    network = make(MIXED)
    allowed = np.ones((2, sum(MIXED.code_counts)), dtype=bool)
    allowed[1, 32:37] = [False, True, False, False, False]
    latents = network.latents(2000, torch.Generator().manual_seed(0))
    draw = network.conditioned(allowed)
    shares = [draw(latents, torch.full((2000,), row)).floor()[:, 0].mean() for row in (0, 1)]
    assert abs(shares[0] - shares[1]) > 0.02


@pytest.mark.parametrize("shuffled", [0.0, 1.0])
def test_the_loss_under_conditions_equals_plain_autograd(shuffled, monkeypatch):
    monkeypatch.setattr("gan.tables.networks.masked_conditional.SHUFFLED_SHARE", shuffled)
    network = make(MIXED)
    counts = network.layout.counts
    codes = random_codes(MIXED, 200)[:, network.order_D]
    sets = network.partitions.draw(codes, torch.Generator().manual_seed(5))
    logits = torch.randn(200, sum(counts), generator=torch.Generator().manual_seed(6))
    column_K = network.partitions.column_K
    allowed = (sets.ranks_K >= sets.low_ND[:, column_K]) & (
        sets.ranks_K < sets.high_ND[:, column_K]
    )
    assert 0.05 < (~allowed).float().mean() < 0.9
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss = negative_log_likelihood(ours.clone(), codes, sets, counts)
    plainly = theirs.masked_fill(~allowed, -torch.inf)
    expected = -log_probabilities(plainly, codes, counts).sum(1).mean()
    (2 * loss).backward()
    (2 * expected).backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-7)


def test_what_training_says_of_sets_is_what_sampling_says():
    from gan.tables.networks.masked import inform_of_sets
    from gan.tables.networks.masked_conditional import inform

    network = make(MIXED)
    partitions = network.partitions
    codes = random_codes(MIXED, 300)[:, network.order_D]
    sets = partitions.draw(codes, torch.Generator().manual_seed(5))
    low_NK, high_NK = (each[:, partitions.column_K] for each in (sets.low_ND, sets.high_ND))
    allowed_NK = (sets.ranks_K >= low_NK) & (sets.ranks_K < high_NK)
    with torch.no_grad():
        network.pool_K.normal_(std=0.2, generator=torch.Generator().manual_seed(7))
    weights = network.weights()
    found_NH = inform_of_sets(sets, partitions, weights)
    said_NH = inform(allowed_NK, network.layout.counts, weights)
    torch.testing.assert_close(found_NH, said_NH, rtol=1e-3, atol=1e-4)
    assert not found_NH[~sets.given_ND.any(1)].any()


def test_equal_streams_give_equal_weights_and_losses():
    first, again, other = make(MIXED), make(MIXED), make(MIXED, seed=9)
    for name, weight in first.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name])
    assert not torch.equal(first.inputs_BH, other.inputs_BH)
    codes = random_codes(MIXED, 50)
    losses = [
        each.loss(codes, None, torch.Generator().manual_seed(seed)).item()
        for each, seed in ((first, 1), (again, 1), (first, 2))
    ]
    assert losses[0] == losses[1] != losses[2]


def test_dropped_units_change_the_loss_and_not_the_likelihood():
    dry, wet = make(MIXED), make(MIXED, dropout=0.5)
    codes = random_codes(MIXED, 50)
    found = [each.loss(codes, None, torch.Generator().manual_seed(1)).item() for each in (dry, wet)]
    assert found[0] != found[1]
    wet.settled = True
    assert wet.loss(codes, None, torch.Generator().manual_seed(1)).item() == found[0]
    assert torch.equal(dry.log_likelihood(codes), wet.log_likelihood(codes))


def test_thousands_of_codes_are_served():
    codec = ToyCodec((ToyColumn(5000), ToyColumn(3000, "numeric", 4), ToyColumn(2)))
    network = make(codec, width=32)
    loss = network.loss(random_codes(codec, 64), None, torch.Generator().manual_seed(0))
    loss.backward()
    assert torch.isfinite(loss)
    draw, latents = network.conditioned(None), network.latents(256, torch.Generator())
    samples = draw(latents, torch.zeros(256, dtype=torch.int64))
    assert (samples.floor() < torch.tensor(codec.code_counts)).all()
    assert len(samples[:, 0].floor().unique()) > 150


def test_the_gradient_of_expanding_is_what_autograd_finds():
    basis = make(MIXED).basis
    table = torch.randn(basis.rows, 3, dtype=torch.float64, requires_grad=True)
    shares = basis.expand(torch.eye(basis.rows))
    above = torch.randn(len(shares), 3)
    found = torch.randn(basis.rows, 3, requires_grad=True)
    basis.expand(found).backward(above)
    (table * (shares.double().T @ above.double())).sum().backward()
    torch.testing.assert_close(found.grad.double(), table.grad, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(shares.sum(0) > 0, found.grad.abs().sum(1) > 0)


def test_only_fine_nodes_are_damped_and_the_label_sees_them_least():
    network = make(MIXED)
    damping, seen = network.basis.damping_B, network.input_shares_BH
    assert damping.max() == 1
    fine = damping < 1
    assert fine.any()
    assert set(network.basis.column_B[fine].tolist()) == {2, 3}, "the ordered columns"
    own = network.layout.label_units
    torch.testing.assert_close(seen[fine, -own:], (damping**2)[fine, None].expand(-1, own))
    assert (network.layout.label_units, network.layout.widths[-1]) == (40, 40)


def test_each_columns_partner_is_the_closest_of_those_before_it():
    layout = make(MIXED).layout
    assert layout.order == (0, 4, 3, 1, 2)
    assert layout.partners == (None, None, 0, 2, 3)
    unknown = ToyCodec(MIXED.columns, MIXED.label_column)
    assert make(unknown).layout.partners == (None,) * 5


def test_a_partner_adds_the_product_of_both_codes_vectors_to_the_logits():
    network, codes = make(MIXED), random_codes(MIXED, 50)
    before = network.log_likelihood(codes)
    weights, ends = network.weights(), network.layout.ends
    with torch.no_grad():
        network.pair_outputs_BR.zero_()
    found = network.weights()
    codes_ND = codes[:, list(network.layout.order)]
    logits_NK = network.logits(codes_ND, 0.0, found, lambda units: units)
    for column, partner in enumerate(network.layout.partners):
        if partner is not None:
            own = slice(ends[column], ends[column + 1])
            inputs_NR = weights.pair_inputs_KR[ends[partner] + codes_ND[:, partner]]
            logits_NK[:, own] += inputs_NR @ weights.pair_outputs_KR[own].T
    expected = log_probabilities(logits_NK, codes_ND, network.layout.counts).double().sum(1)
    torch.testing.assert_close(before, expected, rtol=1e-5, atol=1e-5)
