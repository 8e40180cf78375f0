"""The order in which an image is drawn pixel by pixel: coarse lattices first, finer ones between.

Every fourth pixel of every fourth row comes first, then those in the middle of four, then those
between two, and the same at half the distance, until none is left. So a pixel has neighbours on
all sides, and an error stays where it is (Reed et al., "Parallel multiscale autoregressive density
estimation", ICML 2017, section 3; here each pixel also sees those of its own lattice before it).

Shapes: Q pixels of a lattice, K pixels of a window around each of what is drawn before it, B pixels
of one in an image that is there as a whole; all are indexes of pixels, row after row.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

REACH = 3
"""Pixels of a window of what is drawn, on every side, at the lattice's own distance."""
SEEN_REACH = 2
"""The same of the image that is there as a whole."""
FIRST, FIRST_SMALL, SMALL_SIDE = 4, 2, 16
"""Distance of the first lattice, for images with a side below `SMALL_SIDE` the second one."""


class Lattice(NamedTuple):
    """Pixels that one network draws, in order."""

    pixel_Q: Tensor
    before_QK: Tensor
    """One beyond the last pixel where a window has no pixel, or one that is not drawn yet."""
    around_QB: Tensor


def first_distance(height: int, width: int) -> int:
    """Return how far the pixels of the first lattice are from each other."""
    return FIRST if min(height, width) >= SMALL_SIDE else FIRST_SMALL


def lattices(height: int, width: int) -> list[Lattice]:
    """Return the lattices of an image in the order they are drawn; each pixel is in one."""
    drawn_at = torch.full((height, width), height * width)
    order = list(_places(height, width, first_distance(height, width)))
    for turn, place in enumerate(itertools.chain.from_iterable(places for _, places in order)):
        drawn_at[place] = turn
    return [_lattice(distance, places, drawn_at) for distance, places in order]


def _places(height: int, width: int, first: int) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Yield the distance to the nearest pixels that are drawn, and the pixels, of each lattice."""

    def grid(top: int, left: int, step: int) -> list[tuple[int, int]]:
        return list(itertools.product(range(top, height, step), range(left, width, step)))

    yield first, grid(0, 0, first)
    step = first
    while step > 1:
        half = step // 2
        yield half, grid(half, half, step)
        yield half, grid(0, half, step)
        yield half, grid(half, 0, step)
        step = half


def _lattice(distance: int, places: list[tuple[int, int]], drawn_at: Tensor) -> Lattice:
    """Return a lattice with the windows of its pixels."""
    height, width = drawn_at.shape
    at_Q2 = torch.tensor(places)
    turn_Q1 = drawn_at[at_Q2[:, 0], at_Q2[:, 1]][:, None]
    row_QK, column_QK = _window(at_Q2, REACH, distance)
    inside_QK = (row_QK >= 0) & (row_QK < height) & (column_QK >= 0) & (column_QK < width)
    row_QK, column_QK = row_QK.clamp(0, height - 1), column_QK.clamp(0, width - 1)
    known_QK = inside_QK & (drawn_at[row_QK, column_QK] < turn_Q1)
    before_QK = torch.where(known_QK, row_QK * width + column_QK, height * width)
    row_QB, column_QB = _window(at_Q2, SEEN_REACH, max(distance // 2, 1))
    around_QB = row_QB.clamp(0, height - 1) * width + column_QB.clamp(0, width - 1)
    return Lattice(at_Q2[:, 0] * width + at_Q2[:, 1], before_QK, around_QB)


def _window(at_Q2: Tensor, reach: int, distance: int) -> tuple[Tensor, Tensor]:
    """Return rows and columns of a square window around every pixel."""
    steps = torch.arange(-reach, reach + 1) * distance
    down, right = torch.meshgrid(steps, steps, indexing="ij")
    return at_Q2[:, :1] + down.flatten(), at_Q2[:, 1:] + right.flatten()
