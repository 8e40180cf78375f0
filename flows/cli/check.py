"""`ganmill check`: what a recipe would do with its data, without doing it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from flows.cli.output import Output
from flows.errors import DONE, BlockedError
from flows.foresight import look_ahead
from flows.job import Job, now, opened
from flows.lift import Lifter
from flows.nightly import check_name, prepare
from flows.pace import as_json, foresee_training
from flows.progress import records_word, shards_words
from flows.publish import composition, engine_of, record_kind
from flows.recipe import Recipe, apply_proposal, load_recipe, parse_recipe
from flows.teacher import check_teacher
from flows.train import fit_and_resolve
from flows.unused import unused_settings
from gan.errors import GanError
from storage.errors import LakeError, StorageError
from storage.lake.plan import Identity, Plan, propose
from storage.lake.synthesis import resolve
from storage.records.schema import class_title, read_class_names
from storage.shards.format import format_for
from storage.sources.builder import load_builder
from storage.sources.prepared import Prepared
from storage.stores.open import open_store
from storage.stores.settings import StorageProfile

UNKNOWN = "0" * 64
"""In place of the digests that exist only after training."""
REFUSALS = (StorageError, GanError)
"""What may say which settings would remedy it."""
MOST_OBSTACLES = 20
LAKE_DEADLINE_S = 3.0
"""A check goes on without a lake that does not answer."""


def show_check(path: Path, changes: Sequence[str], *, as_json: bool) -> int:
    """Validate, read the source, and show counts and plan; the lake is asked for the owner only.

    Raises:
        StorageError, GanError: the recipe and the data do not go together; the message names all
            obstacles that can be seen.
        BlockedError: nothing that this recipe trains can be published.
        ExtraMissingError: the engine's packages are not installed.
    """
    output, recipe = Output(), load_recipe(path, changes)
    engine_of(recipe)
    with opened(recipe) as job:
        owner = _owner(job)
        try:
            found = describe(job, prepare(job, say_notes=False), timed=True) | {"owner": owner}
        except REFUSALS as error:
            further = further_obstacles(recipe, error)
            if not further:
                raise
            msg = " Behind that: ".join([str(error), *further])
            raise type(error)(msg, proposals=error.proposals) from error
    if as_json:
        output.json(found)
    else:
        write_check(found, output)
    if found["obstacle"]:
        raise BlockedError(found["obstacle"])
    if not as_json:
        output.line(f"Next      ganmill run {path}")
    return DONE


def further_obstacles(recipe: Recipe, error: StorageError | GanError) -> list[str]:
    """Return what is in the way behind a refusal whose remedy is known, as far as can be seen."""
    raw, further = recipe.model_dump(mode="json"), list[str]()
    while error.proposals and len(further) < MOST_OBSTACLES:
        before = json.dumps(raw)
        for proposal in error.proposals:
            apply_proposal(raw, proposal)
        if json.dumps(raw) == before:
            break
        try:
            with opened(parse_recipe(raw)) as job:
                describe(job, prepare(job, say_notes=False))
        except REFUSALS as other:
            error = other
            further.append(str(other))
        else:
            break
    return further


def _owner(job: Job) -> str | None:
    """Return whose the name is, as far as the lake can be asked."""
    profile = job.lake_profile or StorageProfile()
    quick = profile.model_copy(update={"retry_deadline_s": LAKE_DEADLINE_S})
    lake = open_store(job.recipe.output.lake, quick, read_only=True)
    try:
        found = check_name(replace(job, lake=lake))
    except LakeError as error:
        job.reporter.say(f"Whose the name is cannot be found out: {error}")
        return None
    return None if found is None else found.owner


def describe(job: Job, prepared: Prepared, *, timed: bool = False) -> dict[str, Any]:
    """Return counts, notes and plan, JSON-able; with `timed` also what the budget buys here."""
    recipe = job.recipe
    plan, outlook = preview_plan(job, prepared), look_ahead(job, prepared)
    notes, losses, foreseen = training_notes(recipe, prepared, plan, timed=timed)
    builder = load_builder(prepared.modality)
    return {
        "name": recipe.name,
        "source": recipe.source.uri,
        "modality": prepared.modality,
        "kind": builder.describe(prepared.schema),
        "columns": [asdict(column) for column in builder.columns(prepared.schema)],
        "rows": dict(prepared.rows),
        "seen": dict(prepared.seen),
        "measures": {
            split: dict(builder.measures(records)) for split, records in prepared.records.items()
        },
        "class_names": list(read_class_names(prepared.schema).get(prepared.label or "", ())),
        "class_counts": {
            split: [list(pair) for pair in counts]
            for split, counts in prepared.class_counts.items()
        },
        "skipped": list(prepared.skipped),
        "ignored_files": prepared.ignored_files,
        "notes": [
            *prepared.notes,
            *unused_settings(recipe, prepared),
            *notes,
            *outlook.notes,
        ],
        "losses": list(losses),
        "training": foreseen,
        "lift": lift_note(job, prepared),
        "obstacle": outlook.obstacle,
        "plan": {
            "rows": plan.rows,
            "shards": len(plan.shards),
            "rows_per_shard": plan.shards[0].rows,
            "class_counts": [list(pair) for pair in plan.class_counts],
            "format": recipe.output.format,
            "bytes": plan.rows * int(plan.resolved["bytes_per_row"]),
            "lake": recipe.output.lake,
            "composition": list(_composition(job, prepared, plan)),
        },
    }


def _composition(job: Job, prepared: Prepared, plan: Plan) -> tuple[str, ...]:
    """Return how the rows of the plan differ from those that the gate will judge."""
    synthesis = resolve(job.recipe.synthesis, prepared.modality, job.scheduled)
    return composition(prepared, synthesis, plan).sentences


def preview_plan(job: Job, prepared: Prepared) -> Plan:
    """Return the plan a run would agree on, but for its keys.

    Raises:
        PlanError: balance or format cannot be planned for these classes.
    """
    recipe = job.recipe
    version = f"00000000T000000Z-{UNKNOWN[:8]}"
    identity = Identity(
        name=recipe.name,
        run_key=UNKNOWN,
        generator=f"{recipe.name}/{version}",
        snapshot_digest=UNKNOWN,
    )
    synthesis = resolve(recipe.synthesis, prepared.modality, job.scheduled)
    shard_format = format_for(prepared.modality, recipe.output.format)
    kind = record_kind(recipe, prepared)
    return propose(identity, synthesis, kind, format=shard_format, created=now())


def training_notes(
    recipe: Recipe, prepared: Prepared, plan: Plan, *, timed: bool
) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, Any] | None]:
    """Return what `auto` would pick, what privacy would take, and what the budget would buy here.

    It takes `ganmill[jobs]` to know; the last is None without, or when nothing is timed.

    Raises:
        ConfigError: a preset that does not exist, or conditions that cannot be met.
        DataError: the records cannot be trained on.
    """
    if find_spec("torch") is None:
        text = 'what `auto` picks for the training is known with pip install "ganmill[jobs]"'
        return (text,), (), None
    from gan.codecs import losses_of
    from gan.sample import check_request

    codec, resolved = fit_and_resolve(recipe, prepared)
    check_request(codec, plan.given, plan.rows)
    check_teacher(recipe, prepared)
    losses = losses_of(codec, prepared.records["train"])
    notes = (*codec.notes, *resolved.notes)
    if not timed:
        return notes, losses, None
    return notes, losses, as_json(foresee_training(recipe, prepared, codec, resolved))


def lift_note(job: Job, prepared: Prepared) -> str:
    """Return what measuring whether it helps will do, and roughly what it costs.

    Raises:
        ConfigError: `lift.models` names a downstream model that there is not.
    """
    when = job.recipe.lift.when
    if when == "never":
        return "not measured, as lift.when is never"
    if find_spec("torch") is None:
        return 'what it costs is known with pip install "ganmill[jobs]"'
    times = "on every run" if when == "always" else "when something changed"
    return f"{times}, {Lifter(job=job, prepared=prepared).foresee()}"


def write_check(found: dict[str, Any], output: Output) -> None:
    """Write counts, notes and plan for a person."""
    owner = f", of {found['owner']}" if found["owner"] else ""
    output.line(f"Recipe    {found['name']}{owner}: valid")
    output.line(f"Source    {found['source']}, {found['kind']}")
    output.line()
    if found["columns"]:
        columns = [(one["name"], one["kind"], one["why"]) for one in found["columns"]]
        output.table(("column", "kind", "why"), columns)
        output.line()
    splits = [split for split in ("train", "validation", "holdout") if split in found["rows"]]
    counts = [dict(map(tuple, found["class_counts"][split])) for split in splits]
    counts.append(dict(map(tuple, found["plan"]["class_counts"])))
    names = found["class_names"]
    rows = [
        (class_title(names, label), *(f"{column.get(label, 0):,}" for column in counts))
        for label in counts[0]
    ]
    totals = [*(found["rows"][split] for split in splits), found["plan"]["rows"]]
    total = ("all", *(f"{amount:,}" for amount in totals))
    measured = [
        (name, *(f"{found['measures'][split][name]:,}" for split in splits), "")
        for name in found["measures"][splits[0]]
    ]
    output.table(("class", *splits, "to synthesize"), [*rows, total, *measured])
    output.line()
    plan = found["plan"]
    word, size = records_word(found["modality"]), f"{plan['bytes'] / 2**20:,.1f} MiB"
    output.line(
        f"Plan      {plan['rows']:,} {word} in {shards_words(plan['shards'])}"
        f" ({plan['format']}, about {size}) to {plan['lake']}"
    )
    for text in plan["composition"]:
        output.line(f"          {text}")
    training = found["training"]
    if training is not None:
        output.line(f"Training  {training['text']}")
        if training["warning"] is not None:
            output.line(f"          {training['warning']}")
    output.line(f"Lift      {found['lift']}")
    for loss in found["losses"]:
        output.line(f"Loss      {loss}")
    for note in found["notes"]:
        output.line(f"Note      {note}")
