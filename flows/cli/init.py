"""`ganmill init`: a commented recipe made from the data."""

import re
from pathlib import PurePosixPath

from flows.cli.check import describe, image_shape
from flows.cli.exits import DONE
from flows.cli.output import Output
from flows.interrupt import StopSignal
from flows.job import open_job
from flows.progress import make_reporter
from flows.recipe import Recipe
from flows.recipe_file import parse_recipe
from flows.stages.prepare import prepare
from storage.sources import open_source
from storage.sources.config import SourceConfig

LABELS = ("label", "labels", "class", "category", "target", "y")
"""Columns that are taken for the label, in this order."""
SHOWN_CLASSES = 12


def show_recipe(uri: str, *, label: str | None, name: str | None) -> int:
    """Read the source, then print a recipe that `ganmill run` accepts."""
    column, why = (label, "as you said") if label else guess_label(uri)
    chosen = name or guess_name(uri)
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
    return DONE


def guess_label(uri: str) -> tuple[str | None, str]:
    """Return the label column of a source, None when there is none, and why.

    Raises:
        SourceError: the source is missing or unfit.
    """
    description = open_source(SourceConfig(uri=uri)).describe()
    if description.kind == "folder":
        return "label", "the folder an image is in"
    for column in LABELS:
        if column in description.columns:
            return column, "by its name"
    known = ", ".join(description.columns) or "none"
    return None, f"no column is called {', '.join(LABELS)}; the columns are {known}"


def guess_name(uri: str) -> str:
    """Return a name for generator and data set made from the last part of the URI."""
    plain = re.sub(r"[*?\[\]{}]", "", uri.partition(":")[2] if "://" not in uri else uri)
    path = PurePosixPath(plain or uri)
    parts = [part for part in (path.stem, path.parent.name) if re.search("[a-z0-9]", part.lower())]
    words = re.sub(r"[^a-z0-9]+", "-", parts[0].lower()).strip("-") if parts else ""
    return words[:63].strip("-") or "images"


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
  on_reject: keep-champion    # or stop: publish nothing when the new generator is refused
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
