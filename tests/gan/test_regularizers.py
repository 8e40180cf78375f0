import torch
from torch import nn

from gan.training.regularizers import (
    CLIP,
    PENALTIES,
    PenaltyInputs,
    clip_weights,
    normalize_gradient,
    normalize_spectrum,
    r1_r2,
)


def test_linear_discriminator_has_a_known_penalty():
    """D(x) = w·x has gradient w everywhere: R1 + R2 (without gamma / 2) is 2 ||w||²."""
    weights_F = torch.tensor([1.0, -2.0, 3.0])
    samples_MF = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    torch.testing.assert_close(r1_r2(samples_MF @ weights_F, samples_MF), torch.tensor(28.0))


def test_against_finite_differences():
    numbers = torch.Generator().manual_seed(1)
    weights_FH = torch.randn(4, 5, generator=numbers, dtype=torch.float64)

    def logits(samples_MF):
        return torch.tanh(samples_MF @ weights_FH).sum(1)

    samples_MF = torch.randn(6, 4, generator=numbers, dtype=torch.float64)
    step, expected = 1e-6, 0.0
    for feature in range(4):
        shift_F = torch.zeros(4, dtype=torch.float64)
        shift_F[feature] = step
        slope_M = (logits(samples_MF + shift_F) - logits(samples_MF - shift_F)) / (2 * step)
        expected += slope_M.square().mean().item() * 2
    tracked = samples_MF.clone().requires_grad_()
    assert abs(r1_r2(logits(tracked), tracked).item() - expected) < 1e-3


def test_it_can_be_minimised():
    weights_F = torch.tensor([1.0, -2.0], requires_grad=True)
    samples_MF = torch.randn(4, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()
    r1_r2(samples_MF @ weights_F, samples_MF).backward()
    torch.testing.assert_close(weights_F.grad, torch.tensor([4.0, -8.0]))


def test_r1_and_r2_are_the_halves_of_both():
    samples_MF = torch.randn(8, 3, generator=torch.Generator().manual_seed(2)).requires_grad_()
    logits_M = samples_MF.pow(3).sum(1)
    inputs = PenaltyInputs(samples_MF, logits_M, lambda x: x.pow(3).sum(1), torch.Generator())
    one, other = (PENALTIES[name].gradient(inputs) for name in ("r1", "r2"))
    torch.testing.assert_close(one + other, PENALTIES["r1-r2"].gradient(inputs))
    torch.testing.assert_close(one, (3 * samples_MF[:4].square()).square().sum(1).mean())


def test_a_normalized_gradient_is_at_most_one():
    """Of f = w·x it is w·x / (||w|| + |w·x|); of piecewise linear ones the slope is at most 1."""
    weights_F = torch.tensor([3.0, -4.0])
    samples_NF = torch.randn(50, 2, generator=torch.Generator().manual_seed(3)) * 4
    found_N = normalize_gradient(lambda x: x @ weights_F, samples_NF)
    expected_N = samples_NF @ weights_F / (5 + (samples_NF @ weights_F).abs())
    torch.testing.assert_close(found_N, expected_N)
    tracked = samples_NF.clone().requires_grad_()
    (slopes,) = torch.autograd.grad(
        normalize_gradient(lambda x: (x @ weights_F).abs() + x.relu().sum(1), tracked).sum(),
        tracked,
    )
    assert slopes.norm(dim=1).max() <= 1 + 1e-5


def test_clipping_leaves_no_larger_weight():
    network = nn.Linear(5, 3)
    clip_weights(network)
    assert all(weights.abs().max() <= CLIP for weights in network.parameters())


def test_spectral_norm_is_one_for_every_layer_and_drawn_from_the_stream():
    def normalized(seed):
        numbers = torch.Generator().manual_seed(9)
        network = nn.Sequential(nn.Linear(6, 4), nn.Conv2d(3, 5, 3), nn.Embedding(4, 6))
        for weights in network.parameters():
            nn.init.normal_(weights, generator=numbers)
        before = torch.get_rng_state()
        normalize_spectrum(network, torch.Generator().manual_seed(seed))
        assert torch.equal(torch.get_rng_state(), before)
        return network

    network = normalized(0)
    for layer in network:
        largest = torch.linalg.matrix_norm(layer.weight.flatten(1).detach(), 2)
        torch.testing.assert_close(largest, torch.tensor(1.0), rtol=5e-2, atol=0.0)
    drawn = [normalized(seed) for seed in (0, 0, 1)]
    name = "0.parametrizations.weight.0._u"
    vectors = [dict(each.named_buffers())[name] for each in drawn]
    assert torch.equal(vectors[0], vectors[1])
    assert not torch.equal(vectors[0], vectors[2])
