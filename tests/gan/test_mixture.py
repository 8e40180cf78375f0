"""The mixture of Gaussians as a generator: what it fits, draws and says of images."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy.stats import multivariate_normal

from gan.config import GeneratorConfig, TrainingConfig
from gan.images.codec import ImageCodec, write_images
from gan.images.mixture import (
    cluster,
    dissolve_small,
    expectation_maximisation,
    own_covariances,
    principal_components,
)
from gan.images.networks import build
from gan.images.networks.denoised import REFINED
from gan.images.networks.mixture import GaussianIndex
from gan.images.presets import resolve
from gan.randomness import stream


def bars(rows, rng, size=(8, 8)):
    """Bright columns for one class and rows for the other, of random strength."""
    labels = np.arange(rows) % 2
    images = np.full((rows, *size, 1), 60.0)
    strength = rng.uniform(60, 180, rows)
    place = rng.integers(0, min(size), rows)
    for row in range(rows):
        target = images[row, place[row]] if labels[row] else images[row, :, place[row]]
        target += strength[row]
    images += rng.normal(0, 6, images.shape)
    return np.clip(np.round(images), 0, 255).astype(np.uint8), labels


def fitted(rows=400, *, labelled=True, size=(8, 8), preset="mixture"):
    images, labels = bars(rows, np.random.default_rng(0), size)
    table = {"image": write_images(images)}
    if labelled:
        table["kind"] = pa.array(labels)
    records = pa.table(table)
    codec = ImageCodec.fit(records, "kind" if labelled else None)
    training = TrainingConfig(device="cpu")
    config = resolve(GeneratorConfig(preset=preset), training, codec, train_rows=rows, seed=0)
    generator = build(config, codec, stream(0, "weights")).generator
    generator.fit(codec.encode(records), seed=0)
    return generator, config, codec, images, labels


def test_samples_have_the_means_and_spreads_of_their_class():
    generator, config, codec, images, labels = fitted()
    z_NZ = torch.randn(4_000, config.latent, generator=stream(1, "z"))
    for kind in (0, 1):
        made = generator(z_NZ, torch.full((4_000,), kind))
        real = codec.to_samples(torch.from_numpy(images[labels == kind]))
        torch.testing.assert_close(made.mean(0), real.mean(0), atol=0.04, rtol=0.0)
        torch.testing.assert_close(made.std(0), real.std(0), atol=0.06, rtol=0.0)
        mixed = np.corrcoef(made.flatten(1).T.numpy())[0, 7] - np.corrcoef(real.flatten(1).T)[0, 7]
        assert abs(mixed) < 0.15


def test_coordinates_are_the_inverse_of_a_draw():
    generator, _config, *_ = fitted()
    place = GaussianIndex(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]))
    whitened = torch.randn(3, generator.components, generator=stream(2, "z"))
    values = generator.decode(whitened, place)
    torch.testing.assert_close(generator.whiten(values, place), whitened, atol=1e-2, rtol=1e-2)


def test_the_likelihood_is_that_of_the_gaussians():
    generator, _, codec, images, _labels = fitted()
    samples = codec.to_samples(torch.from_numpy(images[:7]))
    expected = np.zeros((7, 2))
    for group in (0, 1):
        basis = generator.basis_GDP[group].double().numpy()
        beyond = float(generator.residual_G[group])
        outside = beyond * (np.eye(64) - basis.T @ basis)
        density = np.zeros(7)
        for share, centre, factor in zip(
            generator.shares_GK[group].double().numpy(),
            generator.centres_GKD[group].double().numpy(),
            generator.factors_GKDD[group].double().numpy(),
            strict=True,
        ):
            if share == 0:
                continue
            mean = generator.mean_GP[group].double().numpy() + centre @ basis
            covariance = basis.T @ factor @ factor.T @ basis + outside
            gaussian = multivariate_normal(mean, covariance, allow_singular=True)
            density += share * gaussian.pdf(samples.flatten(1).double().numpy())
        expected[:, group] = density * float(generator.group_share_G[group])
    found = generator.log_likelihood(samples)
    np.testing.assert_allclose(found.numpy(), np.log(expected.sum(1)), rtol=1e-3, atol=0.1)


def test_other_images_are_less_likely_than_those_of_the_kind():
    generator, _, codec, *_ = fitted()
    fresh, _ = bars(200, np.random.default_rng(9))
    noise = np.random.default_rng(1).integers(0, 256, fresh.shape, dtype=np.uint8)
    kind, other = (
        generator.log_likelihood(codec.to_samples(torch.from_numpy(part)))
        for part in (fresh, noise)
    )
    assert kind.min() > other.max()


def test_images_without_classes_are_drawn_from_clusters_by_their_shares():
    generator, config, codec, images, _ = fitted(600, labelled=False)
    assert len(generator.group_share_G) == 2
    z_NZ = torch.randn(4_000, config.latent, generator=stream(1, "z"))
    made = generator(z_NZ, torch.zeros(4_000, dtype=torch.int64))
    real = codec.to_samples(torch.from_numpy(images))
    torch.testing.assert_close(made.mean(0), real.mean(0), atol=0.05, rtol=0.0)


@pytest.mark.parametrize("size", [(8, 8), (40, 9), (70, 128)])
@pytest.mark.parametrize("preset", ["mixture", "mixture-gan"])
def test_few_images_of_any_size_are_enough(size, preset):
    generator, config, _codec, *_ = fitted(7, size=size, preset=preset)
    z_NZ = torch.randn(5, config.latent, generator=stream(1, "z"))
    made = generator(z_NZ, torch.tensor([0, 1, 0, 1, 1]))
    assert made.shape == (5, 1, *size)
    assert made.isfinite().all()


@pytest.mark.parametrize("size", [(8, 8), (40, 48)])
def test_what_refines_a_mixture_begins_as_the_mixture(size):
    generator, config, codec, images, labels = fitted(60, size=size, preset="mixture-gan")
    z_NZ = torch.randn(30, config.latent, generator=stream(1, "z"))
    labels_N = torch.arange(30) % 2
    drawn = generator.mixture(z_NZ, labels_N).clamp(-1, 1)
    torch.testing.assert_close(generator(z_NZ, labels_N), drawn)
    level_N, nothing = torch.ones(30), torch.zeros(30, *generator.noise_shape)
    torch.testing.assert_close(generator.denoiser(drawn, labels_N, level_N, nothing), drawn)
    samples = codec.to_samples(torch.from_numpy(images))
    generator.loss(samples, torch.from_numpy(labels), stream(2, "loss"))
    denoised = generator(z_NZ, labels_N)
    assert not torch.equal(denoised, drawn)
    generator.begin("adversarial")
    assert generator.stage == REFINED
    torch.testing.assert_close(generator(z_NZ, labels_N), denoised)


def test_the_gain_gives_images_the_spectrum_of_real_ones():
    rng = stream(0, "spectrum")
    real = torch.rand(200, 1, 20, 24, generator=rng) - 0.5
    blurred = torch.nn.functional.avg_pool2d(real, 3, stride=1, padding=1) * 0.9 + real * 0.5
    generator, *_ = fitted(60, size=(20, 24), preset="mixture-gan")
    generator.spectrum.measure_real(real)
    generator.spectrum.fit(blurred)
    better = generator.spectrum(blurred)
    truth, was, now = (generator.spectrum._power(each)[1:] for each in (real, blurred, better))
    assert (now.log() - truth.log()).abs().mean() < 0.5 * (was.log() - truth.log()).abs().mean()


def test_expectation_maximisation_finds_separate_gaussians():
    rng = np.random.default_rng(3)
    codes = np.concatenate([rng.normal(-3, 0.5, (300, 2)), rng.normal(3, 1.0, (100, 2))])
    weights, centres, covariances = expectation_maximisation(
        codes, cluster(codes, 2, rng), 10.0, own_covariances
    )
    order = np.argsort(centres[:, 0])
    np.testing.assert_allclose(weights[order], [0.75, 0.25], atol=0.01)
    np.testing.assert_allclose(centres[order], [[-3, -3], [3, 3]], atol=0.3)
    np.testing.assert_allclose(covariances[order[0]], np.eye(2) * 0.25, atol=0.06)
    assert set(np.bincount(cluster(codes, 2, rng))) == {100, 300}


def test_principal_components_are_those_of_the_covariance():
    rng = np.random.default_rng(4)
    for shape in ((200, 6), (5, 40)):
        rows = rng.normal(size=shape) * np.linspace(3, 1, shape[1])
        squares, basis = principal_components(rows, 3)
        expected = np.linalg.svd(rows, compute_uv=False)[:3] ** 2
        np.testing.assert_allclose(squares, expected, rtol=1e-6)
        np.testing.assert_allclose(basis @ basis.T, np.eye(3), atol=1e-6)


def test_no_gaussian_stands_for_one_or_two_images():
    """Centres that k-means++ puts on outliers would show them: such clusters are dissolved."""
    rng = np.random.default_rng(5)
    codes = np.concatenate([rng.normal(0, 1, (120, 3)), [[40.0, 0, 0], [0, 60.0, 0], [0, 61.0, 0]]])
    chosen = dissolve_small(codes, cluster(codes, 6, rng), 10.0)
    weights, centres, _ = expectation_maximisation(codes, chosen, 10.0, own_covariances)
    assert (weights * len(codes)).min() >= 9
    assert np.abs(centres).max() < 20


def test_directions_in_which_nothing_lies_are_left_out():
    generator, _, codec, images, labels = fitted(14)
    for group in (0, 1):
        basis = generator.basis_GDP[group].double()
        used = basis[basis.square().sum(1) > 0.5]
        assert len(used) < 14
        torch.testing.assert_close(
            used @ used.T, torch.eye(len(used)).double(), atol=1e-4, rtol=0.0
        )
    values = generator.shrink(codec.to_samples(torch.from_numpy(images)))
    place = generator.locate(values, torch.from_numpy(labels))
    assert generator.whiten(values, place).square().mean(1).sqrt().max() < 3


def test_the_gain_leaves_the_mean_of_an_image():
    generator, *_ = fitted(60, size=(28, 28), preset="mixture-gan")
    rng = stream(0, "mean")
    real = torch.rand(50, 1, 28, 28, generator=rng) - 0.9
    made = torch.nn.functional.avg_pool2d(real, 5, stride=1, padding=2, count_include_pad=False)
    generator.spectrum.measure_real(real)
    generator.spectrum.fit(made)
    changed = generator.spectrum(made.clamp(-0.9, 0.9))
    torch.testing.assert_close(changed.mean(), made.clamp(-0.9, 0.9).mean(), atol=1e-3, rtol=0.0)


def test_a_cluster_of_a_few_images_is_none():
    rng = np.random.default_rng(6)
    images, _ = bars(200, rng)
    images[:3] = 250 - images[:3] // 8
    codec = ImageCodec.fit(pa.table({"image": write_images(images)}), None)
    config = resolve(
        GeneratorConfig(preset="mixture"),
        TrainingConfig(device="cpu"),
        codec,
        train_rows=900,
        seed=0,
    )
    generator = build(config, codec, stream(0, "weights")).generator
    generator.fit(codec.encode(pa.table({"image": write_images(images)})), seed=0)
    shares = generator.group_share_G.numpy() * len(images)
    assert shares[shares > 0].min() >= 20


def striped(rows, rng, size=(48, 64)):
    """Grain of fine stripes, twice as strong in the second class; its left half is flat."""
    labels = np.arange(rows) % 2
    noise = rng.normal(0, 1, (rows, *size))
    stripes = noise[:, :, ::-1].cumsum(1)[:, ::4].repeat(4, axis=1)[:, : size[0]]
    stripes = stripes / stripes.std() * np.where(labels, 24.0, 12.0)[:, None, None]
    stripes[:, :, : size[1] // 2] = 0
    images = np.clip(np.round(128 + stripes), 0, 255).astype(np.uint8)[..., None]
    return images, labels


def test_what_is_finer_than_a_mixture_of_large_images_is_drawn_too():
    images, labels = striped(120, np.random.default_rng(0))
    records = pa.table({"image": write_images(images), "kind": pa.array(labels)})
    codec = ImageCodec.fit(records, "kind")
    config = resolve(
        GeneratorConfig(preset="mixture"),
        TrainingConfig(device="cpu"),
        codec,
        train_rows=120,
        seed=0,
    )
    generator = build(config, codec, stream(0, "weights")).generator
    generator.fit(codec.encode(records), seed=0)
    z_NZ = torch.randn(200, config.latent, generator=stream(1, "z"))
    for kind in (0, 1):
        made = generator(z_NZ, torch.full((200,), kind))
        real = codec.to_samples(torch.from_numpy(images[labels == kind]))
        for half in (slice(0, 30), slice(34, 64)):
            spread, truth = (float(each[..., half].std()) for each in (made, real))
            assert spread == pytest.approx(truth, rel=0.25, abs=0.01)
        steps, truth = (float(each[..., 34:].diff(dim=3).std()) for each in (made, real))
        assert steps == pytest.approx(truth, rel=0.25)


def test_grain_of_noise_returns_to_the_image():
    """Parts of an image are its coordinates and what they leave out: together they are it."""
    generator, _config, codec, images, labels = fitted(60, size=(40, 48), preset="mixture-gan")
    samples = codec.to_samples(torch.from_numpy(images[:6]))
    place = generator.mixture.locate(
        generator.mixture.shrink(samples), torch.from_numpy(labels[:6])
    )
    parts = generator._parts(samples, place)
    base = generator._base(
        generator.mixture.whiten(generator.mixture.shrink(samples), place), place
    )
    torch.testing.assert_close(base + parts.grain_NCHW, samples)
    torch.testing.assert_close(parts.mixed(parts, torch.zeros(6)).grain_NCHW, parts.grain_NCHW)
