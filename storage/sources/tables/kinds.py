"""What the values of every column are: as the recipe says, or inferred.

A kind is inferred from the type of a column, its name and how often its values repeat; the reason
names no rare value. A kind that the recipe gives is checked.
"""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.errors import SourceError
from storage.records.proposal import left_out
from storage.records.schema import Column, Kind
from storage.sources.checks import listed
from storage.sources.config import ColumnConfig, SourceConfig
from storage.sources.tables.column_facts import ColumnFacts, facts_of
from storage.sources.tables.csv_dates import find_format
from storage.sources.tables.standards import is_card, is_iban, standard_form
from storage.sources.tables.text_patterns import (
    FALLBACK,
    loose_shape,
    pattern_of,
    shown_shape,
    words_of_name,
)

MANY_LEVELS: Final = 100
"""A category with so many values is said to have many."""

_REPEATED: Final = 0.5
"""A category has this share of its rows in values that more than one row holds."""

_WORDY: Final = 6.0
_DIFFERENT: Final = 0.3
"""Texts of so many words on average are free text once this share of them is different."""

_FEWEST_KEYS: Final = 20
_LONG_CODE: Final = 6
_SAMPLE: Final = 10_000
_PATTERN_ROWS: Final = 10_000
_SPARE: Final = 1000
_LEAST_CAPACITY: Final = 1_000_000
_KEY_WORDS: Final = frozenset(
    {"id", "ids", "key", "no", "nr", "num", "number", "uuid", "guid", "index", "idx", "pk"}
    | {"rowid", "nummer", "numero", "kennung", "code"}
)
_ID_OWNERS: Final = (
    "account|case|client|contract|customer|device|employee|event|household|invoice|item|kunden|"
    "loan|member|order|passenger|patient|person|policy|product|record|row|sample|session|"
    "student|subject|ticket|trans|transaction|trip|user|visit"
)
_ID_NAME: Final = re.compile(rf"({_ID_OWNERS})_?(id|no|nr|num|number)")
_GROWING: Final = re.compile(r"(?<!\\)9+(?=[^9]*$)")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a column is, and why."""

    kind: Kind
    why: str
    """Names no value."""
    note: str | None = None
    """The end of a sentence that begins with the column; None = nothing to say."""


@dataclass(frozen=True, kw_only=True)
class Inferred:
    """The columns of a table and what they are."""

    columns: tuple[Column, ...]
    """Those that stay, in the order of the table."""
    dropped: tuple[str, ...]
    """Those that the recipe leaves out."""
    notes: tuple[str, ...]
    """Sentences about what was decided."""


def infer(
    table: pa.Table,
    config: SourceConfig,
    min_group: int,
    facts: Mapping[str, ColumnFacts] | None = None,
) -> Inferred:
    """Return the kind of every column, the recipe's where it says one.

    No column is all null. A shape that fewer than `min_group` values have is not shown.

    Args:
        table: the rows, or a sample of them.
        config: the recipe's `source`.
        min_group: `privacy.min_group`.
        facts: of the columns of all rows, where the table is a sample.

    Raises:
        SourceError: the recipe names a column that is not there or a kind that it cannot be, or a
            column of free text is neither dropped nor filled.
    """
    columns = dict(zip(table.column_names, table.columns, strict=True))
    return infer_columns(columns, config, min_group, facts)


def infer_columns(
    table: Mapping[str, pa.ChunkedArray],
    config: SourceConfig,
    min_group: int,
    facts: Mapping[str, ColumnFacts] | None = None,
) -> Inferred:
    """Return the kind of every column as `infer`; the columns may be of different lengths."""
    given = _by_name(config.columns, list(table), config.uri)
    columns: list[Column] = []
    dropped: list[str] = []
    refused: list[tuple[str, Finding]] = []
    notes: list[str] = []
    for name, column in table.items():
        one = given.get(name, ColumnConfig(name=name))
        known = None if facts is None else facts.get(name)
        finding = _finding(name, column, one, config.uri, known)
        if finding.note:
            notes.append(f"the column {name!r} {finding.note}")
        if one.text == "drop":
            dropped.append(name)
        elif finding.kind == "text" and one.text == "refuse":
            refused.append((name, finding))
        else:
            columns.append(_column(name, column, finding, one, min_group, known))
    if refused:
        raise _refusal(refused, config.uri)
    if dropped:
        notes.append(f"left out as the recipe says: {listed(dropped)}")
    return Inferred(columns=tuple(columns), dropped=tuple(dropped), notes=tuple(notes))


def _by_name(
    columns: Sequence[ColumnConfig], names: Sequence[str], uri: str
) -> dict[str, ColumnConfig]:
    for column in columns:
        if column.name not in names:
            near = difflib.get_close_matches(column.name, names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {listed(names)}."
            msg = f"source.columns names {column.name!r}, which {uri!r} does not have; {hint}"
            raise SourceError(msg)
    return {column.name: column for column in columns}


def _finding(
    name: str,
    column: pa.ChunkedArray,
    given: ColumnConfig,
    uri: str,
    facts: ColumnFacts | None,
) -> Finding:
    kind = given.asked_kind
    if kind == "auto" or (given.kind == "auto" and not pa.types.is_string(column.type)):
        return infer_kind(name, column, facts)
    problem = check_kind(column, kind, facts)
    if problem is not None:
        msg = (
            f"The column {name!r} of the source {uri!r} cannot be {kind!r}: {problem}; set "
            "another kind in source.columns, or auto."
        )
        raise SourceError(msg)
    return Finding(kind=kind, why="as the recipe says")


def _column(
    name: str,
    column: pa.ChunkedArray,
    finding: Finding,
    given: ColumnConfig,
    min_group: int,
    facts: ColumnFacts | None,
) -> Column:
    pattern = None
    if finding.kind == "key":
        pattern = key_pattern(column, min_group, None if facts is None else facts.rows)
    elif finding.kind == "text":
        texts = [text for text in column.drop_null().slice(0, _PATTERN_ROWS).to_pylist() if text]
        standard = standard_form(texts, min_group)
        pattern = standard or (pattern_of(texts, min_group) if texts else FALLBACK)
    return Column(
        name=name, kind=finding.kind, why=finding.why, vocabulary=given.vocabulary, form=pattern
    )


def _refusal(refused: Sequence[tuple[str, Finding]], uri: str) -> SourceError:
    named = "; ".join(f"{name!r} is free text, {finding.why}" for name, finding in refused)
    columns = "columns" if len(refused) > 1 else "column"
    entries = ", ".join(f"{{name: {name}, kind: text, text: drop}}" for name, _ in refused)
    return SourceError(
        f"The source {uri!r} has {columns} of free text, which is not synthesized: {named}; say in "
        f"source.columns: [{entries}] to leave it out, text: pattern to fill it with letters and "
        "digits of its form, or kind: category if its values do repeat.",
        proposals=[
            left_out(name, f"{finding.why}; text: pattern fills it by its form")
            for name, finding in refused
        ],
    )


def infer_kind(name: str, column: pa.ChunkedArray, facts: ColumnFacts | None = None) -> Finding:
    """Return what a column is; `facts` are of all rows, where the column is of a sample."""
    facts = facts_of(column) if facts is None else facts
    if facts.distinct + bool(facts.nulls) <= 1:
        return Finding(kind="constant", why=f"one value in all {facts.rows:,} rows")
    for test, simple in _SIMPLE:
        if test(column.type):
            return simple
    if pa.types.is_integer(column.type):
        return _integers(name, facts)
    return _texts(column, facts)


def is_key_name(name: str) -> bool:
    """Return whether a name says that the column names its rows: `customer_id`, `OrderNo`."""
    words = words_of_name(name)
    return bool(words) and (
        words[-1] in _KEY_WORDS
        or words[0] in {"id", "uuid", "guid"}
        or _ID_NAME.fullmatch("".join(words)) is not None
    )


def key_pattern(column: pa.ChunkedArray, min_group: int, rows: int | None = None) -> str:
    """Return the pattern of fresh keys.

    Numbers that grow in length, whole or at the end of a text, get digits enough for a thousand
    times the rows, which are more than the column's where it is of a sample.
    """
    wanted = max(_SPARE * (len(column) if rows is None else rows), _LEAST_CAPACITY)
    if not pa.types.is_integer(column.type):
        texts = _sample(column)
        standard = standard_form(texts, min_group)
        if standard is not None:
            return standard
        pattern = pattern_of(texts, min_group)
        grows = len({len(text) for text in texts}) > 1
        return _GROWING.sub("9" * len(str(wanted)), pattern) if grows else pattern
    digits = len(str(abs(pc.max(column).as_py())))
    most = {8: digits, 16: digits, 32: 9, 64: 18}[column.type.bit_width]
    while digits < most and 9 * 10 ** (digits - 1) < wanted:
        digits += 1
    return "9" * digits


_SIMPLE: Final = (
    (pa.types.is_boolean, Finding(kind="boolean", why="true and false")),
    (pa.types.is_floating, Finding(kind="float", why="numbers with a fraction")),
    (pa.types.is_decimal, Finding(kind="decimal", why="numbers with fixed decimals")),
    (pa.types.is_date, Finding(kind="date", why="days")),
    (pa.types.is_time, Finding(kind="time", why="times of day")),
    (pa.types.is_timestamp, Finding(kind="timestamp", why="points in time")),
)


def _integers(name: str, facts: ColumnFacts) -> Finding:
    distinct, rows = facts.distinct, facts.rows
    unique = distinct == rows and distinct >= _FEWEST_KEYS and facts.least >= 0
    if unique and is_key_name(name):
        return Finding(kind="key", why="whole numbers, all different, and the name says so")
    if unique and facts.counts_up:
        return Finding(kind="key", why="whole numbers that count up by one")
    return Finding(kind="integer", why=f"whole numbers, {distinct:,} different")


def _texts(column: pa.ChunkedArray, facts: ColumnFacts) -> Finding:
    present = column.drop_null()
    rows, distinct, words = facts.present, facts.distinct, facts.words
    dates = _are_dates(present)
    if distinct == rows and not facts.nulls and not dates and _are_keys(present):
        return Finding(kind="key", why="texts of one form, all different")
    wordy = words >= _WORDY and distinct / rows > _DIFFERENT
    note = "holds dates that are not all written in one way, and stay text" if dates else None
    if facts.repeated / rows >= _REPEATED and not wordy:
        many = ", a category of many" if distinct >= MANY_LEVELS else ""
        return Finding(
            kind="category", why=f"{distinct:,} values in {rows:,} rows{many}", note=note
        )
    why = f"{distinct:,} different values in {rows:,} rows, {words:.1f} words each"
    return Finding(kind="text", why=why, note=note)


def _are_keys(present: pa.ChunkedArray) -> bool:
    """Whether distinct texts are of one form: digits, or letters in fixed number.

    Blanks are in none but numbers of accounts and cards, which are written in groups.
    """
    texts = _sample(present)
    if len(present) < _FEWEST_KEYS:
        return False
    if any(re.search(r"[\s@]", text) for text in texts):
        return all(is_iban(text) or is_card(text) for text in texts)
    with_digit = sum(any(c.isdigit() for c in text) for text in texts) == len(texts)
    one_length = len({len(text) for text in texts}) == 1
    if one_length and all(re.fullmatch(r"[0-9a-f-]{8,}|[0-9A-F-]{8,}", text) for text in texts):
        return True
    if not with_digit:
        return one_length and len(texts[0]) >= _LONG_CODE and all(t.isupper() for t in texts)
    same_signs = len({re.sub(r"[0-9A-Za-z]", "x", text) for text in texts}) == 1
    return len({loose_shape(text) for text in texts}) == 1 or (one_length and same_signs)


def _are_dates(present: pa.ChunkedArray) -> bool:
    texts = pc.unique(present.slice(0, _SAMPLE))
    if len(texts) == 0:
        return False
    return find_format(texts, np.ones(len(texts), np.int64)) is not None


def _sample(column: pa.ChunkedArray) -> list[str]:
    """Return up to 10,000 texts, spread over the column."""
    step = max(len(column) // _SAMPLE, 1)
    places = pa.array(np.arange(0, len(column), step))
    return [str(text) for text in column.take(places).to_pylist()]


_TYPES: Final[dict[str, tuple[Callable[[Any], bool], ...]]] = {
    "integer": (pa.types.is_integer,),
    "float": (pa.types.is_floating, pa.types.is_integer, pa.types.is_decimal),
    "decimal": (pa.types.is_decimal,),
    "boolean": (pa.types.is_boolean,),
    "category": (lambda _: True,),
    "date": (pa.types.is_date,),
    "time": (pa.types.is_time,),
    "timestamp": (pa.types.is_timestamp,),
    "constant": (lambda _: True,),
    "key": (pa.types.is_string, pa.types.is_integer),
    "text": (pa.types.is_string,),
}
"""Kind → tests of a type, of which it must pass one."""


def check_kind(column: pa.ChunkedArray, kind: Kind, facts: ColumnFacts | None = None) -> str | None:
    """Return why a column cannot be of a kind, None when it can; shows no value, only a shape.

    `facts` are of all rows, where the column is of a sample.
    """
    present = column.drop_null()
    if not any(test(column.type) for test in _TYPES[kind]):
        if not pa.types.is_string(column.type) or not len(present):
            return f"it is stored as {column.type}"
        shape = shown_shape(present[0].as_py())
        return f"it is stored as text, and its first value has the form {shape}"
    if kind not in ("constant", "key"):
        return None
    facts = facts_of(column) if facts is None else facts
    if kind == "constant":
        several = facts.distinct + bool(facts.nulls) > 1
        return "it has more than one value" if several else None
    if facts.nulls:
        return f"{facts.nulls} rows have none, and every row needs one"
    again = facts.present - facts.distinct
    return f"{again} rows repeat the one of another row" if again else None
