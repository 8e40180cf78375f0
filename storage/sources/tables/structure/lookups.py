"""Lookups: columns that others decide, such as the region of a city, or a price by item and size.

A combination of columns decides another one when no two rows of one combination differ in it. That
is told by rows that repeat a combination, and only those may be learnt whose values many rows hold.

N rows, S of the sample, D columns that may be decided.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from storage.records.constraint import Constraint
from storage.sources.tables.structure.columns import TableColumns
from storage.sources.tables.structure.evidence import levels_support
from storage.sources.tables.structure.rule import FoundRule, lookup_sentence

_DECIDES: Final = frozenset({"category", "boolean", "integer"})
_MOST_LEVELS: Final = 5000
_ROWS_PER_LEVEL: Final = 4
MOST_COLUMNS: Final = 60
"""Of more columns, pairs are looked at among the first."""

_MOST_OF_THREE: Final = 14
_HEAD: Final = 400
_LEAST_SHOWN: Final = 0.9
_COMMONEST: Final = 0.95
_RARE: Final = "most of its values are held by too few rows to be shown"

Codes32 = NDArray[np.int32]


def find_lookups(columns: TableColumns, skipped: Collection[str] = ()) -> tuple[FoundRule, ...]:
    """Return columns that one other decides, then those that two decide, or three of few.

    Args:
        columns: of the table.
        skipped: columns that are not looked at, as other rules tell them.
    """
    names = [name for name in columns.names if name not in skipped]
    decided = [name for name in names if _varies(columns, name)]
    deciding = [n for n in names if columns.kinds[n] in _DECIDES and _repeats(columns, n)]
    deciding.sort(key=lambda name: len(columns.levels(name).values))
    rules: list[FoundRule] = []
    sizes = [1, 2] + ([3] if len(deciding) <= _MOST_OF_THREE else [])
    head_S = columns.spread(_HEAD)
    for size in sizes:
        told = {rule.constraint.columns[0] for rule in rules}
        open_ = decided if size == 1 else [name for name in decided if name not in told]
        some = deciding if size == 1 else deciding[:MOST_COLUMNS]
        if not open_:
            break
        codes_SD = np.stack([columns.levels(name).codes_N[head_S] for name in open_], axis=1)
        for group in combinations(some, size):
            coded_S = _together(columns, group, head_S)
            left = np.flatnonzero((codes_SD[_first(coded_S)] == codes_SD).all(axis=0)).tolist()
            others = [open_[place] for place in left if open_[place] not in group]
            rules += _decided_by(columns, group, others) if others else ()
    return tuple(rules)


def _varies(columns: TableColumns, name: str) -> bool:
    """Whether no value of a column is nearly all of it."""
    levels = columns.levels(name)
    return bool(levels.counts_L.max() <= _COMMONEST * columns.rows)


def _repeats(columns: TableColumns, name: str) -> bool:
    """Whether a column has several values, each in several rows."""
    count = len(columns.levels(name).values)
    return 2 <= count <= min(_MOST_LEVELS, columns.rows // _ROWS_PER_LEVEL)


def _decided_by(
    columns: TableColumns, group: Sequence[str], others: Sequence[str]
) -> Iterator[FoundRule]:
    rows = columns.sample_S
    coded = _together(columns, group, rows)
    others = [name for name in others if _decides(coded, columns.levels(name).codes_N[rows])]
    if not others:
        return
    coded_N = _together(columns, group, np.arange(columns.rows))
    counts = np.bincount(coded_N)
    if len(counts) * _ROWS_PER_LEVEL > columns.rows:
        return
    shown = counts[counts >= columns.least_shown].sum() / columns.rows
    for name in others:
        levels = columns.levels(name)
        if not _decides(coded_N, levels.codes_N):
            continue
        support = levels_support(levels.codes_N, coded_N, levels.counts_L)
        if support is None:
            continue
        constraint = Constraint(kind="lookup", columns=(name, *group))
        why = lookup_sentence([name], group)
        rule = FoundRule(constraint=constraint, why=why, support=support)
        if shown >= _LEAST_SHOWN:
            yield rule
        elif len(group) == 1:  # two together may merely name the entity of several rows
            yield rule.unkept(_RARE)


def _together(columns: TableColumns, group: Sequence[str], rows: NDArray[np.int64]) -> Codes32:
    """Return the numbers of the combinations of some columns, from 0, in rows."""
    coded = columns.levels(group[0]).codes_N[rows].astype(np.int64)
    for name in group[1:]:
        levels = columns.levels(name)
        coded = np.unique(coded, return_inverse=True)[1] * len(levels.values)
        coded = coded + levels.codes_N[rows]
    if len(group) > 1 or len(rows) < columns.rows:
        coded = np.unique(coded, return_inverse=True)[1]
    return coded.astype(np.int32)


def _first(coded: Codes32) -> NDArray[np.int64]:
    """Return for every row the first one of its combination."""
    first = np.empty(int(coded.max()) + 1, dtype=np.int64)
    first[coded[::-1]] = np.arange(len(coded))[::-1]
    return first[coded]


def _decides(coded: Codes32, other: Codes32) -> bool:
    """Whether rows of one combination have one value of another column."""
    return bool((other[_first(coded)] == other).all())
