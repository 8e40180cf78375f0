"""CSV files of more rows than are kept, as blocks of texts."""

import codecs
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import BinaryIO, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.errors import SourceError
from storage.sources.config import SourceConfig
from storage.sources.files import SourceFiles
from storage.sources.paths import PathColumns
from storage.sources.tables.csv_encoding import PACKING_ERRORS, check_nul, unpacking
from storage.sources.tables.csv_file import CsvHead, ParsedFile, read_head, stream_fields
from storage.sources.tables.csv_source import (
    check_csv_config,
    check_same_header,
    names_of,
    type_files,
)
from storage.sources.tables.dialect import KEY, with_dialect
from storage.sources.tables.row_stream import RowStream
from storage.sources.tables.source import TableRead, unread_columns

_HEAD_BYTES: Final = 1 << 20
_BLOCK_BYTES: Final = 1 << 20


class CsvRows(RowStream):
    """The rows of CSV files of one dialect as texts; packed ones are unpacked piece by piece."""

    csv = True

    def __init__(self, found: SourceFiles, config: SourceConfig) -> None:
        check_csv_config(config)
        if config.csv.skip_footer:
            msg = (
                f"source.csv.skip_footer {config.csv.skip_footer} takes a file as a whole, and the "
                f"source {found.uri!r} is read in a stream; remove these lines from the files."
            )
            raise SourceError(msg)
        self.uri = found.uri
        self._found, self._config = found, config
        self._paths = PathColumns(found.uri, [info.key for info in found.files])

    @cached_property
    def _first(self) -> ParsedFile:
        """The first file, without its rows."""
        key = self._found.files[0].key
        with self._opened(key) as (head, _):
            return _without_rows(head, key)

    @cached_property
    def _of_paths(self) -> tuple[str, ...]:
        return tuple(self._paths.columns(self._config.split, self._header))

    @property
    def _header(self) -> list[str]:
        return list(names_of(self._first.header))

    def names(self) -> list[str]:
        """Return the names of the header and of what the paths say."""
        return [*self._header, *self._of_paths]

    def path_parts(self) -> frozenset[str]:
        """Return what `split` names of the paths."""
        return frozenset(self._of_paths) - {*self._paths.names}

    def has_at_most(self, rows: int) -> bool:
        """Say whether there are so few rows that they need no counting but of their line ends."""
        lines = 0
        for info in self._found.files:
            with self._opened(info.key) as (head, rest):
                for piece in _as_utf8(head, rest, repr(info.key)):
                    lines += piece.count(b"\n" if b"\n" in piece else b"\r")
                    if lines > rows:
                        return False
                lines += 1  # the last line may lack its end
        return True

    def blocks(self) -> Iterator[pa.Table]:
        """Yield the texts, and what the paths say; rows of empty fields are left out."""
        for info in self._found.files:
            with self._opened(info.key) as (head, rest):
                file = _without_rows(head, info.key)
                check_same_header(self._header, self._first, file)
                names = names_of(file.header)
                rows = _Pieces(_as_utf8(head, rest, repr(info.key)))
                try:
                    for batch in stream_fields(rows, head.dialect, len(names)):
                        columns = batch.columns
                        if head.dialect.space:
                            columns = [pc.utf8_ltrim_whitespace(one) for one in columns]
                        table = pa.table(columns, names=list(names))
                        yield self._plain(table.select(self._header), info.key)
                except pa.ArrowInvalid as error:
                    raise _unreadable(info.key, str(error)) from error

    def read(self, rows: Sequence[pa.Table], evidence: int) -> TableRead:
        """Return the rows with the types that all of them prove."""
        # one chunk: Arrow gives every chunk of a dictionary the dictionary of all
        table = pa.concat_tables(rows).combine_chunks()
        texts = [table.column(n) if n in table.column_names else None for n in self._header]
        gone = pa.chunked_array([pa.repeat("", len(table))])
        columns = tuple(gone if one is None else one for one in texts)
        file = ParsedFile(
            name=self._first.name,
            dialect=self._first.dialect,
            header=self._first.header,
            notes=self._first.notes,
            columns=columns,
        )
        typed = type_files([file], self._config, self._place, csv=True)
        found = typed.table
        unread = unread_columns(self._config)
        found = found.select([name for name in found.column_names if name not in unread])
        for name in self._of_paths:
            if name not in unread:
                found = found.append_column(name, table.column(name))
        return TableRead(
            table=found.cast(with_dialect(found.schema, typed.dialect)),
            notes=(*typed.of_files, *typed.of_columns),
            metadata={KEY: typed.dialect.to_json()},
            evidence=evidence,
        )

    def _place(self, _: int) -> str:
        """Name where a row is: of a sample, only the source is known."""
        return f"a row of {self.uri!r}"

    def _plain(self, table: pa.Table, key: str) -> pa.Table:
        """Return a block without rows and columns that are not read, with what its path says."""
        blank = np.ones(len(table), np.bool_)
        for column in table.columns:
            blank &= pc.equal(column, "").to_numpy()
        table = table.filter(pa.array(~blank)) if blank.any() else table
        table = table.drop_columns(sorted(unread_columns(self._config) & {*table.column_names}))
        for name in self._of_paths:
            if name not in unread_columns(self._config):
                said = pa.repeat(self._paths.value(name, key), len(table))
                table = table.append_column(name, said)
        return table

    @contextmanager
    def _opened(self, key: str) -> Iterator[tuple[CsvHead, BinaryIO]]:
        """Open a file: its beginning up to the end of a line, and what comes after.

        Raises:
            SourceError: it is broken, or in another encoding.
        """
        try:
            with self._found.store.open(key) as file, unpacking(file, repr(key)) as stream:
                start = stream.read(_HEAD_BYTES)
                while start and not start.endswith(b"\n"):
                    more = stream.readline() if hasattr(stream, "readline") else b""
                    start += more
                    if not more:
                        break
                yield read_head(start, self._config.csv, key), stream
        except (EOFError, UnicodeDecodeError, *PACKING_ERRORS) as error:
            raise _unreadable(key, str(error)) from error


def _without_rows(head: CsvHead, key: str) -> ParsedFile:
    return ParsedFile(
        name=repr(key), dialect=head.dialect, header=head.header, notes=head.notes, columns=()
    )


def _unreadable(key: str, reason: str) -> SourceError:
    first = (reason.splitlines() or ["no reason given"])[0]
    return SourceError(
        f"The file {key!r} cannot be read as CSV to its end ({first}); correct that row, set "
        "source.csv.encoding if its letters are others, or remove lines that are no rows."
    )


def _as_utf8(head: CsvHead, rest: BinaryIO, name: str) -> Iterator[bytes]:
    """Yield the rows as UTF-8, piece by piece."""
    yield head.rows
    encoding = head.dialect.encoding
    decoder = None if encoding == "utf-8" else codecs.getincrementaldecoder(encoding)()
    while piece := rest.read(_BLOCK_BYTES):
        plain = piece if decoder is None else decoder.decode(piece).encode()
        check_nul(plain, name)
        yield plain


class _Pieces(io.RawIOBase):
    """Pieces of bytes as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._left = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Return up to so many bytes."""
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._left = piece
        end = len(self._left) if size is None or size < 0 else size
        found, self._left = self._left[:end], self._left[end:]
        return found
