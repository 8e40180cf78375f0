"""What users train on images; see `gan.lift.task.DownstreamTask`.

Every image counts by its chance of being drawn: real ones by their copies, synthetic ones by their
weight. So a training set that holds everything twice teaches what it teaches once.

Shapes: N images, E images of a split, K classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from gan.errors import DataError
from gan.images.classifiers import (
    Augmentation,
    predict,
    train_classifier,
    training_cost_s,
    usual_augmentation,
)
from gan.images.codec import ImageCodec
from gan.images.examples import SIDE, Examples, equalised, joined, plain_examples
from gan.images.pixels import shrunken
from gan.lift.task import DownstreamTask, Goal, Split, TrainingSet
from gan.modalities import Splits
from gan.randomness import derive, numpy_stream

Array = np.ndarray[Any, Any]

UNEQUAL = 1.5
"""Remedies for rare classes are there from this ratio of the largest to the smallest class on."""
MOST_SCORED = 4000
"""Images of validation, and of the holdout, that are scored; of more a part is drawn."""
RECORD_S = 0.001
"""Processor seconds of a synthetic image, roughly."""
MODELS = {
    "convnet": "A small convolutional net of two layers over whitened patches.",
    "linear-probe": "Logistic regression on fixed random convolutional features.",
}
CLASS_REMEDIES = {
    "class weights": "Errors of rare classes weigh more, as if all classes were equally large.",
    "oversampling": "Images of rare classes are drawn more often, until all classes are equal.",
    "SMOTE": "Rare classes are filled with blends of neighbouring images (imbalanced-learn).",
}
EQUALISED_BY: dict[str, Literal["chance", "weight"]] = {
    "oversampling": "chance",
    "class weights": "weight",
}
AUGMENTATIONS = {
    "flips": "Half of the images are mirrored.",
    "crops": "Random parts of 75 % of the sides or more are enlarged.",
    "mixup": "Pairs of images and their classes are blended.",
}
CROP, MIXUP = 0.75, 0.4
NEIGHBOURS = 5


def build_task(splits: Splits, *, seed: int) -> DownstreamTask | None:
    """Return the learning task of images with two classes or more; None without."""
    if splits.label is None:
        return None
    codec = ImageCodec.fit(splits.train, splits.label)
    return ImageTask(codec, splits, seed) if len(codec.classes) > 1 else None


class ImageTask:
    """The class of an image."""

    def __init__(self, codec: ImageCodec, splits: Splits, seed: int) -> None:
        """Read the images that score, and the training images for what is decided once."""
        self._codec, self._splits, self._seed = codec, splits, seed
        records: dict[Split, pa.Table] = {
            "validation": splits.validation,
            "holdout": splits.holdout,
        }
        self._scored = {
            split: self._read(_some(one, seed, split)) for split, one in records.items()
        }
        counts = np.bincount(self._read(splits.train)[1], minlength=len(codec.classes))
        self._unequal = bool(counts.max() >= UNEQUAL * counts.min())

    @property
    def goal(self) -> Goal:
        """Classes."""
        return "classes"

    @property
    def what(self) -> str:
        """Return `class of` and the label's name."""
        return f"class of {self._codec.label}"

    @property
    def classes(self) -> Sequence[str]:
        """The training records' classes, sorted."""
        return tuple(str(one) for one in self._codec.classes)

    @property
    def models(self) -> Mapping[str, str]:
        """Return convolutional net and linear probe."""
        return MODELS

    def remedies(self, model: str) -> Mapping[str, str]:  # noqa: ARG002 - alike for both
        """Return what equalises classes, where they are unequal, and further augmentation."""
        usual = self._usual.flips
        further = {name: why for name, why in AUGMENTATIONS.items() if name != "flips" or not usual}
        return (CLASS_REMEDIES if self._unequal else {}) | further

    def targets(self, split: Split) -> Array:
        """Return class indexes of the records of a split."""
        return self._scored[split][1]

    def scores(self, model: str, data: TrainingSet, seed: int) -> Mapping[Split, Array]:
        """Train once and return probabilities of both splits.

        Raises:
            DataError: all images are of one class, or there is none.
        """
        examples = self._examples(data, seed)
        how = _augmentation(self._usual, data.remedy)
        net = train_classifier(model, examples, how, derive(self._seed, "lift", seed), "downstream")
        return {
            split: predict(net, pixels, flips=how.flips).numpy().astype(np.float64)
            for split, (pixels, _) in self._scored.items()
        }

    @property
    def record_s(self) -> float:
        """Return what a synthetic image costs, roughly."""
        return RECORD_S

    def cost_s(self, model: str, rows: int, remedy: str = "") -> float:  # noqa: ARG002 - of `Priced`
        """Return what a fit costs: as many steps whatever it learns from."""
        height, width = self._scored["holdout"][0].shape[2:]
        predicted = sum(len(classes_E) for _, classes_E in self._scored.values())
        return training_cost_s(model, height, width, predicted)

    @cached_property
    def _usual(self) -> Augmentation:
        pixels_NCHW, classes_N = self._read(self._splits.train)
        return usual_augmentation(pixels_NCHW, classes_N, len(self._codec.classes), self._seed)

    def _read(self, records: pa.Table) -> tuple[Tensor, Array]:
        """Return `pixels_NCHW` in [-1, 1], averaged down, and class indexes."""
        images_NHWC, classes_N = self._codec.encode(records)
        return shrunken(images_NHWC, SIDE), classes_N

    def _examples(self, data: TrainingSet, seed: int) -> Examples:
        """Return everything that is learnt from, with its chances and weights."""
        K = len(self._codec.classes)
        pixels_NCHW, classes_N = self._read(data.real)
        if data.remedy == "SMOTE":
            random_state = derive(self._seed, "lift-smote", seed) % 2**32
            pixels_NCHW, classes_N = _smote(pixels_NCHW, classes_N, random_state)
        examples = _softened(plain_examples(pixels_NCHW, classes_N, K), data.real_probabilities_NC)
        examples = replace(examples, chance_N=examples.chance_N * data.copies)
        if data.synthetic is not None and data.synthetic.num_rows:
            examples = joined(examples, self._synthetic(data))
        held_K = (examples.targets_NK * examples.chance_N[:, None]).sum(0) > 0
        if int(held_K.sum()) < 2:
            found = ", ".join(name for name, held in zip(self.classes, held_K, strict=True) if held)
            msg = (
                f"nothing can be learnt from {len(examples.chance_N)} images of one class "
                f"({found or 'there is none'}): bring images of two classes or more"
            )
            raise DataError(msg)
        by = EQUALISED_BY.get(data.remedy)
        return examples if by is None else equalised(examples, by)

    def _synthetic(self, data: TrainingSet) -> Examples:
        """Return the synthetic images with their labels, or a teacher's."""
        pixels_NCHW, classes_N = self._read(data.synthetic)
        made = plain_examples(pixels_NCHW, classes_N, len(self._codec.classes))
        made = _softened(made, data.probabilities_NC)
        return replace(made, chance_N=made.chance_N * data.synthetic_weight)


def _some(records: pa.Table, seed: int, split: Split) -> pa.Table:
    """Return at most `MOST_SCORED` records, drawn from the seed."""
    if records.num_rows <= MOST_SCORED:
        return records
    order = numpy_stream(seed, f"lift-{split}").permutation(records.num_rows)
    return records.take(pa.array(np.sort(order[:MOST_SCORED])))


def _softened(examples: Examples, soft_NK: Array | None) -> Examples:
    """Return examples with a teacher's labels, where there are any."""
    if soft_NK is None:
        return examples
    return replace(examples, targets_NK=torch.from_numpy(np.asarray(soft_NK, dtype=np.float32)))


def _augmentation(usual: Augmentation, remedy: str) -> Augmentation:
    """Return the usual augmentation with what a remedy adds."""
    if remedy == "flips":
        return replace(usual, flips=True)
    if remedy == "crops":
        return replace(usual, smallest_crop=CROP)
    return replace(usual, mixup=MIXUP) if remedy == "mixup" else usual


def _smote(pixels_NCHW: Tensor, classes_N: Array, random_state: int) -> tuple[Tensor, Array]:
    """Return images with every class of two or more as large as the largest."""
    from imblearn.over_sampling import SMOTE

    counts = np.bincount(classes_N, minlength=1)
    wanted = {int(k): int(counts.max()) for k in np.flatnonzero(counts > 1)}
    fewest = min((int(counts[k]) for k in wanted), default=0)
    if fewest == counts.max() or np.count_nonzero(counts) < 2:
        return pixels_NCHW, classes_N
    smote = SMOTE(
        sampling_strategy=wanted,
        k_neighbors=min(NEIGHBOURS, fewest - 1),
        random_state=random_state,
    )
    flat, filled = smote.fit_resample(pixels_NCHW.flatten(1).numpy(), classes_N)
    pixels = torch.from_numpy(np.asarray(flat, dtype=np.float32))
    return pixels.reshape(-1, *pixels_NCHW.shape[1:]), np.asarray(filled, dtype=np.int64)
