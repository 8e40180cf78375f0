"""The lengths of single rows' gradients, against those that autograd finds row by row."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from gan.tables.networks.masked import MaskedAutoregressive
from gan.tables.networks.private import build
from tests.gan.tables.masked_toys import MIXED


@pytest.fixture
def network():
    """Two layers, partners, conditions, and weights that all say something."""
    codec = SimpleNamespace(
        columns=MIXED.columns,
        label_column=MIXED.label_column,
        closest=MIXED.closest,
        shares=[tuple(np.arange(1.0, n + 1) / (n * (n + 1) / 2)) for n in MIXED.code_counts],
    )
    config = SimpleNamespace(
        network={
            "width": 32,
            "trunk": 8,
            "label_width": 8,
            "depth": 3,
            "dropout": 0.0,
            "label_dropout": 0.0,
        }
    )
    made = build(config, codec, torch.Generator().manual_seed(3))
    with torch.no_grad():
        for weights in made.parameters():
            weights.add_(torch.randn(weights.shape, generator=torch.Generator().manual_seed(5)) / 5)
    return made


def rows(count):
    numbers = np.random.default_rng(1)
    return torch.from_numpy(
        np.stack([numbers.integers(n, size=count) for n in MIXED.code_counts], 1)
    )


def gradient_of(network, samples, row, stream):
    """Return one row's gradient, flat, under the conditions that the whole batch drew."""
    network.zero_grad()
    codes_ND = samples[:, network.order_D]
    sets = network.partitions.draw(codes_ND, stream)
    weights = network.weights()
    flow = network._flow(codes_ND, sets, weights)
    from gan.tables.networks.masked_conditional import negative_log_likelihood

    loss = negative_log_likelihood(flow.logits_NK, codes_ND, sets, network.layout.counts)
    (back_NK,) = torch.autograd.grad(loss, flow.logits_NK)
    only = torch.zeros_like(back_NK)
    only[row] = back_NK[row] * len(samples)
    flow.logits_NK.backward(only)
    return torch.cat([weights.grad.flatten() for weights in network.parameters()])


def test_length_of_every_rows_gradient(network):
    samples = rows(12)
    found_N = network.squared_lengths(samples, torch.Generator().manual_seed(9))
    true_N = torch.stack(
        [
            gradient_of(network, samples, row, torch.Generator().manual_seed(9)).square().sum()
            for row in range(12)
        ]
    )
    torch.testing.assert_close(found_N, true_N, rtol=1e-4, atol=1e-6)
    assert found_N.min() > 0


def test_sum_of_clipped_gradients(network):
    samples, longest = rows(12), 0.7
    each = [
        gradient_of(network, samples, row, torch.Generator().manual_seed(9)) for row in range(12)
    ]
    clipped = sum(one * min(1.0, longest / float(one.norm())) for one in each)
    network.zero_grad()
    network.add_clipped(samples, torch.zeros(12), torch.Generator().manual_seed(9), longest)
    found = torch.cat([weights.grad.flatten() for weights in network.parameters()])
    torch.testing.assert_close(found, clipped, rtol=1e-3, atol=1e-5)
    assert max(float(one.norm()) for one in each) > longest


def test_the_loss_is_that_of_the_network_without_privacy(network):
    samples = rows(40)
    codes_ND = samples[:, network.order_D]
    sets = network.partitions.draw(codes_ND, torch.Generator().manual_seed(9))
    private = network._flow(codes_ND, sets, network.weights()).logits_NK
    from gan.tables.networks.masked import inform_of_sets

    condition = inform_of_sets(sets, network.partitions, network.weights())
    plain = MaskedAutoregressive.logits(
        network, codes_ND, condition, network.weights(), lambda units: units
    )
    torch.testing.assert_close(private, plain, rtol=1e-4, atol=1e-4)


def test_codes_begin_with_their_noisy_shares(network):
    fresh = network.log_likelihood(rows(1))
    assert fresh.isfinite().all()
    assert "bias_K" not in dict(network.named_parameters())
