"""The judge of images: two feature nets, the worse decides; its metrics, figures and preview.

A preview is a grid of images with one row per class.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.bounds import Alarm, Limit, MetricEntry, pass_bounds
from gan.errors import DataError
from gan.evaluation.foresight import Foreseen
from gan.evaluation.published_copies import Hashes
from gan.images.codec import read_images
from gan.images.evaluation import assess, foresight
from gan.images.evaluation.evaluate import PerceptualReference
from gan.images.evaluation.evaluate import build_reference as measure_reals
from gan.images.evaluation.evaluate import evaluate as measure
from gan.images.figures.inside import Insight, inside_figures
from gan.images.figures.sheets import PAPER, Pixels, enlarge, evenly, image_data, tile, to_png
from gan.metrics.equality import part_hashes
from gan.modalities import Likelihood, Options, Splits
from gan.report import CEILING_UNIT, BarGroup, CurveGroup, Evaluation, Figure, ReportInputs
from gan.sample import Sampler
from storage.records.schema import class_title


def preview(records: pa.Table, label: str | None, per_class: int) -> bytes:
    """Return a PNG that shows the first records of each class, one row per class.

    Without classes the grid is `per_class` wide and as high. Places without a record stay white.

    Raises:
        DataError: there is no record, or no such label column.
    """
    rows = [group[:per_class] for group in _groups(records, label, per_class)]
    if not rows:
        msg = "there is nothing to show: 0 records were given"
        raise DataError(msg)
    H, W, C = rows[0].shape[1:]
    grid = np.full((len(rows), per_class, H, W, C), PAPER, dtype=np.uint8)
    for row, images_NHWC in zip(grid, rows, strict=True):
        row[: len(images_NHWC)] = images_NHWC
    return to_png(tile(enlarge(grid)))


def _groups(records: pa.Table, label: str | None, per_class: int) -> list[Pixels]:
    """Return images by class, in the classes' order; without a label in rows of a square."""
    if label is None:
        images_NHWC = read_images(records.slice(0, per_class * per_class))
        lines = math.ceil(len(images_NHWC) / per_class)
        return [images_NHWC[i * per_class : (i + 1) * per_class] for i in range(lines)]
    if label not in records.column_names:
        msg = f"the records have no label column {label!r}, only {', '.join(records.column_names)}"
        raise DataError(msg)
    classes = sorted(pc.unique(records[label]).to_pylist())
    return [read_images(_first(records, label, value, per_class)) for value in classes]


def _first(records: pa.Table, label: str, value: object, count: int) -> pa.Table:
    rows = pc.indices_nonzero(pc.equal(records[label], pa.scalar(value, records[label].type)))
    return records.take(rows[:count])


PER_CLASS = 12
"""Samples of each class in the grid; without classes the grid is so wide and high."""
MOST_CLASSES = 24
"""Rows of the grid, each with its name."""

NOT_BY_CHANCE = (
    "groups or the user's own split decided which images were trained on, so that unseen real ones "
    "may lie nearer to these, too"
)
ALARM_OF_COPIES = Alarm(
    side="high",
    bound=0.58,
    meaning="many synthetic images lie nearer to a training image than to any unseen one, as near "
    "copies do",
)

METRICS = (
    MetricEntry(
        name="coverage",
        meaning="Share of real images that synthetic ones come near, overall and in every class.",
        unit="share",
        title="coverage of real images",
        direction="higher",
        limits=(Limit(side="low", passes=0.75, blocks=0.5),),
        is_primary=True,
        must_be_known=True,
        figures=("ratios", "class-coverage"),
        ticks=("coverage_ratio", "worst_class_ratio"),
        class_ticks=("worst_class_ratio",),
        curve="quality",
    ),
    MetricEntry(
        name="density",
        meaning="Mean number of neighbourhoods of real images that a synthetic one lies in, over "
        "the expected number.",
        unit="ratio",
        direction="target",
        limits=(
            Limit(side="low", passes=0.6, blocks=0.4),
            Limit(side="high", passes=1.5, blocks=2.0),
        ),
        figures=("ratios",),
        ticks=("density_ratio",),
        curve="quality",
    ),
    MetricEntry(
        name="fd",
        meaning="Fréchet distance between the features of real and of synthetic images.",
        unit="distance",
        title="distance between distributions of features (FD)",
        limits=(Limit(side="high", passes=5.0, blocks=25.0),),
        upper_end=True,
        is_primary=True,
        figures=("fd-ratio",),
        ticks=("fd_ratio",),
        curve="distance",
    ),
    MetricEntry(
        name="label_accuracy",
        meaning="Share of synthetic images to which a classifier of real ones assigns the label "
        "they were made for.",
        unit="share",
        title="images that show their class",
        direction="higher",
        limits=(
            Limit(side="low", passes=0.10, relation="below", blocks=0.5, block_relation="ratio"),
        ),
        figures=("ratios",),
        ticks=("label_accuracy",),
        class_ticks=("label_accuracy",),
        curve="quality",
    ),
    MetricEntry(
        name="c2st",
        scope="statistics",
        meaning="How well trees tell synthetic images from real ones by plain statistics of each: "
        "grain, sharpness, spectrum, histogram, stripes, colour; at one half they cannot.",
        unit="AUC",
        title="telling synthetic from real images",
        limits=(Limit(side="high", passes=0.75, blocks=1.0, relation="fixed"),),
        upper_end=True,
        figures=("telling",),
    ),
    MetricEntry(
        name="c2st",
        scope="network",
        meaning="How well a small convolutional net tells synthetic images from real ones; at one "
        "half it cannot.",
        unit="AUC",
        title="telling synthetic from real images",
        limits=(Limit(side="high", passes=0.80, blocks=1.0, relation="fixed"),),
        upper_end=True,
        figures=("telling",),
    ),
    MetricEntry(
        name="tstr_gap",
        meaning="Accuracy that a classifier loses when it learns from synthetic instead of real "
        "images.",
        unit="loss of accuracy",
        title="loss of accuracy when learning from synthetic images",
        aspect="usefulness",
        limits=(Limit(side="high", passes=0.10, blocks=0.25, relation="fixed"),),
        upper_end=True,
        figures=("usefulness",),
    ),
    MetricEntry(
        name="copies",
        meaning="Share of synthetic images nearer to a training image than unseen real ones are.",
        unit="share",
        title="copies of training images",
        aspect="privacy",
        limits=(Limit(side="high", passes=1.5, blocks=1.0),),
        benefit_of_doubt=True,
        is_primary=True,
        must_be_known=True,
        real="nominal",
        figures=("copies-ratio",),
        ticks=("copies_share",),
        curve="copies",
    ),
    MetricEntry(
        name="near_copies",
        meaning="Share of synthetic images whose nearest real one, mirrored or shifted, is of "
        "train and not unseen, as if both were equally many; of real ones half.",
        unit="share",
        title="near copies of training images",
        aspect="privacy",
        limits=(Limit(side="high", passes=0.55, blocks=0.58, relation="fixed"),),
        doubt=0.5,
        not_judged=NOT_BY_CHANCE,
        alarms=(ALARM_OF_COPIES,),
        figures=("near-copies",),
    ),
    MetricEntry(
        name="near_copies",
        scope="pixels/near",
        meaning="The same among synthetic images that are nearer to a real one than all but 5 % of "
        "real images are to one another.",
        unit="share",
        title="near copies of training images",
        aspect="privacy",
        limits=(Limit(side="high", passes=0.55, blocks=0.55, relation="fixed"),),
        benefit_of_doubt=True,
        not_judged=NOT_BY_CHANCE,
        alarms=(ALARM_OF_COPIES,),
        figures=("near-copies",),
    ),
    MetricEntry(
        name="repeats",
        meaning="Share of synthetic images that look like another synthetic one, beside the same "
        "share among as many real images.",
        unit="share",
        title="images that repeat one another",
        limits=(Limit(side="high", passes=0.10, blocks=0.25, relation="above"),),
    ),
    MetricEntry(
        name="spread",
        meaning="Spread of every pixel over synthetic images, as a share of that over real ones.",
        unit="share",
        title="spread of pixels",
        aspect="validity",
        direction="target",
        limits=(Limit(side="low", passes=0.10, blocks=0.10),),
        ticks=("spread",),
        curve="quality",
    ),
    MetricEntry(
        name="validation_nll",
        meaning="Negative log-likelihood of the pixels of validation images of known shapes, while "
        "training only.",
        unit="nats per image",
        not_judged="it depends on the size of the images, no bound fits all of them",
        ticks=("validation_nll",),
        curve="likelihood",
    ),
    MetricEntry(
        name="trtr",
        meaning="Accuracy of a classifier that learned from real images.",
        unit="share",
        title="a classifier that learned from real images",
        aspect="usefulness",
        direction="higher",
        not_judged="it is of real images alone, what tstr is held against",
    ),
    MetricEntry(
        name="tstr",
        meaning="Accuracy of a classifier that learned from synthetic images.",
        unit="share",
        title="a classifier that learned from synthetic images",
        aspect="usefulness",
        direction="higher",
        not_judged="the gap to trtr is judged in its place",
    ),
    MetricEntry(
        name="kid",
        meaning="Kernel distance between the features of real and of synthetic images.",
        unit="distance",
        title="kernel distance of features (KID)",
        not_judged="fd judges the distance of the same features",
    ),
    MetricEntry(
        name="precision",
        meaning="Share of synthetic images that lie among real ones.",
        unit="share",
        direction="higher",
        not_judged="density judges the same, and one outlier moves it less",
        alarms=(
            Alarm(
                side="low",
                bound=0.5,
                relation="ratio",
                meaning="less than half of what real images reach: many synthetic images look like "
                "no real one",
            ),
        ),
    ),
    MetricEntry(
        name="recall",
        meaning="Share of real images that lie among synthetic ones.",
        unit="share",
        direction="higher",
        limits=(Limit(side="low", passes=0.5, blocks=0.2),),
        figures=("ratios",),
    ),
)
"""Distances and copies are measured on every feature net, `coverage` also in every class; label
accuracy where a net knows classes."""

BARS = (
    BarGroup(id="ratios", caption="Metrics against what real data reaches."),
    BarGroup(id="fd-ratio", caption="Fréchet distance against that of real data."),
    BarGroup(id="copies-ratio", caption="Calibrated copies against nominal."),
    BarGroup(
        id="near-copies",
        caption="Share of synthetic images whose nearest real one is of train and not unseen.",
        unit="share",
        reference=(0.5, "one half"),
    ),
    BarGroup(
        id="telling",
        caption="How well trees on plain statistics, and a convolutional net, tell synthetic "
        "images from real ones; at one half they cannot.",
        unit="AUC",
        reference=(0.5, "one half"),
    ),
    BarGroup(
        id="usefulness",
        caption="What a classifier loses when it learns from synthetic instead of real images.",
        unit="loss of accuracy",
        reference=(0.0, "no loss"),
    ),
    BarGroup(
        id="class-coverage",
        caption="Coverage within each class, on the worse feature net.",
        of_parts=True,
    ),
)
"""Metrics whose ratios are of one size share a picture."""

CURVES = (
    CurveGroup(
        id="quality",
        caption="Coverage of validation records while training, overall and in the worst class, "
        "and density, on the worse feature net; and the spread of pixels ÷ that of real images.",
        unit=CEILING_UNIT,
    ),
    CurveGroup(
        id="distance",
        caption="Fréchet distance to validation records while training, on the worse feature net.",
        unit=CEILING_UNIT,
        log=True,
    ),
    CurveGroup(
        id="copies",
        caption="Share of samples nearer to a training record than the calibrated threshold.",
        unit="share",
    ),
    CurveGroup(
        id="likelihood",
        caption="Negative log-likelihood of validation images of known shapes while training, "
        "where the generator knows it; lower is better.",
        unit="nats",
    ),
)


def figures(evaluation: Evaluation, inputs: ReportInputs) -> tuple[Figure, ...]:
    """Return the figures of a candidate and, where it is at hand, of its generator's inside.

    No real image is in any of them.

    Raises:
        DataError: the candidate has no records to show.
    """
    shown = samples(inputs, evaluation.candidate_class_counts)
    if not isinstance(inputs.sampler, Sampler):
        return (shown,)
    insight = Insight(inputs.sampler, evaluation.seed, tuple(inputs.class_names))
    return (shown, *inside_figures(insight))


def samples(inputs: ReportInputs, class_counts: Sequence[tuple[Any, int]]) -> Figure:
    """Return the grid of synthetic samples, one row per class; of many classes some."""
    made = [label for label, count in class_counts if count]
    shown = [made[place] for place in evenly(len(made), MOST_CLASSES)]
    records, caption = inputs.candidate, "Synthetic samples as they come"
    if shown:
        caption = f"{caption}, one class per row"
    if len(shown) < len(made):
        caption = f"{caption}: {len(shown)} of {len(made):,} classes"
        column = records[inputs.label]
        records = records.filter(pc.is_in(column, value_set=pa.array(shown, type=column.type)))
    rows = [class_title(inputs.class_names, label) for label in shown]
    return Figure(
        id="samples",
        section="samples",
        caption=f"{caption}.",
        alt=f"A grid of synthetic images of {len(rows)} classes"
        if rows
        else "A grid of synthetic images",
        kind="image",
        data=image_data(preview(records, inputs.label, PER_CLASS), rows=rows),
    )


def foresee(splits: Splits, options: Options) -> Foreseen:
    """Return what is known before there is a candidate; see `gan.images.evaluation.foresight`."""
    return foresight.foresee(splits, options)


def build_reference(splits: Splits, options: Options) -> PerceptualReference:
    """Train the feature nets on train and measure what real data reaches."""
    return measure_reals(splits, options)


def record_hashes(splits: Splits) -> Hashes:  # noqa: ARG001 - pixels are compared as they are
    """Return what hashes images by their pixels."""
    return pixel_hashes


def pixel_hashes(records: pa.Table) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Return a hash of every part of every image; (N, G)."""
    return part_hashes(read_images(records))


def evaluate(
    candidate: pa.Table,
    reference: PerceptualReference,
    *,
    log_likelihood: Likelihood | None = None,  # noqa: ARG001 - generators of images know none
) -> Evaluation:
    """Measure a candidate's images against the holdout on every feature net."""
    return measure(candidate, reference)


def build_assess(
    train: pa.Table,
    validation: pa.Table,
    *,
    label: str | None,
    seed: int,
    cache: Path | None = None,
) -> assess.ValidationAssess:
    """Train other feature nets than the final evaluation's, for the choice of the snapshot."""
    passes = pass_bounds(METRICS)
    return assess.build_assess(
        train, validation, label=label, seed=seed, passes=passes, cache=cache
    )
