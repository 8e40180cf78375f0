"""The recipe that `ganmill init` proposes for a table: label, kinds, suspects, constraints."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from flows.cli.check import describe
from flows.job import open_job
from flows.nightly import prepare
from flows.progress import StopSignal, make_reporter
from flows.recipe import Recipe, parse_recipe
from storage.errors import SourceError
from storage.records.schema import Column
from storage.sources.config import CsvConfig, SourceConfig
from storage.sources.tables.dialect import KEY, Dialect
from storage.sources.tables.kinds import Finding, infer, infer_kind
from storage.sources.tables.source import TableSource
from storage.sources.tables.suggest import (
    ConstraintSuggestion,
    PersonalDataSuggestion,
    suggest_constraints,
    suggest_personal_data,
)

LABELS: Final = (
    "label", "labels", "class", "target", "y", "outcome", "diagnosis", "churn", "churned",
    "survived", "default", "fraud", "is_fraud", "response", "category",
)  # fmt: skip
"""Columns that are taken for the label, in this order."""

_NEVER_LABELS: Final = frozenset({"key", "text", "constant", "date", "time", "timestamp"})
_CLASSES: Final = frozenset({"category", "boolean", "integer"})
_FEW_LEVELS: Final = 20
_LEAST_ROWS: Final = 10
_MOST_MISSING: Final = 0.01
_SYMBOLS: Final = {"9": 10, "a": 26, "A": 26, "f": 16, "F": 16}


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the user says to `ganmill init`."""

    name: str
    """Of generator and data set."""
    label: str | None = None
    """The label column; None = guessed."""
    csv: Mapping[str, Any] = field(default_factory=dict)
    """Keys of `source.csv`."""


@dataclass(frozen=True, kw_only=True)
class _Survey:
    """What was found in a table."""

    raw: Mapping[str, Any]
    """The recipe but for its label."""
    dialect: Dialect | None
    label: str | None
    label_why: str
    columns: tuple[Column, ...]
    """Those that stay."""
    dropped: Mapping[str, Finding]
    """Those that the recipe leaves out, free text and columns without a value."""
    suspects: tuple[PersonalDataSuggestion, ...]
    likely: tuple[ConstraintSuggestion, ...]

    @property
    def recipe(self) -> Recipe:
        """The recipe that is proposed."""
        source = {**self.raw["source"], "label": self.label}
        return parse_recipe({**self.raw, "source": source}, where="init")


def table_recipe(source: TableSource, wish: Wish) -> str:
    """Return the YAML of a recipe that `ganmill check` accepts, commented.

    Args:
        source: of rows, opened with what the user says of its CSV.
        wish: what the user says.

    Raises:
        SourceError: the source is unfit, or says something in two ways.
    """
    survey = _surveyed(source, wish)
    try:
        found = _described(survey)
    except SourceError as error:
        if wish.label or survey.label is None:
            raise
        why = f"{survey.label} was tried: {error}"
        survey = replace(survey, label=None, label_why=why)
        found = _described(survey)
    return _text(survey, found)


def _described(survey: _Survey) -> dict[str, Any]:
    """Return what `ganmill check` finds in the data by this recipe."""
    stop = StopSignal()
    with stop.listening():
        job = open_job(survey.recipe, reporter=make_reporter(), stop=stop)
        return describe(job, prepare(job))


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


def _surveyed(source: TableSource, wish: Wish) -> _Survey:
    read = source.read()
    empty = {
        title: Finding(kind="text", why="no value in any row")
        for title, column in zip(read.table.column_names, read.table.columns, strict=True)
        if column.null_count == len(column)
    }
    table = read.table.drop_columns(list(empty))
    looks = {title: infer_kind(title, table.column(title)) for title in table.column_names}
    dropped = {**{t: one for t, one in looks.items() if one.kind == "text"}, **empty}
    kinds = {title: one.kind for title, one in looks.items() if title not in dropped}
    label, why = (wish.label, "as you said") if wish.label else guess_label(table, kinds)
    raw: dict[str, Any] = {
        "name": wish.name,
        "source": {
            "uri": source.uri,
            "csv": dict(wish.csv),
            "columns": [{"name": t, "kind": "text", "text": "drop"} for t in dropped],
        },
        "synthesis": {"balance": "real"},
    }
    recipe = parse_recipe(raw, where="init")
    columns = infer(table, _present(recipe.source, table), recipe.privacy.min_group).columns
    raw["synthesis"]["samples"] = min(recipe.synthesis.samples, *map(_capacity, columns))
    text = read.metadata.get(KEY)
    return _Survey(
        raw=raw,
        dialect=None if text is None else Dialect.from_json(text),
        label=label,
        label_why=why,
        columns=columns,
        dropped=dropped,
        suspects=suggest_personal_data(table),
        likely=suggest_constraints(table, columns),
    )


def _present(config: SourceConfig, table: pa.Table) -> SourceConfig:
    kept = tuple(column for column in config.columns if column.name in table.column_names)
    return config.model_copy(update={"columns": kept})


def _capacity(column: Column) -> int:
    """Return how many different keys a form has; for all other columns more than anyone asks."""
    if column.kind != "key" or column.form is None:
        return 2**62
    places = re.sub(r"\\.", "", column.form)
    return prod(_SYMBOLS.get(symbol, 1) for symbol in places)


def _head(survey: _Survey, found: Mapping[str, Any]) -> list[str]:
    lines = [f"{sum(found['rows'].values()):,} rows of {len(survey.columns)} columns"]
    if survey.dialect is not None:
        lines.append(survey.dialect.describe())
    label = "no label" if survey.label is None else f"label: {survey.label}"
    lines.append(f"{label} ({survey.label_why})")
    plan = found["plan"]
    lines.append(f"plan: {plan['rows']:,} rows in {plan['shards']} shards")
    if survey.suspects:
        lines.append("may be personal (names and shapes of values were looked at, no more):")
        lines += [f"  {one.column}: {one.what}, {one.why}" for one in survey.suspects]
    said = [note for note in found["notes"] if note not in lines]
    return [*lines, *said]


def _text(survey: _Survey, found: Mapping[str, Any]) -> str:
    recipe, source = survey.recipe, survey.recipe.source
    label = f"{survey.label_why}; null = none" if source.label else survey.label_why
    blocks = [
        *(f"# {line}".rstrip() for line in _head(survey, found)),
        "",
        f"name: {recipe.name}",
        "source:",
        f"  uri: {_scalar(source.uri)}",
        f"  label: {_scalar(source.label)}    # {label}",
        "  confidential: true    # false: reports may show real rows beside synthetic ones",
        *_csv_lines(survey.dialect, recipe.source.csv),
        *_column_lines(survey),
        *_constraint_lines(survey.likely),
        "training:",
        f"  budget_samples: {recipe.training.budget_samples}    # real rows shown; or budget_s",
        "  device: auto    # cuda when there is one, else cpu",
        "gate:",
        "  on_reject: keep-champion    # when refused; or stop: publish nothing; or ask a person",
        "synthesis:",
        f"  samples: {recipe.synthesis.samples}",
        "  balance: real    # real | equal | fill (what each class lacks) | fractions",
        "  seed: 0    # or night: the date, a new version every night",
        "output:",
        "  lake: ./lake    # or s3://bucket/prefix",
        "  format: parquet    # or csv: written as the source is",
        "seed: 0",
    ]
    return "\n".join(blocks)


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


def _column_lines(survey: _Survey) -> list[str]:
    suspects = {one.column: one.what for one in survey.suspects}
    lines = ["  columns:    # kind: auto, or no line at all, infers it again"]
    for column in survey.columns:
        form = f", new ones of the form {column.form}" if column.kind == "key" else ""
        lines.append(_column_line({"name": column.name, "kind": column.kind}, column.why + form))
        if column.name in suspects:
            lines[-1] += f"; may be personal: {suspects[column.name]}"
    for name, finding in survey.dropped.items():
        keys = {"name": name, "kind": "text", "text": "drop"}
        personal = f"; may be personal: {suspects[name]}" if name in suspects else ""
        remedy = "" if finding.why.startswith("no value") else "; pattern fills it by its form"
        lines.append(_column_line(keys, f"left out: {finding.why}{remedy}{personal}"))
    return lines


def _column_line(keys: Mapping[str, str], why: str) -> str:
    return f"    - {_flow(keys)}    # {why}"


def _constraint_lines(likely: Sequence[ConstraintSuggestion]) -> list[str]:
    if not likely:
        return []
    lines = ["  # constraints:    # these hold in all rows; uncomment what must hold in new ones"]
    for one in likely:
        keys = {"kind": one.constraint.kind, "columns": list(one.constraint.columns)}
        lines.append(f"  #   - {_flow(keys)}    # {one.why}")
    return lines


def _flow(value: Mapping[str, Any]) -> str:
    text = yaml.safe_dump(
        dict(value),
        default_flow_style=True,
        sort_keys=False,
        allow_unicode=True,
        width=float("inf"),
    )
    return str(text).strip()


def _scalar(value: str | None) -> str:
    return str(yaml.safe_dump(value, allow_unicode=True, width=float("inf"))).split("\n")[0]
