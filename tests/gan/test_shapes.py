"""Shapes of images: how they are distributed in each group, and images that are drawn of them."""

import numpy as np
import pytest
import torch

from gan.images.codec import ImageCodec
from gan.images.mixture import MixtureSize
from gan.images.networks.layers import initialise
from gan.images.networks.shapes import ShapeMixture
from gan.randomness import numpy_stream, stream
from tests.gan.test_mixture import fitted

K = 10


def shape_mixture(codes, labels, *, groups=2, labelled=True, rows_per_gaussian=40):
    """Return a mixture fitted on codes; the last of them is an image's texture."""
    classes = tuple(range(groups)) if labelled else ()
    codec = ImageCodec(height=8, width=8, channels=1, classes=classes)
    size = MixtureSize(codes.shape[1] - 1, 4, rows_per_gaussian)
    shapes = ShapeMixture(codec, groups, size, texture=1)
    initialise(shapes, stream(0, "weights"))
    rng = numpy_stream(0, "shapes")
    shapes.fit(torch.from_numpy(codes).float(), torch.from_numpy(labels), rng)
    return shapes


def draw(shapes, labels_N):
    numbers = stream(1, "draw")
    normal_ND = torch.randn(len(labels_N), shapes.numbers, generator=numbers)
    return shapes(torch.randn(len(labels_N), generator=numbers), normal_ND, labels_N)


def drawn(shapes, labels_N):
    """Return codes with the texture beside them."""
    made = draw(shapes, labels_N)
    return torch.cat([made.codes_NK, made.texture_NT], dim=1)


def test_draws_vary_as_real_shapes_of_their_class_do():
    rng = np.random.default_rng(0)
    labels = np.arange(600) % 2
    mixed = rng.normal(size=(2, K, K)) / np.sqrt(K)
    codes = np.stack([mixed[label] @ rng.normal(size=K) + 2 * label for label in labels])
    shapes = shape_mixture(codes, labels)
    for label in (0, 1):
        own = drawn(shapes, torch.full((4_000,), label)).numpy()
        real = codes[labels == label]
        np.testing.assert_allclose(own.mean(0), real.mean(0), atol=0.15)
        np.testing.assert_allclose(own.std(0), real.std(0), rtol=0.1)
        difference = np.abs(np.cov(own.T) - np.cov(real.T)).mean()
        assert difference < 0.1 * np.diag(np.cov(real.T)).mean()


def test_a_class_of_few_images_varies_as_others_do_where_it_shows_nothing():
    rng = np.random.default_rng(1)
    labels = np.array([0] * 400 + [1] * 6)
    codes = rng.normal(size=(406, K)) * np.linspace(2, 0.5, K)
    shapes = shape_mixture(codes, labels)
    few = drawn(shapes, torch.ones(2_000, dtype=torch.long))
    variances = np.linalg.eigvalsh(np.cov(few.numpy().T))
    assert variances.min() > 0.1 * 0.5**2, "six images lie in five dimensions of ten"


def test_no_gaussian_stands_for_an_outlier():
    rng = np.random.default_rng(2)
    codes = np.concatenate([rng.normal(size=(200, 3)), [[60.0, 0, 0]]])
    shapes = shape_mixture(codes, np.zeros(201, dtype=np.int64), groups=1)
    assert float(shapes.centre_GMD.abs().max()) < 10


def test_images_without_classes_are_of_clusters_by_their_shares():
    rng = np.random.default_rng(3)
    centres = np.where(np.arange(400) % 4 > 0, 5.0, -5.0)
    codes = rng.normal(size=(400, 3)) + centres[:, None]
    shapes = shape_mixture(codes, np.zeros(400, dtype=np.int64), labelled=False)
    made = draw(shapes, torch.zeros(4_000, dtype=torch.long))
    described_ND = torch.cat([made.codes_NK, made.texture_NT], dim=1)
    assert float((described_ND[:, 0] > 0).float().mean()) == pytest.approx(0.75, abs=0.03)
    assert torch.equal(shapes.group(described_ND, made.group_N), made.group_N)


def test_a_texture_goes_with_the_shapes_that_have_it():
    """Not in a line: the shapes in the middle are rough, those on either side are not."""
    rng = np.random.default_rng(4)
    side_R = rng.choice([-4.0, 0.0, 4.0], 900)
    rough_R = np.where(side_R == 0, 2.0, -2.0)
    codes = rng.normal(size=(900, 3)) * 0.3 + np.stack([side_R, 0 * side_R, rough_R], axis=1)
    shapes = shape_mixture(codes, np.zeros(900, dtype=np.int64), groups=1)
    made = drawn(shapes, torch.zeros(2_000, dtype=torch.long))
    is_rough_N = made[:, 2] > 0
    assert float((is_rough_N == (made[:, 0].abs() < 2)).float().mean()) > 0.98


def test_codes_depend_on_the_first_numbers_of_a_latent_alone():
    rng = np.random.default_rng(5)
    shapes = shape_mixture(rng.normal(size=(200, 4)), np.arange(200) % 2)
    choice_N, labels_N = torch.zeros(5), torch.arange(5) % 2
    normal_ND = torch.randn(5, shapes.numbers, generator=stream(2, "latent"))
    other_ND = normal_ND.clone()
    other_ND[:, shapes.size.components :] += 1
    one, other = (shapes(choice_N, each, labels_N) for each in (normal_ND, other_ND))
    torch.testing.assert_close(one.codes_NK, other.codes_NK)
    assert not torch.equal(one.texture_NT, other.texture_NT)


@pytest.mark.parametrize("labelled", [True, False])
def test_images_are_drawn_of_the_shapes_of_their_latents(labelled):
    generator, config, codec, images, labels = fitted(
        200, labelled=labelled, preset="autoregressive"
    )
    z_NZ = torch.randn(40, config.latent, generator=stream(1, "z"))
    labels_N = torch.arange(40) % (2 if labelled else 1)
    made = generator(z_NZ, labels_N)
    bytes_N = (made + 1) * 127.5
    torch.testing.assert_close(bytes_N, bytes_N.round(), atol=1e-3, rtol=0.0)
    shown = generator.first_features(z_NZ, labels_N)
    firsts = [generator.shapes.encode(each)[:, 0] for each in (shown, made)]
    assert float(torch.corrcoef(torch.stack(firsts))[0, 1]) > 0.5
    samples = codec.to_samples(torch.from_numpy(images))
    classes_R = torch.from_numpy(labels if labelled else 0 * labels)
    nats = generator.loss(samples, classes_R, stream(2, "loss"))
    nats.backward()
    assert float(nats.detach()) > 0
    assert generator.pixelwise.networks.window.weight_LIO.grad is not None


@pytest.mark.parametrize("size", [(8, 8), (40, 9)])
def test_few_images_are_enough(size):
    generator, config, *_ = fitted(7, size=size, preset="autoregressive")
    z_NZ = torch.randn(5, config.latent, generator=stream(1, "z"))
    made = generator(z_NZ, torch.tensor([0, 1, 0, 1, 1]))
    assert made.shape == (5, 1, *size)
    assert made.isfinite().all()
