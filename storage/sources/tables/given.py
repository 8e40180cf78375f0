"""Rows that somebody brings, as rows of a known table: its columns, its types, nothing else.

| they have | becomes |
|---|---|
| floats that are whole, as pandas makes them of integers with nulls | whole numbers |
| other widths of integers and floats, decimals, dates or text for any of these | the known type |
| numbers where the known column holds text | their text |
| text that is the source's word for a missing value, such as `?` | null, which is said |
| more decimals than the known column | rounded, which is said |
| more columns, such as an id of the row | left out, which is said |
| no key, constant or replaced text | left out on the real side too, which is said |
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from storage.errors import SourceError
from storage.records.table_metadata import read_table_metadata, without_columns
from storage.sources.checks import MAX_SKIPPED_FRACTION, first_few, listed
from storage.sources.config import CsvConfig, SourceConfig
from storage.sources.given import GivenRecords, GivenRequest, said_of_data
from storage.sources.tables.dialect import KEY, dialect_of
from storage.sources.tables.known_table import open_rows, typed_rows
from storage.sources.tables.source import TableRead, TableSource, check_distinct_names
from storage.stores.settings import StorageProfile

SAYS_NOTHING: Final = frozenset({"key", "text", "constant"})
"""Kinds of columns that data may lack: no value of them describes a row."""


Opener = Callable[
    [SourceConfig, str, pa.Schema, StorageProfile | None], tuple[TableSource, SourceConfig]
]
"""Opens rows of a known table, and says how they are read."""


def read_given_rows(request: GivenRequest, opener: Opener = open_rows) -> GivenRecords:
    """Return the rows in the form of the known ones.

    Args:
        request: what is to be read, and as what.
        opener: of the rows; other modalities have rows in files of their own.

    Raises:
        SourceError: there are no such rows, a column is missing, or a value is of another type.
        SettingsError, LakeError: as `open_source`.
    """
    try:
        return _read(request, request.config, opener)
    except SourceError:
        if request.config.csv == CsvConfig():
            raise
    plain = request.config.model_copy(update={"csv": CsvConfig()})
    return _read(request, plain, opener)


def _read(request: GivenRequest, config: SourceConfig, opener: Opener) -> GivenRecords:
    schema, uri = request.known.schema, request.uri
    with said_of_data():
        source, wanted = opener(config, uri, schema, request.profile)
        raw = source.read()
        check_distinct_names(uri, raw.table.column_names)
        found = set(raw.table.column_names)
        present = [name for name in schema.names if name in found]
        absent = [name for name in schema.names if name not in found]
        _check_present(request, absent, raw.table.column_names)
        known_nulls = _without_null_words(_selected(raw, present), schema)
        read = typed_rows(known_nulls, wanted)
        source.verify_unchanged()
    digest = source.digest
    known = without_columns(schema, absent)
    columns, rounded = [], []
    for field in known:
        column, is_rounded = _as_known(read.table[field.name], field, uri)
        columns.append(column)
        rounded += [field.name] * is_rounded
    table, unlabelled = _labelled(pa.table(columns, schema=known), request.config)
    if request.progress is not None:
        request.progress(len(table), len(table))
    extra = [name for name in raw.table.column_names if name not in schema.names]
    notes = [
        f"columns that the source does not have are left out: {first_few(list(map(repr, extra)))}"
        if extra
        else "",
        f"the data set lacks {listed(absent)}, which says nothing of a row: it is left out on the "
        "real side too"
        if absent
        else "",
        f"rounded to the decimals of the source: {listed(rounded)}" if rounded else "",
        unlabelled,
    ]
    return GivenRecords(
        records=table,
        digest=digest,
        absent=tuple(absent),
        notes=(*read.notes, *filter(None, notes)),
    )


def _selected(read: TableRead, names: Sequence[str]) -> TableRead:
    stored = {name: kind for name, kind in read.stored.items() if name in names}
    return replace(read, table=read.table.select(list(names)), stored=stored)


def _without_null_words(read: TableRead, schema: pa.Schema) -> TableRead:
    """Return the rows with nulls where a text is what the source writes for a missing value.

    Who read the source's CSV with another reader has such words as values, and writes them so.
    """
    dialect, table, changed = dialect_of(schema), read.table, []
    for place, name in enumerate(table.column_names):
        style, column = dialect.style(name), table.column(name)
        words = {style.null, *style.nulls} - {""}
        words |= {""} if KEY in (schema.metadata or {}) and dialect.csv else set()
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if not words or not (
            pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        ):
            continue
        stands = pc.is_in(column, value_set=pa.array(sorted(words), column.type))
        if pc.any(stands).as_py():
            changed.append(name)
            column = pc.if_else(stands, pa.scalar(None, column.type), column)
            table = table.set_column(place, name, column)
    if not changed:
        return read
    note = f"read as missing values, as the source writes them: in {listed(changed)}"
    return replace(read, table=table, notes=(*read.notes, note))


def _check_present(request: GivenRequest, absent: Sequence[str], found: Sequence[str]) -> None:
    """Check that nothing is missing that describes a row, or that a constraint is about.

    Raises:
        SourceError: something is.
    """
    metadata = read_table_metadata(request.known.schema)
    described = () if metadata is None else metadata.columns
    dispensable = {column.name for column in described if column.kind in SAYS_NOTHING}
    constraints = () if metadata is None else metadata.constraints
    dispensable -= {name for one in constraints for name in one.columns}
    missing = [name for name in absent if name not in dispensable]
    if missing:
        msg = (
            f"The data set {request.uri!r} lacks {listed(missing)} that the source "
            f"{request.config.uri!r} has, and has {first_few(list(map(repr, found)))}; add "
            f"{'it' if len(missing) == 1 else 'them'} under the names of the source."
        )
        raise SourceError(msg)


def _as_known(column: pa.ChunkedArray, field: pa.Field, uri: str) -> tuple[pa.ChunkedArray, bool]:
    """Return a column with the known type, and whether decimals were rounded for it.

    Raises:
        SourceError: a value is none of that type.
    """
    kind = field.type
    try:
        if not pa.types.is_decimal(kind):
            return column.cast(kind), False
        if pa.types.is_floating(column.type):
            shown = column.cast(kind)
            exact = pc.all(pc.equal(shown.cast(column.type), column)).as_py()
            return shown, exact is False
        wide = pa.decimal128(38, max(kind.scale, getattr(column.type, "scale", 0)))
        widened = column.cast(wide)
        rounded = pc.round(widened, kind.scale, "half_towards_infinity")
        changed = pc.any(pc.not_equal(rounded, widened)).as_py() is True
        return rounded.cast(pa.decimal128(38, kind.scale)).cast(kind), changed
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        msg = (
            f"The column {field.name!r} of the data set {uri!r} is {column.type} and cannot be "
            f"read as {kind}, which it is in the source ({str(error).splitlines()[0]}); correct "
            "its values."
        )
        raise SourceError(msg) from error


def _labelled(table: pa.Table, config: SourceConfig) -> tuple[pa.Table, str]:
    """Leave out rows without a label as the source's are; where they are many, they stay.

    A known row always has a label, so the judge blocks rows that stay.
    """
    label = config.label
    nulls = 0 if label is None else table[label].null_count
    few = nulls <= MAX_SKIPPED_FRACTION * len(table)
    if label is None or not nulls or not (few or config.label_nulls == "drop"):
        return table, ""
    note = f"left out, as they have no {label!r}: {nulls:,} of {len(table):,} rows"
    return table.filter(table[label].is_valid()), note
