import pytest
import torch

from gan.config import GeneratorConfig, TrainingConfig
from gan.errors import ConfigError
from gan.images.classic_presets import CLASSIC
from gan.images.codec import ImageCodec
from gan.images.networks import build
from gan.images.networks.layers import batch_deviation
from gan.images.presets import resolve
from gan.randomness import stream
from gan.training.loop import train
from gan.training.regularizers import normalize_spectrum

SIZES = [(8, 8, 1), (28, 28, 1), (32, 32, 3), (9, 17, 1), (16, 40, 4), (128, 8, 3), (100, 128, 3)]


def networks(size, preset, classes=("a", "b")):
    height, width, channels = size
    labelled = {"label": "kind", "label_type": "string"} if classes else {}
    codec = ImageCodec(height=height, width=width, channels=channels, classes=classes, **labelled)
    training = TrainingConfig(device="cpu")
    config = resolve(
        GeneratorConfig(preset=preset, width=16), training, codec, train_rows=500, seed=0
    )
    return build(config, codec, stream(0, "weights")), config, codec


OFTEN = {"mlp", "resnet"}
ONCE = {"mlp-gan", "dcgan", "wgan-gp", "sngan", "biggan-small"}
"""Presets of which CI looks at one size; all sizes of all are in the full run."""
FITTING = [
    pytest.param(
        size,
        preset,
        marks=[]
        if preset in OFTEN or (preset in ONCE and size == (9, 17, 1))
        else [pytest.mark.full],
    )
    for size in SIZES
    for preset in (*sorted(OFTEN), *CLASSIC)
]


@pytest.mark.parametrize("classes", [(), ("a", "b")], ids=["unconditional", "conditional"])
@pytest.mark.parametrize(("size", "preset"), FITTING, ids=str)
def test_every_size_fits(size, preset, classes):
    (generator, discriminator), config, _ = networks(size, preset, classes)
    labels_N = torch.tensor([0, 1, 1])
    images = generator(torch.randn(3, config.latent, generator=stream(0, "z")), labels_N)
    assert images.shape == (3, size[2], size[0], size[1])
    logits_N = discriminator(images, labels_N)
    assert logits_N.shape == (3,)
    assert logits_N.isfinite().all()


@pytest.mark.parametrize("preset", ["mlp", "resnet"])
def test_the_class_matters_to_both(preset):
    (generator, discriminator), config, _ = networks((8, 8, 1), preset)
    z_NZ = torch.randn(4, config.latent, generator=stream(0, "z"))
    first, second = torch.zeros(4, dtype=torch.int64), torch.ones(4, dtype=torch.int64)
    assert not torch.equal(generator(z_NZ, first), generator(z_NZ, second))
    images = generator(z_NZ, first)
    assert not torch.equal(discriminator(images, first), discriminator(images, second))


@pytest.mark.parametrize("preset", ["mlp", "resnet"])
def test_a_sample_does_not_depend_on_its_neighbours(preset):
    (generator, discriminator), config, _ = networks((8, 8, 1), preset)
    z_NZ = torch.randn(6, config.latent, generator=stream(0, "z"))
    labels_N = torch.tensor([0, 1, 0, 1, 0, 1])
    images = generator(z_NZ, labels_N)
    torch.testing.assert_close(generator(z_NZ[2:4], labels_N[2:4]), images[2:4])
    logits_N = discriminator(images, labels_N)
    torch.testing.assert_close(discriminator(images[2:4], labels_N[2:4]), logits_N[2:4])


@pytest.mark.parametrize("preset", ["mlp", "resnet"])
def test_fresh_networks_have_a_sensible_scale(preset):
    (generator, discriminator), config, _ = networks((32, 32, 3), preset)
    z_NZ = torch.randn(16, config.latent, generator=stream(0, "z"))
    labels_N = torch.arange(16) % 2
    images = generator(z_NZ, labels_N)
    assert 1e-3 < images.std().item() < 3
    noise = torch.randn(images.shape, generator=stream(1, "z"))
    assert discriminator(noise, labels_N).abs().max().item() < 10


def test_layers_that_begin_at_zero_can_have_their_spectrum_normalised():
    (_, discriminator), _, _ = networks((8, 8, 1), "resnet")
    normalize_spectrum(discriminator, stream(0, "spectrum"))
    images = torch.randn(3, 1, 8, 8, generator=stream(0, "images"))
    logits_N = discriminator(images, torch.tensor([0, 1, 1]))
    logits_N.sum().backward()
    assert logits_N.isfinite().all()
    assert all(weights.grad.isfinite().all() for weights in discriminator.parameters())


def test_unknown_network_lists_the_known():
    _, config, codec = networks((8, 8, 1), "mlp")
    with pytest.raises(ConfigError, match="mlp, resnet"):
        build(config.model_copy(update={"network": {"kind": "vit"}}), codec, stream(0, "weights"))


def test_a_discriminator_can_see_how_different_its_batch_is():
    codec = ImageCodec(height=8, width=8, channels=1)
    generator = GeneratorConfig(preset="mlp", terms={"minibatch-deviation": 2.0})
    training = TrainingConfig(device="cpu")
    config = resolve(generator, training, codec, train_rows=500, seed=0)
    discriminator = build(config, codec, stream(0, "weights")).discriminator
    assert discriminator.head.linear.in_features == 385
    features = torch.randn(8, 6, generator=stream(0, "features"))
    features[4:] = features[4]
    found = batch_deviation(features)
    expected = features[:4].std(0, correction=0).mean()
    torch.testing.assert_close(found[:4, 0], expected.repeat(4))
    assert found[4:].max() < 1e-3


@pytest.mark.parametrize("preset", ["mixture-gan"])
def test_what_a_discriminator_cannot_have_is_refused(preset, codec, digits, tmp_path):
    generator = GeneratorConfig(preset=preset, terms={"minibatch-deviation": 1.0})
    training = TrainingConfig(device="cpu", budget_samples=64)
    config = resolve(generator, training, codec, train_rows=300, seed=0)
    with pytest.raises(ConfigError, match="the discriminator of preset 'mixture-gan' cannot"):
        train(config, codec, digits, tmp_path, device="cpu")
