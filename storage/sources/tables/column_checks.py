"""Whether a table has the columns that the recipe names, and values that can be learned from."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from storage.errors import SourceError
from storage.sources.config import SourceConfig
from storage.sources.source import missing_column

_SHOWN: Final = 3


def check_distinct_names(uri: str, names: Sequence[str]) -> None:
    """Check that no two columns have one name.

    Raises:
        SourceError: two have.
    """
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        msg = (
            f"The source {uri!r} has more than one column of the name {_listed(twice)}; give "
            "every column a name of its own."
        )
        raise SourceError(msg)


def check_named(config: SourceConfig, names: Sequence[str]) -> None:
    """Check that every column is there that the recipe names.

    Raises:
        SourceError: one is not; the message says where the recipe names it and lists the columns.
    """
    if config.label is not None and config.label not in names:
        raise missing_column(config.uri, config.label, names)
    wanted = [
        ("source.split.column", config.split.column),
        ("source.split.group_by", config.split.group_by),
        *(("source.columns", column.name) for column in config.columns),
        *(("source.constraints", name) for one in config.constraints for name in one.columns),
    ]
    for place, name in wanted:
        if name is not None and name not in names:
            raise missing_column(config.uri, name, names, place=place)


def check_kept(config: SourceConfig, names: Sequence[str]) -> None:
    """Check that what the recipe drops is needed nowhere.

    Args:
        config: the recipe's `source`.
        names: the columns that stay.

    Raises:
        SourceError: the label or a constraint needs a column that is left out.
    """
    needed = [
        ("source.label", config.label),
        *(("source.constraints", name) for one in config.constraints for name in one.columns),
    ]
    for place, name in needed:
        if name is not None and name not in names:
            msg = (
                f"The column {name!r} of the source {config.uri!r} is needed by {place} and left "
                "out by source.columns or source.split.column; keep it, or take it out of "
                f"{place}."
            )
            raise SourceError(msg)


def check_values(config: SourceConfig, table: pa.Table) -> None:
    """Check that there is something to learn from in every column.

    Raises:
        SourceError: there is one column only, a column without a value, or an infinite value.
    """
    if table.num_columns < 2:
        msg = (
            f"The source {config.uri!r} has one column only, {_listed(table.column_names)}, and a "
            "table needs at least two; name another source, or for CSV set source.csv.delimiter."
        )
        raise SourceError(msg)
    empty = [
        name
        for name, column in zip(table.column_names, table.columns, strict=True)
        if column.null_count == len(column)
    ]
    if empty:
        msg = (
            f"The source {config.uri!r} has no value in {_listed(empty)}, where all rows are "
            f"null; leave it out with source.columns: [{{name: {empty[0]}, kind: text, "
            "text: drop}]."
        )
        raise SourceError(msg)
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_floating(column.type):
            _check_finite(config.uri, name, column)


def check_label(config: SourceConfig, table: pa.Table) -> None:
    """Check that the label is of a type that can be predicted, and has more than one value.

    Raises:
        SourceError: it is a date or a time, or the same in every row.
    """
    if config.label is None:
        return
    column = table.column(config.label)
    if pa.types.is_temporal(column.type):
        msg = (
            f"The label column {config.label!r} of the source {config.uri!r} is of type "
            f"{column.type}; store classes as text, whole numbers or booleans, quantities as "
            "numbers, or set source.label to null."
        )
        raise SourceError(msg)
    values = pc.unique(column.drop_null())
    if len(values) < 2:
        msg = (
            f"The label column {config.label!r} of the source {config.uri!r} has one value in all "
            "rows, so there is nothing to tell apart; name another column or set source.label to "
            "null."
        )
        raise SourceError(msg)


def _check_finite(uri: str, name: str, column: pa.ChunkedArray) -> None:
    count = pc.sum(pc.is_inf(column)).as_py() or 0
    if count:
        msg = (
            f"The column {name!r} of the source {uri!r} has {count} infinite values; replace them "
            "by numbers or leave them empty."
        )
        raise SourceError(msg)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(repr(name) for name in names[:_SHOWN]) + more
