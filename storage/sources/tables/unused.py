"""Which settings of a table's source change nothing for the files at hand."""

from collections.abc import Mapping
from typing import Final

import pyarrow as pa

from storage.records.table_metadata import read_table_metadata
from storage.sources.config import SourceConfig
from storage.sources.tables.dialect import KEY, Dialect

_OF_TEXTS: Final = frozenset({"decimal", "nulls", "date_format"})
"""Settings of `source.csv` that hold for texts in other files too."""

_NO_LEVELS: Final = {
    "key": "new keys are made, no value is shown",
    "text": "the column is filled with patterns, no value is shown",
    "constant": "its only value is shown anyway",
}
"""Kind → why `vocabulary` does nothing."""


def unused_settings(config: SourceConfig, schema: pa.Schema) -> Mapping[str, str]:
    """Return the path of every such setting, and why it does nothing.

    Args:
        config: the recipe's `source`.
        schema: of the prepared records.
    """
    return {**_of_csv(config, schema), **_of_columns(config, schema)}


def _of_csv(config: SourceConfig, schema: pa.Schema) -> dict[str, str]:
    said = config.csv.model_dump(exclude_none=True)
    text = (schema.metadata or {}).get(KEY)
    dialect = None if text is None else Dialect.from_json(text)
    if dialect is None or not dialect.csv:
        texts = dialect is not None and any(
            one.stored == "string" for one in dialect.styles.values()
        )
        names = [name for name in said if not (texts and name in _OF_TEXTS)]
        return {f"source.csv.{name}": "the source is no CSV" for name in names}
    if "date_format" in said and not dialect.date_formats:
        return {"source.csv.date_format": "no column holds dates"}
    return {}


def _of_columns(config: SourceConfig, schema: pa.Schema) -> dict[str, str]:
    metadata = read_table_metadata(schema)
    kinds = {} if metadata is None else {one.name: one.kind for one in metadata.columns}
    found = {}
    for column in config.columns:
        kind, place = kinds.get(column.name), f"source.columns {column.name!r}"
        if column.text == "drop" and column.vocabulary == "public":
            found[f"{place} vocabulary"] = "the column is left out"
        elif column.vocabulary == "public" and kind in _NO_LEVELS:
            found[f"{place} vocabulary"] = _NO_LEVELS[kind]
        if column.text == "pattern" and kind is not None and kind != "text":
            found[f"{place} text"] = f"its kind is {kind}, and patterns are for text"
        if column.text == "drop" and column.kind not in ("auto", "text"):
            found[f"{place} kind"] = "the column is left out"
    return found
