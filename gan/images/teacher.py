"""The teacher of images: an ensemble of small nets that learned the class from real images.

Each member learns from all images with weights and batches of its own, twice as long as a
downstream model does; errors of rare classes weigh as if all classes were equally large. The
ensemble's answer is the mean of their probabilities (Lakshminarayanan, Pritzel & Blundell, "Simple
and scalable predictive uncertainty estimation using deep ensembles", NeurIPS 2017, section 2.4).

The file is safetensors; its metadata holds JSON:

    {"schema": "ganmill-image-teacher/1", "codec", "flips"}

Shapes: N images, K classes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pyarrow as pa
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from gan.errors import DataError, SnapshotError
from gan.images.classifiers import (
    ConvNet,
    predict,
    train_classifier,
    usual_augmentation,
)
from gan.images.codec import ImageCodec
from gan.images.examples import SIDE, equalised, plain_examples
from gan.images.pixels import shrunken
from gan.randomness import derive, stream
from storage.records.schema import Label

Array = np.ndarray[Any, Any]

SCHEMA = "ganmill-image-teacher/1"
LIBRARIES = ()
"""Packages that its answers rest on, beyond those that every job needs."""
MEMBERS = 3
LENGTH = 2
"""Times the steps of a downstream model."""
FEWEST_IMAGES = 50
PURPOSE = "teacher"


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageTeacher:
    """The ensemble for one label."""

    codec: ImageCodec
    flips: bool
    """Whether it looks at the mirror image too."""
    members: tuple[nn.Module, ...]

    @property
    def label(self) -> str:
        """The column that it predicts."""
        return str(self.codec.label)

    @property
    def classes(self) -> Sequence[Label]:
        """Its classes, in the order of the columns of probabilities."""
        return self.codec.classes

    def predict(self, records: pa.Table) -> Array:
        """Return probabilities (N, K), float64.

        Raises:
            DataError: the images are of another size than those it learned from.
        """
        unlabelled = replace(self.codec, label=None)
        pixels_NCHW = shrunken(unlabelled.encode(records).values, SIDE)
        if len(pixels_NCHW) == 0:
            return np.empty((0, len(self.classes)))
        found = [predict(net, pixels_NCHW, flips=self.flips).double() for net in self.members]
        mean_NK: Array = torch.stack(found).mean(0).numpy()
        return mean_NK

    def to_bytes(self) -> bytes:
        """Return the file."""
        about = {"schema": SCHEMA, "codec": self.codec.to_json(), "flips": self.flips}
        tensors = {
            f"{index}.{name}": value.contiguous()
            for index, net in enumerate(self.members)
            for name, value in net.state_dict().items()
        }
        return save_tensors(tensors, {"teacher": json.dumps(about, sort_keys=True)})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote.

        Raises:
            SnapshotError: these bytes are something else.
        """
        try:
            tensors = load_tensors(data)
            about = _metadata(data)
            if about["schema"] != SCHEMA:
                raise ValueError(about["schema"])  # noqa: TRY301 - one sentence for every defect
            codec = ImageCodec.from_json(about["codec"])
            members = tuple(_load(codec, tensors, index) for index in range(MEMBERS))
        except (ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            msg = f"this is no {SCHEMA} teacher ({error!r}); delete it and run again"
            raise SnapshotError(msg) from error
        return cls(codec=codec, flips=bool(about["flips"]), members=members)


def check(train: pa.Table, *, label: str, classes: Sequence[Label]) -> None:
    """Check that a teacher can learn the classes of these images.

    Raises:
        DataError: there are too few images, or a single class.
    """
    problem = ""
    if train.num_rows < FEWEST_IMAGES:
        problem = f"there are {train.num_rows} training images, and it needs {FEWEST_IMAGES}"
    elif len(classes) == 1:
        problem = f"{label!r} has the single class {classes[0]!r} in the training images"
    if problem:
        msg = f"no teacher can learn {label!r}: {problem}; set synthesis.labels to generator"
        raise DataError(msg)


def fit(train: pa.Table, *, label: str, classes: Sequence[Label], seed: int) -> bytes:
    """Return a teacher that learned the classes of these images, as a file.

    Raises:
        DataError: as `check`, or the images have other classes.
    """
    check(train, label=label, classes=classes)
    codec = replace(ImageCodec.fit(train, label), classes=tuple(classes))
    images_NHWC, classes_N = codec.encode(train)
    pixels_NCHW, K = shrunken(images_NHWC, SIDE), len(classes)
    usual = usual_augmentation(pixels_NCHW, classes_N, K, seed)
    examples = equalised(plain_examples(pixels_NCHW, classes_N, K), "weight")
    members = tuple(
        train_classifier("convnet", examples, usual, derive(seed, PURPOSE, index), PURPOSE, LENGTH)
        for index in range(MEMBERS)
    )
    return ImageTeacher(codec=codec, flips=usual.flips, members=members).to_bytes()


load = ImageTeacher.from_bytes


def _metadata(data: bytes) -> dict[str, Any]:
    """Return what the header says; it is a length of 8 bytes, then JSON."""
    length = int.from_bytes(data[:8], "little")
    about: dict[str, Any] = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["teacher"])
    return about


def _load(codec: ImageCodec, tensors: dict[str, Tensor], index: int) -> nn.Module:
    blank = np.zeros((2, codec.height, codec.width, codec.channels), dtype=np.uint8)
    net = ConvNet(shrunken(blank, SIDE), len(codec.classes), stream(0, PURPOSE))
    prefix = f"{index}."
    found = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    net.load_state_dict(found)
    return net.eval()
