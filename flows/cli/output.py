"""What a command answers: its results on standard output, and its exit code.

Results are tables for people, plain columns for pipes, JSON for programs. An error becomes an exit
code by one table, and one sentence for the user.
"""

import errno
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows import errors as flows_errors
from gan import errors as gan_errors
from storage import errors as storage_errors


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
        self.console.print(escape(text), style=style, highlight=False, soft_wrap=True)

    def json(self, value: Any) -> None:
        """Write one JSON document."""
        self.console.file.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write a table; columns that hold numbers only stand at the right."""
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
    """Return a table whose first column is a name, with a column of owners if there is any.

    Args:
        columns: titles.
        rows: cells.
        owners: of every name in the rows.
    """
    if not any(owners.values()):
        return columns, rows
    titles = (columns[0], "owner", *columns[1:])
    return titles, [(row[0], owners[row[0]] or "-", *row[1:]) for row in rows]


_NUMBER = re.compile(r"[-+]?[\d,.]*( to [-+]?[\d,.]+)?")


DONE, USAGE, BLOCKED, SOURCE, LAKE, TRAINING, INTERRUPTED = 0, 2, 3, 4, 5, 6, 130
BUG = 1
MEANINGS = {
    DONE: "done",
    BUG: "an error that ganmill did not foresee",
    USAGE: "the recipe or an argument is wrong",
    BLOCKED: "the gate blocked, nothing was published",
    SOURCE: "the source cannot be read or is unfit",
    LAKE: "the lake failed",
    TRAINING: "training failed",
    INTERRUPTED: "interrupted; run the same command again to continue",
}
"""Exit code → what it says."""

EXIT_CODES: dict[type[BaseException], int] = {
    flows_errors.RecipeError: USAGE,
    flows_errors.ExtraMissingError: USAGE,
    flows_errors.AnswerError: USAGE,
    storage_errors.SettingsError: USAGE,
    storage_errors.PlanError: USAGE,
    storage_errors.RetentionError: USAGE,
    gan_errors.ConfigError: USAGE,
    flows_errors.BlockedError: BLOCKED,
    storage_errors.SourceError: SOURCE,
    gan_errors.DataError: SOURCE,
    storage_errors.LakeError: LAKE,
    storage_errors.AbandonedError: LAKE,
    storage_errors.PromotionConflictError: LAKE,
    gan_errors.SnapshotError: LAKE,
    flows_errors.UnsentError: LAKE,
    OSError: LAKE,
    gan_errors.TrainingError: TRAINING,
    flows_errors.EngineError: TRAINING,
    flows_errors.SlotLostError: TRAINING,
    MemoryError: TRAINING,
    gan_errors.Interrupted: INTERRUPTED,
    flows_errors.StoppedError: INTERRUPTED,
    KeyboardInterrupt: INTERRUPTED,
}

JOBS_PACKAGES = frozenset({"torch", "prefect", "safetensors", "sklearn", "scipy"})
"""What `ganmill[jobs]` brings, by import name."""


def exit_code(error: BaseException) -> int | None:
    """Return the exit code of an error, by its nearest class in the table; None: unforeseen."""
    for kind in type(error).__mro__:
        if kind in EXIT_CODES:
            return EXIT_CODES[kind]
    return USAGE if missing_extra(error) else None


def missing_extra(error: BaseException) -> bool:
    """Say whether an import failed because only the light install is there."""
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return False
    return error.name.partition(".")[0] in JOBS_PACKAGES


def sentence(error: BaseException) -> str:
    """Return what the user reads."""
    if missing_extra(error):
        return (
            f"this command needs {getattr(error, 'name', None)}, which the light install leaves "
            'out: run pip install "ganmill[jobs]"'
        )
    if isinstance(error, OSError):
        return _os_sentence(error)
    if EXIT_CODES.get(type(error)) == INTERRUPTED:
        return "stopped; what is done is kept, run the same command again to continue"
    return " ".join(str(error).split())


def _os_sentence(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return (
            f"the disk is full ({error.filename or 'work folder'}): free some space and run again"
        )
    where = f": {error.filename}" if error.filename else ""
    return f"{error.strerror or error}{where}"
