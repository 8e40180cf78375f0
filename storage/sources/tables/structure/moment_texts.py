"""Texts that write a date in a shorter way: 2024-Q3, 2024-07, Jul 2024.

The words and numbers of one row's text are read as pieces of its date, in every way; what the other
rows are written in is the pattern.
"""

import re
from collections.abc import Collection, Iterator
from datetime import date
from itertools import islice, product
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.records.constraint import Constraint
from storage.records.moment_parts import PIECES, days, written
from storage.sources.tables.structure.columns import TableColumns
from storage.sources.tables.structure.evidence import levels_support
from storage.sources.tables.structure.rule import FoundRule

_TOKENS: Final = re.compile(r"[A-Za-z]+|\d+|[^A-Za-z\d]+")
_LONGEST: Final = 30
_MOST_WAYS: Final = 256
_HEAD: Final = 50
_FEWEST_LEVELS: Final = 3


def find_texts(columns: TableColumns, moment: str, skipped: Collection[str]) -> Iterator[FoundRule]:
    """Yield the columns of levels that write a moment's date.

    Args:
        columns: of the table.
        moment: a date or timestamp.
        skipped: columns that are not looked at, as other rules tell them.
    """
    dates: Any = None
    for name in columns.names:
        if columns.kinds[name] != "category" or name in skipped:
            continue
        levels = columns.levels(name)
        if len(levels.values) < _FEWEST_LEVELS or not _is_text(levels.values.type):
            continue
        if dates is None:
            column = columns.column(moment).combine_chunks()
            dates = days(column.chunk(0) if isinstance(column, pa.ChunkedArray) else column)
        pattern = _pattern(columns, name, dates)
        if pattern is None:
            continue
        made = written(dates, pattern)
        texts = levels.values.cast(pa.string()).take(pa.array(levels.codes_N))
        same = pc.equal(made, texts)
        if not pc.all(same).as_py() or made.null_count != texts.null_count:
            continue
        coded_N = made.dictionary_encode("encode").indices.to_numpy().astype(np.int32)
        support = levels_support(levels.codes_N, coded_N, levels.counts_L)
        if support is not None:
            constraint = Constraint(
                kind="part", columns=(name, moment), part="text", pattern=pattern
            )
            why = f"{name} writes {moment} as {pattern} in all rows"
            yield FoundRule(constraint=constraint, why=why, support=support)


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _pattern(columns: TableColumns, name: str, dates: Any) -> str | None:
    """Return the pattern in which the first rows are written, the one of most pieces."""
    levels, rows = columns.levels(name), columns.spread(_HEAD)
    codes = levels.codes_N[rows].tolist()
    pairs = [
        (str(levels.values[code].as_py()), dates[int(row)].as_py())
        for row, code in zip(rows, codes, strict=True)
        if code != levels.null and dates[int(row)].is_valid
    ]
    if not pairs or max(len(text) for text, _ in pairs) > _LONGEST:
        return None
    ways = [_ways(token, pairs[0][1]) for token in _TOKENS.findall(pairs[0][0])]
    for pieces in islice(product(*ways), _MOST_WAYS):
        if not any(piece.startswith("{") for piece in pieces):
            return None
        pattern = "".join(pieces)
        made = written(pa.array([day for _, day in pairs], pa.date32()), pattern).to_pylist()
        if made == [text for text, _ in pairs]:
            return pattern
    return None


def _ways(token: str, day: date) -> list[str]:
    """Return the pieces of a date that a word or number may be, and the text itself at last."""
    found = [f"{{{name}}}" for name, write in PIECES.items() if write(day) == token]
    return [*found, token.replace("{", "").replace("}", "")]
