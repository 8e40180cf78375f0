"""Stage 3: the candidate, and the champion beside it, against the holdout.

What was measured is kept with the generator under the key of source, split, snapshot and seed; what
the gate says of it under a key that also covers the bounds. So a repeated run reads both, and other
bounds are judged without measuring again. A report also shows how the generator was trained: its
trainer keeps that in a `TrainingRecord` beside it.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import TypeAdapter

from flows.guarantee import Guarantee, balance_today
from flows.job import Assessed, Candidate, Job, Judged, judges_folder, now
from flows.keys import evaluation_key, verdict_key
from flows.recipe import Recipe
from flows.report.page import render, render_internal
from flows.report.verdict import GUARANTEE, JUDGED, LOSSES
from flows.snapshots import check_identity, load_sampler, seen_by_a_person, set_aside
from gan.errors import DataError, OutdatedError
from gan.gate import Judgement, gate_record, in_force, judge
from gan.report import Evaluation, Event, Figure, Report
from storage.digests import canonical_json
from storage.errors import ObjectNotFoundError, SnapshotDamagedError
from storage.lake import promotions, registry
from storage.lake.damage import read_damage
from storage.lake.layout import generator_internal_key, generator_report_key
from storage.records.modalities import words_of
from storage.records.schema import read_class_names
from storage.sources.prepared import Prepared
from storage.stores.interface import ObjectStore

if TYPE_CHECKING:
    from gan.modalities import GanModality, Likelihood, Options, Reference, Splits
    from gan.report import ReportInputs
    from gan.sample import Sampler


FILE = "training.json"


@dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """What a training leaves besides the snapshot."""

    train_key: str
    split_digest: str
    """Of the split rule it was trained under."""
    samples_seen: int = 0
    best_samples_seen: int = 0
    """Where the snapshot was taken."""
    seconds: float = 0.0
    cpu_s: float = 0.0
    """Processor seconds in that time, over all threads."""
    threads: int = 0
    """Threads that wanted a core each; 0 in a record that does not say it."""
    device: str = "cpu"
    events: Sequence[Event] = ()
    curves: Sequence[Mapping[str, Any]] = ()
    """{name, samples_seen, values} of every curve."""
    figures: Sequence[Figure] = ()
    """What was drawn when training ended: its strip, and what the discriminator said."""
    notes: Sequence[str] = ()
    """What `auto` picked, and what happened."""
    resolved: Mapping[str, Any] = field(default_factory=dict)
    """The complete configuration."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Source, split and settings that it was trained on: what its train key is made of."""

    def to_json(self) -> bytes:
        """Return canonical JSON."""
        return canonical_json(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read what `to_json` wrote."""
        raw = json.loads(data)
        raw["events"] = tuple(Event(**item) for item in raw["events"])
        raw["figures"] = tuple(Figure(**item) for item in raw.get("figures", ()))
        return cls(**raw)


def put_training_record(
    lake: ObjectStore, name: str, version: str, record: TrainingRecord
) -> TrainingRecord:
    """Store the record of a generator, or return the one its first trainer stored."""
    key = generator_internal_key(name, version, FILE)
    return TrainingRecord.from_json(lake.put_or_adopt(key, record.to_json()))


def read_training_record(lake: ObjectStore, name: str, version: str) -> TrainingRecord:
    """Return the record of a generator; an empty one where none was stored."""
    try:
        return TrainingRecord.from_json(lake.get(generator_internal_key(name, version, FILE)))
    except ObjectNotFoundError:
        return TrainingRecord(train_key="", split_digest="")


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What was measured on a generator, whatever the gate makes of it."""

    evaluation: Evaluation
    pictures: tuple[Figure, ...]
    """The figures of its records, as the report shows them."""
    split_digest: str
    """Of the split rule it was trained under."""


@dataclass(frozen=True, kw_only=True)
class StoredVerdict:
    """What the gate said of a measurement, and the report that says so."""

    judgement: Judgement
    report_digest: str


_MEASUREMENT, _VERDICT = TypeAdapter(Measurement), TypeAdapter(StoredVerdict)


def _to_json(value: Measurement | StoredVerdict) -> bytes:
    return json.dumps(dataclasses.asdict(value), sort_keys=True).encode()  # may hold infinities


def splits_of(prepared: Prepared) -> "Splits":
    """Return the real records as the judge takes them."""
    from gan.modalities import Splits

    records = prepared.records
    return Splits(
        train=records["train"],
        validation=records["validation"],
        holdout=records["holdout"],
        label=prepared.label,
    )


def class_names_of(prepared: Prepared) -> tuple[str, ...]:
    """Return the names of the classes 0, 1, …; empty where the source knows none."""
    return tuple(read_class_names(prepared.schema).get(prepared.label or "", ()))


def options_of(recipe: Recipe, prepared: Prepared, cache: Path | None = None) -> "Options":
    """Return how generators of a recipe are evaluated; `cache` holds what the judge learned."""
    from gan.modalities import Options

    rule = prepared.split_rule
    return Options(
        seed=recipe.seed,
        sides_by_chance=rule["by"] == "content" and rule["holdout_uri_digest"] is None,
        overlap_expected=rule["rows"] == "occurrence",
        cache=cache,
        quasi_identifiers=recipe.privacy.quasi_identifiers,
        groups=recipe.report.groups,
    )


def evaluate(job: Job, prepared: Prepared, candidate: Candidate) -> Assessed:
    """Return what the gate says today of the candidate and of the champion, if it is another.

    Raises:
        DataError: the holdout is too small to compare anything.
        LakeError: the lake failed.
    """
    evaluator = Evaluator(job=job, prepared=prepared)
    standing = promotions.standing(job.lake, job.name)
    check_identity(job, candidate, standing)
    challenger = evaluator.judged(candidate.version, candidate.snapshot_digest)
    champion = standing.champion
    seen = seen_by_a_person(job, champion)
    if champion is None or champion.version == candidate.version:
        return Assessed(standing=standing, challenger=challenger, champion=None, seen=seen)
    rival, is_outdated = None, False
    damage = read_damage(job.lake, job.name, champion.version)
    try:
        if damage is None:
            rival = evaluator.judged(champion.version, champion.snapshot_digest)
        else:
            job.reporter.say(f"The champion {champion.version} is damaged: {damage.reason}")
    except SnapshotDamagedError as error:
        damage = set_aside(job, error)
    except DataError as error:
        job.reporter.say(f"The champion {champion.version} does not fit today's records: {error}")
    except OutdatedError as error:
        job.reporter.say(f"The champion {champion.version} cannot be run any more: {error}")
        is_outdated = True
    return Assessed(
        standing=standing,
        challenger=challenger,
        champion=rival,
        is_outdated=is_outdated,
        is_damaged=damage is not None,
        seen=seen,
    )


def measured(
    modality: "GanModality", inputs: "ReportInputs", log_likelihood: "Likelihood | None" = None
) -> tuple[Evaluation, tuple[Figure, ...]]:
    """Measure records against the real side, whatever made them, and draw them.

    Args:
        modality: of the records.
        inputs: the records as the candidate, and the real side.
        log_likelihood: of their generator, where there is one that knows it.

    Raises:
        DataError: they are too few, or of another shape or type than the training records.
    """
    evaluation = modality.evaluate(
        inputs.candidate, inputs.reference, log_likelihood=log_likelihood
    )
    return evaluation, modality.figures(evaluation, inputs)


@dataclass(frozen=True, kw_only=True)
class Evaluator:
    """Evaluates generators on one holdout; the real side is measured once, and only if needed."""

    job: Job
    prepared: Prepared

    @cached_property
    def reference(self) -> "Reference":
        """The real side."""
        splits = splits_of(self.prepared)
        options = options_of(self.job.recipe, self.prepared, judges_folder(self.job))
        return self._modality.build_reference(splits, options)

    @cached_property
    def _modality(self) -> "GanModality":
        """What gan offers for these records."""
        from gan.modalities import load_modality

        return load_modality(self.prepared.modality)

    def judged(self, version: str, snapshot_digest: str) -> Judged:
        """Return one generator judged; what the lake does not hold is measured and judged now.

        Raises:
            ConfigError: the recipe's bounds do not fit the metrics of the records.
        """
        lake, name = self.job.lake, self.job.name
        key = self._verdict_key(version, snapshot_digest)
        try:
            data = lake.get(key)
        except ObjectNotFoundError:
            data = lake.put_or_adopt(key, _to_json(self._judge(version, snapshot_digest)))
        kept = _VERDICT.validate_python(json.loads(data))
        measurement = self._measurement(version, snapshot_digest)
        report = lake.get(generator_report_key(name, version, kept.report_digest, "report.json"))
        return Judged(
            version=version,
            snapshot_digest=snapshot_digest,
            split_digest=measurement.split_digest,
            evaluation=measurement.evaluation,
            judgement=kept.judgement,
            report=Report.from_json(report),
            report_digest=kept.report_digest,
        )

    def is_judged(self, version: str, snapshot_digest: str) -> bool:
        """Say whether `judged` has nothing to measure or to judge."""
        return self.job.lake.stat(self._verdict_key(version, snapshot_digest)) is not None

    def _verdict_key(self, version: str, snapshot_digest: str) -> str:
        key = verdict_key(self.job.recipe, self.prepared, snapshot_digest)
        return generator_internal_key(self.job.name, version, f"verdict-{key[:16]}.json")

    def _judge(self, version: str, snapshot_digest: str) -> StoredVerdict:
        """Judge a generator and store the report; the bounds are checked before it is measured."""
        job, metrics = self.job, self._modality.metrics
        in_force(metrics, job.recipe.gate)
        measurement = self._measurement(version, snapshot_digest)
        judgement = judge(measurement.evaluation, metrics, job.recipe.gate)
        report = self._report(version, snapshot_digest, measurement, judgement)
        files = {"report.json": report.to_json(), "report.html": render(report).encode()}
        digest = registry.put_report(job.lake, job.name, version, files)
        return StoredVerdict(judgement=judgement, report_digest=digest)

    def _measurement(self, version: str, snapshot_digest: str) -> Measurement:
        """Return what was measured on a generator: read, or measured now and stored."""
        lake = self.job.lake
        key = evaluation_key(self.job.recipe, self.prepared, snapshot_digest)
        place = generator_internal_key(self.job.name, version, f"evaluation-{key[:16]}.json")
        try:
            data = lake.get(place)
        except ObjectNotFoundError:
            data = lake.put_or_adopt(place, _to_json(self._measure(version, snapshot_digest)))
        return _MEASUREMENT.validate_python(json.loads(data))

    def _measure(self, version: str, snapshot_digest: str) -> Measurement:
        """Synthesize from a generator and measure it against the holdout."""
        from gan.codecs import losses_of
        from gan.device import choose_device
        from gan.randomness import derive
        from gan.report import ReportInputs

        job, recipe = self.job, self.job.recipe
        with (
            job.reporter.meter(f"Evaluating {version} on the holdout", "samples") as meter,
            job.spent.using(choose_device(recipe.training.device)),
        ):
            reference = self.reference
            sampler = self._sampler(version, snapshot_digest)
            seed = derive(recipe.seed, "evaluation")
            fakes = sampler.records(reference.wanted, seed=seed, index=0)
            meter.update(fakes.num_rows)
            losses = losses_of(sampler.codec, self.prepared.records["train"])
            inputs = ReportInputs(
                candidate=fakes,
                reference=reference,
                label=self.prepared.label,
                confidential=recipe.source.confidential,
                codec=sampler.codec,
                sampler=sampler,
                train=self.prepared.records["train"],
                class_names=class_names_of(self.prepared),
            )
            evaluation, pictures = measured(self._modality, inputs, sampler.log_likelihood)
            evaluation = dataclasses.replace(evaluation, losses=losses)
            self._put_internal(version, snapshot_digest, inputs)
        record = read_training_record(job.lake, job.name, version)
        return Measurement(
            evaluation=evaluation, pictures=pictures, split_digest=record.split_digest
        )

    def _put_internal(self, version: str, snapshot_digest: str, inputs: "ReportInputs") -> None:
        """Store the internal edition, with real records beside synthetic ones, where there is one.

        It lies beside what was measured, and no report, data set or artifact holds any of it.
        """
        beside = self._modality.neighbours(inputs)
        if beside is None:
            return
        job, digest = self.job, evaluation_key(self.job.recipe, self.prepared, snapshot_digest)
        key = generator_internal_key(job.name, version, f"edition-{digest[:16]}.html")
        page = render_internal(job.name, version, now().isoformat(), [beside])
        job.lake.put_or_adopt(key, page.encode())
        what = "Internal edition, which shows real records and is not to be passed on"
        job.reporter.say(f"{what}: {job.lake.uri}/{key}")

    def _sampler(self, version: str, snapshot_digest: str) -> "Sampler":
        return load_sampler(self.job, version, snapshot_digest)

    def _report(
        self, version: str, snapshot_digest: str, measurement: Measurement, judgement: Judgement
    ) -> Report:
        from gan.evaluation.reporting import class_table, metric_figures, training
        from gan.protocols import Curve

        job, prepared, evaluation = self.job, self.prepared, measurement.evaluation
        record = read_training_record(job.lake, job.name, version)
        metrics = judgement.metrics
        curves = tuple(Curve(**curve) for curve in record.curves)
        chosen = record.best_samples_seen or None
        figures = (
            *measurement.pictures,
            *metric_figures(evaluation.metrics, self._modality.bars, metrics),
            *training(curves, chosen, self._modality.curves, metrics),
            *record.figures,
            *class_table(
                prepared.class_counts, evaluation.candidate_class_counts, class_names_of(prepared)
            ),
        )
        return Report(
            name=job.name,
            generator=version,
            snapshot_digest=snapshot_digest,
            created=now().isoformat(),
            modality=prepared.modality,
            metrics=evaluation.metrics,
            verdict=judgement.verdict,
            reasons=(*judgement.reasons, *judgement.unjudged),
            events=record.events,
            figures=figures,
            notes=(
                *public_notes(prepared),
                *record.notes,
                *evaluation.notes,
            ),
            facts={
                "rows": dict(prepared.rows),
                "skipped_records": len(prepared.skipped),
                "ignored_files": prepared.ignored_files,
                "seed": record.resolved.get("seed", job.recipe.seed),
                "samples_seen": record.samples_seen,
                "snapshot_samples_seen": record.best_samples_seen,
                "training_s": record.seconds,
                **processor_facts(record),
                "evaluation_s": round(evaluation.seconds, 3),
                "device": record.device,
                "holdout_rows": evaluation.holdout_rows,
                "candidate_rows": evaluation.candidate_rows,
                "compared_rows": evaluation.n,
                "evaluation_seed": evaluation.seed,
                LOSSES: list(evaluation.losses),
                **self._privacy_facts(record),
                JUDGED: evaluation.judged(words_of(prepared.modality).records),
                "gate": gate_record(metrics, job.recipe.gate),
            },
        )

    def _privacy_facts(self, record: TrainingRecord) -> dict[str, Any]:
        """Return what is guaranteed of a generator, and what trainings on the source have taken."""
        guarantee = Guarantee.of(record.resolved, self.prepared.modality)
        if guarantee is None:
            return {}
        balance = balance_today(self.job.recipe, self.prepared, self.job.lake)
        return {
            GUARANTEE: {**guarantee.to_json(), "short": guarantee.short, "spent": balance.sentence}
        }


def processor_facts(record: TrainingRecord) -> dict[str, float]:
    """Return what share of the processor a training had, where its record says it."""
    if not record.threads:
        return {}
    cores = record.cpu_s / record.seconds if record.seconds else 0.0
    return {
        "training_cpu_s": record.cpu_s,
        "training_cores": round(cores, 2),
        "training_threads": record.threads,
    }


def public_notes(prepared: Prepared) -> tuple[str, ...]:
    """Return what may be published of the notes on the source: no name of a real file or row."""
    named = (*prepared.skipped, "source.labels: ", "source.label: ")
    return tuple(note for note in prepared.notes if not any(entry in note for entry in named))
