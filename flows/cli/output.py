"""Standard output: tables for people, plain columns for pipes, JSON for programs."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.errors import bounded, presentable
from storage.masking import masked

LONGEST_CELL = 300
"""Letters of a cell of a table."""


@dataclass(frozen=True)
class Output:
    """Where results go; everything a person should know on the way goes to standard error."""

    console: Console = field(default_factory=Console)

    @property
    def rich(self) -> bool:
        """True in a terminal."""
        return self.console.is_terminal

    def line(self, text: str = "", style: str | None = None) -> None:
        """Write one line as it is, never broken."""
        shown = escape(presentable(text))
        self.console.print(shown, style=style, highlight=False, soft_wrap=True)

    def json(self, value: Any) -> None:
        """Write one JSON document."""
        self.console.file.write(masked(json.dumps(value, ensure_ascii=False, indent=2)) + "\n")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write a table; columns that hold numbers only stand at the right."""
        rows = [[bounded(presentable(cell), LONGEST_CELL) for cell in row] for row in rows]
        numeric = [all(_NUMBER.fullmatch(row[i]) for row in rows) for i in range(len(columns))]
        if self.rich:
            table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
            for column, right in zip(columns, numeric, strict=True):
                table.add_column(column, justify="right" if right else "left")
            for row in rows:
                table.add_row(*(escape(cell) for cell in row))
            self.console.print(table)
            return
        widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
        for row in (columns, *rows):
            cells = zip(row, widths, numeric, strict=True)
            aligned = (c.rjust(width) if right else c.ljust(width) for c, width, right in cells)
            self.line("  ".join(aligned).rstrip())


def with_owners(
    columns: Sequence[str], rows: Sequence[Sequence[str]], owners: Mapping[str, str | None]
) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Return a table whose first column is a name, with a column of owners if there is any."""
    if not any(owners.values()):
        return columns, rows
    titles = (columns[0], "owner", *columns[1:])
    return titles, [(row[0], owners[row[0]] or "-", *row[1:]) for row in rows]


_NUMBER = re.compile(r"[-+]?[\d,.]*( to [-+]?[\d,.]+)?")
