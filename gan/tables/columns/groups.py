"""What a column may show: no number that fewer than `g` rows hold, and only what constraints allow.

Numbers are shown by univariate microaggregation (Domingo-Ferrer and Mateo-Sanz 2002, IEEE TKDE
14:189-201), with rules:

1. A value held by g rows or more is shown as it is.
2. The sorted rows between two shown values are a run; so are those between gaps, which are wider
   than the g rows on either side. A run of fewer than g rows takes the nearest shown value. A
   longer one is cut into groups of g to 2g - 1 neighbouring rows, and every row of a group is
   shown as the group's mean.
3. Extremes: the g smallest rows count as the g-th smallest and the g largest as the g-th largest (a
   quarter of the rows, where that is fewer), and the outermost groups have as many rows more, so
   that their means lie inside.
4. A mean is rounded to the step of its group: the largest of 1, 2, 5, 10, 20, 50 ... (of time also
   a minute, an hour, a day) that divides all differences of the group.
5. A mean that equals a real value, which fewer than g rows hold, moves to the nearest multiple of
   that step that is no such value and lies within the column's range; where there is none, to the
   nearest of the whole column's step. It stays where the group is dense, with two rows or more for
   every step between its extremes, so that any value there is as good as real; or where every
   multiple in the column's range is taken.

A lone outlier therefore never comes out: at the extremes it is cut off, and between them it is one
of g rows behind a mean that differs from it.

Constraints that hold by construction are ranges, sums, and combinations that are one column; they
are checked beforehand, by themselves and with each other (`gan.tables.constraints`).

Shapes: N sorted rows of a column, M rows of all its groups.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from gan.errors import DataError
from storage.records.constraint import Constraint
from storage.records.table_metadata import TableMetadata

Array = np.ndarray[Any, Any]

TENS = tuple(digit * 10**power for power in range(18) for digit in (1, 2, 5))
SECONDS = (60, 300, 900, 1800, 3600, 43_200, 86_400, 604_800)
STEPS = np.array(
    sorted({*TENS, *(s * 10**power for s in SECONDS for power in (0, 3, 6, 9))}), dtype=np.int64
)
"""Steps that a group may have. The list is closed, so that a step reveals nothing of one row."""
DENSE = 2
"""A group is dense when it has so many rows for every step between its extremes."""

Limits = tuple[Decimal | None, Decimal | None]
"""Smallest and largest value, None where it is open."""


def shown_values(units_N: Array, g: int) -> Array:
    """Return, for sorted values, the value that each row is shown as; also sorted.

    Args:
        units_N: sorted, at least g of them; int64 or floats.
        g: the smallest group; 1 shows everything as it is.
    """
    if g <= 1:
        return units_N
    distinct, inverse_N, counts = np.unique(units_N, return_inverse=True, return_counts=True)
    rare = distinct[counts < g]
    shown_N = units_N.copy()
    starts, ends = _runs(counts[inverse_N] < g, wide_gaps(units_N, g))
    depth = min(g, len(units_N) // 4)
    clipped_N = np.clip(units_N, units_N[depth], units_N[len(units_N) - 1 - depth])
    cuts = [np.empty(0, dtype=np.int64)]
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if end - start < g:
            shown_N[start:end] = _nearest_shown(units_N, start, end)
        else:
            extra = depth * (start == 0), depth * (end == len(units_N))
            cuts.append(_cuts(start, end, g, extra))
    inside_N = np.concatenate([np.arange(cut[0], cut[-1]) for cut in cuts[1:]] or cuts[:1])
    sizes = np.concatenate([np.diff(cut) for cut in cuts])
    if len(sizes):
        limits = units_N[0], units_N[-1]
        means = _means(clipped_N[inside_N], units_N[inside_N], sizes, rare, limits)
        shown_N[inside_N] = np.repeat(means, sizes)
    shown_N.sort()
    return shown_N


def wide_gaps(values_N: Array, rows: int) -> Array:
    """Return before which rows there is a gap wider than so many rows on either side of it.

    Args:
        values_N: sorted.
        rows: how many; at least 1.
    """
    found = np.zeros(len(values_N), dtype=bool)
    if len(values_N) >= 2 * rows:
        low, high = values_N[: 1 - 2 * rows or None], values_N[2 * rows - 1 :]
        below, above = values_N[rows - 1 : len(values_N) - rows], values_N[rows : 1 - rows or None]
        found[rows : 1 - rows or None] = above - below > np.maximum(below - low, high - above)
    return found


def _runs(rare_N: Array, gaps_N: Array) -> tuple[Array, Array]:
    """Return where runs of rare values start and end, in rows."""
    before_N = np.append(False, rare_N[:-1])
    after_N = np.append(rare_N[1:], False)
    cut_N = np.append(gaps_N[1:], False)
    starts = np.flatnonzero(rare_N & (~before_N | gaps_N))
    return starts, np.flatnonzero(rare_N & (~after_N | cut_N)) + 1


def _nearest_shown(units_N: Array, start: int, end: int) -> Array:
    """Return the shown neighbour that is nearer to each row of a short run."""
    values = units_N[start:end]
    below = units_N[start - 1] if start > 0 else None
    above = units_N[end] if end < len(units_N) else None
    if below is None or above is None:
        return np.full(len(values), above if below is None else below, dtype=units_N.dtype)
    nearest: Array = np.where(values - below <= above - values, below, above)
    return nearest


def _cuts(start: int, end: int, g: int, extra: tuple[int, int]) -> Array:
    """Return the rows where the groups of one run begin, and its end."""
    inner = max(end - start - sum(extra), g)
    groups = inner // g
    cuts = start + extra[0] + np.arange(groups + 1, dtype=np.int64) * inner // groups
    cuts[0], cuts[-1] = start, end
    return cuts


def _means(
    clipped_M: Array, values_M: Array, sizes: Array, rare: Array, limits: tuple[Any, Any]
) -> Array:
    """Return the value that each group is shown as.

    Args:
        clipped_M: the rows of all groups, one group after another, with extremes cut off.
        values_M: the same rows as they are.
        sizes: rows of each group.
        rare: the values that fewer than g rows hold.
        limits: smallest and largest value of the column.
    """
    starts = np.cumsum(sizes) - sizes
    base = clipped_M[starts]
    offsets_M = clipped_M - np.repeat(base, sizes)
    means = np.add.reduceat(offsets_M.astype(np.float64), starts) / sizes
    if clipped_M.dtype.kind == "f":
        return _free_floats((base + means).astype(clipped_M.dtype), rare)
    steps = _nice(np.gcd.reduceat(offsets_M, starts))
    values: Array = base + np.rint(means / steps).astype(np.int64) * steps
    first, last = values_M[starts], values_M[starts + sizes - 1]
    real_steps = _nice(np.gcd.reduceat(values_M - np.repeat(first, sizes), starts))
    spans = (last - first) // real_steps + 1
    sparse = np.flatnonzero(sizes < DENSE * spans)
    moved = _move_to_free(values[sparse], steps[sparse], rare, limits)
    whole = _nice(np.gcd.reduce(np.diff(rare), initial=0, keepdims=True))
    values[sparse] = _move_to_free(moved, np.full_like(moved, whole[0]), rare, limits)
    return values


def _nice(divisors: Array) -> Array:
    """Return the largest step of the list that divides each divisor; 1 for 0."""
    steps = np.ones_like(divisors)
    for step in STEPS:
        steps[(divisors > 0) & (divisors % step == 0)] = step
    return steps


def _move_to_free(values: Array, steps: Array, rare: Array, limits: tuple[Any, Any]) -> Array:
    """Return the means, moved to the nearest multiple of the step that is no real rare value."""
    taken = np.flatnonzero(np.isin(values, rare))
    lattices, which = np.unique(
        np.stack([steps[taken], values[taken] % steps[taken]], axis=1), axis=0, return_inverse=True
    )
    for index, (step, rest) in enumerate(lattices):
        mine = taken[which.ravel() == index]
        real = rare[rare % step == rest]
        cuts = np.flatnonzero(np.diff(real) > step)
        run = np.searchsorted(real[cuts], values[mine])
        below = real[np.append(0, cuts + 1)][run] - step
        above = real[np.append(cuts, len(real) - 1)][run] + step
        down, up = values[mine] - below, above - values[mine]
        down_free, up_free = below >= limits[0], above <= limits[1]
        go_down = down_free & ((down <= up) | ~up_free)
        values[mine] = np.where(go_down, below, np.where(up_free, above, values[mine]))
    return values


def _free_floats(means: Array, rare: Array) -> Array:
    """Return the means; one that equals a real rare value moves half way to the next."""
    taken = np.isin(means, rare)
    after = np.minimum(np.searchsorted(rare, means, side="right"), len(rare) - 1)
    moved: Array = np.where(taken, means + (rare[after] - means) / 2, means)
    return moved


@dataclass(frozen=True, kw_only=True)
class GroupRules:
    """What the constraints mean for the codec."""

    limits: Mapping[str, Limits]
    """Column → smallest and largest value."""
    joint: Mapping[str, tuple[str, ...]]
    """Column → the columns that are one with it, in the order of the table."""
    totals: Mapping[str, tuple[str, ...]]
    """Total → its parts."""


def read_rules(metadata: TableMetadata, label: str | None) -> GroupRules:
    """Return what the constraints mean for the codec.

    Raises:
        DataError: the label is the total of a sum, which is not learnt.
    """
    limits: dict[str, Limits] = {}
    joint: dict[str, tuple[str, ...]] = {}
    totals: dict[str, tuple[str, ...]] = {}
    for constraint in metadata.constraints:
        first, *rest = constraint.columns
        if constraint.kind == "range":
            limits[first] = _narrow(limits.get(first, (None, None)), constraint)
        elif constraint.kind == "sum":
            totals[first] = tuple(rest)
        elif constraint.kind in ("combinations", "one_of"):
            names = _in_order(constraint.columns, metadata)
            joint |= dict.fromkeys(names, names)
    if label in totals:
        msg = (
            f"label column {label!r} is the sum of {', '.join(totals[str(label)])} and not learnt: "
            "remove the constraint, or choose another label"
        )
        raise DataError(msg)
    return GroupRules(limits=limits, joint=joint, totals=totals)


def _in_order(names: tuple[str, ...], metadata: TableMetadata) -> tuple[str, ...]:
    """Return the columns that vary, in the order of the table; none when fewer than two do."""
    found = tuple(c.name for c in metadata.columns if c.name in names and c.kind != "constant")
    return found if len(found) > 1 else ()


def _narrow(limits: Limits, constraint: Constraint) -> Limits:
    """Return the intersection with one more range, its bounds as they were written."""
    low, high = (
        None if bound is None else Decimal(repr(bound))
        for bound in (constraint.low, constraint.high)
    )
    return (
        max((bound for bound in (limits[0], low) if bound is not None), default=None),
        min((bound for bound in (limits[1], high) if bound is not None), default=None),
    )
