"""What is proposed for a table: its label, what its columns are, what is left out."""

import re
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from storage.records.proposal import Proposal
from storage.records.schema import Column
from storage.sources.config import SourceConfig
from storage.sources.survey import LABELS, Survey, SurveyedColumn
from storage.sources.tables.dialect import KEY, Dialect
from storage.sources.tables.kinds import Finding, infer, infer_kind
from storage.sources.tables.source import TableSource
from storage.sources.tables.suggest import (
    PersonalDataSuggestion,
    suggest_constraints,
    suggest_personal_data,
)

_NEVER_LABELS: Final = frozenset({"key", "text", "constant", "date", "time", "timestamp"})
_CLASSES: Final = frozenset({"category", "boolean", "integer"})
_FEW_LEVELS: Final = 20
_LEAST_ROWS: Final = 10
_MOST_MISSING: Final = 0.01
_SYMBOLS: Final = {"9": 10, "a": 26, "A": 26, "f": 16, "F": 16}
"""Symbol of a key's form → how many characters it stands for."""


def survey_table(source: TableSource, config: SourceConfig, min_group: int) -> Survey:
    """Read the table and say what it is taken for.

    Raises:
        SourceError: the table is unfit, or says something in two ways.
    """
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
    columns = infer(kept, config, min_group).columns
    personal, text = suggest_personal_data(table), read.metadata.get(KEY)
    dialect = None if text is None else Dialect.from_json(text)
    remarks = {one.column: f"; may be personal: {one.what}" for one in personal}
    return Survey(
        label=label,
        label_why=why,
        proposals=(*_left_out({**texts, **empty}, remarks), *_enough_keys(columns)),
        facts=_facts(dialect, personal),
        columns=tuple(_surveyed(column, remarks) for column in columns),
        detected={} if dialect is None else _detected(dialect),
        likely=suggest_constraints(table, columns),
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


def _left_out(dropped: Mapping[str, Finding], remarks: Mapping[str, str]) -> list[Proposal]:
    proposals = []
    for name, finding in dropped.items():
        remedy = "" if finding.why.startswith("no value") else "; pattern fills it by its form"
        why = f"left out: {finding.why}{remedy}{remarks.get(name, '')}"
        value = {"name": name, "kind": "text", "text": "drop"}
        proposals.append(Proposal(setting="source.columns", value=value, why=why))
    return proposals


def _enough_keys(columns: Sequence[Column]) -> list[Proposal]:
    """Propose no more rows than there are different keys of a column's form."""
    capacities = {column.name: _capacity(column) for column in columns}
    name = min(capacities, key=lambda one: capacities[one], default=None)
    if name is None or capacities[name] >= 10_000:
        return []
    why = f"there are no more different keys of the form of {name}"
    return [Proposal(setting="synthesis.samples", value=capacities[name], why=why)]


def _capacity(column: Column) -> int:
    """Return how many different keys a form has; for all other columns more than anyone asks."""
    if column.kind != "key" or column.form is None:
        return 2**62
    places = re.sub(r"\\.", "", column.form)
    return prod(_SYMBOLS.get(symbol, 1) for symbol in places)


def _facts(dialect: Dialect | None, personal: Sequence[PersonalDataSuggestion]) -> tuple[str, ...]:
    facts = [] if dialect is None else [dialect.describe()]
    if personal:
        facts.append("may be personal (names and shapes of values were looked at, no more):")
        facts += [f"  {one.column}: {one.what}, {one.why}" for one in personal]
    return tuple(facts)


def _surveyed(column: Column, remarks: Mapping[str, str]) -> SurveyedColumn:
    form = f", new ones of the form {column.form}" if column.kind == "key" else ""
    why = f"{column.why}{form}{remarks.get(column.name, '')}"
    return SurveyedColumn(name=column.name, kind=column.kind, why=why)


def _detected(dialect: Dialect) -> dict[str, Any]:
    formats = list(dict.fromkeys(dialect.date_formats.values()))
    found: dict[str, Any] = {
        "delimiter": dialect.delimiter,
        "encoding": dialect.encoding,
        "decimal": dialect.decimal,
        "nulls": list(dialect.nulls),
    }
    if len(formats) == 1:
        found["date_format"] = formats[0]
    return found
