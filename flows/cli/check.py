"""`ganmill check`: what a recipe would do with its data, without doing it."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from flows.cli.output import Output
from flows.errors import DONE
from flows.job import Job, now, opened
from flows.nightly import check_name, prepare
from flows.progress import records_word
from flows.publish import record_kind
from flows.recipe import Recipe, load_recipe
from flows.train import fit_and_resolve
from storage.errors import LakeError
from storage.lake.plan import Identity, Plan, propose
from storage.lake.synthesis import resolve_seed
from storage.records.schema import read_table_metadata
from storage.shards.format import format_for
from storage.sources.builder import load_builder
from storage.sources.prepared import Prepared
from storage.stores.open import open_store
from storage.stores.settings import StorageProfile

UNKNOWN = "0" * 64
"""In place of the digests that exist only after training."""
LAKE_DEADLINE_S = 3.0
"""A check goes on without a lake that does not answer."""


def show_check(path: Path, changes: Sequence[str], *, as_json: bool) -> int:
    """Validate, read the source, and show counts and plan; the lake is asked for the owner only."""
    output = Output()
    with opened(load_recipe(path, changes)) as job:
        owner = _owner(job)
        found = describe(job, prepare(job)) | {"owner": owner}
    if as_json:
        output.json(found)
        return DONE
    write_check(found, output)
    output.line(f"Next      ganmill run {path}")
    return DONE


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


def describe(job: Job, prepared: Prepared) -> dict[str, Any]:
    """Return counts, notes and plan, JSON-able."""
    recipe = job.recipe
    plan = preview_plan(job, prepared)
    described = read_table_metadata(prepared.schema)
    return {
        "name": recipe.name,
        "source": recipe.source.uri,
        "modality": prepared.modality,
        "kind": load_builder(prepared.modality).describe(prepared.schema),
        "columns": [asdict(column) for column in described.columns] if described else [],
        "rows": dict(prepared.rows),
        "class_counts": {
            split: [list(pair) for pair in counts]
            for split, counts in prepared.class_counts.items()
        },
        "skipped": list(prepared.skipped),
        "ignored_files": prepared.ignored_files,
        "notes": [
            *prepared.notes,
            *output_notes(recipe),
            *training_notes(recipe, prepared, plan),
        ],
        "plan": {
            "rows": plan.rows,
            "shards": len(plan.shards),
            "rows_per_shard": plan.shards[0].rows,
            "class_counts": [list(pair) for pair in plan.class_counts],
            "format": recipe.output.format,
            "bytes": plan.rows * int(plan.resolved["bytes_per_row"]),
            "lake": recipe.output.lake,
        },
    }


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
    synthesis = resolve_seed(recipe.synthesis, job.scheduled)
    shard_format = format_for(prepared.modality, recipe.output.format)
    kind = record_kind(recipe, prepared)
    return propose(identity, synthesis, kind, format=shard_format, created=now())


def output_notes(recipe: Recipe) -> tuple[str, ...]:
    """Return what the recipe says of the output and has no effect."""
    if not recipe.output.csv.escape_formulas or recipe.output.format == "csv":
        return ()
    return (
        f"output.csv.escape_formulas has no effect on output.format {recipe.output.format}, only "
        "on CSV, which `ganmill impute` may write",
    )


def training_notes(recipe: Recipe, prepared: Prepared, plan: Plan) -> tuple[str, ...]:
    """Return what `auto` would pick for the training; it takes `ganmill[jobs]` to know.

    Raises:
        ConfigError: a preset that does not exist, or conditions that cannot be met.
        DataError: the records cannot be trained on.
    """
    if find_spec("torch") is None:
        return ('what `auto` picks for the training is known with pip install "ganmill[jobs]"',)
    from gan.sample import check_request

    codec, resolved = fit_and_resolve(recipe, prepared)
    check_request(codec, plan.given, plan.rows)
    return (*codec.notes, *resolved.notes)


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
    rows = [
        (str(label), *(f"{column.get(label, 0):,}" for column in counts)) for label in counts[0]
    ]
    totals = [*(found["rows"][split] for split in splits), found["plan"]["rows"]]
    total = ("all", *(f"{amount:,}" for amount in totals))
    output.table(("class", *splits, "to synthesize"), [*rows, total])
    output.line()
    plan = found["plan"]
    word, size = records_word(found["modality"]), f"{plan['bytes'] / 2**20:,.1f} MiB"
    output.line(
        f"Plan      {plan['rows']:,} {word} in {plan['shards']} shards"
        f" ({plan['format']}, about {size}) to {plan['lake']}"
    )
    for note in found["notes"]:
        output.line(f"Note      {note}")
    if found["ignored_files"]:
        output.line(f"Note      {found['ignored_files']:,} other files were left out")
