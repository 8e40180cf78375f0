"""A report like the one the digits demo writes, and hostile variants of it."""

import base64
import dataclasses
import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan.report import Ceiling, Event, Figure, Metric, Reason, Report

sys.path.insert(0, str(Path(__file__).parent))  # hostile, walked_page


def png(rows: int = 8, columns: int = 10) -> Figure:
    random = np.random.default_rng(0)
    height, width = rows * 10, columns * 10
    grid = np.full((height, width), 255, np.uint8)
    for row in range(rows):
        for column in range(columns):
            top, left = row * 10 + 1, column * 10 + 1
            grid[top : top + 8, left : left + 8] = random.integers(0, 256, (8, 8))
    buffer = io.BytesIO()
    Image.fromarray(grid).save(buffer, "PNG")
    data = {
        "png": base64.b64encode(buffer.getvalue()).decode(),
        "width": width,
        "height": height,
        "columns": [str(digit) for digit in range(columns)],
        "rows": [],
    }
    return Figure(
        id="grid",
        section="samples",
        caption="Eight samples of each class, drawn with the seed of the evaluation.",
        alt="A grid of eight synthetic samples for each of the ten classes 0 to 9.",
        kind="image",
        data=data,
    )


def curves(*, log_y: bool = False) -> Figure:
    x = list(range(0, 400_001, 4_000))
    falling = [float(60 * np.exp(-value / 60_000) + 2.1) for value in x]
    rising = [float(1 - np.exp(-value / 40_000)) for value in x]
    series = [
        {"name": "FD ÷ ceiling, classifier", "x": x, "y": falling},
        {"name": "FD ÷ ceiling, random", "x": x, "y": [value * 0.8 for value in falling]},
    ]
    if not log_y:
        series = [
            {"name": "coverage", "x": x, "y": rising},
            {"name": "worst class", "x": x, "y": [0.9 * value for value in rising]},
        ]
    return Figure(
        id=f"curves-{log_y}",
        section="training",
        caption="The gate's own measures on validation records at every tick.",
        alt="Coverage rises to one within 200,000 samples." if not log_y else "FD falls to two.",
        kind="lines",
        data={
            "x_label": "samples seen",
            "y_label": "value ÷ ceiling",
            "log_y": log_y,
            "series": series,
            "marks": [
                {"x": 150_000, "text": "copies measured from here"},
                {"x": 320_000, "text": "the snapshot that was kept"},
            ],
        },
    )


def bounds() -> Figure:
    rows = [
        ("coverage, worse net", 0.97, 0.95, 0.99, 0.75, 0.5),
        ("coverage of class 8", 0.84, 0.79, 0.9, 0.75, 0.5),
        ("FD", 1.8, 1.5, 2.2, 10.0, 50.0),
        ("copies ÷ nominal", 1.7, 1.3, 2.1, 1.5, None),
    ]
    keys = ("label", "value", "low", "high", "pass_bound", "block_bound")
    return Figure(
        id="bounds",
        section="metrics",
        caption="Each metric divided by its ceiling, with the bounds of the gate.",
        alt="Coverage and FD are inside their pass bounds, copies are not.",
        kind="bars",
        data={
            "unit": "÷ ceiling",
            "bars": [dict(zip(keys, row, strict=True)) for row in rows],
            "reference": {"value": 1.0, "text": "the ceiling"},
        },
    )


def counts() -> Figure:
    rows: list[list[str | int]] = [[str(d), 105 + d, 36 + d % 3, 35 - d % 4] for d in range(10)]
    return Figure(
        id="counts",
        section="data",
        caption="Real records by class and split.",
        alt="Counts by class and split",
        kind="table",
        data={"columns": ["class", "train", "validation", "holdout"], "rows": rows},
    )


def measured() -> tuple[Metric, ...]:
    def metric(name: str, scope: str, value: float, real: float, direction: str) -> Metric:
        return Metric(
            name=name,
            scope=scope,
            value=value,
            low=value * 0.97,
            high=value * 1.03,
            n=360,
            ceiling=Ceiling(value=real, low=real * 0.98, high=real * 1.02),
            direction=direction,  # type: ignore[arg-type]
        )

    whole = [
        metric(name, scope, value * (1 if scope == "classifier" else 1.01), real, direction)
        for name, value, real, direction in (
            ("coverage", 0.947, 0.969, "higher"),
            ("density", 1.04, 1.01, "target"),
            ("fd", 41.2, 22.6, "lower"),
            ("copies", 0.061, 0.055, "lower"),
        )
        for scope in ("classifier", "random")
    ]
    classes = [
        metric("coverage", f"classifier/{digit}", 0.84 + digit / 100, 0.969, "higher")
        for digit in range(10)
    ]
    accuracy = Metric(name="label_accuracy", scope="all", value=0.992, low=0.981, high=0.998, n=360)
    return (*whole, accuracy, *classes)


@pytest.fixture
def make_report() -> Callable[..., Report]:
    """Return a function that makes the sample report with some fields replaced."""

    def make(**changes: object) -> Report:
        report = Report(
            name="digits",
            generator="20261120T020000Z-3f9ac2d1",
            snapshot_digest="9f2c" * 16,
            created="2026-11-20T02:03:11+00:00",
            modality="images",
            metrics=measured(),
            verdict="warn",
            reasons=(
                Reason(
                    metric="coverage",
                    scope="classifier",
                    outcome="pass",
                    text="Coverage is 0.98 of the ceiling; 0.75 or more passes.",
                ),
                Reason(
                    metric="copies",
                    scope="classifier",
                    outcome="unknown",
                    text="Copies cannot be known from 359 holdout records.",
                ),
                Reason(
                    metric="fd",
                    scope="random",
                    outcome="warn",
                    text="FD is 11.2 of the ceiling; 10 or less passes.",
                ),
            ),
            events=(
                Event(kind="repair", samples_seen=40_000, text="Not finite; back to 36,000."),
                Event(kind="best_snapshot", samples_seen=320_000, text="Best by every measure."),
            ),
            figures=(png(), curves(), curves(log_y=True), bounds(), counts()),
            notes=("preset mlp: images of 8 by 8 pixels are small enough for it.",),
            facts={
                "seed": 0,
                "samples_seen": 400_000,
                "rows": {"train": 1078, "validation": 360, "holdout": 359},
                "seconds": 58.3,
            },
        )
        return dataclasses.replace(report, **changes)  # type: ignore[arg-type]

    return make
