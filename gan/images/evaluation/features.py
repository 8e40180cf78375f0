"""Feature nets that judge images: nets of different kinds, of which the worst decides.

A classifier where there are labels, a net that learned to tell transformations where there are
none, and a random one always. Weak features flatter: a classifier that errs where a user's would
not, or a projection that averages grain away, finds bad images nearly real. What a trained net says
depends on its seed as well, so it has members of several seeds, of one name, whose numbers are
averaged (`gan.images.evaluation.members`). The nets are trained on train alone. Columns that
train does not vary are dropped before standardising, because an unseen record that differs there
would lie at any distance.

Shapes: N images, H height, W width, C channels, F features, K classes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from gan.errors import DataError
from gan.images.evaluation.feature_nets import SIDE, FeatureNet, RandomNet, TrainedNet, initialise
from gan.images.evaluation.net_cache import cached
from gan.images.evaluation.trained import (
    JUDGING,
    TRAIN_ROWS,
    ClassTask,
    Effort,
    Task,
    TransformationTask,
    train,
)
from gan.images.pixels import batches, shrunken_shape
from gan.randomness import derive

Array = np.ndarray[Any, Any]

CONSTANT = 1e-3
"""A column whose spread is below this share of the largest is constant."""
ANSWERS = 0.01
"""So is one that differs from its middle in fewer images than this share: a unit that answers to a
handful of images gave two halves of real data 25 times the Fréchet distance that they have without
it."""


class NetOutput(NamedTuple):
    """What a net makes of images."""

    features_NF: Array
    """Float64; over train every column has mean 0 and spread 1."""
    probabilities_NK: Array | None
    """Of the classes; None of a net that knows none."""


class Extractor:
    """Images in, standardised features out; deterministic, independent of batch and order."""

    def __init__(self, name: str, net: FeatureNet, images_NHWC: Array) -> None:
        """Standardise by the given training images."""
        self.name = name
        self._net = net.eval()
        raw_NF = self._raw(images_NHWC[:: max(1, len(images_NHWC) // TRAIN_ROWS)])
        spread_F = raw_NF.std(axis=0)
        answers_F = (raw_NF != np.median(raw_NF, axis=0)).mean(axis=0)
        varied_F = spread_F > CONSTANT * max(float(spread_F.max()), 1e-9)
        self._kept_F = varied_F & (answers_F >= ANSWERS)
        if not self._kept_F.any():
            msg = (
                f"all {len(images_NHWC)} training images give the same {name} features: "
                f"bring images that differ"
            )
            raise DataError(msg)
        self._mean_F = raw_NF[:, self._kept_F].mean(axis=0)
        self._spread_F = spread_F[self._kept_F]

    def __call__(self, images_NHWC: Array) -> Array:
        """Return `features_NF`, see `NetOutput`."""
        return self._standardised(self._raw(images_NHWC))

    def see(self, images_NHWC: Array) -> NetOutput:
        """Return the features and, of a net that knows classes, their probabilities."""
        return NetOutput(self(images_NHWC), None)

    def _standardised(self, raw_NF: Array) -> Array:
        features_NF: Array = (raw_NF[:, self._kept_F] - self._mean_F) / self._spread_F
        return features_NF

    def _raw(self, images_NHWC: Array) -> Array:
        with torch.inference_mode():
            parts = [
                self._net.features(batch).double().numpy() for batch in batches(images_NHWC, SIDE)
            ]
        return np.concatenate(parts)


class Classifier(Extractor):
    """The extractor whose net also knows the classes."""

    def __init__(self, net: TrainedNet, images_NHWC: Array) -> None:
        """Standardise by the given training images."""
        super().__init__("classifier", net, images_NHWC)
        self._head = net.head

    def see(self, images_NHWC: Array) -> NetOutput:
        """Return features and probabilities."""
        raw_NF = self._raw(images_NHWC)
        with torch.inference_mode():
            probabilities_NK = self._head(torch.from_numpy(raw_NF).float()).softmax(1)
        return NetOutput(self._standardised(raw_NF), probabilities_NK.double().numpy())


def predicted_classes(seen: Sequence[NetOutput]) -> Array | None:
    """Return the most likely class of every image by the mean of what nets make of them.

    None where no net knows classes.
    """
    known = [one.probabilities_NK for one in seen if one.probabilities_NK is not None]
    if not known:
        return None
    predicted_N: Array = np.mean(known, axis=0).argmax(axis=1)
    return predicted_N


def fit_extractors(
    images_NHWC: Array,
    classes_N: Array | None,
    seed: int,
    *,
    effort: Effort = JUDGING,
    cache: Path | None = None,
) -> tuple[Extractor, ...]:
    """Return the feature nets: the members of a trained one, then a random one.

    Args:
        images_NHWC: training images, uint8.
        classes_N: class indexes 0 … K-1 of the images, or None. The trained net learns them where
            there are two, else transformations.
        seed: of initial weights, order and the part that stops the training.
        effort: how long nets are trained, and how many members there are.
        cache: folder of trained nets; equal images, classes, seed and effort are read from there.

    Raises:
        DataError: all images give the same features.
    """
    height, width, channels = shrunken_shape(images_NHWC, SIDE)
    random = RandomNet(height, width, channels)
    initialise(random, seed, "random-features")
    last = Extractor("random", random, images_NHWC)
    if classes_N is not None and int(classes_N.max()) == 0:
        classes_N = None
    seeds = [derive(seed, "member", place) for place in range(effort.members)]
    members = [_member(images_NHWC, classes_N, one, effort, cache) for one in seeds]
    return (*members, last)


def _member(
    images_NHWC: Array, classes_N: Array | None, seed: int, effort: Effort, cache: Path | None
) -> Extractor:
    """Return a trained net."""
    task: Task = TransformationTask() if classes_N is None else ClassTask(classes_N)
    name = "self-supervised" if classes_N is None else "classifier"
    net = TrainedNet(*shrunken_shape(images_NHWC, SIDE), task.classes)

    def learn() -> None:
        initialise(net, seed, name)
        train(net, images_NHWC, task, effort, seed)

    cached(net, learn, (images_NHWC, classes_N, seed, effort), cache)
    if classes_N is None:
        return Extractor(name, net, images_NHWC)
    return Classifier(net, images_NHWC)
