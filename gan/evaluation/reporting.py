"""From an evaluation and its verdict to the report.

The figures that every modality's report may have are made here as data, from the modality's metrics
and the groups it draws them in. No real record is in any of them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gan.gate import (
    Bounds,
    GateConfig,
    Judgement,
    MetricEntry,
    bounds_of,
    entry_of,
    gate_record,
    limit_texts,
)
from gan.modalities import load_judge
from gan.protocols import Curve
from gan.report import (
    CEILING_UNIT,
    BarGroup,
    CurveGroup,
    Evaluation,
    Event,
    Figure,
    Metric,
    Report,
)

RANK = CurveGroup(
    id="rank", caption="The measure by which the snapshot is chosen; lower is better.", unit="rank"
)


def bars(
    metrics: Sequence[Metric], group: BarGroup, entries: Sequence[MetricEntry]
) -> Figure | None:
    """Return the group's metrics with their bounds in force; None without any."""
    drawn = [
        metric
        for metric in metrics
        if (entry := entry_of(metric, entries)) is not None and group.id in entry.figures
    ]
    if group.of_parts:
        return _bars(group, _worse_of_parts(drawn), entries)
    return _bars(group, [metric for metric in drawn if "/" not in metric.scope], entries)


def _worse_of_parts(metrics: Sequence[Metric]) -> list[Metric]:
    worse: dict[str, Metric] = {}
    for metric in metrics:
        _, _, part = metric.scope.partition("/")
        held = worse.get(part)
        if part and (held is None or _badness(metric) > _badness(held)):
            worse[part] = metric
    return list(worse.values())


def bounds_table(metrics: Sequence[MetricEntry]) -> Figure:
    """Return the modality's metrics that have bounds, what they mean, and the bounds in force."""
    rows = [
        [name.replace("_", " "), entry.meaning, *limit_texts(entry, limit)]
        for entry in metrics
        for name, limit in entry.named_limits.items()
    ]
    return Figure(
        id="bounds-in-force",
        section="metrics",
        caption="The bounds that were in force, relative to what real data reaches.",
        alt=f"Table of the bounds of {len(rows)} metrics",
        kind="table",
        data={"columns": ["metric", "meaning", "passes", "blocks"], "rows": rows, "dense": True},
    )


def training(
    curves: Sequence[Curve],
    chosen: int | None,
    groups: Sequence[CurveGroup],
    metrics: Sequence[MetricEntry],
) -> tuple[Figure, ...]:
    """Return the training curves: assessment first, then losses."""
    named = {curve.name: curve for curve in curves if curve.values}
    if any(_same(curve, named.get("rank")) for name, curve in named.items() if name != "rank"):
        del named["rank"]
    found = []
    for group in (*groups, RANK):
        names = [tick for entry in metrics if entry.curve == group.id for tick in entry.ticks]
        names += [RANK.id] if group is RANK else []
        found.append(_lines(group, [named[name] for name in names if name in named]))
    losses = CurveGroup(id="losses", caption="Mean losses between two ticks.", unit="loss")
    found.append(_lines(losses, [curve for name, curve in named.items() if "loss" in name]))
    marks = [] if chosen is None else [{"x": chosen, "text": "snapshot"}]
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


def _bars(
    group: BarGroup, metrics: Sequence[Metric], entries: Sequence[MetricEntry]
) -> Figure | None:
    rows = [row for metric in metrics if (row := _bar(group, metric, entries)) is not None]
    if not rows:
        return None
    values = "; ".join(f"{row['label']} {row['value']:.3g}" for row in rows)
    value, text = group.reference
    return Figure(
        id=group.id,
        section="metrics",
        caption=group.caption,
        alt=f"{group.caption} {values}",
        kind="bars",
        data={
            "unit": group.unit,
            "bars": rows,
            "reference": {"value": value, "text": text},
        },
    )


def _bar(group: BarGroup, metric: Metric, entries: Sequence[MetricEntry]) -> dict[str, Any] | None:
    """Return one row of a chart, or None where it cannot be drawn in the group's unit."""
    bounds, size = bounds_of(metric, entries), 1.0
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


def _lines(group: CurveGroup, curves: Sequence[Curve]) -> Figure | None:
    if not curves:
        return None
    last = "; ".join(f"{curve.name} ends at {curve.values[-1]:.3g}" for curve in curves)
    return Figure(
        id=f"training-{group.id}",
        section="training",
        caption=group.caption,
        alt=f"{group.caption} {last}",
        kind="lines",
        data={
            "x_label": "samples seen",
            "y_label": group.unit,
            "log_y": group.log,
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
    config: GateConfig,
    pictures: Sequence[Figure],
    background: Background,
) -> Report:
    """Return the report: metrics, verdict, reasons, events and figures.

    Args:
        subject: what it is about.
        evaluation: what was measured.
        judgement: what the gate says of it.
        config: the recipe's gate.
        pictures: the figures of the records, from `pictures` of the modality's judge.
        background: what training and source contribute.
    """
    judge, metrics = load_judge(subject.modality), judgement.metrics
    figures: list[Figure | None] = [
        *pictures,
        *(bars(evaluation.metrics, group, metrics) for group in judge.BARS),
        bounds_table(metrics),
        *training(background.curves, background.chosen_samples_seen, judge.CURVES, metrics),
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
        figures=tuple(figure for figure in figures if figure is not None),
        notes=(*background.notes, *evaluation.notes),
        facts={
            **background.facts,
            "holdout_rows": evaluation.holdout_rows,
            "candidate_rows": evaluation.candidate_rows,
            "compared_rows": evaluation.n,
            "evaluation_seed": evaluation.seed,
            "gate": gate_record(metrics, config),
        },
    )
