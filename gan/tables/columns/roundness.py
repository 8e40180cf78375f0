"""Which numbers of a table are round where other columns say so; see `rounded`.

The lattices of a column's habits of rounding are tried, and steps such as dozens and quarters,
which habits do not know. One is told if its values lie otherwise among the classes of another
column, or of another column's roundness, than its share in each bin lets expect.

Shapes: N rows, M of them, K codes, P phases, S strata.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from gan.tables.columns.numeric import Numeric, wanted_bins
from gan.tables.columns.partners import CLASSES, rank_classes
from gan.tables.columns.rounded import RoundedNumeric, Run, ValueLattice, phases_of
from gan.tables.columns.values import MONTHS, Modelled, to_units

Array = np.ndarray[Any, Any]

DOZENS_AND_QUARTERS = (12, 15, 25, 250)
"""Steps that are tried beside the habits, times the finest one."""
LEAST_SHARE, LEAST_ROWS = 0.03, 0.05
"""So much of the rows in bins, and at most all but so much, lies on a lattice, and so much of all
rows is in bins that hold both kinds: else it is a value that is told, not roundness."""
SIGMAS, LEAST_TOLD = 6.0, 0.1
"""Roundness goes with a column if the statistic lies so many standard deviations above chance, and
so much of its variance inside the bins is told."""
MOST_LATTICES, NEARLY = 3, 0.8
"""So many lattices part a column; each is the coarsest that tells nearly what the best one does."""
ROWS_OF_RUN = 2.0
"""A code of round values has so many times `g` rows, or as many as a bin."""
SAMPLE, MOST_COLUMNS = 10_000, 60
"""So many rows are looked at, and so many columns: the first ones."""


class _InBins(NamedTuple):
    """The rows of a column whose value is its own and no atom."""

    own: Numeric
    rows_M: Array
    codes_M: Array
    units_M: Array

    @classmethod
    def of(cls, own: Numeric, records: pa.Table) -> "_InBins":
        """Find them."""
        units_N, valid_N = to_units(records[own.name], own.decimals)
        codes_N = own.codes_of(own.encode(records))
        rows_M = np.flatnonzero(valid_N & (np.diff(own.first_cells) > 1)[codes_N])
        return cls(own, rows_M, codes_N[rows_M], units_N[rows_M])


def find_rounded(
    columns: Sequence[Modelled], records: pa.Table, group: int, fixed: Sequence[str]
) -> tuple[Modelled, ...]:
    """Return the columns, those whose roundness goes with another column parted by it.

    Args:
        columns: as found so far.
        records: the training records.
        group: rows that a code must have.
        fixed: names of columns that stay as they are.
    """
    looked = columns[:MOST_COLUMNS]
    offered = {
        column.name: own
        for column in looked
        if column.name not in fixed and (own := _own(column)) is not None
    }
    if not offered:
        return tuple(columns)
    step = -(-records.num_rows // SAMPLE)
    some = records.take(pa.array(np.arange(0, records.num_rows, step)))
    seen = {name: _InBins.of(own, some) for name, own in offered.items()}
    classes = [(column.name, _classes(column, some)) for column in looked]
    classes += [(name, _roundness(each, some.num_rows)) for name, each in seen.items()]
    found: dict[str, Modelled] = {}
    for name, own in offered.items():
        others = [each_N for other, each_N in classes if other != name]
        parted = _part(own, _lattices_told(seen[name], others), records, group)
        if parted is not None:
            found[name] = parted
    return tuple(found.get(column.name, column) for column in columns)


def _own(column: Modelled) -> Numeric | None:
    """Return a column that may be parted; None where it has no bins, no steps, or a neighbour."""
    if not isinstance(column, Numeric) or column.decimals in (None, MONTHS):
        return None
    kind = column.vocabularies[0].type
    moment = pa.types.is_date(kind) or pa.types.is_timestamp(kind)
    return None if moment or column.codes == column.cells else column


def _lattices(own: Numeric) -> list[ValueLattice]:
    """Return the lattices that are tried, coarse ones first."""
    habits = {ValueLattice(*habit[:2]) for each in own.curve.ranges for habit in each.habits}
    finest = min((each.step for each in habits), default=1)
    habits |= {ValueLattice(finest * times, 0) for times in DOZENS_AND_QUARTERS}
    return sorted((each for each in habits if each.step > finest), reverse=True)


def _classes(column: Modelled, records: pa.Table) -> Array:
    return rank_classes(column.codes_of(column.encode(records)), column.codes)


def _roundness(seen: _InBins, rows: int) -> Array:
    """Return the phase of every value in a bin by all lattices that are tried, as a class."""
    classes_N = np.zeros(rows, dtype=np.int64)
    phases_M = phases_of(seen.units_M, _lattices(seen.own))
    classes_N[seen.rows_M] = np.minimum(phases_M + 1, CLASSES - 1)
    return classes_N


def _lattices_told(seen: _InBins, others: Sequence[Array]) -> list[ValueLattice]:
    """Return the lattices that go with another column, each beyond the others, coarse ones first.

    Args:
        seen: the column.
        others: classes of the others.
    """
    open_, chosen = _lattices(seen.own), list[ValueLattice]()
    while open_ and len(chosen) < MOST_LATTICES and len(seen.rows_M):
        strata_M = seen.codes_M * (len(chosen) + 1) + phases_of(seen.units_M, chosen)
        scores = [_told(each.holds(seen.units_M), strata_M, seen.rows_M, others) for each in open_]
        if max(scores) <= 0:
            break
        best = int(np.argmax(np.array(scores) >= NEARLY * max(scores)))
        chosen = sorted([*chosen, open_.pop(best)], reverse=True)
    return chosen


def _told(on_M: Array, strata_M: Array, rows_M: Array, others: Sequence[Array]) -> float:
    """Return how far roundness goes with some column beyond chance; 0: with none.

    Of every class of a column, the rows that are round less those that its strata let expect,
    squared, over the variance of that number (Cochran 1954, Biometrics 10:417-451).
    """
    if not LEAST_SHARE <= on_M.mean() <= 1 - LEAST_SHARE:
        return 0.0
    _, strata_M = np.unique(strata_M, return_inverse=True)
    rows_S = np.bincount(strata_M)
    share_M = (np.bincount(strata_M, weights=on_M) / rows_S)[strata_M]
    away_M = on_M - share_M
    spread_M = share_M * (1 - share_M) * (rows_S / np.maximum(rows_S - 1, 1))[strata_M]
    some_M = spread_M > 0
    best, varied = 0.0, np.count_nonzero(some_M)
    enough = others and varied >= LEAST_ROWS * len(others[0])
    for classes_N in others if enough else ():
        classes_M = classes_N[rows_M[some_M]]
        sums, spreads = (
            np.bincount(classes_M, weights=each_M[some_M], minlength=CLASSES)
            for each_M in (away_M, spread_M)
        )
        there = spreads > 0
        free = max(int(there.sum()) - 1, 1)
        above = float(np.sum(sums[there] ** 2 / spreads[there])) - free
        if above > max(SIGMAS * np.sqrt(2 * free), LEAST_TOLD * varied):
            best = max(best, above)
    return best


def _part(
    own: Numeric, lattices: Sequence[ValueLattice], records: pa.Table, group: int
) -> RoundedNumeric | None:
    """Return a column parted by lattices; None where there are none, or too few rows."""
    if not lattices:
        return None
    seen, shape = _InBins.of(own, records), (own.codes, len(lattices) + 1)
    rows_KP, cells_KP = np.zeros((2, *shape), dtype=np.int64)
    np.add.at(rows_KP, (seen.codes_M, phases_of(seen.units_M, lattices)), 1)
    known, _ = to_units(own.vocabularies[0].drop_null(), own.decimals)
    np.add.at(cells_KP, (own.code_of_cell[: len(known)], phases_of(known, lattices)), 1)
    opened = np.flatnonzero((rows_KP[:, -1] >= group) & (cells_KP[:, -1] > 0))
    runs = [
        run
        for phase in range(len(lattices))
        for run in _runs(phase, opened[cells_KP[opened, phase] > 0], rows_KP[:, phase], group)
    ]
    if not runs:
        return None
    return RoundedNumeric.of(own, lattices, opened.tolist(), runs)


def _runs(phase: int, opened: Array, rows_K: Array, group: int) -> list[Run]:
    """Return the runs of a phase, each of about the rows that a bin of so many would have."""
    rows = int(rows_K[opened].sum())
    if rows < ROWS_OF_RUN * group:
        return []
    wanted = max(rows / wanted_bins(rows), ROWS_OF_RUN * group)
    reached = np.append(0, np.cumsum(rows_K[opened]))
    starts = [0]
    for start in range(1, len(opened)):
        if min(reached[start] - reached[starts[-1]], rows - reached[start]) >= wanted:
            starts.append(start)
    bounds = zip(starts, [*starts[1:], len(opened)], strict=True)
    return [Run(phase, int(opened[start]), int(opened[end - 1])) for start, end in bounds]
