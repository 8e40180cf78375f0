"""`ganmill init`: a commented recipe made from the data."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from flows.cli.check import describe, image_shape
from flows.cli.init_table import Wish, table_recipe
from flows.cli.output import DONE, Output
from flows.errors import RecipeError
from flows.job import open_job
from flows.nightly import prepare
from flows.progress import StopSignal, make_reporter
from flows.recipe import Recipe, apply_change, parse_recipe
from storage.sources import Source, open_source
from storage.sources.tables.source import TableSource

LABELS = ("label", "labels", "class", "category", "target", "y")
"""Columns that are taken for the label, in this order."""
SHOWN_CLASSES = 12


def show_recipe(
    uri: str, *, label: str | None, name: str | None, changes: Sequence[str] = ()
) -> int:
    """Read the source, then print a recipe that `ganmill run` accepts.

    Args:
        uri: of the source.
        label: its label column, or the name for the class of image folders; None = guessed.
        name: of generator and data set; None = made from the URI.
        changes: `source.csv.date_format=%d/%m/%Y` and the like, where a table says something in
            two ways.

    Raises:
        SourceError: the source is missing, unfit, or says something in two ways.
        RecipeError: a change is about something else than `source.csv`.
    """
    csv = _csv_changes(changes)
    config = parse_recipe({"name": "init", "source": {"uri": uri, "label": None, "csv": csv}})
    source = open_source(config.source)
    if isinstance(source, TableSource):
        wish = Wish(name=name or guess_name(uri, "table"), label=label, csv=csv)
        Output().line(table_recipe(source, wish))
    else:
        _show_images(uri, source, label=label, name=name)
    return DONE


def _csv_changes(changes: Sequence[str]) -> dict[str, Any]:
    raw: dict[str, Any] = {"source": {"csv": {}}}
    for change in changes:
        if not change.startswith("source.csv."):
            msg = f"init takes --set for source.csv alone, not {change!r}; edit what it prints"
            raise RecipeError(msg)
        apply_change(raw, change)
    csv: dict[str, Any] = raw["source"]["csv"]
    return csv


def _show_images(uri: str, source: Source, *, label: str | None, name: str | None) -> None:
    column, why = (label, "as you said") if label else guess_label(source)
    chosen = name or guess_name(uri, source.modality)
    recipe = parse_recipe({"name": chosen, "source": {"uri": uri, "label": column}}, where="init")
    stop = StopSignal()
    with stop.listening():
        job = open_job(recipe, reporter=make_reporter(), stop=stop)
        prepared = prepare(job)
        found = describe(job, prepared)
    height, width, channels = image_shape(prepared)
    kind = {1: "grey", 3: "RGB", 4: "RGBA"}.get(channels, f"{channels} channels")
    comment = [
        f"{sum(prepared.rows.values()):,} images, {width} wide and {height} high, {kind}",
        f"label: {column} ({why})" if column else f"no label: {why}",
        *_class_lines(found["class_counts"]),
        f"plan: {found['plan']['rows']:,} images in {found['plan']['shards']} shards",
        *found["notes"],
    ]
    Output().line(recipe_text(recipe, comment))


def guess_label(source: Source) -> tuple[str | None, str]:
    """Return the label column of a source of images, None when there is none, and why."""
    description = source.describe()
    if description.kind == "folder":
        return "label", "the folder an image is in"
    for column in LABELS:
        if column in description.columns:
            return column, "by its name"
    known = ", ".join(description.columns) or "none"
    return None, f"no column is called {', '.join(LABELS)}; the columns are {known}"


def guess_name(uri: str, otherwise: str) -> str:
    """Return a name for generator and data set made from the last part of the URI."""
    plain = re.sub(r"[*?\[\]{}]", "", uri.partition(":")[2] if "://" not in uri else uri)
    path = PurePosixPath((plain or uri).removesuffix(".gz"))
    parts = [part for part in (path.stem, path.parent.name) if re.search("[a-z0-9]", part.lower())]
    words = re.sub(r"[^a-z0-9]+", "-", parts[0].lower()).strip("-") if parts else ""
    return words[:63].strip("-") or otherwise


def recipe_text(recipe: Recipe, comment: list[str]) -> str:
    """Return the YAML with what was found in its head."""
    source = recipe.source
    label = "null" if source.label is None else source.label
    balance = "real " if source.label is None else "equal"
    head = "\n".join(f"# {line}" for line in comment)
    return f"""\
{head}

name: {recipe.name}
source:
  uri: {_quoted(source.uri)}
  label: {label}                # what generation is conditioned on; null = unconditional
  confidential: true          # false: reports may show real records beside generated ones
training:
  budget_samples: {recipe.training.budget_samples}      # real images shown; or budget_s
  device: auto                # cuda when there is one, else cpu
gate:
  on_reject: keep-champion    # when refused; or stop: publish nothing; or ask a person
synthesis:
  samples: {recipe.synthesis.samples}
  balance: {balance}              # real | equal | fill (what each class lacks) | fractions
  seed: 0                     # or night: the date, a new version every night
output:
  lake: ./lake                # or s3://bucket/prefix
  format: parquet             # PNG in Parquet; parquet-raw: plain pixels
seed: 0"""


def _class_lines(class_counts: dict[str, list[list[object]]]) -> list[str]:
    totals: dict[object, int] = {}
    for counts in class_counts.values():
        for label, count in counts:
            totals[label] = totals.get(label, 0) + int(str(count))
    if not totals:
        return []
    shown = [f"{label}: {count:,}" for label, count in list(totals.items())[:SHOWN_CLASSES]]
    more = f" and {len(totals) - SHOWN_CLASSES} more" if len(totals) > SHOWN_CLASSES else ""
    return [f"{len(totals)} classes: {', '.join(shown)}{more}"]


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9./:_-]+", text) else "'" + text.replace("'", "''") + "'"
