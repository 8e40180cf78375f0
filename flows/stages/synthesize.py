"""Stage 7: from generator and plan to shards in the lake."""

from flows.cost import uncounted
from flows.engines import Order, make_engine
from flows.generators import local_snapshot
from flows.job import Job, now
from flows.keys import run_key
from flows.results import Choice, Made
from storage.lake import datasets
from storage.lake.manifest import FileEntry
from storage.lake.plan import Identity, Plan, RecordKind, propose
from storage.lake.publish import Publisher, agree
from storage.lake.synthesis import resolve_seed
from storage.shards.format import format_for
from storage.sources.prepare import Prepared


def synthesize(job: Job, prepared: Prepared, choice: Choice) -> Made:
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
        return Made(plan=plan, committed=True)
    missing = Publisher(job.lake, plan).missing()
    return Made(plan=plan, entries=_make(job, choice, plan, missing))


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
    from gan.snapshot import load_snapshot

    entries: dict[int, FileEntry] = {}
    if not missing:
        return entries
    snapshot = local_snapshot(job, choice.judged.version, choice.judged.snapshot_digest)
    load_snapshot(snapshot).codec.check(plan.given, plan.rows)
    rows = {shard.index: shard.rows for shard in plan.shards}
    order = Order(
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
