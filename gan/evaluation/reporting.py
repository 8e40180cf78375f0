"""From an evaluation and its verdict to the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gan.evaluation import figures
from gan.evaluation.bounds import GateConfig
from gan.evaluation.exhibit import Exhibit
from gan.evaluation.gate import Judgement
from gan.evaluation.judges import load_judge
from gan.evaluation.measured import Evaluation
from gan.hooks import Curve
from gan.report import Event, Figure, Report


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
    exhibit: Exhibit,
    background: Background,
) -> Report:
    """Return the report: metrics, verdict, reasons, events and figures.

    The figures of the records are the modality's (`pictures` of its judge), drawn from `exhibit`;
    no real record reaches one while that is confidential.

    Raises:
        DataError: the candidate has no records to show.
    """
    judge = load_judge(subject.modality)
    pictures: list[Figure | None] = [
        *judge.pictures(evaluation, exhibit, gate),
        *figures.training(background.curves, background.chosen_samples_seen),
        figures.class_table(background.class_counts, evaluation.candidate_class_counts),
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
