"""GANSpace on networks whose main directions are known."""

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from gan.inside.directions import MOST_VALUES, first_features, latents_for, main_directions
from gan.inside.sensitivity import sensitivity
from gan.protocols import Generator
from gan.randomness import stream

SCALES = torch.tensor([4.0, 2.0, 1.0, 0.5])
N, Z = 4000, len(SCALES)


class Known(Generator):
    """x = head(rotated (scales * z) + offset of the class)."""

    def __init__(self, normed=False):
        super().__init__()
        self.offsets = nn.Embedding(3, 6)
        self.first, self.head = nn.Linear(Z, 6), nn.Linear(6, 5)
        turned = torch.linalg.qr(torch.randn(6, Z, generator=stream(0, "turn")))[0]
        self.first.weight.data = turned * SCALES
        self.offsets.weight.data = 100 * torch.randn(3, 6, generator=stream(0, "offset"))
        if normed:
            self.first = spectral_norm(self.first)
        self.requires_grad_(False)

    def forward(self, z_NZ, labels_N):
        return self.head(self.first(z_NZ) + self.offsets(labels_N))


@pytest.fixture
def latents():
    z_NZ = torch.randn(N, Z, generator=stream(7, "z"))
    return z_NZ, torch.arange(N) % 3


def test_known_directions_are_found(latents):
    found = main_directions(first_features(Known(), *latents), *latents, count=3)
    expected = torch.eye(Z)[:3]
    assert ((found.steps_KZ - expected).abs() < 0.08).all()
    assert found.shares_K == pytest.approx([16 / 21.25, 4 / 21.25, 1 / 21.25], rel=0.08)
    assert found.fit > 0.99


def test_what_the_class_decides_is_no_direction(latents):
    z_NZ, labels_N = latents
    features = first_features(Known(), z_NZ, labels_N) + 50.0 * labels_N[:, None]
    found = main_directions(features, z_NZ, labels_N, count=1)
    assert abs(float(found.steps_KZ[0, 0])) > 0.99


def test_many_features_give_the_same_as_few(latents):
    z_NZ, labels_N = (part[:100] for part in latents)
    features = first_features(Known(), z_NZ, labels_N)
    few = main_directions(features, z_NZ, labels_N, count=2)
    many = main_directions(features.repeat(1, 20), z_NZ, labels_N, count=2)
    torch.testing.assert_close(few.steps_KZ, many.steps_KZ, atol=1e-4, rtol=1e-4)
    assert few.shares_K == pytest.approx(many.shares_K, rel=1e-6)


def test_the_first_layer_is_what_depends_on_the_latent(latents):
    z_NZ, labels_N = (part[:10] for part in latents)
    generator = Known()
    torch.testing.assert_close(first_features(generator, z_NZ, labels_N), generator.first(z_NZ))
    assert first_features(Known(normed=True), z_NZ, labels_N).shape == (10, 6)
    assert not generator.first._forward_hooks
    assert not generator.head._forward_hooks


def test_a_generator_may_say_it_itself_or_have_none(latents):
    class Says(Known):
        def first_features(self, z_NZ, labels_N):  # noqa: ARG002
            return z_NZ[:, :2, None]

    class Bare(Generator):
        def forward(self, z_NZ, labels_N):  # noqa: ARG002
            return z_NZ * 2

    z_NZ, labels_N = (part[:10] for part in latents)
    torch.testing.assert_close(first_features(Says(), z_NZ, labels_N), z_NZ[:, :2])
    assert first_features(Bare(), z_NZ, labels_N) is None


def test_features_that_never_vary_have_no_directions(latents):
    assert main_directions(torch.ones(N, 3), *latents, count=5) is None


def test_long_latents_take_more_and_many_features_no_more_than_memory_has():
    assert latents_for(32, 512) == 1024
    assert latents_for(100, 12_544) == 800
    assert latents_for(850, 784) == 6800
    assert latents_for(850, 100_000) * 100_000 <= MOST_VALUES


# --- sensitivity ---


def test_sensitivity_is_the_length_of_the_gradient(latents):
    weights_ZP = torch.tensor([[3.0, 0.0, 1.0], [4.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]])

    def draw(z_NZ, labels_N):
        return z_NZ @ weights_ZP

    found = sensitivity(draw, lambda x: x, *latents, stream(1, "u"))
    torch.testing.assert_close(found, torch.tensor([5.0, 0.0, 2.0]), rtol=0.05, atol=1e-6)


def test_what_is_clamped_does_not_move(latents):
    found = sensitivity(lambda z, _: 50 + z, lambda x: x.clamp(-1, 1), *latents, stream(1, "u"))
    assert (found == 0).all()
