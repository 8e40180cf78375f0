"""Feature nets that judge images: a small classifier's penultimate layer, and a random net.

Weak features flatter: on those of a plain MLP, bad digits looked nearly real, so both nets are
convolutional, and the worse of the two decides. They are trained on train alone; the classifier
stops early on a part of it. Columns that train does not vary are dropped before standardising,
because an unseen record that differs there would lie at any distance.

Shapes: N images, H height, W width, C channels, F features.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gan.errors import DataError
from gan.randomness import numpy_stream, stream

Array = np.ndarray[Any, Any]

FEATURES = 64
SIDE = 32
"""Larger images are averaged down to about this many pixels a side before they are judged."""
FULL_SIDE = 16
BATCH = 512
TRAIN_BATCH = 64
TRAIN_ROWS = 20_000
"""Most training images of the classifier and of the standardisation."""
MAX_STEPS = 1_000
STOP_FRACTION = 0.1
"""Part of train that decides when the classifier stops."""
PATIENCE = 4
"""Looks at that part without improvement before stopping."""
SLOPE = 0.2
CONSTANT = 1e-4
"""A column whose spread is below this share of the largest is constant."""


class Extractor:
    """Images in, standardised features out; deterministic, independent of batch and order."""

    def __init__(self, name: str, net: nn.Module, images_NHWC: Array) -> None:
        """Standardise by the given training images."""
        self.name = name
        self._net = net.eval()
        raw_NF = self._raw(images_NHWC[:: max(1, len(images_NHWC) // TRAIN_ROWS)])
        spread_F = raw_NF.std(axis=0)
        self._kept_F = spread_F > CONSTANT * max(float(spread_F.max()), 1e-12)
        if not self._kept_F.any():
            msg = (
                f"all {len(images_NHWC)} training images give the same {name} features: "
                f"bring images that differ"
            )
            raise DataError(msg)
        self._mean_F = raw_NF[:, self._kept_F].mean(axis=0)
        self._spread_F = spread_F[self._kept_F]

    def __call__(self, images_NHWC: Array) -> Array:
        """Return `features_NF`, float64, train's mean 0 and spread 1."""
        raw_NF = self._raw(images_NHWC)
        features_NF: Array = (raw_NF[:, self._kept_F] - self._mean_F) / self._spread_F
        return features_NF

    def predict(self, images_NHWC: Array) -> Array | None:  # noqa: ARG002 - the classifier's
        """Return class indexes; None, because this net knows no classes."""
        return None

    def _raw(self, images_NHWC: Array) -> Array:
        with torch.inference_mode():
            parts = [self._net(batch).double().numpy() for batch in _batches(images_NHWC)]
        return np.concatenate(parts)


class Classifier(Extractor):
    """The extractor whose net also knows the classes."""

    def __init__(self, net: "ClassifierNet", images_NHWC: Array) -> None:
        """Standardise by the given training images."""
        super().__init__("classifier", net, images_NHWC)
        self._head = net.head

    def predict(self, images_NHWC: Array) -> Array | None:
        """Return the index of the most likely class of every image."""
        with torch.inference_mode():
            parts = [self._head(self._net(batch)).argmax(1) for batch in _batches(images_NHWC)]
        predicted: Array = torch.cat(parts).numpy()
        return predicted


class ClassifierNet(nn.Module):
    """A small convolutional classifier; called, it returns the penultimate layer."""

    def __init__(self, height: int, width: int, channels: int, classes: int) -> None:
        super().__init__()
        self.trunk = _trunk(channels, height, width)
        side = _trunk_output(self.trunk, channels, height, width)
        self.penultimate = nn.Sequential(nn.Linear(side, FEATURES), nn.LeakyReLU(SLOPE))
        self.head = nn.Linear(FEATURES, classes)

    def forward(self, pixels_NCHW: Tensor) -> Tensor:
        """Return `features_NF`."""
        features_NF: Tensor = self.penultimate(self.trunk(pixels_NCHW))
        return features_NF


class RandomNet(nn.Module):
    """The same trunk with random weights, projected at random; it knows no data."""

    def __init__(self, height: int, width: int, channels: int) -> None:
        super().__init__()
        self.trunk = _trunk(channels, height, width)
        self.projection = nn.Linear(_trunk_output(self.trunk, channels, height, width), FEATURES)

    def forward(self, pixels_NCHW: Tensor) -> Tensor:
        """Return `features_NF`."""
        features_NF: Tensor = self.projection(self.trunk(pixels_NCHW))
        return features_NF


def fit_extractors(images_NHWC: Array, classes_N: Array | None, seed: int) -> tuple[Extractor, ...]:
    """Return the feature nets: a classifier when there are two classes or more, a random always.

    Args:
        images_NHWC: training images, uint8.
        classes_N: class indexes 0 … K-1 of the images, or None.
        seed: of initial weights, order and the part that stops the training.

    Raises:
        DataError: all images give the same features.
    """
    shape = _small_shape(images_NHWC)
    random = RandomNet(*shape)
    _initialise(random, stream(seed, "random-features"))
    extractors: list[Extractor] = [Extractor("random", random, images_NHWC)]
    if classes_N is not None and int(classes_N.max()) > 0:
        net = ClassifierNet(*shape, classes=int(classes_N.max()) + 1)
        _initialise(net, stream(seed, "classifier"))
        _train(net, images_NHWC, classes_N, seed)
        extractors.insert(0, Classifier(net, images_NHWC))
    return tuple(extractors)


def _batches(images_NHWC: Array) -> Iterator[Tensor]:
    """Yield network inputs `pixels_NCHW` in [-1, 1], at most about SIDE pixels a side."""
    for start in range(0, len(images_NHWC), BATCH):
        yield _pixels(images_NHWC[start : start + BATCH])


def _pixels(images_NHWC: Array) -> Tensor:
    values = np.ascontiguousarray(np.moveaxis(images_NHWC, -1, 1), dtype=np.float32)
    pixels_NCHW = torch.from_numpy(values) / 127.5 - 1.0
    factor = _factor(images_NHWC.shape[1], images_NHWC.shape[2])
    return nn.functional.avg_pool2d(pixels_NCHW, factor) if factor > 1 else pixels_NCHW


def _factor(height: int, width: int) -> int:
    return max(1, round(min(height, width) / SIDE))


def _small_shape(images_NHWC: Array) -> tuple[int, int, int]:
    _, height, width, channels = images_NHWC.shape
    factor = _factor(height, width)
    return height // factor, width // factor, channels


def _trunk(channels: int, height: int, width: int) -> nn.Sequential:
    """Return convolutions that halve the image until its short side is at most 4.

    The first keeps the size of an image up to FULL_SIDE and halves a larger one.
    """
    side, wide = min(height, width), 32
    stride = 1 if side <= FULL_SIDE else 2
    first = nn.Conv2d(channels, wide, 3, stride=stride, padding=1)
    layers: list[nn.Module] = [first, nn.LeakyReLU(SLOPE)]
    side = -(-side // stride)
    while side > 4:
        layers += [nn.Conv2d(wide, 64, 3, stride=2, padding=1), nn.LeakyReLU(SLOPE)]
        side, wide = (side + 1) // 2, 64
    return nn.Sequential(*layers, nn.Flatten())


def _trunk_output(trunk: nn.Module, channels: int, height: int, width: int) -> int:
    with torch.inference_mode():
        return int(trunk(torch.zeros(1, channels, height, width)).shape[1])


def _initialise(net: nn.Module, generator: torch.Generator) -> None:
    """Draw all weights from the stream: He et al. 2015 (arXiv:1502.01852), equation 14."""
    for parameter in net.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter, a=SLOPE, generator=generator)
        else:
            nn.init.zeros_(parameter)


def _train(net: ClassifierNet, images_NHWC: Array, classes_N: Array, seed: int) -> None:
    """Train on train without a part, and keep the weights that were best on that part."""
    rng = numpy_stream(seed, "classifier-order")
    order = rng.permutation(len(images_NHWC))[:TRAIN_ROWS]
    held = max(1, round(STOP_FRACTION * len(order)))
    part, rest = np.sort(order[:held]), np.sort(order[held:])
    pixels, targets = _pixels(images_NHWC[rest]), torch.from_numpy(classes_N[rest])
    seen, seen_targets = _pixels(images_NHWC[part]), torch.from_numpy(classes_N[part])
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-3)
    look = max(20, len(rest) // TRAIN_BATCH)
    best, best_state, waited = float("inf"), _state(net), 0
    for step in range(1, MAX_STEPS + 1):
        batch = torch.from_numpy(rng.integers(len(rest), size=TRAIN_BATCH))
        optimiser.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(net.head(net(pixels[batch])), targets[batch]).backward()
        optimiser.step()
        if step % look:
            continue
        loss = _loss(net, seen, seen_targets)
        waited += 1
        if loss < best:
            best, best_state, waited = loss, _state(net), 0
        if waited == PATIENCE:
            break
    net.load_state_dict(best_state)


def _loss(net: ClassifierNet, pixels_NCHW: Tensor, targets_N: Tensor) -> float:
    with torch.inference_mode():
        logits = net.head(net(pixels_NCHW))
        return float(nn.functional.cross_entropy(logits, targets_N))


def _state(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}
