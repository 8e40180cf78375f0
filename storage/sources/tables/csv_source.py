"""CSV files as a source of rows: one Arrow table with exact types, and how it is written."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.sources.builder import FileSource, SourceDescription
from storage.sources.checks import first_few, listed
from storage.sources.config import SourceConfig
from storage.sources.files import CSV_FILES, EXCEL_FILES, PACKED, SourceFiles
from storage.sources.memory import TEXT_COPIES, amount, check_fits
from storage.sources.paths import PathColumns
from storage.sources.tables.csv_dates import check_format
from storage.sources.tables.csv_file import ParsedFile, find_line, parse_file
from storage.sources.tables.csv_numbers import Distinct, distinct
from storage.sources.tables.csv_types import type_columns
from storage.sources.tables.dialect import KEY, Dialect, Style, with_dialect
from storage.sources.tables.excel import PLAIN_CSV, read_sheet
from storage.sources.tables.source import TableRead, TableSource, unread_columns

PACKED_SUFFIXES: Final = tuple(sorted(PACKED))
_UNPACKED: Final = 5
"""How much larger packed text is, as a rule."""


class DelimitedTable(FileSource, TableSource):
    """The rows of one or more CSV files of one dialect; read once, on first use."""

    def __init__(self, config: SourceConfig, found: SourceFiles) -> None:
        super().__init__(found)
        self._config = config
        self.kind = found.kind
        self.reads_settings = frozenset({"max_rows"} if found.kind is CSV_FILES else ())

    @property
    def found(self) -> SourceFiles:
        """The files."""
        return self._found

    @property
    def needed_bytes(self) -> int:
        """What it takes to read all text, unpacked by a usual factor where it is packed."""
        return sum(
            info.size_bytes * TEXT_COPIES * (_UNPACKED if info.key.endswith(PACKED_SUFFIXES) else 1)
            for info in self._found.files
        )

    @cached_property
    def description(self) -> SourceDescription:
        """Counts of the rows; the files are read for it."""
        table = self._content.table
        kind = "csv" if self._found.kind is not EXCEL_FILES else "excel"
        return self._described(kind, len(table), table.column_names)

    def check(self, config: SourceConfig) -> None:
        """Nothing is known before the files are read."""

    def path_parts(self) -> frozenset[str]:
        """Return what `split` names of the paths and no column or partition is called."""
        return self._content.path_parts

    def schema(self) -> pa.Schema:
        """Return what was inferred from the text."""
        return self._content.table.schema

    def read(self) -> TableRead:
        """Return the rows with the dialect they were written in."""
        table = self._content.table
        kept = [name not in unread_columns(self._config) for name in table.column_names]
        return replace(
            self._content, table=table.select([i for i, keep in enumerate(kept) if keep])
        )

    @cached_property
    def _content(self) -> TableRead:
        return read_csv_files(self._found, self._config)


def read_csv_files(found: SourceFiles, config: SourceConfig) -> TableRead:
    """Read the files of a source; gzip is recognised by its content.

    The schema of the table and the metadata carry the dialect, and the first note describes it.

    Raises:
        SourceError: they are broken, mixed, ambiguous, or not as the recipe says.
        LakeError: the store fails.
    """
    check_csv_config(config)
    if found.kind is EXCEL_FILES:  # cells that are numbers are written with a point
        config = config.model_copy(update={"csv": config.csv.model_copy(update=PLAIN_CSV)})
    size = sum(info.size_bytes for info in found.files)
    note = f"The CSV files of the source {found.uri!r} hold {amount(size)} of text"
    check_fits(note, size * TEXT_COPIES)
    files = [_parsed(found, config, info.key) for info in found.files]
    csv = found.kind is not EXCEL_FILES
    typed = type_files(files, config, partial(_locate, found, config, files), csv=csv)
    table, parts = _with_path_columns(typed.table, found, config, files)
    blank = _blank(table)
    gone: tuple[str, ...] = ()
    if blank.any():
        table = table.filter(pa.array(~blank))
        gone = (f"{int(blank.sum()):,} rows without any value are left out",)
    return TableRead(
        table=table.cast(with_dialect(table.schema, typed.dialect)),
        notes=(*typed.of_files, *gone, *typed.of_columns),
        metadata={KEY: typed.dialect.to_json()},
        path_parts=parts,
    )


@dataclass(frozen=True, kw_only=True)
class TypedFiles:
    """The rows of CSV files with exact types."""

    table: pa.Table
    """Without what the paths say."""
    dialect: Dialect
    of_files: tuple[str, ...]
    """What to say of the dialect and of single files."""
    of_columns: tuple[str, ...]
    """What to say of the columns."""


def type_files(
    files: Sequence[ParsedFile], config: SourceConfig, locate: Callable[[int], str], *, csv: bool
) -> TypedFiles:
    """Put files below each other, and decide what all their texts are.

    Args:
        files: of one header.
        config: the recipe's `source`.
        locate: names line and file of a row.
        csv: whether they are CSV, and no workbook's cells.

    Raises:
        SourceError: they are mixed, ambiguous, or not as the recipe says.
    """
    first = files[0]
    columns, names, trailing, left_out = _joined(files)
    marks, results = type_columns(columns, config, first.dialect.delimiter, locate)
    encodings = (file.dialect.encoding for file in files)
    dialect = replace(
        first.dialect,
        encoding=next((one for one in encodings if one != "utf-8"), "utf-8"),
        trailing=trailing,
        decimal=marks.decimal,
        thousands=marks.thousands,
        styles=_styles(first, names, {name: one.style for name, one in results.items()}),
        csv=csv,
    )
    said = [dialect.describe()] if csv else dialect.describe_columns()
    return TypedFiles(
        table=pa.table({one.name: one.rows(results[one.name].values_U) for one in columns}),
        dialect=dialect,
        of_files=(*said, *(note for file in files for note in file.notes)),
        of_columns=(*left_out, *marks.notes, *(n for one in results.values() for n in one.notes)),
    )


def _with_path_columns(
    table: pa.Table, found: SourceFiles, config: SourceConfig, files: Sequence[ParsedFile]
) -> tuple[pa.Table, frozenset[str]]:
    """Append what the paths say of every row; returns also which of it only divides the rows."""
    keys = [info.key for info in found.files]
    paths = PathColumns(found.uri, keys)
    names = paths.columns(config.split, table.column_names)
    for name in names:
        values = [pa.repeat(paths.value(name, k), f.rows) for k, f in zip(keys, files, strict=True)]
        table = table.append_column(name, pa.chunked_array(values, paths.type(name)))
    return table, frozenset(names) - {*paths.names}


def _parsed(found: SourceFiles, config: SourceConfig, key: str) -> ParsedFile:
    """Read one file, a sheet of a workbook as the CSV that it would be."""
    data = found.store.get(key)
    if found.kind is not EXCEL_FILES:
        return parse_file(data, config.csv, key)
    sheet = read_sheet(data, config.sheet, repr(key))
    file = parse_file(sheet.data, config.csv, key)
    return replace(file, notes=(*sheet.notes, *file.notes))


def _locate(found: SourceFiles, config: SourceConfig, files: Sequence[ParsedFile], row: int) -> str:
    """Return the line and the file of a row, counted over all files."""
    for info, file in zip(found.files, files, strict=True):
        if row < file.rows:
            raw, csv = found.store.get(info.key), config.csv
            if found.kind is EXCEL_FILES:
                raw = read_sheet(raw, config.sheet, file.name).data
            return f"line {find_line(raw, csv, file, row)} of {file.name}"
        row -= file.rows
    return f"row {row}"


def check_csv_config(config: SourceConfig) -> None:
    """Check what the recipe says of CSV.

    Raises:
        SourceError: its format of dates is none.
    """
    wanted = config.csv.date_format
    problem = None if wanted is None else check_format(wanted)
    if problem is not None:
        msg = (
            f"source.csv.date_format {wanted!r} is no format of dates: {problem}; write for "
            "example '%d.%m.%Y' or '%Y-%m-%d %H:%M:%S'."
        )
        raise SourceError(msg)


def _joined(
    files: Sequence[ParsedFile],
) -> tuple[list[Distinct], tuple[str, ...], int, list[str]]:
    """Put the files below each other; columns without a name and a value are left out.

    Returns:
        The columns that are kept, the names of all, how many of those left out are at the end, and
        notes.
    """
    names = names_of(files[0].header)
    for file in files[1:]:
        check_same_header(names, files[0], file)
    columns = []
    for name in names:
        chunks = [c for f in files for c in f.columns[names_of(f.header).index(name)].chunks]
        columns.append(distinct(name, pa.chunked_array(chunks)))
    unnamed = [not title.strip() for title in files[0].header]
    empty = [bare and bool(c.empty.all()) for bare, c in zip(unnamed, columns, strict=True)]
    trailing = len(empty) - len(bytes(map(int, empty)).rstrip(b"\1"))
    inner = sum(empty) - trailing
    notes = []
    if inner:
        notes.append(f"{inner} columns without a name and without a value are left out")
    named = [n for n, bare, gone in zip(names, unnamed, empty, strict=True) if bare and not gone]
    if named:
        notes.append(f"columns without a name in the header are called {first_few(named)}")
    titles = [re.sub(r"\s+", " ", title.strip()) for title in files[0].header]
    again = [n for n, t in zip(names, titles, strict=True) if t and n != t]
    if again:
        notes.append(f"columns of a name that another one has are called {listed(again)}")
    kept = [column for column, gone in zip(columns, empty, strict=True) if not gone]
    return kept, names, trailing, notes


def names_of(header: Sequence[str]) -> tuple[str, ...]:
    """Return the header without blanks around the names, every name once.

    `column_3` is the third where it has none, `a_2` the second that is called `a`.
    """
    taken = {re.sub(r"\s+", " ", title.strip()) for title in header}
    names: list[str] = []
    for number, title in enumerate(header, 1):
        name = re.sub(r"\s+", " ", title.strip()) or f"column_{number}"
        while not title.strip() and name in taken:
            name += "_"
        first, again = name, 1
        while name in names or (again > 1 and name in taken):
            again += 1
            name = f"{first}_{again}"
        names.append(name)
    return tuple(names)


def check_same_header(names: Sequence[str], first: ParsedFile, file: ParsedFile) -> None:
    """Check that a file has the columns of the first one, in any order.

    Raises:
        SourceError: it has not.
    """
    others = names_of(file.header)
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


def _styles(first: ParsedFile, names: Sequence[str], styles: dict[str, Style]) -> dict[str, Style]:
    """Add the header as it is written; leave out columns that are written plainly."""
    kept = {}
    for name, title in zip(names, first.header, strict=True):
        if name in styles:
            style = replace(styles[name], header=None if title == name else title)
            if style != Style():
                kept[name] = style
    return kept
