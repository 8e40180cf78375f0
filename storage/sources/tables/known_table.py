"""More rows of a table that is known already, such as those whose nulls shall be filled.

They are read with its types, and written in its styles.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from storage.errors import SettingsError, SourceError
from storage.masking import check_no_secret
from storage.records.schema import Kind
from storage.sources.config import ColumnConfig, SourceConfig
from storage.sources.open import open_source
from storage.sources.tables.dialect import KEY, Dialect, dialect_of
from storage.sources.tables.source import TableRead, TableSource, check_distinct_names
from storage.sources.tables.text_columns import read_text_columns
from storage.sources.tables.types import plain_table
from storage.stores.settings import StorageProfile


def read_like(
    config: SourceConfig, uri: str, schema: pa.Schema, profile: StorageProfile | None = None
) -> TableRead:
    """Return the rows of CSV or Parquet files with the types of a known table.

    Columns that the schema does not have come along as they are.

    Args:
        config: of the known table's source; what it says of storage and CSV holds here too.
        uri: a file, folder or glob, local or on S3.
        schema: names and types of the known table.
        profile: credentials; None = those that `config.storage` names.

    Raises:
        SourceError: there are no such rows, a column is missing, or a value is of another type.
        SettingsError, LakeError: as `open_source`.
    """
    source, wanted = open_rows(config, uri, schema, profile)
    read = source.read()
    check_distinct_names(uri, read.table.column_names)
    absent = [name for name in schema.names if name not in read.table.column_names]
    if absent:
        msg = (
            f"The source {uri!r} lacks the column {absent[0]!r} of the known table; add it, empty "
            "where it is not known."
        )
        raise SourceError(msg)
    read = typed_rows(read, wanted)
    table = read.table
    for place, name in enumerate(table.column_names):
        if name in schema.names:
            kind = schema.field(name).type
            table = table.set_column(place, name, _cast(table[name], kind, name, uri))
    return replace(read, table=table, metadata=_with_known_styles(read.metadata, schema))


def open_rows(
    config: SourceConfig, uri: str, schema: pa.Schema, profile: StorageProfile | None = None
) -> tuple[TableSource, SourceConfig]:
    """Return a source of rows, and how it is read so that the known columns get their types.

    Raises:
        SourceError: there are no rows.
        SettingsError, LakeError: as `open_source`.
    """
    wanted = rows_config(config, uri, schema)
    source = open_source(wanted, profile)
    if not isinstance(source, TableSource):
        msg = f"The source {uri!r} holds {source.modality}; give CSV or Parquet files of rows."
        raise SourceError(msg)
    return source, wanted


def rows_config(config: SourceConfig, uri: str, schema: pa.Schema) -> SourceConfig:
    """Return how rows are read so that the columns of a known table get their types.

    Raises:
        SettingsError: the URI holds a secret.
    """
    try:
        check_no_secret(uri, "The URI of the rows")
    except ValueError as error:
        msg = f"{error}."
        raise SettingsError(msg) from None
    return SourceConfig(
        uri=uri,
        allow_synthetic=True,
        storage=config.storage,
        modality="tables",
        label=None,
        csv=config.csv,
        columns=tuple(_column_config(field) for field in schema),
    )


def typed_rows(read: TableRead, wanted: SourceConfig) -> TableRead:
    """Return the rows with plain types, and values in place of texts that hold them."""
    table, notes = plain_table(read.table, wanted.uri)
    return read_text_columns(replace(read, table=table, notes=(*read.notes, *notes)), wanted)


def _with_known_styles(metadata: Mapping[bytes, bytes], schema: pa.Schema) -> Mapping[bytes, bytes]:
    """Return the metadata with the styles of the known table for columns without one."""
    known = dialect_of(schema).styles
    text = metadata.get(KEY)
    dialect = Dialect(csv=False) if text is None else Dialect.from_json(text)
    stored = {name: style for name, style in known.items() if style.stored is not None}
    if not stored:
        return metadata
    styles = {**stored, **dialect.styles}
    return {**metadata, KEY: replace(dialect, styles=styles).to_json()}


def _column_config(field: pa.Field) -> ColumnConfig:
    """Return the configuration with which CSV is read as the known column's type."""
    tests: tuple[tuple[Any, Kind], ...] = (
        (pa.types.is_integer, "integer"),
        (pa.types.is_floating, "float"),
        (pa.types.is_decimal, "decimal"),
        (pa.types.is_boolean, "boolean"),
        (pa.types.is_date, "date"),
        (pa.types.is_time, "time"),
        (pa.types.is_timestamp, "timestamp"),
    )
    for test, kind in tests:
        if test(field.type):
            return ColumnConfig(name=field.name, kind=kind)
    return ColumnConfig(name=field.name, kind="text", text="pattern")


def _cast(column: pa.ChunkedArray, kind: pa.DataType, name: str, uri: str) -> pa.ChunkedArray:
    try:
        return column.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        msg = (
            f"The column {name!r} of the source {uri!r} is {column.type} and cannot be read as "
            f"{kind}, which it is in the known table; correct its values."
        )
        raise SourceError(msg) from error
