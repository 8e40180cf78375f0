"""Figures of the report's frame, as data. No real record is in any of them."""

import base64
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gan.evaluation.bounds import Bounds, GateConfig, bounds_of
from gan.protocols import Curve
from gan.report import Figure, Metric

PER_CLASS = 12
"""Samples of each class in the grid; without classes the grid is so wide and high."""

CLOSENESS = ("coverage", "density", "label_accuracy")
"""Metrics whose ratio to the ceiling is about one; drawn in one picture."""
DISTANCE = ("fd",)
COPIES = ("copies",)

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
    "rank": (
        "The measure by which the snapshot is chosen: 0 is as good as real data.",
        "rank",
        False,
        ("rank",),
    ),
}
"""Figure → caption, unit, log scale, names of its curves."""


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


def ratio_bars(metrics: Sequence[Metric], gate: GateConfig) -> tuple[Figure | None, ...]:
    """Return the judged metrics of the whole set as bars against the ceiling."""
    whole = [metric for metric in metrics if "/" not in metric.scope]
    return (
        _bars("ratios", "Metrics against what real data reaches.", whole, CLOSENESS, gate),
        _bars("fd-ratio", "Fréchet distance against that of real data.", whole, DISTANCE, gate),
        _bars("copies-ratio", "Calibrated copies against nominal.", whole, COPIES, gate),
    )


def class_bars(metrics: Sequence[Metric], gate: GateConfig) -> Figure | None:
    """Return coverage of every judged class, on the worse feature net."""
    worse: dict[str, Metric] = {}
    for metric in metrics:
        _, _, label = metric.scope.partition("/")
        if not label or metric.name != "coverage":
            continue
        held = worse.get(label)
        if held is None or (metric.ratio or 0.0) < (held.ratio or 0.0):
            worse[label] = metric
    caption = "Coverage within each class, on the worse feature net."
    return _bars("class-coverage", caption, list(worse.values()), ("coverage",), gate)


def training(curves: Sequence[Curve], chosen: int | None) -> tuple[Figure, ...]:
    """Return the training curves: assessment first, then losses and the rest."""
    named = {curve.name: curve for curve in curves if curve.values}
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


def _bars(
    id_: str, caption: str, metrics: Sequence[Metric], names: Sequence[str], gate: GateConfig
) -> Figure | None:
    """Return metrics ÷ ceiling with their bounds, or None where there is nothing to draw."""
    bars: list[dict[str, Any]] = []
    for metric in metrics:
        bounds = bounds_of(metric, gate) if metric.name in names else None
        if bounds is None or metric.ceiling is None or metric.ceiling.value <= 0:
            continue
        real = metric.ceiling.value
        bars.append(
            {
                "label": f"{metric.name.replace('_', ' ')}, {metric.scope}",
                "value": metric.value / real,
                "low": metric.low / real,
                "high": metric.high / real,
                **_shown_bounds(bounds, real),
            }
        )
    if not bars:
        return None
    told = "; ".join(f"{bar['label']} {bar['value']:.3g}" for bar in bars)
    return Figure(
        id=id_,
        section="metrics",
        caption=caption,
        alt=f"{caption} {told}",
        kind="bars",
        data={
            "unit": "÷ ceiling",
            "bars": bars,
            "reference": {"value": 1.0, "text": "real data"},
        },
    )


def _shown_bounds(bounds: Bounds, real: float) -> dict[str, float | None]:
    """Return the four bounds ÷ ceiling, None where there is none; block never inside pass."""
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
