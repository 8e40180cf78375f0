"""The judge of images: two feature nets, the worse decides.

The figures of images: a grid of samples, ratios to the ceiling, coverage of every class.
"""

import base64
import struct
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from gan.evaluation.reporting import BarGroup, bars, part_bars
from gan.gate import GateConfig
from gan.images import assess, evaluation
from gan.images.evaluation import PerceptualReference
from gan.images.evaluation import evaluate as measure
from gan.images.preview import preview
from gan.modalities import Likelihood, Options, Splits
from gan.report import Evaluation, Figure, ReportInputs

PER_CLASS = 12
"""Samples of each class in the grid; without classes the grid is so wide and high."""
RATIOS = (
    BarGroup(
        id="ratios",
        caption="Metrics against what real data reaches.",
        metrics=("coverage", "density", "label_accuracy"),
    ),
    BarGroup(id="fd-ratio", caption="Fréchet distance against that of real data.", metrics=("fd",)),
    BarGroup(id="copies-ratio", caption="Calibrated copies against nominal.", metrics=("copies",)),
)
"""Metrics whose ratios are of one size share a picture."""
CLASSES = BarGroup(
    id="class-coverage",
    caption="Coverage within each class, on the worse feature net.",
    metrics=("coverage",),
)


def figures(evaluation: Evaluation, inputs: ReportInputs, gate: GateConfig) -> tuple[Figure, ...]:
    """Return the figures of one evaluated generator of images; no real image is in any of them.

    Raises:
        DataError: the candidate has no records to show.
    """
    png = preview(inputs.candidate, inputs.label, PER_CLASS)
    found = (
        samples(png, evaluation.candidate_class_counts),
        *(bars(evaluation.metrics, group, gate) for group in RATIOS),
        part_bars(evaluation.metrics, CLASSES, gate),
    )
    return tuple(figure for figure in found if figure is not None)


def samples(png: bytes, class_counts: Sequence[tuple[Any, int]]) -> Figure:
    """Return the grid of synthetic samples, one row per class."""
    rows = [str(label) for label, count in class_counts if count]
    width, height = struct.unpack(">II", png[16:24])  # PNG, IHDR
    return Figure(
        id="samples",
        section="samples",
        caption="Synthetic samples as they come, one class per row."
        if rows
        else "Synthetic samples as they come.",
        alt=f"A grid of synthetic images of {len(rows)} classes"
        if rows
        else "A grid of synthetic images",
        kind="image",
        data={
            "png": base64.b64encode(png).decode(),
            "width": width,
            "height": height,
            "columns": [],
            "rows": rows,
        },
    )


def build_reference(splits: Splits, options: Options) -> PerceptualReference:
    """Train the feature nets on train and measure what real data reaches."""
    return evaluation.build_reference(splits, options)


def evaluate(
    candidate: pa.Table,
    reference: PerceptualReference,
    *,
    log_likelihood: Likelihood | None = None,  # noqa: ARG001 - generators of images know none
) -> Evaluation:
    """Measure a candidate's images against the holdout on every feature net."""
    return measure(candidate, reference)


def build_assess(
    train: pa.Table, validation: pa.Table, *, label: str | None, seed: int
) -> assess.ValidationAssess:
    """Train other feature nets than the final evaluation's, for the choice of the snapshot."""
    return assess.build_assess(train, validation, label=label, seed=seed)
