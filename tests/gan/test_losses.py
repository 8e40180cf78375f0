import math

import torch

from gan.training.losses import relativistic_discriminator, relativistic_generator


def test_undecided_discriminator_costs_log_two():
    logits_N = torch.tensor([0.3, -2.0, 5.0])
    assert math.isclose(
        relativistic_discriminator(logits_N, logits_N).item(), math.log(2), rel_tol=1e-6
    )
    assert math.isclose(
        relativistic_generator(logits_N, logits_N).item(), math.log(2), rel_tol=1e-6
    )


def test_only_the_difference_of_a_pair_counts():
    real_N, fake_N = torch.tensor([1.0, 2.0]), torch.tensor([0.5, -1.0])
    for loss in (relativistic_discriminator, relativistic_generator):
        torch.testing.assert_close(loss(real_N + 7, fake_N + 7), loss(real_N, fake_N))


def test_against_the_definition():
    real_N, fake_N = [1.0, 2.0], [0.5, -1.0]
    pairs = list(zip(real_N, fake_N, strict=True))
    expected = sum(math.log1p(math.exp(fake - real)) for real, fake in pairs) / 2
    turned = sum(math.log1p(math.exp(real - fake)) for real, fake in pairs) / 2
    real, fake = torch.tensor(real_N), torch.tensor(fake_N)
    assert math.isclose(relativistic_discriminator(real, fake).item(), expected, rel_tol=1e-6)
    assert math.isclose(relativistic_generator(real, fake).item(), turned, rel_tol=1e-6)


def test_large_logits_stay_finite():
    real_N, fake_N = torch.tensor([-1e4]), torch.tensor([1e4])
    assert relativistic_discriminator(real_N, fake_N).item() == 2e4
    assert relativistic_generator(real_N, fake_N).item() == 0.0
