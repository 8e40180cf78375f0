"""Figures of a generator of images: what their cells show, their size, and what is left out."""

import base64
import io
import itertools
import re
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from gan.config import GeneratorConfig, TrainingConfig
from gan.images import judge
from gan.images.codec import ImageCodec, read_images, write_images
from gan.images.evaluation.evaluate import PerceptualReference
from gan.images.figures import frame, neighbours, strip
from gan.images.figures.inside import (
    STEPS,
    Insight,
    class_paths,
    find_directions,
    inside_figures,
    latent_paths,
    sensitivity_maps,
    traversals,
)
from gan.images.figures.sheets import (
    FEWEST_CELLS,
    GAP,
    MOST_BYTES,
    cells_of,
    shrink,
    shrink_factor,
    tile,
)
from gan.images.networks import build
from gan.images.presets import resolve
from gan.inside.paths import steps_between
from gan.protocols import Frame
from gan.randomness import stream
from gan.report import ReportInputs
from gan.sample import Sampler
from gan.snapshot import load_snapshot, save_snapshot
from gan.training.loop import train
from gan.training.strip import Filmstrip


def pixels(figure):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(figure.data["png"]))))


def cell(figure, row, column, side=8, extra=0):
    """Return one image of a sheet of small grey images."""
    step = side + GAP
    left = column * step + extra
    return pixels(figure)[row * step : row * step + side, left : left + side]


@pytest.fixture(scope="module")
def snapshot(tiny, codec, digits, tmp_path_factory):
    return load_snapshot(train(tiny, codec, digits, tmp_path_factory.mktemp("t")).snapshot)


@pytest.fixture
def insight(snapshot):
    return Insight(Sampler(snapshot), seed=5, class_names=("zero", "one"))


# --- sheets ---


@pytest.mark.parametrize(
    "shape", [(8, 8, 1), (28, 28, 1), (32, 32, 3), (96, 128, 1), (128, 128, 4)]
)
def test_a_sheet_has_room_for_enough_images_and_is_bounded(shape):
    assert cells_of(shape) >= FEWEST_CELLS
    small = shrink(np.zeros((1, *shape), np.uint8))
    assert cells_of(shape) * small.size <= MOST_BYTES
    assert min(small.shape[1:3]) >= min(shape[0], shape[1], 24)


def test_large_images_are_averaged_not_sampled():
    image = np.tile(np.array([[0, 200], [100, 100]], np.uint8), (32, 32))[None, ..., None]
    wide = np.repeat(image, 3, axis=3)
    assert shrink_factor(wide.shape[1:]) == 2
    assert (shrink(wide) == 100).all()


def test_groups_of_columns_stand_apart():
    grid = np.zeros((1, 4, 8, 8, 1), np.uint8)
    sheet = tile(grid, group=2)
    assert sheet.shape[1] == tile(grid).shape[1] + 5
    assert (sheet[:8, 2 * 10 - GAP : 2 * 10 + 5] == 255).all()
    assert (sheet[:8, 2 * 10 + 5] == 0).all()


# --- the strip ---


def film(rows=10, ticks=15, shape=(8, 8, 1)):
    draw = np.random.default_rng(2)
    frames = tuple(
        Frame(1250 * tick, draw.integers(0, 256, (rows, *shape), dtype=np.uint8))
        for tick in range(ticks)
    )
    return Filmstrip(frames=frames, labels_R=np.arange(rows) % 10)


def test_the_strip_shows_every_latent_at_every_tick():
    made = film()
    figure = strip(made, [f"class {index}" for index in range(10)])
    for row, column in ((0, 0), (3, 7), (9, 14)):
        np.testing.assert_array_equal(
            cell(figure, row, column), made.frames[column].values[row, ..., 0]
        )
    assert figure.data["columns"][:4] == ["0", "1.2k", "2.5k", "3.8k"]
    assert figure.data["rows"][3] == "class 3"
    assert figure.section == "training"


def test_a_strip_of_large_images_has_fewer_rows_and_frames():
    figure = strip(film(rows=3, ticks=17, shape=(128, 128, 3)), [])
    assert len(base64.b64decode(figure.data["png"])) < 1.1 * MOST_BYTES
    assert (figure.data["columns"][0], figure.data["columns"][-1]) == ("0", "20k")
    assert "averaged" in figure.caption


def test_what_is_fitted_at_once_has_no_strip():
    made = film(ticks=1)
    again = made.frames[0]._replace(samples_seen=64)
    assert strip(Filmstrip(frames=(*made.frames, again), labels_R=made.labels_R), []) is None


def test_a_frame_is_its_rows_side_by_side():
    one = film().frames[1]
    shown = np.asarray(Image.open(io.BytesIO(frame(one))))
    np.testing.assert_array_equal(shown[:32:4, 34 * 2 : 34 * 2 + 32 : 4], one.values[2, ..., 0])


# --- inside ---


def test_a_latent_path_begins_and_ends_with_the_images_of_its_latents(insight):
    figure = latent_paths(insight)
    start, end = insight.latents(20, "paths").chunk(2)
    middle = steps_between(start, end, 3)[:, 1]
    for z_NZ, column in ((start, 0), (middle, STEPS // 2), (end, STEPS - 1)):
        images = insight.images(z_NZ, insight.classes(list(range(10))))
        for row in (0, 4, 9):
            np.testing.assert_array_equal(cell(figure, row, column), images[row, ..., 0])
    assert figure.data["rows"][:3] == ["0 (zero)", "1 (one)", "2"]


def test_a_class_path_ends_with_both_classes(insight):
    figure = class_paths(insight)
    z_NZ = insight.latents(10, "classes")
    for column, shift in ((0, 0), (STEPS - 1, 1)):
        rows = [(row + shift) % 10 for row in range(10)]
        images = insight.images(z_NZ, insight.classes(rows))
        for row in (0, 5, 9):
            np.testing.assert_array_equal(cell(figure, row, column), images[row, ..., 0])
    assert figure.data["rows"][0] == "zero → one"
    assert figure.data["rows"][-1] == "9 → zero"


def test_traversals_pass_through_the_image_they_start_from(insight):
    figure = traversals(insight)
    z_RZ = insight.latents(3, "traversals")
    images = insight.images(z_RZ, insight.classes([0, 4, 9]))
    for start in range(3):
        extra = start * ((8 + GAP) // 2)
        for row in range(5):
            shown = cell(figure, row, 5 * start + 2, extra=extra)
            np.testing.assert_array_equal(shown, images[start, ..., 0])
    first, last = cell(figure, 0, 0).astype(int), cell(figure, 0, 4).astype(int)
    assert np.abs(first - last).mean() > 1
    shares = [float(text.split()[1].rstrip("%")) for text in figure.data["rows"]]
    assert shares == sorted(shares, reverse=True)


def test_sensitivity_is_in_grey_levels_and_dark_where_nothing_moves(insight):
    with torch.no_grad():
        insight.generator.head.weight[:8] = 0  # the uppermost row of pixels
    figure = sensitivity_maps(insight)
    shown = np.stack([cell(figure, 0, column) for column in range(10)])
    assert (shown[:, 0] == 0).all()
    assert shown.max() == 255
    levels = float(re.search(r"white ([\d.]+) grey levels", figure.caption)[1])
    assert 0 < levels < 2000
    assert figure.data["columns"][:3] == ["zero", "one", "2"]


def test_everything_is_small_and_the_same_again(insight, snapshot):
    figures = inside_figures(insight)
    assert [figure.id for figure in figures] == [
        "latent-paths",
        "class-paths",
        "main-directions",
        "sensitivity",
    ]
    assert figures == inside_figures(Insight(Sampler(snapshot), 5, ("zero", "one")))
    assert sum(len(figure.data["png"]) for figure in figures) < 200_000
    assert all(figure.section == "inside" and figure.alt for figure in figures)


def test_classes_that_are_more_than_learnt_vectors_have_no_path(insight, monkeypatch):
    """A path that does not end in the second class would show what is not there."""
    forward = type(insight.generator).forward

    def brighter(self, z_NZ, labels_N):
        return forward(self, z_NZ, labels_N) + 0.1 * labels_N[:, None, None, None]

    monkeypatch.setattr(type(insight.generator), "forward", brighter)
    assert "not all that its classes are" in class_paths(insight).why


def test_what_a_generator_has_nothing_to_show_for_is_left_out_with_a_reason(insight, monkeypatch):
    monkeypatch.setattr("gan.images.figures.inside.first_features", lambda *_: None)
    insight.titles = insight.titles[:1]
    *shown, table = inside_figures(insight)
    assert [figure.id for figure in shown] == ["latent-paths", "sensitivity"]
    reasons = dict(table.data["rows"])
    assert list(reasons) == ["From class to class", "Main directions"]
    assert "no two classes" in reasons["From class to class"]
    assert "no layer" in reasons["Main directions"]


@pytest.mark.parametrize("size", [(12, 10, 1), (40, 64, 3)])
def test_images_without_classes_have_their_figures_too(size, tiny, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (40, *size), dtype=np.uint8)
    codec = ImageCodec.fit(pa.table({"image": write_images(images)}), None)
    generator = build(tiny, codec, stream(0, "weights")).generator
    save_snapshot(tmp_path, config=tiny, codec=codec, weights=generator.state_dict(), facts={})
    figures = inside_figures(Insight(Sampler.load(tmp_path), seed=1))
    found = {figure.id: figure for figure in figures}
    assert list(found) == ["latent-paths", "main-directions", "sensitivity", "inside-left-out"]
    assert found["latent-paths"].data["rows"] == found["sensitivity"].data["columns"] == []
    assert "after 3 images" in found["main-directions"].caption or size[2] == 3
    assert sum(len(figure.data.get("png", "")) for figure in figures) < 800_000


def test_what_chooses_is_held(tiny, digits, codec, tmp_path_factory):
    """A mixture's first value chooses the Gaussian; along a path it must not."""
    asked = GeneratorConfig(preset="mixture")
    training = TrainingConfig(budget_samples=300, device="cpu")
    config = resolve(asked, training, codec, train_rows=300, seed=1)
    result = train(config, codec, digits, tmp_path_factory.mktemp("mixture"), device="cpu")
    insight = Insight(Sampler(load_snapshot(result.snapshot)), seed=5)
    start, end = insight.latents(20, "paths").chunk(2)
    path = steps_between(start, end, 5, held=1)
    assert (path[:, :, 0] == start[:, None, 0]).all()
    assert len(insight.alike(start)[:, 0].unique()) == 1
    figures = {figure.id: figure for figure in inside_figures(insight)}
    assert dict(figures["inside-left-out"].data["rows"]).keys() == {"From class to class"}
    steps = pixels(figures["latent-paths"])[:8].astype(int)
    cells = [steps[:, left : left + 8] for left in range(0, 90, 10)]
    jumps = [np.abs(one - two).mean() for one, two in itertools.pairwise(cells)]
    assert max(jumps) < 4 * np.median(jumps) + 1
    assert {"main-directions", "sensitivity"} <= set(figures)
    sheet = figures["main-directions"]
    for start in range(3):  # every class moves along the directions of its own Gaussian
        ends = [cell(sheet, 0, 5 * start + at, extra=5 * start).astype(int) for at in (0, 2, 4)]
        assert np.abs(ends[2] - ends[0]).mean() > 8


def test_directions_hold_what_they_do_not_describe(digits, tmp_path):
    """The grain of a large image is drawn from values that no component depends on."""
    large = read_images(digits)[:120].repeat(5, 1).repeat(5, 2)
    records = pa.table({"image": write_images(large), "digit": digits["digit"][:120]})
    codec = ImageCodec.fit(records, "digit")
    asked, training = GeneratorConfig(preset="mixture"), TrainingConfig(device="cpu")
    config = resolve(asked, training, codec, train_rows=120, seed=1)
    result = train(config, codec, records, tmp_path, device="cpu")
    insight = Insight(Sampler(load_snapshot(result.snapshot)), seed=5)
    (found,) = find_directions(insight, [3])
    described = insight.generator.described
    assert described == 1 + config.network["components"] < config.latent
    assert found.steps_KZ.shape[1] == config.latent
    assert (found.steps_KZ[:, described:] == 0).all()
    assert found.steps_KZ[:, 1:described].abs().max() > 0.1


# --- samples, and real neighbours ---


def labelled(images, labels):
    return pa.table({"image": write_images(images), "kind": pa.array(labels)})


def test_the_grid_of_many_classes_shows_some(snapshot):
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1), dtype=np.uint8)
    inputs = ReportInputs(candidate=labelled(images, list(range(60))), reference=None, label="kind")
    figure = judge.samples(inputs, [(label, 1) for label in range(60)])
    assert len(figure.data["rows"]) == judge.MOST_CLASSES
    assert (figure.data["rows"][0], figure.data["rows"][-1]) == ("0", "59")
    assert f"{judge.MOST_CLASSES} of 60 classes" in figure.caption
    last = pixels(figure)[-34 : -34 + 32 : 4, :32:4]
    np.testing.assert_array_equal(last, images[59, ..., 0])


def test_copies_stand_first_beside_what_they_copy():
    draw = np.random.default_rng(3)
    train_images = draw.integers(0, 256, (50, 8, 8, 1), dtype=np.uint8)
    fakes = draw.integers(0, 256, (40, 8, 8, 1), dtype=np.uint8)
    fakes[17] = train_images[33]
    real, made = labelled(train_images, [0, 1] * 25), labelled(fakes, [0, 1] * 20)
    reference = PerceptualReference.__new__(PerceptualReference)

    class Flat:
        name = "flat"

        def __call__(self, images):
            return images.reshape(len(images), -1).astype(float)

    reference.codec = ImageCodec.fit(real, "kind")
    reference.options = SimpleNamespace(seed=1)
    net = SimpleNamespace(net=Flat(), train_NF=Flat()(train_images), unseen_N=np.full(9, 500.0))
    reference.nets = SimpleNamespace(nets=(net,))
    inputs = ReportInputs(candidate=made, reference=reference, label="kind", train=real)
    figure = neighbours(inputs)
    assert figure.data["columns"][:3] == ["", "1", "2"]
    np.testing.assert_array_equal(cell(figure, 0, 0), fakes[17, ..., 0])
    np.testing.assert_array_equal(cell(figure, 0, 1), train_images[33, ..., 0])
    assert figure.data["rows"][0] == "1 · 0.00"
    assert len(figure.data["rows"]) == 12
    distances = [float(text.split(" · ")[1]) for text in figure.data["rows"][:6]]
    assert distances == sorted(distances)
    assert neighbours(ReportInputs(candidate=made, reference=reference, label="kind")) is None
