"""Judge any data set as a candidate: the recipe's source, splits, metrics and gate, and no lake.

What made the data does not matter: a folder of somebody's, a version of ours, what another tool
wrote. It is read as records of the recipe's source, measured as a generator's records are, and
judged by the recipe's gate. Nothing is decided, stored or published.
"""

import dataclasses
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.evaluate import class_names_of, measured, options_of, public_notes, splits_of
from flows.job import Job, judges_folder, now
from flows.lift import Lifter, check_models
from flows.nightly import prepare
from flows.report.page import render
from flows.report.verdict import DATA, JUDGED
from gan.gate import Judgement, gate_record, in_force, judge, judge_lift
from gan.lift.result import Lift, lift_record
from gan.report import Evaluation, Figure, Report, ReportInputs
from storage.masking import masked
from storage.records.modalities import words_of
from storage.records.table_metadata import without_columns
from storage.sources.builder import load_builder
from storage.sources.given import GivenRecords, GivenRequest
from storage.sources.prepared import Prepared
from storage.stores.settings import StorageProfile

if TYPE_CHECKING:
    from gan.given import Drawn
    from gan.modalities import Options, Splits


@dataclass(frozen=True, kw_only=True)
class JudgedData:
    """A data set, what was measured on it, and what the gate says."""

    uri: str
    digest: str
    """Of the files that were read."""
    rows: int
    """All of its records."""
    evaluation: Evaluation
    judgement: Judgement
    report: Report

    @property
    def page(self) -> bytes:
        """The report as HTML."""
        return render(self.report).encode()

    def to_json(self) -> dict[str, Any]:
        """Return what was found for machines; the report without its figures."""
        report, evaluation = self.report, self.evaluation
        return {
            "name": report.name,
            "data": masked(self.uri),
            "data_digest": self.digest,
            "verdict": report.verdict,
            "reasons": [dataclasses.asdict(reason) for reason in report.reasons],
            "metrics": [dataclasses.asdict(metric) for metric in report.metrics],
            "lift": lift_record(report.lift),
            "rows": self.rows,
            "judged_rows": evaluation.candidate_rows,
            "compared_rows": evaluation.n,
            "holdout_rows": evaluation.holdout_rows,
            "notes": list(report.notes),
        }


def judge_data(job: Job, uri: str, profile: StorageProfile | None = None) -> JudgedData:
    """Return what the recipe's gate says of a data set; writes into the work folder alone.

    Args:
        job: of the recipe.
        uri: of the data: whatever a source of the recipe's kind can be.
        profile: credentials of the data; None = those of the recipe's source.

    Raises:
        SourceError: the source or the data cannot be read, or the data do not fit the source.
        DataError: they have too few records, or others than can be compared.
        ConfigError: the recipe's bounds do not fit the metrics of the records.
    """
    from gan.modalities import load_modality

    prepared = prepare(job)
    in_force(load_modality(prepared.modality).metrics, job.recipe.gate)
    check_models(job, prepared)
    job.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="judge-", dir=job.work) as folder:
        given = read_given(job, prepared, uri, Path(folder), profile)
        return _judged(job, prepared, given, uri)


def read_given(
    job: Job, prepared: Prepared, uri: str, folder: Path, profile: StorageProfile | None
) -> GivenRecords:
    """Read data as records of the prepared source.

    Raises:
        SourceError: they cannot be read, or do not fit.
    """
    with job.reporter.meter(f"Reading {masked(uri)}", "records") as meter:
        given = load_builder(prepared.modality).read_given(
            GivenRequest(
                uri=uri,
                config=job.recipe.source,
                known=prepared.records["train"],
                reading=prepared.reading,
                min_group=job.recipe.privacy.min_group,
                folder=folder,
                profile=profile,
                progress=meter.update,
            )
        )
        meter.update(given.records.num_rows)
    for note in given.notes:
        job.reporter.say(f"  {note}")
    return given


def _judged(job: Job, prepared: Prepared, given: GivenRecords, uri: str) -> JudgedData:
    from gan.given import draw, options_for
    from gan.modalities import load_modality

    recipe, modality = job.recipe, load_modality(prepared.modality)
    words, rows = words_of(prepared.modality).records, given.records.num_rows
    splits = without(splits_of(prepared), given.absent)
    options = options_for(rows, splits, options_of(recipe, prepared, judges_folder(job)), words)
    with job.reporter.meter(f"Judging {masked(uri)} on the holdout", words) as meter:
        reference = modality.build_reference(splits, options)
        drawn = draw(given.records, reference, splits.label, words)
        meter.update(drawn.records.num_rows)
        inputs = ReportInputs(
            candidate=drawn.records,
            reference=reference,
            label=splits.label,
            confidential=recipe.source.confidential,
            class_names=class_names_of(prepared),
        )
        evaluation, pictures = measured(modality, inputs)
    judgement = judge(_as_compared(evaluation, options), modality.metrics, recipe.gate)
    lift = _lift(job, prepared, splits, given)
    if lift is not None:
        judgement = judge_lift(judgement, lift, recipe.gate)
    found = JudgedInputs(uri=masked(uri), given=given, drawn=drawn, pictures=pictures)
    return JudgedData(
        uri=uri,
        digest=given.digest,
        rows=rows,
        evaluation=evaluation,
        judgement=judgement,
        report=dataclasses.replace(_report(job, prepared, found, evaluation, judgement), lift=lift),
    )


def _lift(job: Job, prepared: Prepared, splits: "Splits", given: GivenRecords) -> Lift | None:
    """Return whether training on the data helps; None where the recipe says never.

    Raises:
        ConfigError: `lift.models` names a downstream model that there is not.
    """
    from gan.given import GivenMake

    if job.recipe.lift.when == "never":
        return None
    lifter = Lifter(job=job, prepared=prepared, splits=splits)
    return lifter.measure_made(GivenMake(given.records, splits.label, job.recipe.seed))


def _as_compared(evaluation: Evaluation, options: "Options") -> Evaluation:
    """Return what the gate reads: with few records, what cannot be known is for want of these."""
    few = evaluation.n == options.cap and evaluation.n < evaluation.holdout_rows
    return dataclasses.replace(evaluation, holdout_rows=evaluation.n) if few else evaluation


def without(splits: "Splits", names: tuple[str, ...]) -> "Splits":
    """Return the real records without some columns."""
    if not names:
        return splits
    schema = without_columns(splits.train.schema, names)
    parts = {
        part: getattr(splits, part).select(schema.names).replace_schema_metadata(schema.metadata)
        for part in ("train", "validation", "holdout")
    }
    return dataclasses.replace(splits, **parts)


@dataclass(frozen=True, kw_only=True)
class JudgedInputs:
    """What the report says besides the numbers."""

    uri: str
    given: GivenRecords
    drawn: "Drawn"
    pictures: tuple[Figure, ...]


def _report(
    job: Job, prepared: Prepared, found: JudgedInputs, evaluation: Evaluation, judgement: Judgement
) -> Report:
    from gan.evaluation.reporting import class_table, metric_figures
    from gan.modalities import load_modality

    modality, words = load_modality(prepared.modality), words_of(prepared.modality).records
    names = class_names_of(prepared)
    return Report(
        name=job.name,
        generator="",
        snapshot_digest="",
        created=now().isoformat(),
        modality=prepared.modality,
        metrics=evaluation.metrics,
        verdict=judgement.verdict,
        reasons=(*judgement.reasons, *judgement.unjudged),
        figures=(
            *found.pictures,
            *metric_figures(evaluation.metrics, modality.bars, judgement.metrics),
            *class_table(prepared.class_counts, evaluation.candidate_class_counts, names),
        ),
        notes=(
            *public_notes(prepared),
            *found.given.notes,
            *found.drawn.notes,
            *evaluation.notes,
        ),
        facts={
            DATA: found.uri,
            "data_digest": found.given.digest,
            "data_rows": found.given.records.num_rows,
            "rows": dict(prepared.rows),
            "seed": job.recipe.seed,
            "evaluation_s": round(evaluation.seconds, 3),
            "holdout_rows": evaluation.holdout_rows,
            "candidate_rows": evaluation.candidate_rows,
            "compared_rows": evaluation.n,
            JUDGED: _speaks_of(found, evaluation, words),
            "gate": gate_record(judgement.metrics, job.recipe.gate),
        },
    )


def _speaks_of(found: JudgedInputs, evaluation: Evaluation, words: str) -> str:
    """Return of which records the verdict speaks."""
    notes = list(found.drawn.notes)
    if evaluation.n == found.given.records.num_rows < evaluation.holdout_rows:
        notes.append("the data set has no more")
    how = "".join(f"; {note}" for note in notes)
    return (
        f"The verdict speaks of {evaluation.candidate_rows:,} {words} of the data set "
        f"{found.uri!r} as it is, held against {evaluation.n:,} of {evaluation.holdout_rows:,} "
        f"real {words} of the holdout{how}"
    )
