"""Stage 3: the candidate, and the champion beside it, against the holdout.

What was measured is kept with the generator under the evaluation's key, so a repeated run reads it.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from flows.generators import local_snapshot
from flows.job import Job, now
from flows.keys import evaluation_key
from flows.report.render import render
from flows.results import Assessed, Candidate, Judged
from flows.story import Story, read_story
from gan.errors import DataError, OutdatedError
from gan.gate import judge
from gan.report import Evaluation, Report
from storage.errors import ObjectNotFoundError
from storage.lake import promotions, registry
from storage.lake.layout import generator_internal_key, generator_report_key
from storage.sources.prepare import Prepared
from storage.stores.interface import put_or_adopt

if TYPE_CHECKING:
    import pyarrow as pa

    from gan.modalities import Reference
    from gan.report import Exhibit
    from gan.sample import Sampler

_EVALUATION = TypeAdapter(Evaluation)


def evaluate(job: Job, prepared: Prepared, candidate: Candidate) -> Assessed:
    """Return what the gate says today of the candidate and of the champion, if it is another.

    Raises:
        DataError: the holdout is too small to compare anything.
        LakeError: the lake failed.
    """
    desk = Desk(job=job, prepared=prepared)
    standing = promotions.standing(job.lake, job.name)
    challenger = desk.judged(candidate.version, candidate.snapshot_digest)
    champion = standing.champion
    if champion is None or champion.version == candidate.version:
        return Assessed(standing=standing, challenger=challenger, champion=None)
    reigning, is_outdated = None, False
    try:
        reigning = desk.judged(champion.version, champion.snapshot_digest)
    except DataError as error:
        job.reporter.say(f"The champion {champion.version} does not fit today's records: {error}")
    except OutdatedError as error:
        job.reporter.say(f"The champion {champion.version} cannot be run any more: {error}")
        is_outdated = True
    return Assessed(
        standing=standing, challenger=challenger, champion=reigning, is_outdated=is_outdated
    )


@dataclass(frozen=True, kw_only=True)
class Desk:
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
            kept = json.loads(put_or_adopt(lake, place, self._measure(version, snapshot_digest)))
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
            story = read_story(job.lake, job.name, version)
            exhibit = self._exhibit(fakes, reference)
            report = self._report(version, snapshot_digest, evaluation, exhibit, story)
        files = {"report.json": report.to_json(), "report.html": render(report).encode()}
        digest = registry.put_report(job.lake, job.name, version, files)
        kept = {
            "evaluation": dataclasses.asdict(evaluation),
            "report_digest": digest,
            "split_digest": story.split_digest,
        }
        return json.dumps(kept, sort_keys=True).encode()  # may hold infinities

    def _sampler(self, version: str, snapshot_digest: str) -> "Sampler":
        from gan.device import choose_device
        from gan.sample import Sampler

        folder = local_snapshot(self.job, version, snapshot_digest)
        return Sampler.load(folder, choose_device(self.job.recipe.training.device))

    def _exhibit(self, fakes: "pa.Table", reference: "Reference") -> "Exhibit":
        from gan.report import Exhibit

        return Exhibit(
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
        exhibit: "Exhibit",
        story: Story,
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
            curves=tuple(Curve(**curve) for curve in story.curves),
            events=story.events,
            notes=(*public_notes(self.prepared), *story.notes),
            facts=self._facts(evaluation, story),
            chosen_samples_seen=story.best_samples_seen or None,
            class_counts=self.prepared.class_counts,
        )
        judgement = judge(evaluation, self.job.recipe.gate)
        return build_report(
            subject,
            evaluation,
            judgement,
            gate=self.job.recipe.gate,
            exhibit=exhibit,
            background=background,
        )

    def _facts(self, evaluation: Evaluation, story: Story) -> Mapping[str, Any]:
        return {
            "rows": dict(self.prepared.rows),
            "skipped_records": len(self.prepared.skipped),
            "ignored_files": self.prepared.ignored_files,
            "seed": story.resolved.get("seed", self.job.recipe.seed),
            "samples_seen": story.samples_seen,
            "snapshot_samples_seen": story.best_samples_seen,
            "training_s": story.seconds,
            "evaluation_s": round(evaluation.seconds, 3),
            "device": story.device,
        }


def public_notes(prepared: Prepared) -> tuple[str, ...]:
    """Return what may be published of the notes on the source: no name of a real file or row."""
    named = prepared.skipped
    return tuple(note for note in prepared.notes if not any(entry in note for entry in named))
