"""One CSV file to columns of text."""

from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from storage.errors import SourceError
from storage.sources.table_config import CsvConfig
from storage.sources.tables.csv_encoding import to_utf8, unpack
from storage.sources.tables.csv_faults import line_of, ragged, rewritten, unclosed
from storage.sources.tables.csv_layout import Layout, find_layout

_BLOCK_BYTES: Final = 16 << 20
_TEXTS: Final = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True, kw_only=True)
class ParsedFile:
    """The texts of one file, column by column. Shape legend: N rows."""

    name: str
    """Quoted, for messages."""
    layout: Layout
    encoding: str
    bom: bool
    note: str | None
    columns: tuple[pa.ChunkedArray, ...]
    """N texts each, as a dictionary."""

    @property
    def rows(self) -> int:
        """N."""
        return len(self.columns[0])


def parse_file(raw: bytes, config: CsvConfig, key: str) -> ParsedFile:
    """Read one file as text.

    Raises:
        SourceError: it is empty, broken, or in another encoding.
    """
    name = repr(key)
    text = to_utf8(unpack(raw, name), config.encoding, name)
    layout = find_layout(text.data, config.delimiter, name)
    columns = _columns(text.data, layout, name)
    return ParsedFile(
        name=name,
        layout=layout,
        encoding=text.encoding,
        bom=text.bom,
        note=text.note,
        columns=columns,
    )


def find_line(raw: bytes, config: CsvConfig, file: ParsedFile, row: int) -> int:
    """Return the line of the file where a row begins."""
    text = to_utf8(unpack(raw, file.name), config.encoding, file.name)
    return line_of(text.data, file.layout, row)


def _columns(data: bytes, layout: Layout, name: str) -> tuple[pa.ChunkedArray, ...]:
    body = memoryview(data)[layout.header_end :]
    if layout.space and f"{layout.delimiter} {layout.quote}".encode() in data:
        body = memoryview(rewritten(data, layout)).cast("B")
        body = body[_first_line(bytes(body[: layout.header_end * 2]), layout) :]
    if not bytes(body[:_BLOCK_BYTES]).strip() and len(body) < _BLOCK_BYTES:
        msg = f"The file {name} has a header and no row; fill it or leave it out."
        raise SourceError(msg)
    names = [str(number) for number in range(len(layout.header))]
    try:
        table = _read(pa.py_buffer(body), layout, names)
    except pa.ArrowInvalid as error:
        raise ragged(data, layout, name, str(error).splitlines()[0]) from error
    if _spans_lines(table):
        fault = unclosed(data, layout, name)
        if fault is not None:
            raise fault
    return tuple(_trimmed(column) if layout.space else column for column in table.columns)


def _read(body: pa.Buffer, layout: Layout, names: list[str]) -> pa.Table:
    return pa_csv.read_csv(
        pa.BufferReader(body),
        pa_csv.ReadOptions(column_names=names, block_size=_BLOCK_BYTES),
        pa_csv.ParseOptions(
            delimiter=layout.delimiter, quote_char=layout.quote, newlines_in_values=True
        ),
        pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, _TEXTS), strings_can_be_null=False, null_values=[]
        ),
    )


def _first_line(text: bytes, layout: Layout) -> int:
    return find_layout(text, layout.delimiter, "").header_end


def _spans_lines(table: pa.Table) -> bool:
    """Whether some text has a line end in it."""
    return any(
        pc.any(pc.match_substring_regex(chunk.dictionary, r"[\r\n]")).as_py()
        for column in table.columns
        for chunk in column.chunks
    )


def _trimmed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the texts without the blanks before them."""
    chunks = [
        pc.utf8_ltrim_whitespace(chunk.dictionary).take(chunk.indices) for chunk in column.chunks
    ]
    return pa.chunked_array(chunks, pa.string()).dictionary_encode()
