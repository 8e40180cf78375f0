"""`ganmill init`: a commented recipe made from the data.

The source is opened and surveyed, the recipe that follows is tried as `ganmill check` would, and
written as YAML with the reason of every choice. Kinds of data differ in their survey alone, which
is found by the class of the source (`survey`); a kind without one gets the general one.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import singledispatch
from math import prod
from pathlib import PurePosixPath
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from flows.cli.check import describe
from flows.cli.output import Output
from flows.errors import DONE, RecipeError
from flows.job import opened
from flows.nightly import prepare
from flows.progress import make_reporter
from flows.recipe import Recipe, apply_change, parse_recipe
from storage.errors import SourceError
from storage.records.schema import Column
from storage.sources.builder import Source
from storage.sources.config import CsvConfig
from storage.sources.images.source import ImageSource
from storage.sources.open import open_source
from storage.sources.overlap import find_overlap
from storage.sources.tables.dialect import KEY, Dialect
from storage.sources.tables.kinds import Finding, infer, infer_kind
from storage.sources.tables.source import TableSource
from storage.sources.tables.suggest import (
    PersonalDataSuggestion,
    Suggestion,
    suggest_constraints,
    suggest_personal_data,
)

LABELS: Final = (
    "label", "labels", "class", "target", "y", "outcome", "diagnosis", "churn", "churned",
    "survived", "default", "fraud", "is_fraud", "response", "category",
)  # fmt: skip
"""Columns that are taken for the label, in this order."""
LAKES: Final = ("./lake", "./synthetic", "../lake", "../synthetic", "../../synthetic")
"""Proposed for the lake, the first that the source does not overlap."""
SHOWN_CLASSES: Final = 12

_NEVER_LABELS: Final = frozenset({"key", "text", "constant", "date", "time", "timestamp"})
_CLASSES: Final = frozenset({"category", "boolean", "integer"})
_FEW_LEVELS: Final = 20
_LEAST_ROWS: Final = 10
_MOST_MISSING: Final = 0.01
_SYMBOLS: Final = {"9": 10, "a": 26, "A": 26, "f": 16, "F": 16}
"""Symbol of a key's form → how many characters it stands for."""


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What is proposed for a source, and why."""

    label: str | None
    label_why: str
    source: Mapping[str, Any] = field(default_factory=dict)
    """Keys of the recipe's `source`, besides its URI and label."""
    synthesis: Mapping[str, Any] = field(default_factory=dict)
    """Keys of the recipe's `synthesis`."""
    facts: tuple[str, ...] = ()
    """Sentences for the head of the recipe."""
    lines: tuple[str, ...] = ()
    """YAML below `source`."""
    formats: str = "others: see docs/recipe.md"
    """Comment on `output.format`."""


def show_recipe(
    uri: str, *, label: str | None, name: str | None, changes: Sequence[str] = ()
) -> int:
    """Read the source, then print a recipe that `ganmill run` accepts.

    `label` is a column, or the name for the class of image folders. The changes are about
    `source.csv`, where a table says something in two ways.

    Raises:
        SourceError: the source is missing, unfit, or says something in two ways.
        RecipeError: a change is about something else than `source.csv`.
    """
    asked = {"uri": uri, "label": None, "csv": _csv_changes(changes)}
    source = open_source(parse_recipe({"name": "init", "source": asked}).source)
    if source.announcement is not None:
        make_reporter().say(source.announcement)
    raw = {"name": name or guess_name(uri, source.modality), "source": asked}
    found = survey(source, parse_recipe(raw, where="init"))
    if label:
        found = replace(found, label=label, label_why="as you said")
    try:
        described = _described(_recipe(raw, found))
    except SourceError as error:
        if label or found.label is None:
            raise
        found = replace(found, label=None, label_why=f"{found.label} was tried: {error}")
        described = _described(_recipe(raw, found))
    Output().line(_text(_recipe(raw, found), found, described))
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


def guess_name(uri: str, otherwise: str) -> str:
    """Return a name for generator and data set made from the last part of the URI."""
    plain = re.sub(r"[*?\[\]{}]", "", uri.partition(":")[2] if "://" not in uri else uri)
    path = PurePosixPath((plain or uri).removesuffix(".gz"))
    parts = [part for part in (path.stem, path.parent.name) if re.search("[a-z0-9]", part.lower())]
    words = re.sub(r"[^a-z0-9]+", "-", parts[0].lower()).strip("-") if parts else ""
    return words[:63].strip("-") or otherwise


def _recipe(raw: Mapping[str, Any], found: Survey) -> Recipe:
    balance = {"balance": "real" if found.label is None else "equal"}
    source = {**raw["source"], **found.source, "label": found.label}
    lakes = (one for one in LAKES if find_overlap(source["uri"], one) is None)
    output = {"output": {"lake": next(lakes, LAKES[0])}}
    whole = {**raw, "source": source, "synthesis": {**balance, **found.synthesis}, **output}
    return parse_recipe(whole, where="init")


def _described(recipe: Recipe) -> dict[str, Any]:
    """Return what `ganmill check` finds in the data by this recipe."""
    with opened(recipe) as job:
        return describe(job, prepare(job))


@singledispatch
def survey(source: Source, recipe: Recipe) -> Survey:  # noqa: ARG001 - others look at it
    """Return what is proposed for the source of a recipe that names no label.

    Raises:
        SourceError: the source is unfit, or says something in two ways.
    """
    return _label_by_name(source)


@survey.register
def _survey_images(source: ImageSource, recipe: Recipe) -> Survey:  # noqa: ARG001 - the signature
    formats = "PNG in Parquet; parquet-raw: plain pixels"
    if source.description.kind == "folder":
        return Survey(label="label", label_why="the folder an image is in", formats=formats)
    return replace(_label_by_name(source), formats=formats)


def _label_by_name(source: Source) -> Survey:
    columns = source.description.columns
    for column in LABELS:
        if column in columns:
            return Survey(label=column, label_why="guessed by its name")
    why = f"no column is called {', '.join(LABELS[:4])} …; the columns are "
    return Survey(label=None, label_why=why + (", ".join(columns) or "none"))


@survey.register
def _survey_table(source: TableSource, recipe: Recipe) -> Survey:
    read = source.read()
    empty = {
        title: Finding(kind="text", why="no value in any row")
        for title, column in zip(read.table.column_names, read.table.columns, strict=True)
        if column.null_count == len(column)
    }
    table = read.table.drop_columns(list(empty))
    kinds = {title: infer_kind(title, table.column(title)) for title in table.column_names}
    texts = {title: one for title, one in kinds.items() if one.kind == "text"}
    kept = table.drop_columns(list(texts))
    label, why = guess_label(kept, {title: kinds[title].kind for title in kept.column_names})
    columns = infer(kept, recipe.source, recipe.privacy.min_group).columns
    dropped = {**texts, **empty}
    samples = min(recipe.synthesis.samples, *map(_capacity, columns))
    personal, text = suggest_personal_data(table), read.metadata.get(KEY)
    dialect = None if text is None else Dialect.from_json(text)
    return Survey(
        label=label,
        label_why=why,
        source={"columns": [{"name": t, "kind": "text", "text": "drop"} for t in dropped]},
        synthesis={"balance": "real", "samples": samples},
        facts=_table_facts(dialect, personal),
        lines=(
            *_csv_lines(dialect, recipe.source.csv),
            *_column_lines(columns, dropped, personal),
            *_constraint_lines(suggest_constraints(table, columns)),
        ),
        formats="or csv: written as the source is",
    )


def guess_label(table: pa.Table, kinds: Mapping[str, str]) -> tuple[str | None, str]:
    """Return the column that is probably predicted, None when there is none, and why."""
    fit = [name for name, kind in kinds.items() if kind not in _NEVER_LABELS]
    fit = [name for name in fit if table.column(name).null_count <= _MOST_MISSING * len(table)]
    by_name = {name.lower(): name for name in reversed(fit)}
    for wanted in LABELS:
        name = by_name.get(wanted)
        if name is not None and _large_classes(table.column(name), kinds[name]):
            return name, "guessed by its name"
    last = table.column_names[-1]
    if last in fit and kinds[last] in _CLASSES:
        levels = pc.count_distinct(table.column(last)).as_py()
        if 2 <= levels <= _FEW_LEVELS and _large_classes(table.column(last), kinds[last]):
            return last, f"guessed: the last column, with {levels} values"
    return None, "no column looks like one; name the one that a model would predict"


def _large_classes(column: pa.ChunkedArray, kind: str) -> bool:
    """Whether every class has rows enough; columns of quantities have no classes."""
    counts = pc.value_counts(column.drop_null()).field("counts")
    if len(counts) < 2 or kind not in _CLASSES or len(counts) > _FEW_LEVELS:
        return len(counts) >= 2
    return bool(pc.min(counts).as_py() >= _LEAST_ROWS)


def _capacity(column: Column) -> int:
    """Return how many different keys a form has; for all other columns more than anyone asks."""
    if column.kind != "key" or column.form is None:
        return 2**62
    places = re.sub(r"\\.", "", column.form)
    return prod(_SYMBOLS.get(symbol, 1) for symbol in places)


def _table_facts(
    dialect: Dialect | None, personal: Sequence[PersonalDataSuggestion]
) -> tuple[str, ...]:
    facts = [] if dialect is None else [dialect.describe()]
    if personal:
        facts.append("may be personal (names and shapes of values were looked at, no more):")
        facts += [f"  {one.column}: {one.what}, {one.why}" for one in personal]
    return tuple(facts)


def _csv_lines(dialect: Dialect | None, said: CsvConfig) -> list[str]:
    """Return what the user said of the CSV, and what was detected, commented out."""
    if dialect is None:
        return []
    formats = list(dict.fromkeys(dialect.date_formats.values()))
    found: dict[str, Any] = {
        "delimiter": dialect.delimiter,
        "encoding": dialect.encoding,
        "decimal": dialect.decimal,
        "nulls": list(dialect.nulls),
    }
    if len(formats) == 1:
        found["date_format"] = formats[0]
    asked = said.model_dump(mode="json", exclude_none=True)
    lines = ["  csv:    # how the files are written" if asked else "  # csv:    # as detected"]
    lines += [f"    {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in asked.items()]
    mark = "    # " if asked else "  #   "
    for key, value in found.items():
        if key not in asked:
            lines.append(f"{mark}{key}: {json.dumps(value, ensure_ascii=False)}")
    return lines


def _column_lines(
    columns: Sequence[Column],
    dropped: Mapping[str, Finding],
    personal: Sequence[PersonalDataSuggestion],
) -> list[str]:
    remarks = {one.column: f"; may be personal: {one.what}" for one in personal}
    lines = ["  columns:    # kind: auto, or no line at all, infers it again"]
    for column in columns:
        form = f", new ones of the form {column.form}" if column.kind == "key" else ""
        why = f"{column.why}{form}{remarks.get(column.name, '')}"
        lines.append(f"    - {_flow({'name': column.name, 'kind': column.kind})}    # {why}")
    for name, finding in dropped.items():
        remedy = "" if finding.why.startswith("no value") else "; pattern fills it by its form"
        why = f"left out: {finding.why}{remedy}{remarks.get(name, '')}"
        lines.append(f"    - {_flow({'name': name, 'kind': 'text', 'text': 'drop'})}    # {why}")
    return lines


def _constraint_lines(likely: Sequence[Suggestion]) -> list[str]:
    if not likely:
        return []
    lines = ["  # constraints:    # these hold in all rows; uncomment what must hold in new ones"]
    for constraint, why in likely:
        keys = {"kind": constraint.kind, "columns": list(constraint.columns)}
        lines.append(f"  #   - {_flow(keys)}    # {why}")
    return lines


def _text(recipe: Recipe, found: Survey, described: Mapping[str, Any]) -> str:
    """Return the YAML, with what was found in the data in its head."""
    label = f"{found.label_why}; null = none" if found.label else found.label_why
    lines = [
        *(f"# {line}".rstrip() for line in _head(found, described)),
        "",
        f"name: {_scalar(recipe.name)}",
        "source:",
        f"  uri: {_scalar(recipe.source.uri)}",
        f"  label: {_scalar(found.label)}    # {label}",
        "  confidential: true    # false: reports may show real records beside synthetic ones",
        *found.lines,
        "training:",
        f"  budget_samples: {recipe.training.budget_samples}    # real records shown; or budget_s",
        "  device: auto    # cuda when there is one, else cpu",
        "gate:",
        "  on_reject: keep-champion    # when refused; or stop: publish nothing; or ask a person",
        "synthesis:",
        f"  samples: {recipe.synthesis.samples}",
        f"  balance: {recipe.synthesis.balance}    # real | equal | fill (what each class lacks) "
        "| fractions",
        "  seed: 0    # or night: the date, a new version every night",
        "output:",
        f"  lake: {recipe.output.lake}    # or s3://bucket/prefix",
        f"  format: parquet    # {found.formats}",
        "seed: 0",
    ]
    return "\n".join(lines)


def _head(found: Survey, described: Mapping[str, Any]) -> list[str]:
    plan, label = described["plan"], f"label: {found.label}" if found.label else "no label"
    lines = [
        f"{sum(described['rows'].values()):,} {described['kind']}",
        *found.facts,
        f"{label} ({found.label_why})",
        *_class_lines(described["class_counts"]),
        f"plan: {plan['rows']:,} records in {plan['shards']} shards",
    ]
    return [*lines, *(note for note in described["notes"] if note not in lines)]


def _class_lines(class_counts: Mapping[str, list[list[Any]]]) -> list[str]:
    totals: dict[Any, int] = {}
    for counts in class_counts.values():
        for label, count in counts:
            totals[label] = totals.get(label, 0) + count
    if not totals:
        return []
    shown = [f"{label}: {count:,}" for label, count in list(totals.items())[:SHOWN_CLASSES]]
    more = f" and {len(totals) - SHOWN_CLASSES} more" if len(totals) > SHOWN_CLASSES else ""
    return [f"{len(totals)} classes: {', '.join(shown)}{more}"]


PLAIN: Final[dict[str, Any]] = {"allow_unicode": True, "width": float("inf")}


def _flow(value: Mapping[str, Any]) -> str:
    text = yaml.safe_dump(dict(value), default_flow_style=True, sort_keys=False, **PLAIN)
    return str(text).strip()


def _scalar(value: str | None) -> str:
    return str(yaml.safe_dump(value, **PLAIN)).split("\n")[0]
