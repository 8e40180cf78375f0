"""Selecting what meets a condition from free draws."""

import numpy as np
import torch

from gan.randomness import stream
from gan.selection import PILOT, Selection, measure_shares

SHARES = np.array([0.6, 0.3, 0.1, 0.0])


class Dice:
    """Draws (class, number) with classes as in SHARES; told draws have the number -1."""

    def __init__(self):
        self.drawn = 0
        self.largest = 0

    def free(self, count, numbers):
        self.drawn += count
        self.largest = max(self.largest, count)
        uniform = torch.rand(count, 2, generator=numbers).numpy()
        classes = np.searchsorted(np.cumsum(SHARES[:3]), uniform[:, 0])
        return np.stack([classes, (uniform[:, 1] * 1000).astype(int)], axis=1)

    def told(self, labels_N, numbers):
        del numbers
        return np.stack([labels_N, np.full(len(labels_N), -1)], axis=1)

    def selection(self, classes_of, shares):
        return Selection(
            free=self.free, conditioned=self.told, classes_of=classes_of, shares_C=shares
        )


def first(values):
    return values[:, 0]


def test_every_row_has_its_class_and_rare_ones_are_told():
    dice = Dice()
    labels_N = np.random.default_rng(0).integers(0, 4, 4000)
    values = dice.selection(first, SHARES).values(labels_N, stream(0, "test"))
    np.testing.assert_array_equal(values[:, 0], labels_N)
    np.testing.assert_array_equal(values[:, 1] == -1, labels_N == 3)
    assert dice.drawn < 1.5 * 1000 / 0.1


def test_what_is_selected_has_the_distribution_of_free_draws():
    def even(values):
        return np.where(values[:, 1] % 2 == 0, 0, -1)

    values = Dice().selection(even, np.array([0.5])).values(np.zeros(9000, int), stream(1, "test"))
    assert np.all(values[:, 1] % 2 == 0)
    shares = np.bincount(values[:, 0], minlength=3) / 9000
    assert np.abs(shares - SHARES[:3]).max() < 0.02
    assert abs(values[:, 1].mean() - 499) < 12


def test_equal_streams_select_equal_rows():
    labels_N = np.array([0, 1, 2, 0])
    one, other = (
        Dice().selection(first, SHARES).values(labels_N, stream(2, "test")) for _ in range(2)
    )
    np.testing.assert_array_equal(one, other)


def test_no_row_is_no_work_and_memory_is_bounded():
    dice = Dice()
    assert len(dice.selection(first, SHARES).values(np.zeros(0, int), stream(0, "test"))) == 0
    dice.selection(first, SHARES).values(np.full(20_000, 2), stream(0, "test"))
    assert dice.largest == 65_536


def test_shares_are_measured():
    dice = Dice()
    shares = measure_shares(dice.free, first, 4, stream(0, "pilot"))
    assert dice.drawn == PILOT
    assert np.abs(shares - SHARES).max() < 0.02
    assert shares[3] == 0
