"""Conditions: a column is missing, or one value, where another one has certain values.

`exactly` says that it is so nowhere else: joint gaps, implied gaps, -1 for "never". Without it, the
value may occur elsewhere, too. An atom is a column and one of its values; in what share of the rows
of every level of another column it holds is one product of matrices.

N rows, S of the sample, A atoms, L levels.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
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
from storage.sources.tables.structure.smooth_null import SmoothNull

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

_FORESEEN: Final = 20
"""So many exceptions that are foreseen and not there happen by chance once in 10^8 candidates."""

_NEARLY: Final = 0.9
"""So many of the rows with the value are under the condition, and so many others are without it."""

_SHARE_FORESEEN: Final = 0.25
"""Of a condition's column with one other level, whose order says nothing, as many exceptions are
foreseen as this share of those that the other rows have."""

_FEWEST_LEVELS: Final = 3
"""Of a column that has a value under a condition and elsewhere: two flags that move together may
never be both."""

_MOST_JUDGED: Final = 60
"""Candidates of a table that a model is fitted for, those that more rows tell first."""

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


@dataclass(frozen=True, kw_only=True)
class ConditionCandidate:
    """A condition without exceptions, as it was found."""

    atom: Atom
    conditions: Conditions
    levels: tuple[int, ...]
    """Those at which the value never lacks."""
    exactly: bool
    told: int


def find_conditions(
    columns: TableColumns, skipped: Collection[str], rules: Sequence[FoundRule] = ()
) -> tuple[FoundRule, ...]:
    """Return conditions: the exact ones first, of flags last, then by how many rows they decide.

    Args:
        columns: of the table.
        skipped: columns that are not looked at, as other rules tell them.
        rules: what is known to hold between columns.
    """
    names = [name for name in columns.names if name not in skipped]
    atoms = [atom for name in names for atom in _atoms(columns, name)]
    if not atoms:
        return ()
    rows = columns.sample_S if len(atoms) <= _MANY else columns.spread(_HEAD)
    sampled = [columns.levels(atom.column).codes_N[rows] == atom.code for atom in atoms]
    screen = ScreenedRows(rows=rows, holds_SA=np.stack(sampled, axis=1).astype(np.float32))
    found = list[ConditionCandidate]()
    for name in names:
        conditions = _conditions(columns, name)
        if conditions is not None:
            found += list(_under(columns, conditions, atoms, screen))
    found.sort(key=lambda one: (not one.exactly, _is_flag(columns, one.atom), -one.told))
    null, judged = SmoothNull(columns), 0
    chosen = list[ConditionCandidate]()
    for one in found:
        told: ConditionCandidate | None = one
        if not one.exactly:
            judged += 1
            told = _beyond_chance(columns, one, null, rules) if judged <= _MOST_JUDGED else None
        chosen += [] if told is None else [told]
    return tuple(_stated(columns, one) for one in chosen)


def _atoms(columns: TableColumns, name: str) -> Iterator[Atom]:
    """Return the values of a column that stand out: what is missing, and the spikes of numbers."""
    levels = columns.levels(name)
    shown = columns.may_show(name) if columns.kinds[name] == "category" else levels.counts_L > 0
    if len(levels.values) < 2 or shown.sum() < 2:
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
) -> Iterator[ConditionCandidate]:
    levels = conditions.level_of_L[columns.levels(conditions.column).codes_N]
    count = len(conditions.codes) + 1
    onehot_SL = (levels[screen.rows][:, None] == np.arange(count)).astype(np.float32)
    held_LA, rows_L = onehot_SL.T @ screen.holds_SA, onehot_SL.sum(axis=0)
    full_LA = (held_LA == rows_L[:, None]) & (rows_L[:, None] > 0)
    for place in np.flatnonzero(full_LA[:-1].any(axis=0)).tolist():
        atom = atoms[place]
        if atom.column != conditions.column:
            candidate = _verified(columns, conditions, atom, levels)
            if candidate is not None:
                yield candidate


def _verified(
    columns: TableColumns, conditions: Conditions, atom: Atom, levels_N: Ints
) -> ConditionCandidate | None:
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
    if (not exactly and _is_flag(columns, atom)) or not _is_told(
        columns, atom, told, exactly=exactly
    ):
        return None
    levels = tuple(np.flatnonzero(full_L).tolist())
    values = columns.levels(conditions.column).values
    said = [values[conditions.codes[level]] for level in levels]
    if any(value.is_valid and as_text(value.as_py()) == "null" for value in said):
        return None
    return ConditionCandidate(
        atom=atom, conditions=conditions, levels=levels, exactly=exactly, told=told
    )


def _is_flag(columns: TableColumns, atom: Atom) -> bool:
    return len(columns.levels(atom.column).values) < _FEWEST_LEVELS


def _beyond_chance(
    columns: TableColumns, one: ConditionCandidate, null: SmoothNull, rules: Sequence[FoundRule]
) -> ConditionCandidate | None:
    """Return a condition at those of its levels where exceptions were foreseen; None without.

    What is nearly an equivalence needs no model: what merely moves together is never so close.
    """
    codes = columns.levels(one.conditions.column).codes_N
    levels_N = one.conditions.level_of_L[codes]
    lacks_N = columns.levels(one.atom.column).codes_N != one.atom.code
    rest_N = ~np.isin(levels_N, one.levels)
    elsewhere = float(lacks_N[rest_N].mean())
    if one.told >= _NEARLY * one.atom.count and elsewhere >= _NEARLY:
        return one
    ordered = len(np.unique(codes[rest_N])) > 1
    least = 0.0 if ordered else _SHARE_FORESEEN * elsewhere
    foreseen = null.foreseen(
        lacks_N,
        levels_N,
        one.levels,
        one.conditions.column,
        _computed_together(one.atom.column, rules),
    )
    rows_L = np.bincount(levels_N)
    pairs = zip(one.levels, foreseen, strict=True)
    levels = tuple(level for level, n in pairs if n >= max(_FORESEEN, least * rows_L[level]))
    told = int(np.isin(levels_N, levels).sum())
    if not levels or not _is_told(columns, one.atom, told, exactly=False):
        return None
    return replace(one, levels=levels, told=told)


def _computed_together(name: str, rules: Sequence[FoundRule]) -> set[str]:
    """Return a column and all that rules connect with it."""
    found, waiting = set[str](), [name]
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting += [
                n for r in rules if each in r.constraint.columns for n in r.constraint.columns
            ]
    return found


def _stated(columns: TableColumns, one: ConditionCandidate) -> FoundRule:
    values = columns.levels(one.conditions.column).values
    constraint = Constraint(
        kind="conditional",
        columns=(one.atom.column, one.conditions.column),
        value=one.atom.text,
        when=tuple(as_text(values[one.conditions.codes[each]].as_py()) for each in one.levels),
        exactly=one.exactly,
    )
    why = condition_sentence([one.atom.column], constraint)
    return FoundRule(constraint=constraint, why=why, support=one.told)


def _is_told(columns: TableColumns, atom: Atom, told: int, *, exactly: bool) -> bool:
    """Whether so many rows tell a condition: more where the value occurs elsewhere, too."""
    expected = told * (1 - atom.count / columns.rows)
    if exactly:
        return told >= _LEAST_ROWS and expected >= _BROKEN_OF_LEVEL
    sure = told >= _SURE_ROWS or told >= _COVERED * atom.count
    return sure and told >= LEAST_SHARE * columns.rows and expected >= _LEAST_BROKEN
