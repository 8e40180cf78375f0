import torch

from gan.training.regularizers import r1_r2


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
