"""Stage 8: manifest, documents and commit record; after it readers see the version."""

from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from flows.announce import announce
from flows.job import Job
from flows.keys import synthesis_part, training_part
from flows.outcome import Outcome, published_outcome
from flows.report.render import render
from flows.results import Choice, Made, Signature
from flows.story import read_story
from gan.config import ALGORITHM_VERSION
from storage.lake.manifest import ManifestFields
from storage.lake.plan import Plan
from storage.lake.publish import Publisher
from storage.lake.synthesis import resolve_seed
from storage.shards.format import load_format
from storage.sources.prepare import Prepared

LIBRARIES = ("ganmill", "numpy", "pyarrow", "pillow", "isal", "torch")
PREVIEW_PER_CLASS = 10


def publish(job: Job, prepared: Prepared, choice: Choice, made: Made) -> Outcome:
    """Commit the version and announce it; nothing but the announcement when it is there already.

    Raises:
        AbandonedError: the version was given up by a collection; plan a new attempt.
        IntegrityError: a shard is missing or is not the planned one.
    """
    if not made.committed:
        publisher = Publisher(job.lake, made.plan)
        for index, entry in made.entries.items():
            publisher.record(index, entry)
        with job.reporter.meter("Publishing", "shards", len(made.plan.shards)) as meter:
            publisher.commit(
                manifest_fields(job, prepared, choice), documents(job, choice, made.plan)
            )
            meter.update(len(made.plan.shards))
    announce(job)
    return published_outcome(job, choice, made)


def manifest_fields(job: Job, prepared: Prepared, choice: Choice) -> ManifestFields:
    """Return what the manifest says of source, recipe, seeds, libraries and verdict."""
    recipe, judged = job.recipe, choice.judged
    synthesis = resolve_seed(recipe.synthesis, job.scheduled)
    source: dict[str, Any] = {} if recipe.source.confidential else {"uri": recipe.source.uri}
    return ManifestFields(
        modality=judged.report.modality,
        real_class_counts=prepared.class_counts["train"],
        retention={"keep_last": recipe.output.keep_last},
        provenance={
            "source": source,
            "source_digest": prepared.source_digest,
            "split_rule": dict(prepared.split_rule),
            "snapshot_digest": judged.snapshot_digest,
            "report_digest": judged.report_digest,
            "training": _trained_on(job, prepared, judged.version),
            "synthesis": synthesis_part(recipe, synthesis, judged.snapshot_digest),
            "algorithm_version": ALGORITHM_VERSION,
            "libraries": {name: _installed(name) for name in LIBRARIES},
        },
        gate={
            "verdict": judged.judgement.verdict,
            "reasons": [reason.text for reason in judged.judgement.reasons],
            "bounds": recipe.gate.model_dump(mode="json"),
            "choice": choice.kind,
            "override": _signed(choice.override),
            "approval": _signed(choice.approval),
        },
        cost=job.spent.so_far().to_json(),
    )


def _trained_on(job: Job, prepared: Prepared, version: str) -> dict[str, Any]:
    """Return what the generator was trained on, which may be another night's source."""
    told = read_story(job.lake, job.name, version).training
    return dict(told) or training_part(job.recipe, prepared, job.scheduled)


def _signed(signature: Signature | None) -> dict[str, str] | None:
    return None if signature is None else asdict(signature)


def documents(job: Job, choice: Choice, plan: Plan) -> dict[str, bytes]:
    """Return what lies beside the manifest: the report, as data and as a page, and a preview."""
    report = choice.judged.report
    return {
        "report.json": report.to_json(),
        "report.html": render(report).encode(),
        "preview.png": _preview(job, choice, plan),
    }


def _preview(job: Job, choice: Choice, plan: Plan) -> bytes:
    from gan.modalities import load_modality

    shard = load_format(plan.format).decode(job.lake.get(plan.shard_key(0)), plan.record_schema)
    modality = load_modality(choice.judged.report.modality)
    return modality.preview(shard, plan.label, PREVIEW_PER_CLASS)


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
