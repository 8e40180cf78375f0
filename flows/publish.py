"""Stage 7: from generator and plan to shards in the lake.

Stage 8: manifest, documents and commit record; after it readers see the version.
"""

from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from flows.engines.interface import SynthesisRequest, make_engine
from flows.evaluate import local_snapshot, read_training_record
from flows.job import (
    Choice,
    Job,
    Outcome,
    Signature,
    SynthesisResult,
    now,
    published_outcome,
    uncounted,
)
from flows.maintain import announce
from flows.recipe import run_key, synthesis_part, training_part
from flows.report.page import render
from gan.config import ALGORITHM_VERSION
from storage.lake import datasets
from storage.lake.manifest import FileEntry, ManifestFields
from storage.lake.plan import Identity, Plan, RecordKind, propose
from storage.lake.publish import Publisher, agree
from storage.lake.synthesis import resolve_seed
from storage.shards.format import format_for, load_format
from storage.sources.prepare import Prepared


def synthesize(job: Job, prepared: Prepared, choice: Choice) -> SynthesisResult:
    """Make the shards of this generator's version that are not in the lake yet.

    Raises:
        PlanError: balance or format cannot be planned for these classes.
        ConfigError: the generator cannot make rows under these conditions.
        EngineError: the workers keep dying.
        LakeError: the lake failed.
    """
    plan = agree(job.lake, propose_plan(job, prepared, choice))
    if is_committed(job, plan):
        job.reporter.say(f"Published before: {job.name}/{plan.version}")
        return SynthesisResult(plan=plan, committed=True)
    missing = Publisher(job.lake, plan).missing()
    return SynthesisResult(plan=plan, entries=_make(job, choice, plan, missing))


def propose_plan(job: Job, prepared: Prepared, choice: Choice) -> Plan:
    """Return the plan of this version, if this run is the first to arrive."""
    recipe, judged = job.recipe, choice.judged
    synthesis = resolve_seed(recipe.synthesis, job.scheduled)
    identity = Identity(
        name=recipe.name,
        run_key=run_key(recipe, synthesis, judged.snapshot_digest),
        generator=f"{recipe.name}/{judged.version}",
        snapshot_digest=judged.snapshot_digest,
    )
    return propose(
        identity,
        synthesis,
        record_kind(prepared),
        format=format_for(prepared.modality, recipe.output.format),
        created=now(),
    )


def record_kind(prepared: Prepared) -> RecordKind:
    """Return what the plan must know of the real records."""
    return RecordKind(
        schema=prepared.schema,
        label=prepared.label,
        class_counts=prepared.class_counts["train"],
        modality=prepared.modality,
    )


def is_published(job: Job, choice: Choice) -> bool:
    """Say whether the version that this choice leads to is there; reads only."""
    synthesis = resolve_seed(job.recipe.synthesis, job.scheduled)
    key = run_key(job.recipe, synthesis, choice.judged.snapshot_digest)
    found = datasets.versions(job.lake, job.name)
    return any(one.version.endswith(f"-{key[:8]}") for one in found)


def is_committed(job: Job, plan: Plan) -> bool:
    """Say whether readers see the plan's version."""
    return any(one.version == plan.version for one in datasets.versions(job.lake, job.name))


def _make(job: Job, choice: Choice, plan: Plan, missing: list[int]) -> dict[int, FileEntry]:
    from gan.device import choose_device
    from gan.sample import check_request
    from gan.snapshot import load_snapshot

    entries: dict[int, FileEntry] = {}
    if not missing:
        return entries
    snapshot = local_snapshot(job, choice.judged.version, choice.judged.snapshot_digest)
    check_request(load_snapshot(snapshot).codec, plan.given, plan.rows)
    rows = {shard.index: shard.rows for shard in plan.shards}
    order = SynthesisRequest(
        plan=plan,
        snapshot=snapshot,
        lake_uri=job.lake_uri,
        profile=job.lake_profile,
        device=choose_device(job.recipe.training.device),
    )
    engine = make_engine(job.recipe.engine.kind, job.recipe.engine.workers)
    done = plan.rows - sum(rows[index] for index in missing)
    with (
        job.reporter.meter("Synthesizing", "samples", plan.rows) as meter,
        job.spent.using(order.device),
    ):
        meter.update(done)

        def on_shard(index: int, entry: FileEntry) -> None:
            entries[index] = entry
            job.spent.wrote(entry.bytes)
            note = f"{len(plan.shards) - len(missing) + len(entries)}/{len(plan.shards)} shards"
            meter.update(done + sum(rows[each] for each in entries), note=note)

        lake = uncounted(job.lake)
        engine.run(order, missing, lake=lake, on_shard=on_shard, say=job.reporter.say)
    return entries


LIBRARIES = ("ganmill", "numpy", "pyarrow", "pillow", "isal", "torch")
PREVIEW_PER_CLASS = 10


def publish(job: Job, prepared: Prepared, choice: Choice, made: SynthesisResult) -> Outcome:
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
    told = read_training_record(job.lake, job.name, version).training
    return dict(told) or training_part(job.recipe, prepared, job.scheduled)


def _signed(signature: Signature | None) -> dict[str, str] | None:
    return None if signature is None else asdict(signature)


def documents(job: Job, choice: Choice, plan: Plan) -> dict[str, bytes]:
    """Return what lies beside the manifest: the report, as data and as a page, and a preview.

    Records that are no pictures have none: the report shows them.
    """
    report, preview = choice.judged.report, _preview(job, choice, plan)
    files = {"report.json": report.to_json(), "report.html": render(report).encode()}
    return files if preview is None else {**files, "preview.png": preview}


def _preview(job: Job, choice: Choice, plan: Plan) -> bytes | None:
    from gan.modalities import load_modality

    shard = load_format(plan.format).decode(job.lake.get(plan.shard_key(0)), plan.record_schema)
    modality = load_modality(choice.judged.report.modality)
    return modality.preview(shard, plan.label, PREVIEW_PER_CLASS)


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
