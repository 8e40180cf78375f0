"""Columns of text, in sources with types, that hold dates or numbers: read as such, as in CSV.

A column is taken so only when every text of it is written again exactly; the shards hold texts like
the source's, and records the values. Dates that are stored as whole numbers are read, too.

Shape legend: U distinct texts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from storage.errors import SourceError
from storage.records.schema import Kind
from storage.sources.checks import listed
from storage.sources.config import SourceConfig
from storage.sources.tables.csv_numbers import Distinct, Marks, decide_marks, distinct
from storage.sources.tables.csv_types import READ_KINDS, AmbiguousDatesError, CsvRules, typed
from storage.sources.tables.csv_write import texts_of, values_of
from storage.sources.tables.dialect import KEY, Dialect, Style, dialect_of
from storage.sources.tables.kinds import infer_kind
from storage.sources.tables.number_formats import digits_of
from storage.sources.tables.source import TableRead
from storage.sources.tables.whole_dates import (
    FEWEST,
    FORMAT,
    are_dates,
    is_whole_date,
    read_days,
    write_days,
)

TEXT: Final = "string"
"""What `Style.stored` says of columns of text."""

_PLAIN: Final = Dialect()


def read_text_columns(read: TableRead, config: SourceConfig) -> TableRead:
    """Return the rows with dates and numbers in place of texts that hold them.

    What CSV files hold is typed already and stays as it is.

    Raises:
        SourceError: the recipe says a kind that the texts are not.
    """
    if KEY in read.metadata:
        return read
    kinds = {one.name: one.asked_kind for one in config.columns if one.asked_kind != "auto"}
    found, notes = _read_texts(read, config, kinds)
    if found:
        shown = ", ".join(
            Dialect(styles={name: style for name, (_, style) in found.items()}).describe_columns()
        )
        shown = shown or listed(list(found))
        notes.append(f"read from text and written as text again: {shown}")
    dated = _whole_dates(read, config.label, kinds)
    if dated:
        notes.append(f"dates as whole numbers, such as 20240131, in {listed(list(dated))}")
    table, styles = read.table, dict[str, Style]()
    for name, (values, style) in (found | dated).items():
        table = table.set_column(table.column_names.index(name), name, values)
        styles[name] = style
    styles |= {
        name: Style(stored=kind) for name, kind in read.stored.items() if name in table.column_names
    }
    if not styles:
        return replace(read, notes=(*read.notes, *notes))
    dialect = Dialect(styles=styles, csv=False)
    metadata = {**read.metadata, KEY: dialect.to_json()}
    return TableRead(table=table, notes=(*read.notes, *notes), metadata=metadata)


def _read_texts(
    read: TableRead, config: SourceConfig, kinds: Mapping[str, Kind]
) -> tuple[dict[str, tuple[pa.ChunkedArray, Style]], list[str]]:
    """Return values and style of the columns of text that hold some, and notes."""
    texts = {
        name: column
        for name, column in zip(read.table.column_names, read.table.columns, strict=True)
        if pa.types.is_string(column.type)
        and column.null_count < len(column)
        and name not in read.stored
        and kinds.get(name, "date") in READ_KINDS
    }
    columns = {name: distinct(name, pc.fill_null(one, "")) for name, one in texts.items()}
    rules = CsvRules(
        marks=_marks(list(columns.values()), config),
        csv=config.csv,
        locate=lambda row: f"row {row} of {config.uri!r}",
        label=config.label,
    )
    found, notes = dict[str, tuple[pa.ChunkedArray, Style]](), list[str]()
    for name, column in columns.items():
        try:
            typed_column = _typed(column, texts[name], rules, kinds.get(name))
        except AmbiguousDatesError as error:
            if name in kinds:
                raise
            notes.append(f"{name!r} stays text: {error}")
            continue
        if typed_column is not None:
            found[name] = typed_column
    return found, notes


def _whole_dates(
    read: TableRead, label: str | None, kinds: Mapping[str, Kind]
) -> dict[str, tuple[pa.ChunkedArray, Style]]:
    """Return the columns of whole numbers that are dates, by their values or by the recipe."""
    return {
        name: (read_days(column), Style(format=FORMAT, stored=str(column.type)))
        for name, column in zip(read.table.column_names, read.table.columns, strict=True)
        if pa.types.is_integer(column.type)
        and name not in {label, *read.stored}
        and kinds.get(name, "date") == "date"
        and are_dates(column, 1 if name in kinds else FEWEST)
    }


def _marks(columns: Sequence[Distinct], config: SourceConfig) -> Marks:
    """Return the marks of numbers; a point where the columns do not agree on them."""
    signed = [one for one in map(digits_of, columns) if one is not None]
    try:
        return decide_marks(columns, ",", config.csv.decimal, signed)
    except SourceError:
        return Marks(decimal=config.csv.decimal or ".")


def _typed(
    column: Distinct, texts: pa.ChunkedArray, rules: CsvRules, kind: Kind | None
) -> tuple[pa.ChunkedArray, Style] | None:
    """Return values and style of a column; None where it stays text.

    Raises:
        AmbiguousDatesError: dates can be read in two ways.
        SourceError: they are not of the kind that the recipe says.
    """
    try:
        result = typed(column, rules, kind)
    except AmbiguousDatesError:
        raise
    except SourceError:
        if kind is None:
            return None
        raise
    stays = (pa.types.is_string, pa.types.is_boolean)
    if result is None or (kind is None and any(test(result.values_U.type) for test in stays)):
        return None
    values = column.rows(result.values_U)
    style = _exact(texts, values, result.style, rules.marks)
    if style is None:
        return None if kind is None else (values, result.style)
    plain = kind is None and pa.types.is_integer(values.type) and style.affixes is None
    are_codes = plain and infer_kind(column.name, texts).kind != "text"
    return None if are_codes else (values, style)


def _exact(
    texts: pa.ChunkedArray, values: pa.ChunkedArray, style: Style, marks: Marks
) -> Style | None:
    """Return the style by which all texts are written again; None when there is none."""
    nulls = () if texts.null_count or not values.null_count else (style.null,)
    style = replace(
        style,
        decimal=style.decimal or (None if marks.decimal == _PLAIN.decimal else marks.decimal),
        thousands=style.thousands or (marks.thousands if style.grouped else None),
        null=nulls[0] if nulls else "",
        nulls=nulls,
        stored=TEXT,
    )
    for candidate in (style, replace(style, short=True)):
        if stored_column(values, _PLAIN, candidate).equals(texts):
            return candidate
    return None


def stored_schema(schema: pa.Schema) -> pa.Schema:
    """Return the types that the source has in place of those of the records; no metadata."""
    dialect = dialect_of(schema)
    for place, field in enumerate(schema):
        stored = dialect.style(field.name).stored
        if stored is not None:
            schema = schema.set(place, field.with_type(pa.type_for_alias(stored)))
    return schema.remove_metadata()


def stored_table(records: pa.Table) -> pa.Table:
    """Return the records as the source holds them."""
    dialect = dialect_of(records.schema)
    for place, name in enumerate(records.column_names):
        style = dialect.style(name)
        if style.stored is not None:
            column = stored_column(records.column(name), dialect, style)
            records = records.set_column(place, name, column)
    return records


def stored_column(values: pa.ChunkedArray, dialect: Dialect, style: Style) -> pa.ChunkedArray:
    """Return a column as the source holds it: texts, or values of another type."""
    if is_whole_date(style, values.type):
        return write_days(values, pa.type_for_alias(str(style.stored)))
    if style.stored != TEXT:
        return values.cast(pa.type_for_alias(str(style.stored)))
    chunks = [texts_of(chunk, dialect, style) for chunk in values.chunks]
    texts = pa.chunked_array(chunks, pa.string())
    return pc.fill_null(texts, style.null) if style.nulls else texts


def records_of(stored: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return what `stored_table` wrote as records of a schema, without metadata.

    Raises:
        ValueError: a text is not of its column's style (also `ArrowInvalid`).
    """
    dialect = dialect_of(schema)
    for place, field in enumerate(schema):
        style = dialect.style(field.name)
        if style.stored is None or field.name not in stored.column_names:
            continue
        column = stored.column(field.name).combine_chunks()
        if style.stored == TEXT:
            if style.nulls:
                missing = pc.equal(column, style.null)
                column = pc.if_else(missing, pa.scalar(None, pa.string()), column)
            column = values_of(column, field.type, dialect, replace(style, null=""))
        if is_whole_date(style, field.type):
            column = read_days(stored.column(field.name))
        stored = stored.set_column(place, field, column.cast(field.type))
    return stored
