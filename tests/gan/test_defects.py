"""Defects of a small class: found, taken out of its images, and drawn anew."""

import numpy as np
import pytest
import torch
from torch import Tensor

from gan.images.networks.defects import Defects
from gan.randomness import stream

GOOD, DEFECT, SIZE = 0, 1, (48, 64)


def plates(good: int, defect: int, seed: int, scratch: int = 90) -> tuple[Tensor, np.ndarray]:
    """Striped plates with noise, in [-1, 1]; defects are scratches 10 to 20 pixels long."""
    rng = np.random.default_rng(seed)
    images, labels = [], np.repeat([GOOD, DEFECT], [good, defect])
    for label in labels:
        plate = rng.normal(128, 5, SIZE) + 10 * np.sin(np.arange(SIZE[1]) / rng.uniform(4, 9))
        if label == DEFECT:
            row, column, turn = rng.uniform(14, 34), rng.uniform(14, 50), rng.uniform(0, np.pi)
            steps = np.arange(-rng.uniform(5, 10), rng.uniform(5, 10), 0.5)
            rows = np.clip(row + steps * np.sin(turn), 0, SIZE[0] - 2).astype(int)
            columns = np.clip(column + steps * np.cos(turn), 0, SIZE[1] - 2).astype(int)
            for down, right in ((0, 0), (1, 0), (0, 1), (1, 1)):
                plate[rows + down, columns + right] = 128 + scratch
        images.append(plate)
    values = np.clip(np.round(np.stack(images)), 0, 255)
    return torch.from_numpy(values).float()[:, None] / 127.5 - 1, labels


def measured(good=80, defect=20, seed=0, scratch=90):
    images, labels = plates(good, defect, seed, scratch)
    defects = Defects(2, 1, *SIZE)
    defects.start()
    without = defects.measure(lambda rows: images[rows], np.arange(len(images)), labels)
    return defects, without, images, labels


@pytest.mark.parametrize("scratch", [90, -90])
def test_a_small_class_gets_scratches_of_its_own(scratch):
    defects, _, images, labels = measured(scratch=scratch)
    z_NL = torch.randn(60, defects.numbers, generator=stream(1, "z"))
    drawn = defects(z_NL, torch.full((60,), DEFECT))
    sign = 1 if scratch > 0 else -1
    peaks = (sign * drawn).flatten(1).max(1).values
    assert float((peaks > 0.35).float().mean()) > 0.9
    marked = (sign * drawn[:, 0] > 0.2).float().mean((1, 2))
    real = (sign * images[labels == DEFECT][:, 0] > 0.4).float().mean((1, 2))
    assert 0.5 < float(marked.mean() / real.mean()) < 2.0
    assert (defects(z_NL, torch.full((60,), GOOD)) == 0).all()


def test_a_scratch_is_long_and_thin_and_anywhere():
    defects, _, _, _ = measured()
    z_NL = torch.randn(60, defects.numbers, generator=stream(1, "z"))
    drawn = defects(z_NL, torch.full((60,), DEFECT))[:, 0] > 0.2
    centres, shapes = [], []
    for mask in drawn:
        places = mask.nonzero().double()
        if len(places) > 4:
            centres.append(places.mean(0))
            shapes.append(torch.linalg.eigvalsh(torch.cov(places.T)).clamp_min(0.1).sqrt())
    lengths = torch.stack(shapes)
    assert float((lengths[:, 1] / lengths[:, 0]).median()) > 2.5
    assert (torch.stack(centres).std(0) > torch.tensor([4.0, 7.0])).all()


def test_none_looks_more_like_those_seen_than_like_unseen_ones():
    defects, _, images, labels = measured()
    others, kinds = plates(0, 20, seed=7)
    z_NL = torch.randn(400, defects.numbers, generator=stream(1, "z"))
    drawn = (defects(z_NL, torch.full((400,), DEFECT))[:, 0] > 0.2).flatten(1).float()
    shared = []
    for reals in (images[labels == DEFECT], others[kinds == DEFECT]):
        real = (reals[:, 0] > 0.4).flatten(1).float()
        both = drawn @ real.T
        shared.append((both / (drawn.sum(1, keepdim=True) + real.sum(1) - both)).max(1).values)
    nearer = (shared[0] > shared[1]).float() + 0.5 * (shared[0] == shared[1]).float()
    assert 0.35 < float(nearer.mean()) < 0.65


def test_images_of_the_small_class_are_read_without_their_scratches():
    _, without, images, labels = measured()
    ((rows, cleaned),) = without
    assert (rows == np.flatnonzero(labels == DEFECT)).all()
    assert float(cleaned.max()) < 0.5 < float(images[rows].flatten(1).max(1).values.min())
    untouched = (cleaned == images[rows]).float().mean()
    assert float(untouched) > 0.85


@pytest.mark.parametrize(("good", "defect"), [(40, 40), (80, 4)])
def test_classes_of_like_numbers_and_tiny_ones_have_none(good, defect):
    defects, without, _, _ = measured(good, defect)
    assert not without
    assert not defects.any


def test_a_small_class_that_is_as_usual_has_none():
    images, _ = plates(100, 0, seed=2)
    labels = np.repeat([GOOD, DEFECT], [80, 20])
    defects = Defects(2, 1, *SIZE)
    defects.start()
    assert not defects.measure(lambda rows: images[rows], np.arange(100), labels)
    assert not defects.any
