"""`ganmill impute`: nulls of a given table, filled by the champion of a recipe."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from flows.cli.output import Output
from flows.errors import DONE, BlockedError, RecipeError
from flows.job import Job, opened
from flows.recipe import load_recipe
from flows.snapshots import local_snapshot
from storage.lake import promotions
from storage.records.durable import create_file
from storage.shards.format import load_format
from storage.sources.tables.known_table import read_like

FORMATS = {".parquet": "table-parquet", ".csv": "csv"}
"""Ending of OUTPUT → shard format that writes it."""


def fill_nulls(
    path: Path,
    source: str,
    target: Path,
    *,
    columns: Sequence[str],
    changes: Sequence[str],
    as_json: bool,
) -> int:
    """Fill the nulls of a table, all or in some columns, and write it, whole or not at all."""
    recipe = load_recipe(path, changes)
    _check_output(target)
    output = Output()
    with opened(recipe) as job:
        before, after, version = _filled(job, source, columns)
        shard_format, escaping = load_format(FORMATS[target.suffix]), recipe.output.csv
        schema = shard_format.planned_schema(after.schema, escape_formulas=escaping.escape_formulas)
        data = shard_format.encode(after.replace_schema_metadata(schema.metadata), {})
        if not create_file(target, data):
            msg = f"OUTPUT {str(target)!r} exists by now and nothing is overwritten: name another"
            raise RecipeError(msg)
    counts = {
        name: before[name].null_count - after[name].null_count for name in before.column_names
    }
    filled = {name: count for name, count in counts.items() if count}
    if as_json:
        found = {"name": job.name, "version": version, "rows": after.num_rows}
        output.json(found | {"filled": filled, "output": str(target)})
        return DONE
    output.table(("column", "filled"), [(name, f"{count:,}") for name, count in filled.items()])
    output.line(f"{after.num_rows:,} rows are in {target}, filled by {job.name}/{version}")
    return DONE


def _check_output(output: Path) -> None:
    """Refuse a file that cannot be written."""
    if output.suffix not in FORMATS:
        msg = f"OUTPUT is {str(output)!r}: name a file that ends in {' or '.join(FORMATS)}"
        raise RecipeError(msg)
    if output.exists():
        msg = f"OUTPUT {str(output)!r} exists and nothing is overwritten: name another file"
        raise RecipeError(msg)
    if not output.absolute().parent.is_dir():
        msg = f"the folder of OUTPUT {str(output)!r} does not exist: create it first"
        raise RecipeError(msg)


def _filled(job: Job, source: str, columns: Sequence[str]) -> tuple[pa.Table, pa.Table, str]:
    """Return the rows before and after, and the version of the generator."""
    champion = promotions.champion(job.lake, job.name)
    if champion is None:
        msg = f"no generator {job.name!r} was promoted yet: run `ganmill run` on the recipe first"
        raise BlockedError(msg)
    from gan.errors import ConfigError
    from gan.sample import Sampler
    from gan.tables.codec import TableCodec
    from gan.tables.impute import impute

    sampler = Sampler.load(local_snapshot(job, champion.version, champion.snapshot_digest))
    codec = sampler.snapshot.codec
    if not isinstance(codec, TableCodec):
        msg = f"the champion of {job.name!r} makes {codec.modality}: nulls are filled in tables"
        raise ConfigError(msg)
    read = read_like(job.recipe.source, source, codec.schema)
    for note in read.notes:
        job.reporter.say(f"  {note}")
    job.reporter.say(f"Filling nulls of {read.table.num_rows:,} rows ...")
    filled = impute(sampler, read.table, job.recipe.seed, tuple(columns) or None)
    metadata = {**(read.table.schema.metadata or {}), **read.metadata}
    return read.table, filled.replace_schema_metadata(metadata), champion.version
