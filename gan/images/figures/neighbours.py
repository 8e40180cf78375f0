"""Synthetic images beside the real ones that are nearest to them: for the internal edition alone.

Shapes: M fakes, N real images, K neighbours, F features.
"""

from typing import Any

import numpy as np

from gan.codecs import Encoded
from gan.device import one_thread
from gan.images.evaluation.evaluate import PerceptualReference
from gan.images.evaluation.facts import thin
from gan.images.evaluation.perceptual import TRAIN_ROWS
from gan.images.figures.sheets import sheet_figure
from gan.metrics.neighbours import smallest
from gan.randomness import numpy_stream
from gan.report import Figure, ReportInputs
from storage.records.schema import class_title

Array = np.ndarray[Any, Any]

LOOKED_AT = 2000
"""Synthetic images of which the nearest to a training image are shown."""
SECTION = "real_neighbours"
"""Of the internal edition; no report has it."""
NEAREST, DRAWN, NEIGHBOURS = 6, 6, 5


@one_thread()
def neighbours(inputs: ReportInputs) -> Figure | None:
    """Return synthetic images with the training images nearest to them; None without these.

    Nearest in the features of the judge's net by which copies are measured. The first rows are
    those that come nearest of all, the others are drawn at random. A row's number is its distance
    ÷ the median distance of unseen real images to their nearest training image.
    """
    reference = inputs.reference
    if inputs.train is None or not isinstance(reference, PerceptualReference):
        return None
    net = reference.nets.nets[0]
    fakes, train = (reference.codec.encode(part) for part in (inputs.candidate, inputs.train))
    seen_NHWC = thin(train.values, TRAIN_ROWS)
    features_MF = net.net(fakes.values[:LOOKED_AT])
    found = smallest(features_MF, net.train_NF, min(NEIGHBOURS, len(seen_NHWC)))
    chosen = _choose(found.squared_NK[:, 0], reference.options.seed)
    usual = float(np.median(net.unseen_N)) or 1.0
    shown = np.concatenate(
        [fakes.values[chosen][:, None], seen_NHWC[found.index_NK[chosen]]], axis=1
    )
    near_R = np.sqrt(found.squared_NK[chosen, 0]) / usual
    return sheet_figure(
        "real-neighbours",
        SECTION,
        shown,
        (
            f"Left a synthetic image, numbered the {found.index_NK.shape[1]} REAL training images "
            f"nearest to it in the features of the {net.net.name} net: first the "
            f"{min(NEAREST, len(chosen))} synthetic images that come nearest of "
            f"{len(features_MF):,}, then {max(len(chosen) - NEAREST, 0)} drawn at random. The "
            "number is the distance to the nearest ÷ the median of unseen real images: much below "
            "1, look whether it is a copy.",
            f"{len(chosen)} synthetic images, each with its nearest real training images",
        ),
        columns=["", *(str(place + 1) for place in range(shown.shape[1] - 1))],  # cells are narrow
        rows=_titles(inputs, fakes, chosen, near_R),
    )


def _choose(squared_M: Array, seed: int) -> Array:
    """Return the nearest, then others at random."""
    order = np.argsort(squared_M, kind="stable")
    others = numpy_stream(seed, "neighbours").permutation(order[NEAREST:])[:DRAWN]
    return np.concatenate([order[:NEAREST], others])


def _titles(inputs: ReportInputs, fakes: Encoded, chosen: Array, near_R: Array) -> list[str]:
    classes = inputs.reference.codec.classes
    if not classes:
        return [f"{near:.2f}" for near in near_R]
    labels = [classes[index] for index in fakes.labels_N[chosen]]
    return [
        f"{class_title(inputs.class_names, label)} · {near:.2f}"
        for label, near in zip(labels, near_R, strict=True)
    ]
