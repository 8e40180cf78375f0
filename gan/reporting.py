"""From an evaluation and its verdict to the report, with the figures of the frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from gan.bounds import GateConfig
from gan.gate import Judgement
from gan.measured import Evaluation
from gan.protocols import Curve
from gan.report import Event, Report


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What the report is about."""

    name: str
    generator: str
    """The generator's version."""
    snapshot_digest: str
    created: str
    """UTC, ISO 8601."""
    modality: str = "images"
    label: str | None = None


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
    candidate: pa.Table,
    background: Background,
) -> Report:
    """Return the report: metrics, verdict, reasons, events and figures.

    `candidate` holds synthetic records; no real record reaches a figure.
    """
    raise NotImplementedError
