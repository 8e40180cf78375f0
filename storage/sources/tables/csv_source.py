"""CSV files as a source of rows: one Arrow table with exact types, and how it is written."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.errors import SourceError, first_few, listed
from storage.sources.builder import SourceDescription
from storage.sources.config import SourceConfig
from storage.sources.files import FileSource, SourceFiles
from storage.sources.tables import dialect
from storage.sources.tables.csv_dates import check_format
from storage.sources.tables.csv_file import ParsedFile, find_line, parse_file
from storage.sources.tables.csv_numbers import Distinct, distinct
from storage.sources.tables.csv_types import type_columns
from storage.sources.tables.dialect import Dialect, Style, with_dialect
from storage.sources.tables.source import TableRead, TableSource, unread_columns


@dataclass(frozen=True, kw_only=True)
class CsvTable:
    """What CSV files hold."""

    table: pa.Table
    """Rows in the order of the files; its schema carries the dialect."""
    dialect: Dialect
    notes: tuple[str, ...]
    """Sentences about what was decided; the first describes the dialect."""


@dataclass(frozen=True, kw_only=True)
class _Columns:
    """The columns of all files, and what was left out."""

    kept: tuple[Distinct, ...]
    names: tuple[str, ...]
    """Of all columns, also of those left out."""
    trailing: int
    """Columns without name and value at the end."""
    notes: tuple[str, ...]


class DelimitedTable(FileSource, TableSource):
    """The rows of one or more CSV files of one dialect; read once, when first asked."""

    def __init__(self, config: SourceConfig, found: SourceFiles) -> None:
        super().__init__(found)
        self._config = config

    @cached_property
    def description(self) -> SourceDescription:
        """Counts of the rows; the files are read for it."""
        table = self._content.table
        return self._described("csv", len(table), table.column_names)

    def check(self, config: SourceConfig) -> None:
        """Nothing is known before the files are read."""

    def schema(self) -> pa.Schema:
        """Return what was inferred from the text."""
        return self._content.table.schema

    def read(self) -> TableRead:
        """Return the rows with the dialect they were written in."""
        table = self._content.table
        kept = [name not in unread_columns(self._config) for name in table.column_names]
        return TableRead(
            table=table.select([i for i, keep in enumerate(kept) if keep]),
            notes=self._content.notes,
            metadata={dialect.KEY: self._content.dialect.to_json()},
        )

    @cached_property
    def _content(self) -> CsvTable:
        return read_csv_files(self._found, self._config)


def read_csv_files(found: SourceFiles, config: SourceConfig) -> CsvTable:
    """Read the files of a source; gzip is recognised by its content.

    Raises:
        SourceError: they are broken, mixed, ambiguous, or not as the recipe says.
        LakeError: the store fails.
    """
    _check_config(config)
    files = [parse_file(found.store.get(info.key), config.csv, info.key) for info in found.files]
    columns = _joined(files)
    marks, results = type_columns(
        columns.kept, config, files[0].layout.delimiter, partial(_locate, found, config, files)
    )
    dialect = Dialect(
        delimiter=files[0].layout.delimiter,
        quote=files[0].layout.quote,
        encoding=next((f.encoding for f in files if f.encoding != "utf-8"), "utf-8"),
        bom=files[0].bom,
        line_end=files[0].layout.line_end,
        space=files[0].layout.space,
        sep_line=files[0].layout.sep_line,
        trailing=columns.trailing,
        decimal=marks.decimal,
        thousands=marks.thousands,
        styles=_styles(files[0], columns, {name: one.style for name, one in results.items()}),
    )
    table = pa.table({one.name: one.rows(results[one.name].values_U) for one in columns.kept})
    notes = [file.note for file in files if file.note]
    blank = _blank(table)
    if blank.any():
        table = table.filter(pa.array(~blank))
        notes.append(f"{int(blank.sum()):,} rows without any value are left out")
    notes += [*columns.notes, *marks.notes, *(n for one in results.values() for n in one.notes)]
    return CsvTable(
        table=table.cast(with_dialect(table.schema, dialect)),
        dialect=dialect,
        notes=(dialect.describe(), *notes),
    )


def _locate(found: SourceFiles, config: SourceConfig, files: Sequence[ParsedFile], row: int) -> str:
    """Return the line and the file of a row, counted over all files."""
    for info, file in zip(found.files, files, strict=True):
        if row < file.rows:
            raw = found.store.get(info.key)
            return f"line {find_line(raw, config.csv, file, row)} of {file.name}"
        row -= file.rows
    return f"row {row}"


def _check_config(config: SourceConfig) -> None:
    wanted = config.csv.date_format
    problem = None if wanted is None else check_format(wanted)
    if problem is not None:
        msg = (
            f"source.csv.date_format {wanted!r} is no format of dates: {problem}; write for "
            "example '%d.%m.%Y' or '%Y-%m-%d %H:%M:%S'."
        )
        raise SourceError(msg)


def _joined(files: Sequence[ParsedFile]) -> _Columns:
    """Put the files below each other; columns without a name and a value are left out."""
    names = _names(files[0].layout.header)
    for file in files[1:]:
        _check_same_header(names, files[0], file)
    columns = []
    for name in names:
        chunks = [c for f in files for c in f.columns[_names(f.layout.header).index(name)].chunks]
        columns.append(distinct(name, pa.chunked_array(chunks)))
    unnamed = [not title.strip() for title in files[0].layout.header]
    empty = [bare and bool(c.empty.all()) for bare, c in zip(unnamed, columns, strict=True)]
    trailing = len(empty) - len(bytes(map(int, empty)).rstrip(b"\1"))
    inner = sum(empty) - trailing
    notes = []
    if inner:
        notes.append(f"{inner} columns without a name and without a value are left out")
    named = [n for n, bare, gone in zip(names, unnamed, empty, strict=True) if bare and not gone]
    if named:
        notes.append(f"columns without a name in the header are called {first_few(named)}")
    kept = tuple(column for column, gone in zip(columns, empty, strict=True) if not gone)
    return _Columns(kept=kept, names=names, trailing=trailing, notes=tuple(notes))


def _names(header: Sequence[str]) -> tuple[str, ...]:
    """Return the header without blanks around the names; `column_3` where the third has none."""
    taken = {title.strip() for title in header}
    names = []
    for number, title in enumerate(header, 1):
        name = re.sub(r"\s+", " ", title.strip()) or f"column_{number}"
        while not title.strip() and name in taken:
            name += "_"
        names.append(name)
    return tuple(names)


def _check_same_header(names: Sequence[str], first: ParsedFile, file: ParsedFile) -> None:
    others = _names(file.layout.header)
    if set(others) == set(names):
        return
    lacking = [name for name in names if name not in others]
    more = [name for name in others if name not in names]
    parts = [f"lacks {listed(lacking)}"] if lacking else []
    parts += [f"has {listed(more)} besides"] if more else []
    msg = (
        f"The header of {file.name} differs from that of {first.name}: it {' and '.join(parts)}; "
        "give all files the same columns, or leave it out with source.exclude."
    )
    raise SourceError(msg)


def _blank(table: pa.Table) -> NDArray[np.bool_]:
    """Return which rows hold nothing, as spreadsheets write them below a table."""
    blank = np.ones(len(table), np.bool_)
    for column in table.columns:
        if not column.null_count:
            return np.zeros(len(table), np.bool_)
        blank &= pc.is_null(column).to_numpy()
    return blank


def _styles(first: ParsedFile, columns: _Columns, styles: dict[str, Style]) -> dict[str, Style]:
    """Add the header as it is written; leave out columns that are written plainly."""
    kept = {}
    for name, title in zip(columns.names, first.layout.header, strict=True):
        if name in styles:
            style = replace(styles[name], header=None if title == name else title)
            if style != Style():
                kept[name] = style
    return kept
