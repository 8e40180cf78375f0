"""The last stages: from the generator that was chosen to a version that readers see.

`synthesize` makes the shards of its plan that are missing, `publish` writes manifest, documents and
the commit record, and events are sent before and after. An event that cannot be sent fails no job:
it stays pending, and the next run sends it.
"""

from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from flows.copies import begin_copies, count_copies
from flows.copy_tally import CopyTally
from flows.engines.interface import Engine, MadeShard, SynthesisRequest, make_engine
from flows.errors import UnsentError
from flows.evaluate import read_training_record
from flows.guarantee import Guarantee, balance_today
from flows.job import (
    Choice,
    Job,
    Outcome,
    SynthesisResult,
    now,
    outcome_of,
    uncounted,
)
from flows.keys import run_key, synthesis_part, training_part
from flows.lake_page import bring_up_lake_page
from flows.private import published_class_counts
from flows.recipe import Recipe
from flows.report.nights import Night, nights_figures, read_nights
from flows.report.page import render
from flows.report.verdict import COPIES, JUDGED, PUBLISHED_ROWS
from flows.snapshots import local_snapshot
from flows.teacher import fit_teacher, local_teacher, teacher_file
from gan.config import ALGORITHM_VERSION
from gan.gate import gate_record
from gan.lift.result import lift_record
from storage.errors import AccessDeniedError, NotWritableError, RetractedError
from storage.lake import datasets
from storage.lake.announce import BLOCKED, Announcement, announce_pending
from storage.lake.composition import Composition
from storage.lake.file_list import FileEntry
from storage.lake.hint import refresh_hint
from storage.lake.layout import generator_report_key
from storage.lake.manifest import ManifestFields
from storage.lake.plan import Identity, Plan, RecordKind, propose
from storage.lake.promotions import Promotion
from storage.lake.publish import Publisher, agree
from storage.lake.synthesis import SynthesisConfig, resolve
from storage.records.modalities import words_of
from storage.records.schema import ClassCounts, read_class_counts
from storage.shards.format import format_for, load_format
from storage.sources.prepared import Prepared

if TYPE_CHECKING:
    from gan.evaluation.published_copies import PublishedCopies


def synthesize(job: Job, prepared: Prepared, choice: Choice) -> SynthesisResult:
    """Make the shards of this generator's version that are not in the lake yet.

    Raises:
        RetractedError: a person took back what this would make again.
        PlanError: balance or format cannot be planned for these classes.
        ConfigError: the generator cannot make rows under these conditions.
        EngineError: the workers keep dying.
        LakeError: the lake failed.
    """
    teacher = ""
    if job.recipe.synthesis.labels == "teacher":
        teacher = fit_teacher(job, prepared, choice.judged.version)
    try:
        plan = agree(job.lake, propose_plan(job, prepared, choice, teacher))
    except RetractedError:
        bring_up_hint(job)  # the retraction may have been killed before it did
        raise
    if any(one.version == plan.version for one in datasets.versions(job.lake, job.name)):
        job.reporter.say(f"Published before: {job.name}/{plan.version}")
        return SynthesisResult(plan=plan, committed=True)
    missing = Publisher(job.lake, plan).missing()
    _say_what_is_free(job, choice)
    tally = begin_copies(prepared, plan)
    entries = _make(job, choice, plan, missing, tally)
    return SynthesisResult(plan=plan, entries=entries, copies=tally)


def _say_what_is_free(job: Job, choice: Choice) -> None:
    """Say, before records are made, that something does at least as much without them."""
    lift = choice.judged.lift
    if lift is not None and lift.remedy is not None and lift.free_wins:
        what = f"{lift.remedy.arm} does at least as much and needs no generator"
        job.reporter.say(f"Before records are made: {what}. {lift.text}")


def propose_plan(job: Job, prepared: Prepared, choice: Choice, teacher: str = "") -> Plan:
    """Return the plan of this version, if this run is the first to arrive.

    Args:
        job: the run.
        prepared: the real records.
        choice: who synthesizes.
        teacher: sha256 of the generator's teacher, for `labels: teacher`.
    """
    recipe, judged = job.recipe, choice.judged
    synthesis = resolve(recipe.synthesis, prepared.modality, job.scheduled)
    file = teacher_file(recipe, prepared) if teacher else ""
    identity = Identity(
        name=recipe.name,
        run_key=run_key(recipe, synthesis, judged.snapshot_digest),
        generator=f"{recipe.name}/{judged.version}",
        snapshot_digest=judged.snapshot_digest,
    )
    return propose(
        identity,
        synthesis,
        replace(
            record_kind(recipe, prepared),
            teacher=teacher,
            teacher_file=file,
            class_counts=published_class_counts(job, prepared, choice),
        ),
        format=format_for(prepared.modality, recipe.output.format),
        created=now(),
    )


def record_kind(recipe: Recipe, prepared: Prepared) -> RecordKind:
    """Return what the plan must know of the real records, and of how they are to be written."""
    shard_format = load_format(format_for(prepared.modality, recipe.output.format))
    escaping = recipe.output.csv.escape_formulas
    return RecordKind(
        schema=shard_format.planned_schema(prepared.schema, escape_formulas=escaping),
        label=prepared.label,
        class_counts=prepared.source_class_counts["train"],
        modality=prepared.modality,
        split_counts=prepared.source_class_counts,
    )


def composition(
    prepared: Prepared, synthesis: SynthesisConfig, plan: Plan, real: ClassCounts | None = None
) -> Composition:
    """Return what the rows of a plan are, beside those that the gate judges.

    Args:
        prepared: the real records.
        synthesis: with its seed and balance resolved.
        plan: of the version.
        real: class counts of the training records as they may be published; None: as they are.
    """
    counts = prepared.source_class_counts
    train = counts["train"] if real is None else real
    return Composition(
        synthesis=synthesis,
        published=plan.class_counts,
        splits={**counts, "train": train},
        filled_up=read_class_counts(plan.resolved.get("filled_up", ())),
        relabelled=None if plan.teacher is None else plan.teacher.relabels,
        picks=1 if plan.teacher is None else plan.teacher.picks,
        words=words_of(prepared.modality).records,
    )


def is_published(job: Job, choice: Choice) -> bool:
    """Say whether the version that this choice leads to is there; reads only."""
    modality = choice.judged.report.modality
    synthesis = resolve(job.recipe.synthesis, modality, job.scheduled)
    key = run_key(job.recipe, synthesis, choice.judged.snapshot_digest)
    found = datasets.versions(job.lake, job.name)
    return any(one.version.endswith(f"-{key[:8]}") for one in found)


def engine_of(recipe: Recipe) -> Engine:
    """Return the engine that a recipe names.

    Raises:
        ExtraMissingError: it needs packages that are not installed.
    """
    return make_engine(recipe.engine.kind, recipe.engine.workers, recipe.engine.address)


def _make(
    job: Job, choice: Choice, plan: Plan, missing: list[int], tally: CopyTally
) -> dict[int, FileEntry]:
    from gan.sample import check_request
    from gan.snapshot import load_snapshot

    entries: dict[int, FileEntry] = {}
    if not missing:
        return entries
    snapshot = local_snapshot(job, choice.judged.version, choice.judged.snapshot_digest)
    check_request(load_snapshot(snapshot).codec, plan.given, plan.rows)
    engine = engine_of(job.recipe)
    request = SynthesisRequest(
        plan=plan,
        snapshot=snapshot,
        lake_uri=job.lake_uri,
        profile=job.lake_profile,
        device=engine.device(job.recipe.training.device),
        teacher=local_teacher(job, plan, choice.judged.version),
        hasher=tally.hasher,
    )
    made, shared = set(missing), dict[ClassCounts, ClassCounts]()
    done = plan.rows - sum(plan.shards[index].rows for index in missing)
    with (
        job.reporter.meter("Synthesizing", "samples", plan.rows) as meter,
        job.spent.using(request.device),
    ):
        meter.update(done)

        def on_shard(index: int, shard: MadeShard) -> None:
            nonlocal done
            entry = shard.entry
            tally.take(index, shard)
            counts = shared.setdefault(entry.class_counts, entry.class_counts)
            entries[index] = replace(entry, class_counts=counts)
            if index not in made:  # an earlier run put it
                return
            job.spent.wrote(entry.bytes)
            made.discard(index)
            done += entry.rows
            meter.update(done, note=f"{len(plan.shards) - len(made)}/{len(plan.shards)} shards")

        engine.run(
            request,
            missing,
            lake=uncounted(job.lake),
            on_shard=on_shard,
            say=job.reporter.say,
            stored=sorted(set(range(len(plan.shards))) - made),
        )
    return entries


LIBRARIES = ("ganmill", "numpy", "pyarrow", "pillow", "isal", "torch")
PREVIEW_PER_CLASS = 10


def publish(job: Job, prepared: Prepared, choice: Choice, made: SynthesisResult) -> Outcome:
    """Commit the version and announce it.

    When it is there already, what is missing is made up for: the announcement, and the hint to the
    newest version, which a process that was killed after its commit leaves behind.

    Raises:
        BlockedError: of all its records more equal training records than may; nothing is visible.
        AbandonedError: the version was given up by a collection; plan a new attempt.
        IntegrityError: a shard is missing or is not the planned one.
    """
    if made.committed:
        bring_up_hint(job)
    else:
        publisher = Publisher(job.lake, made.plan)
        for index, entry in made.entries.items():
            publisher.record(index, entry)
        tally = made.copies or begin_copies(prepared, made.plan)
        copies = count_copies(job, choice, tally, publisher)
        with job.reporter.meter("Publishing", "shards", len(made.plan.shards)) as meter:
            fields = manifest_fields(job, prepared, choice, made.plan, copies)
            publisher.commit(fields, documents(job, choice, made.plan, fields))
            meter.update(len(made.plan.shards))
    announce(job)
    if (problem := bring_up_lake_page(job.lake, job.name)) is not None:
        job.reporter.say(problem)
    return outcome_of(job, choice, made)


def bring_up_hint(job: Job) -> None:
    """Bring the hint to the newest version up to the log; in a lake that cannot be written, say so.

    Raises:
        LakeError: the lake failed.
    """
    try:
        refresh_hint(job.lake, job.name)
    except (NotWritableError, AccessDeniedError) as error:
        job.reporter.say(f"The hint to the newest version lags, and cannot be brought up: {error}")


def manifest_fields(
    job: Job,
    prepared: Prepared,
    choice: Choice,
    plan: Plan,
    copies: "PublishedCopies | None" = None,
) -> ManifestFields:
    """Return what the manifest says of source, recipe, seeds, libraries, verdict and copies."""
    recipe, judged = job.recipe, choice.judged
    synthesis = resolve(recipe.synthesis, prepared.modality, job.scheduled)
    real = published_class_counts(job, prepared, choice)
    source: dict[str, Any] = {} if recipe.source.confidential else {"uri": recipe.source.uri}
    taught = {} if plan.teacher is None else {"teacher": plan.teacher.sha256}
    libraries: tuple[str, ...] = LIBRARIES
    if taught:
        from gan.modalities import load_modality

        libraries = (*libraries, *load_modality(prepared.modality).teacher_libraries)
    return ManifestFields(
        modality=judged.report.modality,
        real_class_counts=real,
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
            "libraries": {name: _installed(name) for name in libraries},
            **taught,
        },
        gate={
            "verdict": judged.judgement.verdict,
            "judged": judged.report.facts.get(JUDGED, ""),
            "reasons": [reason.text for reason in judged.judgement.reasons],
            "not_judged": [reason.text for reason in judged.judgement.unjudged],
            **gate_record(judged.judgement.metrics, recipe.gate),
            "choice": choice.kind,
            "override": _signed(choice.override),
            "approval": _signed(choice.approval),
        },
        cost=job.spent.so_far(),
        composition=composition(prepared, synthesis, plan, real).to_json(),
        losses=judged.evaluation.losses,
        lift=lift_record(judged.lift),
        privacy=_privacy(job, prepared, choice, copies),
    )


def _privacy(
    job: Job, prepared: Prepared, choice: Choice, copies: "PublishedCopies | None"
) -> dict[str, Any]:
    """Return what was counted of all records, and what is guaranteed where something is."""
    counted = {} if copies is None else {"copies": copies.to_json()}
    resolved = read_training_record(job.lake, job.name, choice.judged.version).resolved
    guarantee = Guarantee.of(resolved, prepared.modality)
    if guarantee is None:
        return counted
    balance = balance_today(job.recipe, prepared, job.lake)
    return {**counted, "guarantee": guarantee.to_json(), "spent": balance.to_json()}


def _trained_on(job: Job, prepared: Prepared, version: str) -> dict[str, Any]:
    """Return what the generator was trained on, which may be another night's source."""
    recorded = read_training_record(job.lake, job.name, version).training
    return dict(recorded) or training_part(job.recipe, prepared, job.scheduled)


def _signed(record: Promotion | None) -> dict[str, str] | None:
    if record is None:
        return None
    return {"by": record.by, "reason": record.reason, "at": record.created}


def documents(job: Job, choice: Choice, plan: Plan, fields: ManifestFields) -> dict[str, bytes]:
    """Return what lies beside the manifest: the report, as data and as a page, and a preview.

    The report also says what was re-weighted since, how many of all records are copies, and how the
    versions before did. Records that are no pictures have no preview: the report shows them.
    """
    report, preview = choice.judged.report, _preview(job, choice, plan)
    since = {PUBLISHED_ROWS: fields.composition["sentences"]}
    if "copies" in fields.privacy:
        since[COPIES] = fields.privacy["copies"]
    report = replace(report, facts={**report.facts, **since})
    earlier = read_nights(job.lake, job.name, before=plan.version)
    nights = nights_figures((*earlier, Night(version=plan.version, report=report)))
    report = replace(report, figures=(*report.figures, *nights))
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


def announce(job: Job) -> list[Announcement]:
    """Send every event of the job's name that is pending, and return those that were sent.

    Raises:
        LakeError: the lake failed.
    """
    if job.emit is None:
        return []
    try:
        return announce_pending(job.lake, job.name, job.emit)
    except UnsentError as error:
        job.reporter.say(f"Not announced yet, the next run tries again: {error}")
        return []


def announce_blocked(job: Job, choice: Choice) -> None:
    """Send that the gate let nobody synthesize, once for every run that ends so.

    A refusal that is on record was announced with it. A run that repeats it, or that ends because
    the champion is blocked today, has no record of its own: when it is killed before the event was
    sent, the next run that ends the same way sends it.
    """
    judged = choice.judged
    if job.emit is None or any(
        one.event == BLOCKED and one.payload["version"] == judged.version for one in announce(job)
    ):
        return
    page = generator_report_key(job.name, judged.version, judged.report_digest, "report.html")
    payload = {
        "name": job.name,
        "version": judged.version,
        "kind": "blocked",
        "verdict": judged.judgement.verdict,
        "reason": choice.reason,
        "by": "gate",
        "number": "",
        "created": now().isoformat(),
        "snapshot_digest": judged.snapshot_digest,
        "report": f"{job.lake.uri}/{page}",
    }
    resource = f"ganmill.generator.{job.name}"
    try:
        job.emit(Announcement(event=BLOCKED, resource=resource, payload=payload))
    except UnsentError as error:
        job.reporter.say(f"Not announced: {error}")
