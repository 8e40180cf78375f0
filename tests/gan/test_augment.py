import pytest
import torch

from gan.randomness import stream
from gan.training.augment import (
    AUGMENTATIONS,
    BACKGROUND,
    augment,
    colour,
    cutout,
    translate,
)

SHARE = 0.3


def images(shape, index=0):
    return torch.rand(shape, generator=stream(0, "images", index)) + 0.1


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS))
@pytest.mark.parametrize("shape", [(5, 1, 8, 8), (3, 3, 9, 17), (2, 4, 128, 8)])
def test_shapes_and_determinism(name, shape):
    one, other = (augment(images(shape), [name], SHARE, stream(0, "a")) for _ in range(2))
    assert one.shape == shape
    assert torch.equal(one, other)


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS))
def test_about_the_share_is_changed_and_the_rest_untouched(name):
    before = images((4000, 1, 16, 16))
    after = AUGMENTATIONS[name].change(before, SHARE, stream(0, "a"))
    changed = (before != after).flatten(1).any(1).float().mean().item()
    # Some shifts are by nothing, so a few of the chosen images stay as they are.
    assert SHARE * 0.9 < changed + SHARE / 25 < SHARE * 1.1


def test_translate_moves_whole_images():
    before = images((200, 2, 8, 8))
    after = translate(before, SHARE, stream(0, "a"))
    padded = torch.nn.functional.pad(before, (1, 1, 1, 1), value=BACKGROUND)
    for index in range(200):
        shifted = [padded[index, :, y : y + 8, x : x + 8] for y in range(3) for x in range(3)]
        assert any(torch.equal(after[index], one) for one in shifted)


def test_cutout_blanks_one_rectangle():
    before = images((200, 1, 16, 16))
    blank = cutout(before, SHARE, stream(0, "a"))[:, 0] == BACKGROUND
    for one in blank:
        rows, columns = one.any(1).sum().item(), one.any(0).sum().item()
        assert one.sum().item() == rows * columns
        assert max(rows, columns) <= 6


def test_colour_changes_every_pixel_alike_and_no_opacity():
    before = images((200, 4, 8, 8))
    after = colour(before, 1.0, stream(0, "a"))
    assert torch.equal(after[:, 3], before[:, 3])
    grey_before, grey_after = (one[:, :3].mean(1).flatten(1) for one in (before, after))
    slope = (grey_after[:, 1] - grey_after[:, 0]) / (grey_before[:, 1] - grey_before[:, 0])
    assert 0.5 <= slope.min() < 0.6
    assert 1.4 < slope.max() <= 1.5
    moved = grey_after.mean(1) - grey_before.mean(1)
    assert 0.4 < moved.abs().max() <= 0.5


def test_gradients_flow_through():
    before = images((6, 1, 8, 8)).requires_grad_()
    augment(before, ["translate", "cutout"], SHARE, stream(0, "a")).sum().backward()
    assert before.grad.shape == before.shape
    assert 0 < before.grad.sum().item() <= before.numel()


def test_nothing_is_nothing():
    before = images((2, 1, 8, 8))
    assert augment(before, (), SHARE, stream(0, "a")) is before
