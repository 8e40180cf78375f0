"""Images drawn pixel by pixel: the order of their pixels, their chances, textures, training."""

import math

import numpy as np
import pyarrow as pa
import pytest
import torch

from gan.config import GeneratorConfig, TrainingConfig
from gan.images.codec import ImageCodec, write_images
from gan.images.mixture import MixtureSize
from gan.images.networks.autoregressive import autoregressive_networks
from gan.images.networks.lattice import first_distance, lattices
from gan.images.networks.layers import initialise
from gan.images.networks.logistics import Logistics
from gan.images.networks.pixelwise import Pixelwise, code_count
from gan.images.networks.shapes import DrawnShapes, ShapeMixture
from gan.images.networks.texture import BRIGHTEST, NUMBERS, Texture
from gan.images.presets import resolve
from gan.randomness import numpy_stream, stream

SIDE = 8
STRIPED, PLAIN = 0, 1


def stripes(rows, seed=0):
    """Return images of two classes: of one colour with stripes, and of one colour."""
    rng = numpy_stream(seed, "stripes")
    labels_R = np.arange(rows) % 2
    grey = rng.integers(60, 190, (rows, 1, 1, 1)) + np.zeros((1, SIDE, SIDE, 1))
    striped = np.where(np.arange(SIDE) % 2, 50, -50)[None, :, None, None]
    images = grey + striped * (labels_R == STRIPED)[:, None, None, None]
    images = np.clip(images + rng.normal(0, 2, images.shape), 0, 255).astype(np.uint8)
    records = pa.table({"image": write_images(images), "label": pa.array(labels_R)})
    codec = ImageCodec.fit(records, "label")
    return codec, codec.to_samples(torch.from_numpy(images.copy())), torch.from_numpy(labels_R)


def built(codec, rows, units=24):
    """Return an untrained network, with every weight drawn from a seed."""
    groups = max(len(codec.classes), 1)
    size = MixtureSize(code_count(codec, rows), gaussians=2, rows_per_gaussian=40)
    network = Pixelwise(codec, ShapeMixture(codec, groups, size, NUMBERS), units)
    initialise(network, stream(0, "weights"))
    return network


def fitted(network, images, labels):
    """Fit all that needs no step."""
    network.fit(images, stream(0, "fit"))
    described = network.describe(images, stream(0, "ties"))
    network.shapes.fit(described, labels, numpy_stream(0, "shapes"))


def seen_from_afar(network, images, labels):
    """Return what is known of real images, as a mixture would draw it."""
    parts = network.describe(images).tensor_split([network.shapes.size.components], dim=1)
    return DrawnShapes(*parts, labels)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 13), (28, 28), (16, 32)])
def test_lattices_hold_every_pixel_once_and_look_only_back(height, width):
    drawn = set()
    for lattice in lattices(height, width):
        for pixel, before in zip(lattice.pixel_Q.tolist(), lattice.before_QK.tolist(), strict=True):
            assert set(before) <= drawn | {height * width}
            assert pixel not in drawn
            drawn.add(pixel)
        assert lattice.around_QB.min() >= 0
        assert lattice.around_QB.max() < height * width
    assert drawn == set(range(height * width))


def test_the_last_lattice_sees_neighbours_on_all_sides():
    lattice, width = lattices(16, 16)[-1], 16
    q = next(q for q, pixel in enumerate(lattice.pixel_Q.tolist()) if pixel == 7 * width + 6)
    around = {6 * width + 6, 8 * width + 6, 7 * width + 5, 7 * width + 7}
    assert around <= set(lattice.before_QK[q].tolist())


def test_large_images_begin_coarser():
    assert (first_distance(8, 8), first_distance(16, 20)) == (2, 4)


def test_codes_are_fewer_than_values_and_rows_allow():
    codec = ImageCodec(height=28, width=28, channels=1)
    assert code_count(codec, 100_000) <= 28 * 28 // 12
    assert code_count(codec, 400) < code_count(codec, 100_000)
    assert code_count(codec, 1) == 1


@pytest.mark.parametrize("levels", [(), (0, 17, 34, 136, 255)])
def test_chances_of_all_values_sum_to_one(levels):
    network = built(ImageCodec(height=8, width=8, channels=1, levels=levels), 100)
    values = torch.tensor(levels or range(256))
    one = torch.tensor([[0.3, -1.0]]), torch.tensor([[-0.9, 0.4]]), torch.tensor([[-2.0, -0.5]])
    logistics = Logistics(*(each.expand(len(values), -1) for each in one))
    chance_V = logistics.chance(network.lower_B[values], network.upper_B[values])
    assert float(chance_V.sum()) == pytest.approx(1, abs=1e-5)
    assert float(chance_V.min()) > 0


def test_values_are_drawn_at_a_lower_temperature_than_they_were_learnt():
    share_M, centre_M, scale_M = torch.tensor([[2.0, 0.0], [-0.5, 0.5], [-3.0, -3.0]])[:, None]
    learnt = Logistics(share_M, centre_M, scale_M)
    chance_N = (torch.arange(2_000) + 0.5) / 2_000
    drawn, plain = (
        Logistics(*(part.expand(2_000, -1) for part in each)).quantile(chance_N)
        for each in (learnt.at_low_temperature(), learnt)
    )
    rare = [float((values > 0).float().mean()) for values in (drawn, plain)]
    assert rare == pytest.approx([1 / (1 + math.exp(2.3)), 1 / (1 + math.exp(2.0))], abs=0.005)
    common = [float(values[values < 0].std()) for values in (drawn, plain)]
    assert common[0] / common[1] == pytest.approx(0.85, abs=0.02)


def test_training_learns_stripes_and_draws_them_by_class():
    codec, images, labels = stripes(400)
    network = built(codec, len(images))
    fitted(network, images, labels)
    _, unseen, unseen_labels = stripes(200, seed=1)

    def nats():
        with torch.no_grad():
            return float(network.nats(unseen, unseen_labels, stream(2, "nats"), 8).mean())

    before = nats()
    optimizer, numbers = torch.optim.Adam(network.parameters(), 5e-3), stream(1, "steps")
    for _ in range(110):
        rows = torch.randint(len(images), (32,), generator=numbers)
        network.loss(images[rows], labels[rows], numbers).backward()
        optimizer.step()
        optimizer.zero_grad()
    after = nats()
    assert after < before - 0.1 * SIDE * SIDE
    assert after < SIDE * SIDE * math.log(60), "of 256 values, with noise on the shapes"

    z_NZ = torch.randn(64, network.numbers, generator=numbers)
    with torch.no_grad():
        drawn = network(z_NZ, seen_from_afar(network, unseen[:64], unseen_labels[:64]))
    rough_N = (drawn[:, 0, 1:] - drawn[:, 0, :-1]).abs().mean((1, 2))
    real_N = (unseen[:64, 0, 1:] - unseen[:64, 0, :-1]).abs().mean((1, 2))
    for label in (STRIPED, PLAIN):
        own = unseen_labels[:64] == label
        assert float(rough_N[own].mean()) == pytest.approx(float(real_N[own].mean()), abs=0.2)
    brightness = torch.stack([drawn.mean((1, 2, 3)), unseen[:64].mean((1, 2, 3))])
    assert float(torch.corrcoef(brightness)[0, 1]) > 0.95


@pytest.mark.parametrize(("side", "most"), [(8, 1), (30, 2)])
def test_half_of_the_images_are_shifted_in_training(side, most):
    network = built(ImageCodec(height=side, width=side, channels=2), 100)
    image = torch.rand(1, 2, side, side, generator=stream(0, "image"))
    images = image.expand(400, -1, -1, -1)
    padded = torch.nn.functional.pad(image, (most,) * 4, mode="replicate")[0]
    ways = range(2 * most + 1)
    places = [padded[:, y : y + side, x : x + side] for y in ways for x in ways]
    after = network.shifted(images, stream(1, "shifts"))
    counts = [sum(torch.equal(one, place) for one in after) for place in places]
    unmoved = counts.pop(len(places) // 2)
    assert sum(counts) + unmoved == 400, "every image is one of the places"
    assert min(counts) > 0
    assert unmoved == pytest.approx(200 + 200 / len(places), abs=40)


def test_the_likelihood_of_an_image_is_the_same_at_every_call_and_of_it_as_it_is(
    codec, monkeypatch
):
    config = resolve(
        GeneratorConfig(preset="autoregressive"),
        TrainingConfig(budget_samples=1_000, device="cpu"),
        codec,
        train_rows=300,
        seed=0,
    )
    generator = autoregressive_networks(config, codec).generator
    initialise(generator, stream(0, "weights"))
    images = torch.randint(0, 17, (6, 1, 8, 8), generator=stream(0, "images")) / 8.5 - 1
    group_N = torch.arange(6)
    monkeypatch.setattr(Pixelwise, "shifted", None)
    with torch.no_grad():
        one, again = (generator.log_likelihood(images, group_N) for _ in range(2))
    assert torch.equal(one, again)
    assert one.shape == (6,)
    assert float(one.max()) < 0


def test_drawn_values_are_those_that_images_have():
    codec = ImageCodec(height=8, width=8, channels=3, levels=(0, 85, 170, 255))
    network = built(codec, 200)
    bytes_NHWC = torch.randint(0, 4, (40, 8, 8, 3), generator=stream(0, "levels")) * 85
    images = codec.to_samples(bytes_NHWC.to(torch.uint8))
    fitted(network, images, torch.zeros(40, dtype=torch.long))
    z_NZ = torch.randn(8, network.numbers, generator=stream(1, "z"))
    group_N = torch.zeros(8, dtype=torch.long)
    with torch.no_grad():
        shapes = seen_from_afar(network, images[:8], group_N)
        drawn, again = (network(z_NZ, shapes) for _ in range(2))
    assert torch.equal(drawn, again)
    assert set(((drawn + 1) * 127.5).round().long().unique().tolist()) <= {0, 85, 170, 255}


def test_the_value_that_most_images_share_is_drawn_as_often():
    """Such as white: three of four images reach it, and no texture lies between it and the rest."""
    numbers = stream(0, "white")
    images = torch.rand(400, 1, 8, 8, generator=numbers) - 0.5
    white_N = torch.arange(400) % 4 > 0
    images[white_N, 0, 3, 3] = 1.0
    texture = Texture()
    texture.start()
    texture.measure(images, torch.zeros_like(images))
    seen_NT = texture(images, torch.zeros_like(images))
    spread_NT = texture(images, torch.zeros_like(images), numbers)
    drawn_NT = texture.settle(torch.randn(seen_NT.shape, generator=numbers))
    shared = seen_NT[white_N][0, BRIGHTEST]
    assert bool((seen_NT[white_N, BRIGHTEST] == shared).all())
    assert float((drawn_NT[:, BRIGHTEST] == shared).float().mean()) == pytest.approx(0.75, abs=0.08)
    torch.testing.assert_close(drawn_NT.std(0), seen_NT.std(0), atol=0.15, rtol=0)
    assert len(spread_NT[white_N, BRIGHTEST].unique()) > 100, "at random, as a Gaussian needs them"
    torch.testing.assert_close(texture.settle(spread_NT), seen_NT, atol=1e-3, rtol=0)


def test_the_largest_value_is_the_one_that_the_texture_says():
    codec = ImageCodec(height=8, width=8, channels=4)
    network = built(codec, 100)
    images = torch.full((3, 4, 8, 8), -1.0)
    images[:2, :, 2, 2], images[:, :, 5, 5] = 0.8, -0.2
    asked_N, brightest_N = torch.tensor([1.0, 0.5, 1.0]), torch.tensor([0.8, 0.8, -0.2])
    made = network._as_bright(images, asked_N, brightest_N)
    torch.testing.assert_close(made[:2, :3].amax((1, 2, 3)), asked_N[:2], atol=0.01, rtol=0)
    assert float(made[2, :3].max()) < 0.2, "what is far from it stays far"
    assert torch.equal(made[:, 3], images[:, 3])
