"""What the values of every column are, with a reason that names no rare value."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from storage.errors import SourceError
from storage.sources.config import SourceConfig
from storage.sources.table_config import ColumnConfig
from storage.sources.tables.forms import FALLBACK, form_of
from storage.sources.tables.kinds_asked import Asked, ask
from storage.sources.tables.kinds_found import Finding, key_form, look
from storage.sources.tables.meaning import ColumnMeaning

_SHOWN: Final = 3
_FORM_ROWS: Final = 10_000


@dataclass(frozen=True, kw_only=True)
class Inferred:
    """The columns of a table and what they are."""

    columns: tuple[ColumnMeaning, ...]
    """Those that stay, in the order of the table."""
    dropped: tuple[str, ...]
    """Those that the recipe leaves out."""
    notes: tuple[str, ...]
    """Sentences about what was decided."""


def infer(table: pa.Table, config: SourceConfig, min_group: int) -> Inferred:
    """Return the kind of every column, the recipe's where it says one.

    Args:
        table: columns of plain types, none of them all null.
        config: its `columns` overrule what is found.
        min_group: a form that fewer values have is not shown.

    Raises:
        SourceError: the recipe names a column that is not there or a kind that it cannot be, or a
            column of free text is not dealt with.
    """
    said = _said(config.columns, table.column_names, config.uri)
    columns: list[ColumnMeaning] = []
    dropped: list[str] = []
    refused: list[tuple[str, Finding]] = []
    notes: list[str] = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        wish = said.get(name, ColumnConfig(name=name))
        finding = _finding(name, column, wish, config.uri)
        if finding.note:
            notes.append(f"the column {name!r} {finding.note}")
        if finding.kind == "text" and wish.text == "drop":
            dropped.append(name)
        elif finding.kind == "text" and wish.text == "refuse":
            refused.append((name, finding))
        else:
            columns.append(_meaning(name, column, finding, wish, min_group))
    if refused:
        raise _refusal(refused, config.uri)
    if dropped:
        notes.append(f"left out as free text: {_listed(dropped)}")
    return Inferred(columns=tuple(columns), dropped=tuple(dropped), notes=tuple(notes))


def _said(
    columns: Sequence[ColumnConfig], names: Sequence[str], uri: str
) -> dict[str, ColumnConfig]:
    for column in columns:
        if column.name not in names:
            near = difflib.get_close_matches(column.name, names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {_listed(names)}."
            msg = f"source.columns names {column.name!r}, which {uri!r} does not have; {hint}"
            raise SourceError(msg)
    return {column.name: column for column in columns}


def _finding(name: str, column: pa.ChunkedArray, wish: ColumnConfig, uri: str) -> Finding:
    if wish.kind == "auto":
        return look(name, column)
    asked: Asked = ask(column, wish.kind)
    if asked.problem is not None:
        msg = (
            f"The column {name!r} of the source {uri!r} cannot be {wish.kind!r}: {asked.problem}; "
            "set another kind in source.columns, or auto."
        )
        raise SourceError(msg)
    return Finding(kind=wish.kind, why="as the recipe says")


def _meaning(
    name: str, column: pa.ChunkedArray, finding: Finding, wish: ColumnConfig, min_group: int
) -> ColumnMeaning:
    form = None
    if finding.kind == "key":
        form = key_form(column, min_group)
    elif finding.kind == "text":
        texts = [text for text in column.drop_null().slice(0, _FORM_ROWS).to_pylist() if text]
        form = form_of(texts, min_group) if texts else FALLBACK
    return ColumnMeaning(
        name=name, kind=finding.kind, why=finding.why, vocabulary=wish.vocabulary, form=form
    )


def _refusal(refused: Sequence[tuple[str, Finding]], uri: str) -> SourceError:
    names = [name for name, _ in refused]
    several = f" (also {_listed(names[1:])})" if len(names) > 1 else ""
    name, finding = refused[0]
    return SourceError(
        f"The column {name!r} of the source {uri!r} is free text, {finding.why}{several}, which is "
        f"not synthesized; say in source.columns: [{{name: {name}, text: drop}}] to leave it out, "
        "text: pattern to fill it with letters and digits of its form, or kind: category if its "
        "values do repeat."
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(repr(name) for name in names[:_SHOWN]) + more
