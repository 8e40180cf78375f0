"""Stage 3: the candidate, and the champion beside it, against the holdout.

What was measured is kept with the generator under the evaluation's key, so a repeated run reads it.

A generator of the lake, on this machine.

How a generator came about: told once by its trainer, kept beside it, read by every report.
"""

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import TypeAdapter

from flows.job import Assessed, Candidate, Job, Judged, now
from flows.keys import evaluation_key
from flows.report.page import render
from gan.errors import DataError, OutdatedError
from gan.gate import judge
from gan.report import Evaluation, Event, Report
from storage.digests import canonical_json, sha256_file
from storage.errors import IntegrityError, ObjectNotFoundError
from storage.lake import promotions, registry
from storage.lake.layout import generator_internal_key, generator_report_key
from storage.records.durable import move_folder
from storage.sources.prepared import Prepared
from storage.stores.interface import ObjectStore

if TYPE_CHECKING:
    import pyarrow as pa

    from gan.modalities import Reference
    from gan.report import ReportInputs
    from gan.sample import Sampler


def local_snapshot(job: Job, version: str, snapshot_digest: str) -> Path:
    """Return the folder of a snapshot, fetched unless it is here already.

    The digest of every file is checked when the snapshot is loaded.

    Raises:
        IntegrityError: the lake holds another snapshot under that version.
    """
    folder = job.work / "generators" / job.name / version
    index = folder / "snapshot.json"
    if index.is_file() and sha256_file(index) == snapshot_digest:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as scratch:
        staged = Path(scratch) / version
        found = registry.fetch_generator(job.lake, job.name, version, staged)
        if found != snapshot_digest:
            msg = (
                f"generator {job.name}/{version} has snapshot digest {found[:12]}, but "
                f"{snapshot_digest[:12]} was decided on; restore it or train again"
            )
            raise IntegrityError(msg)
        move_folder(staged, folder)
    return folder


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
    device: str = "cpu"
    events: Sequence[Event] = ()
    curves: Sequence[Mapping[str, Any]] = ()
    """{name, samples_seen, values} of every curve."""
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


_EVALUATION = TypeAdapter(Evaluation)


def evaluate(job: Job, prepared: Prepared, candidate: Candidate) -> Assessed:
    """Return what the gate says today of the candidate and of the champion, if it is another.

    Raises:
        DataError: the holdout is too small to compare anything.
        LakeError: the lake failed.
    """
    evaluator = Evaluator(job=job, prepared=prepared)
    standing = promotions.standing(job.lake, job.name)
    challenger = evaluator.judged(candidate.version, candidate.snapshot_digest)
    champion = standing.champion
    if champion is None or champion.version == candidate.version:
        return Assessed(standing=standing, challenger=challenger, champion=None)
    reigning, is_outdated = None, False
    try:
        reigning = evaluator.judged(champion.version, champion.snapshot_digest)
    except DataError as error:
        job.reporter.say(f"The champion {champion.version} does not fit today's records: {error}")
    except OutdatedError as error:
        job.reporter.say(f"The champion {champion.version} cannot be run any more: {error}")
        is_outdated = True
    return Assessed(
        standing=standing, challenger=challenger, champion=reigning, is_outdated=is_outdated
    )


@dataclass(frozen=True, kw_only=True)
class Evaluator:
    """Evaluates generators on one holdout; the real side is measured once, and only if needed."""

    job: Job
    prepared: Prepared

    @cached_property
    def reference(self) -> "Reference":
        """The real side."""
        from gan.evaluation.reference import build_reference
        from gan.modalities import Options, Splits

        records, recipe = self.prepared.records, self.job.recipe
        splits = Splits(
            train=records["train"],
            validation=records["validation"],
            holdout=records["holdout"],
            label=self.prepared.label,
        )
        repeated = self.prepared.split_rule["rows"] == "occurrence"
        options = Options(
            modality=self.prepared.modality,
            seed=recipe.seed,
            overlap_expected=repeated,
            sdmetrics=True,
        )
        return build_reference(splits, options)

    def judged(self, version: str, snapshot_digest: str) -> Judged:
        """Return one generator judged: read, or measured now and stored."""
        lake, name = self.job.lake, self.job.name
        place = self._place(version, snapshot_digest)
        try:
            kept = json.loads(lake.get(place))
        except ObjectNotFoundError:
            kept = json.loads(lake.put_or_adopt(place, self._measure(version, snapshot_digest)))
        report_digest = kept["report_digest"]
        report = lake.get(generator_report_key(name, version, report_digest, "report.json"))
        evaluation = _EVALUATION.validate_python(kept["evaluation"])
        return Judged(
            version=version,
            snapshot_digest=snapshot_digest,
            split_digest=kept["split_digest"],
            evaluation=evaluation,
            judgement=judge(evaluation, self.job.recipe.gate),
            report=Report.from_json(report),
            report_digest=report_digest,
        )

    def is_measured(self, version: str, snapshot_digest: str) -> bool:
        """Say whether `judged` has nothing to measure."""
        return self.job.lake.stat(self._place(version, snapshot_digest)) is not None

    def _place(self, version: str, snapshot_digest: str) -> str:
        key = evaluation_key(self.job.recipe, self.prepared, snapshot_digest)
        return generator_internal_key(self.job.name, version, f"evaluation-{key[:16]}.json")

    def _measure(self, version: str, snapshot_digest: str) -> bytes:
        """Evaluate, store the report, and return what is to be kept of the evaluation."""
        from gan.device import choose_device
        from gan.evaluation.evaluate import evaluate as measure
        from gan.randomness import derive

        job = self.job
        with (
            job.reporter.meter(f"Evaluating {version} on the holdout", "samples") as meter,
            job.spent.using(choose_device(job.recipe.training.device)),
        ):
            reference = self.reference
            sampler = self._sampler(version, snapshot_digest)
            seed = derive(job.recipe.seed, "evaluation")
            fakes = sampler.records(reference.wanted, seed=seed, index=0)
            meter.update(fakes.num_rows)
            evaluation = measure(fakes, reference, log_likelihood=sampler.log_likelihood)
            record = read_training_record(job.lake, job.name, version)
            inputs = self._inputs(fakes, reference)
            report = self._report(version, snapshot_digest, evaluation, inputs, record)
        files = {"report.json": report.to_json(), "report.html": render(report).encode()}
        digest = registry.put_report(job.lake, job.name, version, files)
        kept = {
            "evaluation": dataclasses.asdict(evaluation),
            "report_digest": digest,
            "split_digest": record.split_digest,
        }
        return json.dumps(kept, sort_keys=True).encode()  # may hold infinities

    def _sampler(self, version: str, snapshot_digest: str) -> "Sampler":
        from gan.device import choose_device
        from gan.sample import Sampler

        folder = local_snapshot(self.job, version, snapshot_digest)
        return Sampler.load(folder, choose_device(self.job.recipe.training.device))

    def _inputs(self, fakes: "pa.Table", reference: "Reference") -> "ReportInputs":
        from gan.report import ReportInputs

        return ReportInputs(
            candidate=fakes,
            reference=reference,
            label=self.prepared.label,
            confidential=self.job.recipe.source.confidential,
        )

    def _report(
        self,
        version: str,
        snapshot_digest: str,
        evaluation: Evaluation,
        inputs: "ReportInputs",
        record: TrainingRecord,
    ) -> Report:
        from gan.evaluation.reporting import Background, Subject, build_report
        from gan.protocols import Curve

        subject = Subject(
            name=self.job.name,
            generator=version,
            snapshot_digest=snapshot_digest,
            created=now().isoformat(),
            modality=self.prepared.modality,
        )
        background = Background(
            curves=tuple(Curve(**curve) for curve in record.curves),
            events=record.events,
            notes=(*public_notes(self.prepared), *record.notes),
            facts=self._facts(evaluation, record),
            chosen_samples_seen=record.best_samples_seen or None,
            class_counts=self.prepared.class_counts,
        )
        judgement = judge(evaluation, self.job.recipe.gate)
        return build_report(
            subject,
            evaluation,
            judgement,
            gate=self.job.recipe.gate,
            inputs=inputs,
            background=background,
        )

    def _facts(self, evaluation: Evaluation, record: TrainingRecord) -> Mapping[str, Any]:
        return {
            "rows": dict(self.prepared.rows),
            "skipped_records": len(self.prepared.skipped),
            "ignored_files": self.prepared.ignored_files,
            "seed": record.resolved.get("seed", self.job.recipe.seed),
            "samples_seen": record.samples_seen,
            "snapshot_samples_seen": record.best_samples_seen,
            "training_s": record.seconds,
            "evaluation_s": round(evaluation.seconds, 3),
            "device": record.device,
        }


def public_notes(prepared: Prepared) -> tuple[str, ...]:
    """Return what may be published of the notes on the source: no name of a real file or row."""
    named = prepared.skipped
    return tuple(note for note in prepared.notes if not any(entry in note for entry in named))
