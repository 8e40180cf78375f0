"""From an evaluation and its verdict to the report.

Figures that every modality's report may have, as data. No real record is in any of them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gan.gate import Bounds, GateConfig, Judgement, bounds_of
from gan.modalities import load_modality
from gan.protocols import Curve
from gan.report import Evaluation, Event, Figure, Metric, Report, ReportInputs

CEILING_UNIT = "÷ ceiling"

CURVES: Mapping[str, tuple[str, str, bool, tuple[str, ...]]] = {
    "quality": (
        "Coverage of validation records while training, overall and in the worst class, and "
        "density, on the worse feature net.",
        "÷ ceiling",
        False,
        ("coverage_ratio", "worst_class_ratio", "density_ratio"),
    ),
    "distance": (
        "Fréchet distance to validation records while training, on the worse feature net.",
        "÷ ceiling",
        True,
        ("fd_ratio",),
    ),
    "copies": (
        "Share of samples nearer to a training record than the calibrated threshold.",
        "share",
        False,
        ("copies_share",),
    ),
    "likelihood": (
        "Negative log-likelihood of validation rows while training; lower is better.",
        "nats per row",
        False,
        ("validation_nll",),
    ),
    "errors": (
        "Error against validation rows while training: mean total variation distance of single "
        "columns and of pairs of columns.",
        "distance",
        False,
        ("one_way", "two_way"),
    ),
    "rank": (
        "The measure by which the snapshot is chosen; lower is better.",
        "rank",
        False,
        ("rank",),
    ),
}
"""Figure → caption, unit, log scale, names of its curves."""


@dataclass(frozen=True, kw_only=True)
class BarGroup:
    """Metrics of one size, drawn in one picture against their bounds."""

    id: str
    caption: str
    metrics: tuple[str, ...]
    """Names; each is drawn once per scope."""
    unit: str = CEILING_UNIT
    """In this unit values are divided by what real data reaches; in another they are as they
    are, and metrics without bounds are drawn too."""
    reference: tuple[float, str] = (1.0, "real data")
    """Where the long line stands, and what it means."""


def bars(metrics: Sequence[Metric], group: BarGroup, gate: GateConfig) -> Figure | None:
    """Return the group's metrics of the whole set with their bounds; None without any."""
    whole = [metric for metric in metrics if "/" not in metric.scope]
    return _bars(group, [metric for metric in whole if metric.name in group.metrics], gate)


def part_bars(
    metrics: Sequence[Metric], group: BarGroup, gate: GateConfig, most: int | None = None
) -> Figure | None:
    """Return the group's metrics of every part (class or column), by its worse scope.

    With `most`, only so many of the worst are drawn.
    """
    worse: dict[str, Metric] = {}
    for metric in metrics:
        _, _, part = metric.scope.partition("/")
        if not part or metric.name not in group.metrics:
            continue
        held = worse.get(part)
        if held is None or _badness(metric) > _badness(held):
            worse[part] = metric
    chosen = list(worse.values())
    if most is not None:
        chosen = sorted(chosen, key=_badness, reverse=True)[:most]
    return _bars(group, chosen, gate)


def training(curves: Sequence[Curve], chosen: int | None) -> tuple[Figure, ...]:
    """Return the training curves: assessment first, then losses and the rest."""
    named = {curve.name: curve for curve in curves if curve.values}
    if any(_same(curve, named.get("rank")) for name, curve in named.items() if name != "rank"):
        del named["rank"]
    marks = [] if chosen is None else [{"x": chosen, "text": "snapshot"}]
    found = []
    for id_, (caption, unit, log, names) in CURVES.items():
        chosen_curves = [named[name] for name in names if name in named]
        found.append(_lines(f"training-{id_}", caption, unit, chosen_curves, log=log))
    losses = [curve for name, curve in named.items() if "loss" in name]
    found.append(_lines("training-losses", "Mean losses between two ticks.", "loss", losses))
    return tuple(
        replace(figure, data={**figure.data, "marks": marks}) for figure in found if figure
    )


def _same(curve: Curve, other: Curve | None) -> bool:
    return other is not None and list(curve.values) == list(other.values)


def class_table(
    splits: Mapping[str, Sequence[tuple[Any, int]]], fakes: Sequence[tuple[Any, int]]
) -> Figure | None:
    """Return rows per class of every split and of the evaluated candidate."""
    columns = {name: dict(counts) for name, counts in splits.items()}
    columns["evaluated"] = dict(fakes)
    labels = list(dict.fromkeys(label for counts in columns.values() for label in counts))
    if not labels:
        return None
    rows = [
        [str(label), *(counts.get(label, 0) for counts in columns.values())] for label in labels
    ]
    return Figure(
        id="class-counts",
        section="data",
        caption="Records per class in each split, and synthetic ones that were evaluated.",
        alt=f"Table of record counts of {len(labels)} classes",
        kind="table",
        data={"columns": ["class", *columns], "rows": rows},
    )


def _badness(metric: Metric) -> float:
    ratio = metric.ratio or 0.0
    return ratio if metric.direction == "lower" else -ratio


def _bars(group: BarGroup, metrics: Sequence[Metric], gate: GateConfig) -> Figure | None:
    rows = [row for metric in metrics if (row := _bar(group, metric, gate)) is not None]
    if not rows:
        return None
    told = "; ".join(f"{row['label']} {row['value']:.3g}" for row in rows)
    value, text = group.reference
    return Figure(
        id=group.id,
        section="metrics",
        caption=group.caption,
        alt=f"{group.caption} {told}",
        kind="bars",
        data={
            "unit": group.unit,
            "bars": rows,
            "reference": {"value": value, "text": text},
        },
    )


def _bar(group: BarGroup, metric: Metric, gate: GateConfig) -> dict[str, Any] | None:
    """Return one row of a chart, or None where it cannot be drawn in the group's unit."""
    bounds, size = bounds_of(metric, gate), 1.0
    if group.unit == CEILING_UNIT:
        if bounds is None or metric.ceiling is None or metric.ceiling.value <= 0:
            return None
        size = metric.ceiling.value
    shown = {} if bounds is None else _shown_bounds(bounds, size)
    return {
        "label": f"{metric.name.replace('_', ' ')}, {metric.scope}",
        "value": metric.value / size,
        "low": metric.low / size,
        "high": metric.high / size,
        **shown,
    }


def _shown_bounds(bounds: Bounds, real: float) -> dict[str, float | None]:
    """Return the four bounds ÷ `real`, None where there is none; block never inside pass."""
    limits = {
        "pass_low": bounds.pass_low,
        "pass_high": bounds.pass_high,
        "block_low": min(bounds.block_low, bounds.pass_low),
        "block_high": max(bounds.block_high, bounds.pass_high),
    }
    return {name: limit / real if math.isfinite(limit) else None for name, limit in limits.items()}


def _lines(
    id_: str, caption: str, unit: str, curves: Sequence[Curve], *, log: bool = False
) -> Figure | None:
    if not curves:
        return None
    last = "; ".join(f"{curve.name} ends at {curve.values[-1]:.3g}" for curve in curves)
    return Figure(
        id=id_,
        section="training",
        caption=caption,
        alt=f"{caption} {last}",
        kind="lines",
        data={
            "x_label": "samples seen",
            "y_label": unit,
            "log_y": log,
            "series": [
                {
                    "name": curve.name,
                    "x": [float(x) for x in curve.samples_seen],
                    "y": [float(y) for y in curve.values],
                }
                for curve in curves
            ],
            "marks": [],
        },
    )


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What the report is about."""

    name: str
    generator: str
    """The generator's version."""
    snapshot_digest: str
    created: str
    """UTC, ISO 8601."""
    modality: str


@dataclass(frozen=True, kw_only=True)
class Background:
    """What the training and the source contribute to the report."""

    curves: Sequence[Curve] = ()
    events: Sequence[Event] = ()
    notes: Sequence[str] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    chosen_samples_seen: int | None = None
    """Where the snapshot was taken, marked in the training curves."""
    class_counts: Mapping[str, Sequence[tuple[Any, int]]] = field(default_factory=dict)
    """Split → rows per class, for the table of class counts."""


def build_report(
    subject: Subject,
    evaluation: Evaluation,
    judgement: Judgement,
    *,
    gate: GateConfig,
    inputs: ReportInputs,
    background: Background,
) -> Report:
    """Return the report: metrics, verdict, reasons, events and figures.

    The figures of the records are the modality's (`figures` of its judge), drawn from `inputs`;
    no real record reaches one while that is confidential.

    Raises:
        DataError: the candidate has no records to show.
    """
    modality = load_modality(subject.modality)
    pictures: list[Figure | None] = [
        *modality.figures(evaluation, inputs, gate),
        *training(background.curves, background.chosen_samples_seen),
        class_table(background.class_counts, evaluation.candidate_class_counts),
    ]
    return Report(
        name=subject.name,
        generator=subject.generator,
        snapshot_digest=subject.snapshot_digest,
        created=subject.created,
        modality=subject.modality,
        metrics=evaluation.metrics,
        verdict=judgement.verdict,
        reasons=judgement.reasons,
        events=tuple(background.events),
        figures=tuple(picture for picture in pictures if picture is not None),
        notes=(*background.notes, *evaluation.notes),
        facts={
            **background.facts,
            "holdout_rows": evaluation.holdout_rows,
            "candidate_rows": evaluation.candidate_rows,
            "compared_rows": evaluation.n,
            "evaluation_seed": evaluation.seed,
            "gate": gate.model_dump(mode="json"),
        },
    )
