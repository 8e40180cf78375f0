"""What was measured and what is shown of it, as plain frozen data.

An `Evaluation` is what was measured on one candidate; the gate reads it. A `Report` is every
number, verdict and picture of it (`ganmill-report/1`): whoever shows (HTML page, terminal table, UI
artifact, drift watch, comparison) reads this one schema. `ReportInputs` is what figures are drawn
from.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import pyarrow as pa

from gan.lift.result import Lift
from gan.metrics.direction import Direction

SCHEMA = "ganmill-report/1"
EVALUATION_VERSION = 6
"""Raised when the same generator on the same records is measured otherwise: other nets, metrics."""

Verdict = Literal["pass", "warn", "block"]
Outcome = Literal["pass", "warn", "block", "unknown", "alarm", "reported"]
"""What the gate says of one metric. `reported`: no rule judges it. `alarm`: nor this one, but its
value stands out."""
FigureKind = Literal["image", "lines", "bars", "table", "panels", "heatmap", "scatter"]


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """The same metric of real validation records against the holdout, at equal n."""

    value: float
    low: float
    """Lower end of the 95 % interval over random halves."""
    high: float
    """Upper end of the 95 % interval over random halves."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One number with its interval and what real data reaches."""

    name: str
    """For example `coverage`, `fd`, `copies`, `label_accuracy`."""
    scope: str
    """Where it was measured: `all`, `classifier`, `random`, or with a class, `classifier/7`."""
    value: float
    low: float
    high: float
    n: int
    """Records on each side."""
    ceiling: Ceiling | None = None
    direction: Direction = "higher"

    @property
    def ratio(self) -> float | None:
        """Value ÷ ceiling, or None where no ceiling is certainly above zero (as for KID)."""
        if self.ceiling is None or self.ceiling.low <= 0:
            return None
        return self.value / self.ceiling.value


Aspect = Literal["fidelity", "usefulness", "privacy", "validity"]
"""What a metric speaks of: likeness to real records, what models learn from synthetic ones, whom
they expose, and whether they are records at all."""


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why the gate said what it said, for one metric."""

    metric: str
    scope: str
    outcome: Outcome
    text: str
    """One sentence a person understands: the number, the bound, what it means."""
    why: str = ""
    """Of a metric that no rule judges: why not."""
    aspect: Aspect | None = None
    """None in reports of earlier versions."""
    title: str = ""
    """What the metric is called in a sentence; empty where its name does."""


ENDS = frozenset({"stop", "choice"})
"""Kinds of events that every training ends with."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened while training: a repair, a stop, the choice of the snapshot."""

    kind: str
    samples_seen: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A picture as data; the renderer knows these kinds and nothing of modalities.

    `data` by kind:
        image: {"png": base64 text, "width": int, "height": int, "columns": [str], "rows": [str]}
        lines: {"x_label": str, "y_label": str, "log_y": bool,
                "series": [{"name": str, "x": [float], "y": [float]}], "marks": [{"x", "text"}],
                optionally "ticks": [{"at": float, "text": str}], texts on the x axis}
        bars:  {"unit": str, "bars": [{"label": str, "value": float, "low": float, "high": float,
                "pass_low", "pass_high", "block_low", "block_high": float | null}],
                optionally "reference": {"value": float, "text": str}, a line through all bars}
        table: {"columns": [str], "rows": [[str | float | int | null]]},
                optionally "right": [int], columns of text that stand at the right, as numbers do,
                "dense": bool, for many rows of short texts,
                and "shown": int, how many rows are in view
        panels: {"names": [str, str], "panels": [{"title": str, "note": str, then one of
                    "bins": [{"label": str, "start": float, "end": float, "values": [float]}],
                    "levels": [{"label": str, "values": [float]}]}]}: one small chart per panel
                that compares the two named distributions; values are shares, `start` and `end`
                places on the axis from 0 to 1; bins come with "ticks": [{"at": float, "text": str}]
        heatmap: {"names": [str], "values": [[float | null]], "low": float, "high": float,
                "unit": str}: the lower triangle of a symmetric matrix, row i of i + 1 values;
                `low` and `high` are the ends of the colours
        scatter: {"x_label": str, "y_label": str, "x_low", "x_high", "y_low", "y_high": float,
                "groups": [{"name": str, "x": [float], "y": [float]}],
                optionally "density": {"name": str, "cells": [[left, bottom, right, top, value]]},
                where another group lies: places on the axes from 0 to 1, value 1 on average
    """

    id: str
    section: str
    """`samples`, `metrics`, `columns`, `nights`, `training`, `inside` or `data`: where the renderer
    puts it; a section of another name follows those under that name."""
    caption: str
    alt: str
    kind: FigureKind
    data: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Report:
    """One evaluation of one generator on one holdout."""

    name: str
    """The generator's name, from the recipe."""
    generator: str
    """The generator's version."""
    snapshot_digest: str
    created: str
    """UTC, ISO 8601."""
    modality: str
    metrics: Sequence[Metric]
    verdict: Verdict
    reasons: Sequence[Reason]
    events: Sequence[Event] = ()
    figures: Sequence[Figure] = ()
    notes: Sequence[str] = ()
    """Plain sentences about data and set-up, such as what `auto` picked."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Numbers and names beside the metrics: counts per split, seconds, samples_seen, seed."""
    lift: Lift | None = None
    """Whether its records help a downstream model; None where that was not measured."""
    schema: str = SCHEMA

    def to_json(self) -> bytes:
        """Return canonical JSON, UTF-8; equal reports give equal bytes."""
        plain = dataclasses.asdict(self)
        if self.lift is not None:
            plain["lift"] = self.lift.to_plain()
        return json.dumps(plain, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read a report.

        Raises:
            ValueError: the schema is not the one this version reads.
        """
        raw = json.loads(data)
        if raw.get("schema") != SCHEMA:
            msg = f"this is no {SCHEMA} report: schema is {raw.get('schema')!r}"
            raise ValueError(msg)
        raw["metrics"] = tuple(_metric(item) for item in raw["metrics"])
        raw["reasons"] = tuple(Reason(**item) for item in raw["reasons"])
        raw["events"] = tuple(Event(**item) for item in raw["events"])
        raw["figures"] = tuple(Figure(**item) for item in raw["figures"])
        raw["notes"] = tuple(raw["notes"])
        lift = raw.get("lift")
        raw["lift"] = None if lift is None else Lift.from_json(json.dumps(lift).encode())
        return cls(**raw)


def _metric(raw: dict[str, Any]) -> Metric:
    ceiling = raw.pop("ceiling")
    return Metric(**raw, ceiling=None if ceiling is None else Ceiling(**ceiling))


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One metric with the two distributions that a decision about it needs."""

    metric: Metric
    reals: tuple[float, ...] = ()
    """The same metric with unseen real records as the candidate, once per random half."""
    replicates: tuple[float, ...] = ()
    """The candidate's metric on paired resamples: entry r of two candidates used the same
    holdout records."""
    because: str = ""
    """What the value comes from, half a sentence, where the measurement knows."""


@dataclass(frozen=True, kw_only=True)
class Fact:
    """Something that holds or does not; it decides without an interval."""

    name: str
    holds: bool
    value: float
    text: str
    """What was found, one sentence."""
    aspect: Aspect = "validity"


@dataclass(frozen=True, kw_only=True)
class TooFew:
    """A class with fewer holdout records than its metrics need."""

    label: str
    n: int
    needed: int
    metric: str = "coverage"
    """What cannot be known of it."""


AS_MADE = "as the generator makes them"
"""How the records of a candidate were made when nothing was asked of them."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Everything that was measured on one candidate."""

    measured: tuple[Measured, ...]
    facts: tuple[Fact, ...]
    too_few: tuple[TooFew, ...]
    n: int
    """Records on each side of the comparison."""
    holdout_rows: int
    candidate_rows: int
    candidate_class_counts: tuple[tuple[str | int | bool, int], ...]
    """Class → records; empty when unconditional."""
    seed: int
    """Seed of feature nets and resamples; two evaluations are paired only when it is equal."""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    made: str = ""
    """How the candidate's records were made, such as `AS_MADE`."""
    losses: tuple[str, ...] = ()
    """What privacy takes from the columns, a sentence each that names no value."""

    def judged(self, words: str) -> str:
        """Return of which records the verdict speaks; `words` is what a person calls them."""
        made = f", {self.made}" if self.made else ""
        return (
            f"The verdict speaks of {self.candidate_rows:,} synthetic {words}{made}, held against "
            f"{self.n:,} of {self.holdout_rows:,} real {words} that training has not seen"
        )

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics alone, for the report."""
        return tuple(item.metric for item in self.measured)

    def find(self, name: str, scope: str) -> Measured | None:
        """Return the metric of that name and scope, or None."""
        for item in self.measured:
            if item.metric.name == name and item.metric.scope == scope:
                return item
        return None


CEILING_UNIT = "÷ ceiling"
"""Of values that are divided by what real data reaches."""


@dataclass(frozen=True, kw_only=True)
class CurveGroup:
    """Curves of one unit, drawn in one picture over the samples seen."""

    id: str
    """Metrics name it as their `curve`."""
    caption: str
    unit: str
    log: bool = False


@dataclass(frozen=True, kw_only=True)
class BarGroup:
    """Metrics of one size, drawn in one picture against their bounds."""

    id: str
    """Metrics name it among their `figures`; each is drawn once per scope."""
    caption: str
    of_parts: bool = False
    """Draws the metrics of every class or column, by its worse scope, not those of the whole."""
    unit: str = CEILING_UNIT
    """In this unit values are divided by what real data reaches; in another they are as they
    are, and metrics without bounds are drawn too."""
    reference: tuple[float, str] = (1.0, "real data")
    """Where the long line stands, and what it means."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ReportInputs:
    """What a modality's `figures` are drawn from."""

    candidate: pa.Table
    """Synthetic records, those that were evaluated."""
    reference: Any
    """The real side, as the modality's own `build_reference` made it."""
    label: str | None = None
    """Name of the label column."""
    confidential: bool = True
    """False: real records may stand beside synthetic ones."""
    codec: Any = None
    """Of the generator; None where it is not at hand."""
    sampler: Any = None
    """The generator itself, a `gan.sample.Sampler`; None where a data set is judged as it is."""
    train: Any = None
    """The real training records, as an Arrow table, for the internal edition alone."""
    class_names: Sequence[str] = ()
    """Of the classes 0, 1, … where the source knows them."""
