import math

import pytest
import torch
from torch.nn import functional

from gan.training.catalog import catalog
from gan.training.losses import ADVERSARIAL, relativistic_discriminator, relativistic_generator
from gan.training.techniques import smooth_labels


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


REAL_N, FAKE_N = torch.tensor([2.0, -0.5, 0.25]), torch.tensor([-1.5, 0.5, 3.0])


def bce(logits_N, target):
    goal_N = torch.full_like(logits_N, target)
    return functional.binary_cross_entropy_with_logits(logits_N, goal_N)


DEFINITIONS = {
    "minimax": (bce(REAL_N, 1.0) + bce(FAKE_N, 0.0), -bce(FAKE_N, 0.0)),
    "non-saturating": (bce(REAL_N, 1.0) + bce(FAKE_N, 0.0), bce(FAKE_N, 1.0)),
    "least-squares": (
        (functional.mse_loss(REAL_N, torch.ones(3)) + functional.mse_loss(FAKE_N, torch.zeros(3)))
        / 2,
        functional.mse_loss(FAKE_N, torch.ones(3)) / 2,
    ),
    "hinge": (
        functional.margin_ranking_loss(REAL_N, torch.zeros(3), torch.ones(3), margin=1.0)
        + functional.margin_ranking_loss(FAKE_N, torch.zeros(3), -torch.ones(3), margin=1.0),
        -FAKE_N.mean(),
    ),
    "wasserstein": (FAKE_N.mean() - REAL_N.mean(), -FAKE_N.mean()),
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_every_loss_is_that_of_its_paper(name):
    loss = ADVERSARIAL[name]
    discriminator, generator = DEFINITIONS[name]
    torch.testing.assert_close(loss.discriminator(REAL_N, FAKE_N), discriminator)
    torch.testing.assert_close(loss.generator(torch.zeros(0), FAKE_N), generator)


def test_smoothed_labels_are_cross_entropy_with_less_than_one():
    for strength in (0.1, 0.3):
        found = bce(REAL_N, 1.0) + strength * smooth_labels(REAL_N)
        torch.testing.assert_close(found, bce(REAL_N, 1 - strength))


def test_every_entry_names_its_paper():
    for entry in catalog():
        assert any(char.isdigit() for char in entry.source), entry
        assert entry.summary.endswith("."), entry
