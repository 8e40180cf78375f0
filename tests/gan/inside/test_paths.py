"""From latent to latent on a great circle, from class to class between learnt vectors."""

import pytest
import torch

from gan.images.networks import build
from gan.inside.paths import between_classes, steps_between
from gan.randomness import stream


def test_a_path_is_a_great_circle():
    start, end = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    path = steps_between(start, end, 5)
    angles = torch.linspace(0, torch.pi / 2, 5)
    expected = 2 * torch.stack([angles.cos(), angles.sin()], dim=1)
    torch.testing.assert_close(path[0], expected)


def test_the_length_goes_from_one_to_the_other():
    drawn = torch.randn(6, 32, generator=stream(1, "paths"))
    path = steps_between(drawn[:3], drawn[3:], 7)
    torch.testing.assert_close(path[:, 0], drawn[:3])
    torch.testing.assert_close(path[:, -1], drawn[3:])
    straight = 0.5 * (drawn[:3] + drawn[3:])
    assert (path[:, 3].norm(dim=1) > 1.2 * straight.norm(dim=1)).all()


@pytest.mark.parametrize("factor", [1.0, 3.0, 0.0])
def test_latents_that_point_one_way_are_joined_by_a_line(factor):
    start = torch.tensor([[1.0, -2.0]])
    path = steps_between(start, factor * start, 3)
    if factor:
        torch.testing.assert_close(path[0, 1], 0.5 * (1 + factor) * start[0])
    assert path.isfinite().all()


@pytest.fixture
def generator(tiny, codec):
    return build(tiny, codec, stream(3, "weights")).generator.requires_grad_(False)


def test_between_classes_ends_at_both(generator, tiny):
    z_NZ = torch.randn(4, tiny.latent, generator=stream(2, "z"))
    first, second = torch.tensor([0, 1, 2, 3]), torch.tensor([5, 6, 7, 8])
    share = torch.tensor([0.0, 0.0, 1.0, 1.0])
    mixed = between_classes(generator, z_NZ, (first, second), share)
    torch.testing.assert_close(mixed[:2], generator(z_NZ, first)[:2])
    torch.testing.assert_close(mixed[2:], generator(z_NZ, second)[2:])
    half = between_classes(generator, z_NZ, (first, second), torch.full((4,), 0.5))
    assert not torch.allclose(half, mixed)
    torch.testing.assert_close(generator(z_NZ, first)[:2], mixed[:2])  # nothing stays behind


def test_without_learnt_vectors_nothing_is_between(tiny, codec):
    unlabelled = codec.__class__(height=8, width=8, channels=1)
    generator = build(tiny, unlabelled, stream(3, "weights")).generator
    z_NZ, labels = torch.zeros(2, tiny.latent), torch.zeros(2, dtype=torch.int64)
    assert between_classes(generator, z_NZ, (labels, labels), torch.zeros(2)) is None
