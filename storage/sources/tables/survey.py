"""What is proposed for a table: its label, what its columns are, what is left out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.records.proposal import Proposal, left_out
from storage.records.schema import Column
from storage.records.text_patterns import parse_form
from storage.sources.checks import MAX_SKIPPED_FRACTION
from storage.sources.config import SourceConfig
from storage.sources.survey import LABELS, Survey, SurveyedColumn
from storage.sources.tables.dialect import KEY, Dialect
from storage.sources.tables.kinds import Finding, infer, infer_kind
from storage.sources.tables.label import read_classes
from storage.sources.tables.source import TableRead, unusable_values, why_unusable
from storage.sources.tables.structure.find import Structure, find_structure
from storage.sources.tables.suggest import (
    PersonalDataSuggestion,
    Suggestion,
    suggest_constraints,
    suggest_personal_data,
)
from storage.sources.tables.text_columns import read_text_columns
from storage.sources.tables.text_patterns import words_of_name

GROUPED: Final = "source.split.group_by"
"""What is proposed where rows belong to entities, and no column says the split itself."""

_NEVER_LABELS: Final = frozenset({"key", "text", "constant", "date", "time", "timestamp"})
_CLASSES: Final = frozenset({"category", "boolean", "integer"})
_FEW_HINDERING: Final = 0.05
"""Of all rows; more of them are no mistake."""
_FEW_LEVELS: Final = 20
_LEAST_ROWS: Final = 10
_MOST_UNLABELLED: Final = 0.5
_TRAIN_SHARE: Final = 0.6
"""Of the rows that are not held out, where the recipe does not say it."""

_LEAST_SHOWN: Final = 0.1
"""A category of which less than this share of the rows may be shown is left out."""

_CHANCE: Final = 10.0
"""So many equal pairs would be expected of two columns that have nothing to do with each other."""

_FEWEST_ENTITIES: Final = 20
_ROWS_OF_ENTITY: Final = 2
_ENTITIES: Final = (
    "patient", "person", "subject", "customer", "client", "user", "member", "student", "employee",
    "passenger", "participant", "respondent", "household", "kunde", "account", "device", "machine",
    "sensor", "vehicle", "policy", "contract", "loan", "case", "session", "visit", "trip", "order",
)  # fmt: skip
"""What rows are about, those first that are rather whole persons."""

_ID_WORDS: Final = frozenset({"id", "no", "nr", "num", "number", "key", "uuid"})


def survey_table(read: TableRead, config: SourceConfig, min_group: int) -> Survey:
    """Say what a table is taken for.

    Raises:
        SourceError: the table is unfit, or says something in two ways.
    """
    read = read_text_columns(read, config)
    dropped = _without_values(read.table)
    table = read.table.drop_columns(list(dropped))
    given = {one.name: one.asked_kind for one in config.columns if one.asked_kind != "auto"}
    kinds = {title: infer_kind(title, table.column(title)) for title in table.column_names}
    kinds |= {n: Finding(kind=k, why="as you said") for n, k in given.items() if n in kinds}
    dropped |= {t: one for t, one in kinds.items() if one.kind == "text" and t not in given}
    kept = table.select([title for title in table.column_names if title not in dropped])
    label, why = guess_label(kept, {title: kinds[title].kind for title in kept.column_names})
    if config.label is not None:
        label, why = config.label, "as you said"
    others = kept.select([title for title in kept.column_names if title not in {label, *given}])
    divided = config.split.column is not None or config.split.group_by is not None
    entity = None if divided else find_entity(others, kinds)
    if entity is not None:
        dropped[entity.name] = Finding(kind="text", why=entity.why_dropped)
    dropped |= _mostly_rare(others, kinds, min_group, dropped)
    told = config.model_copy(update={"label": label})
    kept = kept.select([title for title in kept.column_names if title not in dropped])
    read = read_classes(replace(read, table=kept), told, min_group)
    columns = infer(read.table, _of(told, read.table), min_group).columns
    personal, text = suggest_personal_data(table), read.metadata.get(KEY)
    dialect = None if text is None else Dialect.from_json(text)
    remarks = {one.column: f"; may be personal: {one.what}" for one in personal}
    return Survey(
        label=label,
        label_why=why,
        proposals=(
            *_grouped(entity),
            *_without_label(table, label),
            *_left_out(dropped, remarks),
            *enough_keys(columns),
        ),
        facts=_facts(dialect, personal, _alone(table, kinds, entity)),
        columns=tuple(_surveyed(column, remarks) for column in columns),
        detected=detected(dialect) if dialect is not None and dialect.csv else {},
        likely=_likely(read.table, columns, told, min_group),
        formats="or csv: written as the source is",
    )


def _likely(
    table: pa.Table, columns: Sequence[Column], config: SourceConfig, min_group: int
) -> tuple[Suggestion, ...]:
    """Return what seems to hold and is not kept unasked."""
    structure = Structure()
    if config.structure != "off":
        structure = find_structure(table, columns, label=config.label, min_group=min_group)
    rules = [rule.constraint for rule in structure.kept]
    stated = structure.kept if config.structure == "named" else ()
    return (
        *((rule.constraint, rule.why) for rule in stated),
        *suggest_constraints(table, columns, rules),
    )


def _of(config: SourceConfig, table: pa.Table) -> SourceConfig:
    """Return the config without what it says of columns that the table has not."""
    kept = tuple(column for column in config.columns if column.name in table.column_names)
    return config.model_copy(update={"columns": kept})


@dataclass(frozen=True, kw_only=True)
class Entity:
    """A column that says of whom or what a row is, where each has several rows."""

    name: str
    values: int
    rows: int

    @property
    def why_grouped(self) -> str:
        """Why the split shall go by it."""
        return (
            f"{self.values:,} values in {self.rows:,} rows name whose row it is: all rows of one "
            "go to the same side of the split, so that the holdout is of others"
        )

    @property
    def why_dropped(self) -> str:
        """Why no synthetic row has it."""
        return "it names whose row it is, and every row is made by itself"


def find_entity(table: pa.Table, kinds: Mapping[str, Finding]) -> Entity | None:
    """Return the column whose values repeat over rows like the id of a person; None without one.

    Its name says so, or it names each row together with a date or a point in time.
    """
    moments = [n for n in table.column_names if kinds[n].kind in ("date", "timestamp")]
    found: list[tuple[int, Entity]] = []
    for name in table.column_names:
        if kinds[name].kind not in ("category", "integer") or table.column(name).null_count:
            continue
        values = pc.count_distinct(table.column(name)).as_py()
        if values < _FEWEST_ENTITIES or len(table) < _ROWS_OF_ENTITY * values:
            continue
        rank = entity_rank(name)
        panel = any(_names_rows(table.select([name, moment])) for moment in moments)
        if rank is not None or panel:
            order = len(_ENTITIES) if rank is None else rank
            found.append((order, Entity(name=name, values=values, rows=len(table))))
    return min(found, key=lambda one: one[0])[1] if found else None


def entity_rank(name: str) -> int | None:
    """Return how probably a name is that of an entity's id, 0 first; None when it is none."""
    words = [word for word in words_of_name(name) if word not in _ID_WORDS]
    joined = "".join(words_of_name(name))
    for rank, entity in enumerate(_ENTITIES):
        if words == [entity] or joined in {f"{entity}{word}" for word in _ID_WORDS}:
            return rank
    return None


def _names_rows(pair: pa.Table) -> bool:
    """Whether two columns together are different in every row, and would hardly be by chance."""
    name, moment = pair.column_names
    different = len(pair.group_by([name, moment]).aggregate([])) == len(pair)
    return different and expected_pairs(pair, [name], moment) >= _CHANCE


def expected_pairs(table: pa.Table, names: Sequence[str], time: str) -> float:
    """Return how many pairs of rows would agree by chance in columns and in their moment.

    Of two rows at one moment both are of entity e with probability p_e squared; moments that are
    all different say nothing.
    """
    at_once = table.group_by([time]).aggregate([([], "count_all")]).column("count_all").to_numpy()
    each = table.group_by(list(names)).aggregate([([], "count_all")]).column("count_all").to_numpy()
    pairs = float((at_once.astype(np.float64) * (at_once - 1)).sum()) / 2
    return pairs * float(((each / len(table)) ** 2).sum())


def _grouped(entity: Entity | None) -> list[Proposal]:
    if entity is None:
        return []
    return [Proposal(setting=GROUPED, value=entity.name, why=entity.why_grouped)]


def _without_values(table: pa.Table) -> dict[str, Finding]:
    """Return the columns that hold nothing, or unusable values, and why they are left out."""
    empty = {
        title: "no value in any row"
        for title, column in zip(table.column_names, table.columns, strict=True)
        if column.null_count == len(column)
    }
    whys = {**empty, **why_unusable(unusable_values(table))}
    return {name: Finding(kind="text", why=why) for name, why in whys.items()}


def _mostly_rare(
    table: pa.Table, kinds: Mapping[str, Finding], min_group: int, dropped: Collection[str]
) -> dict[str, Finding]:
    """Return the categories of which hardly any value may be shown, and why they are of no use."""
    found = {}
    for name in table.column_names:
        if kinds[name].kind != "category" or name in dropped:
            continue
        counts = pc.value_counts(table.column(name).drop_null()).field("counts").to_numpy()
        shown = counts[counts >= min_group / _TRAIN_SHARE]
        if shown.sum() < _LEAST_SHOWN * counts.sum():
            why = (
                f"{kinds[name].why}, of which {len(shown):,} are held by {min_group} rows of train "
                "and may be shown; vocabulary: public instead shows all, text: pattern fills it by "
                "its form"
            )
            found[name] = Finding(kind="text", why=why)
    return found


def _without_label(table: pa.Table, label: str | None) -> list[Proposal]:
    if label not in table.column_names:
        return []
    missing = table.column(label).null_count
    if missing <= MAX_SKIPPED_FRACTION * len(table):
        return []
    why = (
        f"{missing:,} of {len(table):,} rows have no {label} and are left out; label: null keeps "
        "them"
    )
    return [Proposal(setting="source.label_nulls", value="drop", why=why)]


def guess_label(table: pa.Table, kinds: Mapping[str, str]) -> tuple[str | None, str]:
    """Return the column that is probably predicted, None when there is none, and why."""
    fit = [name for name, kind in kinds.items() if kind not in _NEVER_LABELS]
    missing = {name: table.column(name).null_count / max(len(table), 1) for name in fit}
    by_name = {name.lower(): name for name in reversed(fit) if missing[name] < _MOST_UNLABELLED}
    for wanted in LABELS:
        name = by_name.get(wanted)
        if name is not None and _large_classes(table.column(name), kinds[name]):
            return name, "guessed by its name"
    last = table.column_names[-1] if table.num_columns else None
    if last in fit and missing[last] <= MAX_SKIPPED_FRACTION and kinds[last] in _CLASSES:
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
        remedy = "; text: pattern fills it by its form" if "words each" in finding.why else ""
        proposals.append(left_out(name, f"{finding.why}{remedy}{remarks.get(name, '')}"))
    return proposals


def enough_keys(columns: Sequence[Column]) -> list[Proposal]:
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
    return prod(len(texts) for texts in parse_form(column.form))


def _alone(table: pa.Table, kinds: Mapping[str, Finding], entity: Entity | None) -> tuple[str, ...]:
    """Say that rows of one entity are made each by itself, and which rows hinder series."""
    if entity is None:
        return ()
    facts = [
        f"rows of one {entity.name} are made independently of each other: what happens to it over "
        "time is not modelled"
    ]
    for time in (name for name in table.column_names if kinds[name].kind in ("date", "timestamp")):
        timed = table.select([entity.name, time]).filter(table.column(time).is_valid())
        once = len(timed.group_by(timed.column_names).aggregate([]))
        hindering = len(table) - once
        if 0 < hindering <= _FEW_HINDERING * len(table):
            facts.append(
                f"{hindering:,} of {len(table):,} rows have no {time}, or one that another row of "
                f"the same {entity.name} has; without them these may be series: source.entity "
                f"{entity.name}, source.time {time}"
            )
    return tuple(facts)


def _facts(
    dialect: Dialect | None, personal: Sequence[PersonalDataSuggestion], alone: Sequence[str]
) -> tuple[str, ...]:
    facts = [dialect.describe()] if dialect is not None and dialect.csv else []
    facts += alone
    if personal:
        facts.append("may be personal (names and shapes of values were looked at, no more):")
        facts += [f"  {one.column}: {one.what}, {one.why}" for one in personal]
    return tuple(facts)


def _surveyed(column: Column, remarks: Mapping[str, str]) -> SurveyedColumn:
    form = f", new ones of the form {column.form}" if column.kind == "key" else ""
    why = f"{column.why}{form}{remarks.get(column.name, '')}"
    return SurveyedColumn(name=column.name, kind=column.kind, why=why)


def detected(dialect: Dialect) -> dict[str, Any]:
    """Return what was detected of CSV files, as `source.csv` says it."""
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
