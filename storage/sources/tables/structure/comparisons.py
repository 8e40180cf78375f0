"""Levels that say which of two columns is larger: late or in time, home win, draw or away win.

They are the bands of a difference, cut at zero: numbers by numbers, moments by moments.

S rows of the sample, Q pairs of columns, L levels.
"""

from collections.abc import Collection, Iterator, Mapping
from itertools import combinations
from typing import Final

import numpy as np

from storage.records.constraint import Constraint
from storage.sources.tables.structure.columns import Floats, Ints, TableColumns, as_text
from storage.sources.tables.structure.evidence import levels_support
from storage.sources.tables.structure.rule import FoundRule

MOST_COLUMNS: Final = 40
"""Of more numbers, and of more moments, they are looked for among the first."""

_DECIDED: Final = frozenset({"category", "boolean", "integer", "float", "decimal"})
_HEAD: Final = 100
_WAYS: Final = (2, 3)
_SECOND: Final = 1e-6
_LEAST_ROWS: Final = 30
"""So many rows lie on each side."""

_RARE: Final = "some level of it is held by too few rows to be shown"


def find_comparisons(
    columns: TableColumns, skipped: Collection[str], told: Collection[str]
) -> tuple[FoundRule, ...]:
    """Return levels that say whether one column is less than another, equal, or more.

    Args:
        columns: of the table.
        skipped: columns that are not looked at, as other rules tell them.
        told: columns of levels that one other column decides.
    """
    found = list[FoundRule]()
    families: tuple[tuple[Mapping[str, Floats], Mapping[str, float]], ...] = (
        (
            {name: one.values_N for name, one in columns.quantities.items()},
            {name: one.step for name, one in columns.quantities.items()},
        ),
        (columns.moments, dict.fromkeys(columns.moments, _SECOND)),
    )
    levels = [
        name
        for name in columns.names
        if name not in (*skipped, *told)
        and columns.kinds[name] in _DECIDED
        and len(columns.levels(name).values) - columns.levels(name).values.null_count in _WAYS
    ]
    for values, steps in families:
        names = [name for name in values if name not in skipped][:MOST_COLUMNS]
        pairs = np.array(list(combinations(range(len(names)), 2)), dtype=np.int64).reshape(-1, 2)
        head = columns.spread(_HEAD)
        if not levels or not len(pairs):
            continue
        head_SP = np.stack([values[name][head] for name in names], axis=1)
        apart_SQ = head_SP[:, pairs[:, 0]] - head_SP[:, pairs[:, 1]]
        for level in levels:
            for one, other in pairs[_separated(columns, level, head, apart_SQ)].tolist():
                used = (level, names[one], names[other])
                if level not in used[1:]:
                    step = min(steps[names[one]], steps[names[other]])
                    apart_N = values[names[one]] - values[names[other]]
                    found += _rules(columns, used, apart_N, step)
    return tuple(found)


def _separated(columns: TableColumns, name: str, rows: Ints, apart_SQ: Floats) -> Ints:
    """Return the pairs whose differences are parted at zero by the levels."""
    levels = columns.levels(name)
    codes = levels.codes_N[rows]
    present = [code for code in np.unique(codes).tolist() if code != levels.null]
    if not present:
        return np.empty(0, dtype=np.int64)
    known_SQ = np.nan_to_num(apart_SQ, nan=0.0)
    low_LQ = np.stack([known_SQ[codes == code].min(axis=0) for code in present])
    high_LQ = np.stack([known_SQ[codes == code].max(axis=0) for code in present])
    order_LQ = np.argsort(low_LQ, axis=0)
    low_LQ, high_LQ = (np.take_along_axis(each, order_LQ, axis=0) for each in (low_LQ, high_LQ))
    return np.flatnonzero((high_LQ[:-1] <= 0).all(axis=0) & (low_LQ[1:] >= 0).all(axis=0))


def _rules(
    columns: TableColumns, used: tuple[str, str, str], apart_N: Floats, step: float
) -> Iterator[FoundRule]:
    """Yield the rule if all rows keep it and enough of them tell it."""
    levels = columns.levels(used[0])
    known_N = ~np.isnan(apart_N)
    has_N = levels.codes_N != (-1 if levels.null is None else levels.null)
    if (has_N != known_N).any():
        return
    codes, signs = levels.codes_N[known_N], np.sign(apart_N[known_N])
    codes_3 = [set(codes[signs == sign].tolist()) for sign in (-1.0, 0.0, 1.0)]
    less, equal, more = codes_3
    rows = [int((signs == sign).sum()) for sign in (-1.0, 1.0)]
    if min(rows) < _LEAST_ROWS or any(len(one) > 1 for one in codes_3) or less == more:
        return
    alike = np.zeros(len(codes), dtype=np.int32)
    support = levels_support(codes, alike, levels.counts_L)
    if support is None:
        return
    half = step / 2
    order: list[int]
    cuts: tuple[float, ...]
    if equal and equal != less and equal != more:
        order, cuts = [*less, *equal, *more], (-half, half)
    else:
        order, cuts = [*less, *more], ((half,) if equal == less else (-half,) if equal else (0.0,))
    constraint = Constraint(
        kind="band",
        columns=used,
        cuts=cuts,
        levels=tuple(as_text(levels.values[code].as_py()) for code in order),
    )
    said = "as much as, or more than," if cuts[0] < 0 else "more than"
    what = f"{used[1]} is {said} {used[2]}"
    if len(cuts) > 1:
        what = f"{used[1]} is less than {used[2]}, equal or more"
    rule = FoundRule(
        constraint=constraint, why=f"{used[0]} says whether {what}, in all rows", support=support
    )
    yield rule if columns.may_show(used[0])[order].all() else rule.unkept(_RARE)
