"""The figures that every modality's report may have, as data.

They are made from the modality's metrics and the groups it draws them in; no real record is in any.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gan.bounds import Bounds, MetricEntry, bounds_of, entry_of, limit_texts
from gan.protocols import Curve
from gan.report import CEILING_UNIT, BarGroup, CurveGroup, Figure, Metric
from storage.records.schema import class_title

RANK = CurveGroup(
    id="rank", caption="The measure by which the snapshot is chosen; lower is better.", unit="rank"
)


OBJECTIVE_CURVES = (
    (CurveGroup(id="losses", caption="Mean losses between two ticks.", unit="loss"), "loss"),
    (
        CurveGroup(
            id="gradients",
            caption="Mean gradient penalties and lengths between two ticks: where they rise by "
            "orders of magnitude, training is about to leave the finite numbers.",
            unit="length",
            log=True,
        ),
        "gradient",
    ),
)
"""Charts of what objectives report, and the word in the names of their curves."""


def metric_figures(
    metrics: Sequence[Metric], groups: Sequence[BarGroup], entries: Sequence[MetricEntry]
) -> tuple[Figure, ...]:
    """Return the bar charts of what was measured, and the table of what the metrics mean.

    Args:
        metrics: what was measured.
        groups: the modality's bar charts.
        entries: the modality's metrics, with the bounds in force.
    """
    charts = (bars(metrics, group, entries) for group in groups)
    return (*(chart for chart in charts if chart is not None), metrics_meaning(entries))


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


def metrics_meaning(metrics: Sequence[MetricEntry]) -> Figure:
    """Return what the modality's metrics mean, and the bounds in force of those that have some."""
    rows: list[list[str | None]] = []
    for entry in metrics:
        if not entry.limits:
            why = f"not judged: {entry.not_judged}"
            rows.append([entry.key, entry.meaning, entry.unit, why, None])
        for name, limit in entry.named_limits.items():
            rows.append([name, entry.meaning, entry.unit, *limit_texts(entry, limit)])
    columns = ["metric", "meaning", "unit", "passes", "blocks"]
    return Figure(
        id="metrics-meaning",
        section="metrics",
        caption="What the metrics mean, and the bounds that were in force.",
        alt=f"Table of {len(rows)} metrics and their bounds",
        kind="table",
        data={"columns": columns, "rows": rows},
    )


SIGNALS = ("diversity", "validation_gap", "augment_share")
WATCHED = (
    "What the watch sees: how much samples differ, in what real ones do; how far validation "
    "records score from training records to fakes; the share of samples that augmentation changes."
)


def training(
    curves: Sequence[Curve],
    chosen: int | None,
    groups: Sequence[CurveGroup],
    metrics: Sequence[MetricEntry],
) -> tuple[Figure, ...]:
    """Return the training curves: assessment first, then losses and the watch's signals."""
    named = {curve.name: curve for curve in curves if curve.values}
    if any(_same(curve, named.get("rank")) for name, curve in named.items() if name != "rank"):
        del named["rank"]
    found = []
    for group in (*groups, RANK):
        names = [tick for entry in metrics if entry.curve == group.id for tick in entry.ticks]
        names += [RANK.id] if group is RANK else []
        found.append(_lines(group, [named[name] for name in names if name in named]))
    for group, word in OBJECTIVE_CURVES:
        found.append(_lines(group, [curve for name, curve in named.items() if word in name]))
    seen = [named[name] for name in SIGNALS if name in named]
    found.append(_lines(CurveGroup(id="signals", caption=WATCHED, unit="ratio"), seen))
    marks = [] if chosen is None else [{"x": chosen, "text": "snapshot"}]
    return tuple(
        replace(figure, data={**figure.data, "marks": marks}) for figure in found if figure
    )


def _same(curve: Curve, other: Curve | None) -> bool:
    return other is not None and list(curve.values) == list(other.values)


def class_table(
    splits: Mapping[str, Sequence[tuple[Any, int]]],
    fakes: Sequence[tuple[Any, int]],
    names: Sequence[str] = (),
) -> tuple[Figure, ...]:
    """Return rows per class of every split and of the evaluated candidate, if there are classes.

    The names are those of the classes 0, 1, … where the source knows them.
    """
    columns = {name: dict(counts) for name, counts in splits.items()}
    columns["evaluated"] = dict(fakes)
    labels = list(dict.fromkeys(label for counts in columns.values() for label in counts))
    if not labels:
        return ()
    rows = [
        [class_title(names, label), *(counts.get(label, 0) for counts in columns.values())]
        for label in labels
    ]
    table = Figure(
        id="class-counts",
        section="data",
        caption="Records per class in each split, and synthetic ones that were evaluated.",
        alt=f"Table of record counts of {len(labels)} classes",
        kind="table",
        data={"columns": ["class", *columns], "rows": rows},
    )
    return (table,)


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
