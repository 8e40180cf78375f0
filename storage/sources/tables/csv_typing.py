"""The types of all columns of CSV files: decided together, refused with the line of the fault."""

from dataclasses import dataclass, replace
from typing import Final

from storage.errors import SourceError
from storage.sources.config import SourceConfig
from storage.sources.files import SourceFiles
from storage.sources.table_config import Kind
from storage.sources.tables.csv_column import Ambiguous, Fault, Rules, Typed
from storage.sources.tables.csv_distinct import Distinct
from storage.sources.tables.csv_nulls import text_nulls
from storage.sources.tables.csv_numbers import Marks, decide_marks
from storage.sources.tables.csv_parse import ParsedFile, find_line
from storage.sources.tables.csv_types import as_text, money_note, typed
from storage.sources.tables.dialect import in_words
from storage.sources.tables.forms import shown_shape

_SHOWN_GROUP: Final = 10
"""A word that so many rows hold is shown in a message; rarer ones only by their shape."""


@dataclass(frozen=True, kw_only=True)
class ColumnTyping:
    """One source whose columns get their types."""

    found: SourceFiles
    config: SourceConfig
    files: tuple[ParsedFile, ...]
    columns: tuple[Distinct, ...]

    def run(self) -> tuple[Marks, dict[str, Typed]]:
        """Return the marks of numbers and every column with its type, in order.

        Raises:
            SourceError: a column is mixed or ambiguous, or not of the kind that the recipe says.
        """
        csv = self.config.csv
        kinds = {column.name: column for column in self.config.columns}
        left = {n for n, one in kinds.items() if one.kind == "text" and one.text == "drop"}
        asked: dict[str, Kind] = {n: one.kind for n, one in kinds.items() if one.kind != "auto"}
        open_columns = [one for one in self.columns if asked.get(one.name) not in ("text", "key")]
        marks = decide_marks(open_columns, self.files[0].layout.delimiter, csv.decimal)
        rules = Rules(marks=marks, nulls=csv.nulls, date_format=csv.date_format)
        results: dict[str, Typed | None] = {}
        for one in self.columns:
            result = None if one.name in left else typed(one, rules, asked.get(one.name))
            if isinstance(result, Ambiguous):
                raise self._ambiguous(one, result)
            if isinstance(result, Fault):
                raise self._fault(one, result)
            results[one.name] = result
        words = [word for r in results.values() if r is not None for word in r.style.nulls]
        proven = frozenset(words)
        return marks, {
            one.name: results[one.name] or self._text(one, rules, proven) for one in self.columns
        }

    def _text(self, column: Distinct, rules: Rules, proven: frozenset[str]) -> Typed:
        if rules.nulls is not None:
            nulls, note = rules.nulls, None
        else:
            nulls, note = text_nulls(column, proven)
        result = as_text(column, nulls)
        notes = tuple(text for text in (note, money_note(column)) if text)
        return replace(result, notes=notes)

    def _ambiguous(self, column: Distinct, result: Ambiguous) -> SourceError:
        readings = " and as ".join(f"{in_words(one)} ({one})" for one in result.formats)
        return SourceError(
            f"The dates of the column {column.name!r} read equally well as {readings}; set "
            f"source.csv.date_format, for example to {result.formats[0]!r}, or give the column the "
            "kind category in source.columns if these are no dates."
        )

    def _fault(self, column: Distinct, fault: Fault) -> SourceError:
        row = column.first_row(fault.odd_U)
        code = self._code(column, row)
        text = column.trimmed[code].as_py()
        often = column.counts[code] >= _SHOWN_GROUP
        shape = f"{text!r}" if often else f"a value of the form {shown_shape(text)}"
        sentence = fault.sentence.replace("{place}", self._place(row)).replace("{shape}", shape)
        return SourceError(sentence)

    @staticmethod
    def _code(column: Distinct, row: int) -> int:
        return int(column.codes_N[row].as_py())

    def _place(self, row: int) -> str:
        """Return the line and the file of a row, counted over all files."""
        for info, file in zip(self.found.files, self.files, strict=True):
            if row < file.rows:
                raw = self.found.store.get(info.key)
                return f"line {find_line(raw, self.config.csv, file, row)} of {file.name}"
            row -= file.rows
        return f"row {row}"
