"""Real digits in four shares: train, validation, holdout, and unseen ones: a perfect generator."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pytest
from sklearn.datasets import load_digits

from gan.evaluation.evaluate import Options, Reference, Splits, build_reference
from gan.images.codec import write_images

TRAIN, VALIDATION, HOLDOUT = 719, 359, 359
"""Rows of 1,797; the rest, 360, is the perfect generator."""


@dataclass(frozen=True)
class Digits:
    """Images and labels as arrays, and index sets into them."""

    images: np.ndarray
    labels: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    holdout: np.ndarray
    unseen: np.ndarray

    def table(self, rows: np.ndarray) -> pa.Table:
        return records(self.images[rows], self.labels[rows])

    def splits(self) -> Splits:
        return Splits(
            train=self.table(self.train),
            validation=self.table(self.validation),
            holdout=self.table(self.holdout),
            label="label",
        )

    def reshuffled(self, seed: int) -> "Digits":
        """Other validation, holdout and unseen rows; train, which the nets saw, stays."""
        rest = np.concatenate([self.validation, self.holdout, self.unseen])
        order = np.random.default_rng(seed).permutation(rest)
        validation, holdout, unseen = np.split(order, [VALIDATION, VALIDATION + HOLDOUT])
        return replace(self, validation=validation, holdout=holdout, unseen=unseen)


def records(images: np.ndarray, labels: np.ndarray) -> pa.Table:
    return pa.table({"image": write_images(images), "label": labels})


def load(seed: int) -> Digits:
    data, labels = load_digits(return_X_y=True)
    images = np.round(data.reshape(-1, 8, 8, 1) * 255 / 16).astype(np.uint8)
    order = np.random.default_rng(seed).permutation(len(images))
    parts = np.split(order, np.cumsum([TRAIN, VALIDATION, HOLDOUT]))
    return Digits(images, labels.astype(np.int64), *parts)


@pytest.fixture(scope="session")
def digits() -> Digits:
    return load(0)


@pytest.fixture(scope="session")
def digits_reference(digits: Digits) -> Reference:
    return build_reference(digits.splits(), Options())
