"""Conditions: a column is missing, or one value, where another one has certain values.

`exactly` says that it is so nowhere else: joint gaps, implied gaps, -1 for "never". Without it, the
value may occur elsewhere, too. An atom is a column and one of its values; in what share of the rows
of every level of another column it holds is one product of matrices.

N rows, S of the sample, A atoms, L levels.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from storage.records.constraint import Constraint
from storage.sources.tables.structure.columns import (
    LEAST_SHARE,
    Ints,
    LevelCodes,
    TableColumns,
    as_text,
)
from storage.sources.tables.structure.rule import FoundRule, condition_sentence

_MOST_LEVELS: Final = 30
_MOST_SPIKES: Final = 3
_LEAST_ROWS: Final = 30
_LEAST_BROKEN: Final = 50
"""So many rows would break a condition by chance that is no equivalence."""

_MANY: Final = 200
_HEAD: Final = 400
"""Rows that are looked at first, where there are many atoms."""

_BROKEN_OF_LEVEL: Final = 20
"""The same of an equivalence, and of every single level in which the value merely never fails."""

_SURE_ROWS: Final = 400
"""Of a value that occurs elsewhere, too: no exception in so many rows makes one in a hundred
improbable, unless the condition covers most of the value's rows."""

_SLOPE: Final = 0.9
"""Where another level has the value in more of its rows, the levels with all of them may be the end
of a slope."""

_BY_CHANCE: Final = "the value occurs under other levels, too, so that these may have it by chance"

_COVERED: Final = 0.8
_FAR_MORE: Final = 5
_SHARED: Final = frozenset({"category", "boolean", "integer"})


@dataclass(frozen=True, kw_only=True)
class Atom:
    """A column and one of its values."""

    column: str
    code: int
    text: str
    count: int
    """Rows that hold it."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Levels of a column, of which every other one is told apart, or none is."""

    column: str
    codes: tuple[int, ...]
    """Codes that have a level of their own; all others share the last one."""
    level_of_L: Ints
    """The level of each code of the column."""


@dataclass(frozen=True, kw_only=True)
class ScreenedRows:
    """The rows that are looked at first."""

    rows: Ints
    holds_SA: NDArray[np.float32]
    """1 where an atom holds."""


def find_conditions(columns: TableColumns, skipped: Collection[str]) -> tuple[FoundRule, ...]:
    """Return conditions: the exact ones first, then by how many rows they decide.

    Args:
        columns: of the table.
        skipped: columns that are not looked at, as other rules tell them.
    """
    names = [name for name in columns.names if name not in skipped]
    atoms = [atom for name in names for atom in _atoms(columns, name)]
    if not atoms:
        return ()
    rows = columns.sample_S if len(atoms) <= _MANY else columns.spread(_HEAD)
    sampled = [columns.levels(atom.column).codes_N[rows] == atom.code for atom in atoms]
    screen = ScreenedRows(rows=rows, holds_SA=np.stack(sampled, axis=1).astype(np.float32))
    rules = []
    for name in names:
        conditions = _conditions(columns, name)
        if conditions is not None:
            rules += list(_under(columns, conditions, atoms, screen))
    return tuple(sorted(rules, key=lambda r: (not r.constraint.exactly, -r.support)))


def _atoms(columns: TableColumns, name: str) -> Iterator[Atom]:
    """Return the values of a column that stand out: what is missing, and the spikes of numbers."""
    levels = columns.levels(name)
    shown = columns.may_show(name) if columns.kinds[name] == "category" else levels.counts_L > 0
    if len(levels.values) < 3 or shown.sum() < 2:
        return
    for code in dict.fromkeys([*([] if levels.null is None else [levels.null]), *_spikes(levels)]):
        count = int(levels.counts_L[code])
        if count <= columns.rows - _LEAST_ROWS and columns.may_show(name)[code]:
            text = as_text(levels.values[code].as_py())
            if count >= _LEAST_ROWS and (code == levels.null or text != "null"):
                yield Atom(column=name, code=code, text=text, count=count)


def _spikes(levels: LevelCodes) -> list[int]:
    """Return the values that stand out: the commonest of few; of many those of a large share.

    So does one that is far more common than all others. That one value of many goes with one of
    another column tells little: both columns may say the same.
    """
    order = np.argsort(-levels.counts_L, kind="stable").tolist()
    order = [code for code in order if code != levels.null]
    counts = levels.counts_L[order]
    if len(order) <= _MOST_LEVELS:
        return order[:_MOST_SPIKES]
    large = int((counts[:_MOST_SPIKES] >= LEAST_SHARE * levels.counts_L.sum()).sum())
    alone = counts[0] >= _FAR_MORE * counts[1]
    return order[: max(large, int(alone))]


def _conditions(columns: TableColumns, name: str) -> Conditions | None:
    """Return the levels of a column that may decide another: all of few, the commonest of many."""
    levels = columns.levels(name)
    common = columns.may_show(name)
    few = columns.kinds[name] in _SHARED and len(levels.values) <= _MOST_LEVELS
    many = [] if columns.kinds[name] == "category" else _spikes(levels)
    chosen = np.argsort(-levels.counts_L, kind="stable").tolist() if few else many
    codes = [code for code in chosen if common[code]]
    if levels.null is not None and levels.null not in codes and common[levels.null]:
        codes.append(levels.null)
    if not codes:
        return None
    level_of_L = np.full(len(levels.values), len(codes), dtype=np.int64)
    level_of_L[codes] = np.arange(len(codes))
    return Conditions(column=name, codes=tuple(codes), level_of_L=level_of_L)


def _under(
    columns: TableColumns, conditions: Conditions, atoms: Sequence[Atom], screen: ScreenedRows
) -> Iterator[FoundRule]:
    levels = conditions.level_of_L[columns.levels(conditions.column).codes_N]
    count = len(conditions.codes) + 1
    onehot_SL = (levels[screen.rows][:, None] == np.arange(count)).astype(np.float32)
    held_LA, rows_L = onehot_SL.T @ screen.holds_SA, onehot_SL.sum(axis=0)
    full_LA = (held_LA == rows_L[:, None]) & (rows_L[:, None] > 0)
    for place in np.flatnonzero(full_LA[:-1].any(axis=0)).tolist():
        atom = atoms[place]
        if atom.column != conditions.column:
            rule = _verified(columns, conditions, atom, levels)
            if rule is not None:
                yield rule


def _verified(
    columns: TableColumns, conditions: Conditions, atom: Atom, levels_N: Ints
) -> FoundRule | None:
    holds_N = columns.levels(atom.column).codes_N == atom.code
    count = len(conditions.codes) + 1
    rows_L = np.bincount(levels_N, minlength=count)
    held_L = np.bincount(levels_N[holds_N], minlength=count)
    full_L = (held_L == rows_L) & (rows_L > 0)
    full_L[-1] = False
    exactly = bool((full_L | (held_L == 0)).all())
    share = atom.count / columns.rows
    if not exactly:
        full_L &= rows_L * (1 - share) >= _BROKEN_OF_LEVEL
    told = int(rows_L[full_L].sum())
    if not _is_told(columns, atom, told, exactly=exactly):
        return None
    codes = [code for code, full in zip(conditions.codes, full_L[:-1], strict=True) if full]
    values = columns.levels(conditions.column).values
    texts = tuple(as_text(values[code].as_py()) for code in codes)
    if "null" in [t for t, code in zip(texts, codes, strict=True) if values[code].is_valid]:
        return None
    constraint = Constraint(
        kind="conditional",
        columns=(atom.column, conditions.column),
        value=atom.text,
        when=texts,
        exactly=exactly,
    )
    rule = FoundRule(
        constraint=constraint, why=condition_sentence([atom.column], constraint), support=told
    )
    others_L = ~full_L & (rows_L >= _LEAST_ROWS)
    slopes = bool((held_L[others_L] > _SLOPE * rows_L[others_L]).any())
    chance = not exactly and (len(codes) > 1 or slopes)
    return rule.unkept(_BY_CHANCE) if chance else rule


def _is_told(columns: TableColumns, atom: Atom, told: int, *, exactly: bool) -> bool:
    """Whether so many rows tell a condition: more where the value occurs elsewhere, too."""
    expected = told * (1 - atom.count / columns.rows)
    if exactly:
        return told >= _LEAST_ROWS and expected >= _BROKEN_OF_LEVEL
    sure = told >= _SURE_ROWS or told >= _COVERED * atom.count
    return sure and told >= LEAST_SHARE * columns.rows and expected >= _LEAST_BROKEN
