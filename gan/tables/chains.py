"""Inequalities between columns that a generator draws: which values leave room, and repair.

Inequalities are repaired from the lowest columns upwards. Each column takes the smallest allowed
value that is at least those below it, but never one so large that a column above it has no value
left: what is that large is taken out first, from the top downwards. So every column finds a value.

Shapes: N rows.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gan.errors import ConfigError
from gan.tables.columns.discrete_rules import Conditional
from gan.tables.columns.moments import by_day
from gan.tables.columns.rules import describe
from gan.tables.contradictions import Step, ordered
from gan.tables.ordering import common_ranks, value_days
from storage.records.constraint import Constraint

if TYPE_CHECKING:
    from gan.tables.vocabularies import Vocabularies


Array = np.ndarray[Any, Any]

Mask = np.ndarray[Any, np.dtype[np.bool_]]


class ColumnRanks(NamedTuple):
    """A column of the table among the modelled ones, with its cells' ranks."""

    modelled: int
    """Index of the modelled column."""
    ranks: Array
    """int64, one per cell: its rank among all values of all these columns; -1 for null."""
    days: Array
    """int64, one per cell: its day where these are dates or timestamps, 0 for all others."""
    kind: Any
    """The Arrow type of the values."""


class AllowedValues(NamedTuple):
    """The values that a column may take, ascending."""

    ranks: Array
    cells: Array


class Chains:
    """The inequalities between columns that a generator draws."""

    def __init__(self, codec: "Vocabularies", constraints: Sequence[Constraint]) -> None:
        """Order the columns.

        Steps from or to a derived column, and steps between columns that are drawn together,
        are left out: repair cannot help there.
        """
        derived = {each.name for each in codec.derived if not isinstance(each, Conditional)}
        where = {
            name: index
            for index, each in enumerate(codec.columns)
            for name in each.fields
            if name not in derived
        }
        self.steps = [
            (below, above, each)
            for below, above, each in ordered(constraints)
            if where.get(below) is not None
            and where.get(above) is not None
            and where[below] != where[above]
        ]
        names = dict.fromkeys(name for below, above, _ in self.steps for name in (below, above))
        values = {name: codec.columns[where[name]].vocabulary(name) for name in names}
        self.columns = {
            name: ColumnRanks(where[name], ranks, value_days(values[name]), values[name].type)
            for name, ranks in zip(values, common_ranks(list(values.values())), strict=True)
        }

    def allowed_values(self, masks: Sequence[Mask]) -> dict[str, AllowedValues]:
        """Return the values of each column that leave something to every column above it.

        Args:
            masks: the cells that may be chosen, of every modelled column.

        Raises:
            ConfigError: nothing is left of a column.
        """
        found = {}
        for name, column in self.columns.items():
            cells = np.flatnonzero(masks[column.modelled] & (column.ranks >= 0))
            order = np.argsort(column.ranks[cells], kind="stable")
            found[name] = AllowedValues(column.ranks[cells][order], cells[order])
        for step in reversed(self.steps):
            below, above, each = step
            pool, top = found[below], found[above]
            if len(top.ranks):
                of_pool, of_top = self._places(step, pool.cells, top.cells)
                keep = of_pool <= int(of_top[-1]) - each.strict
                found[below] = AllowedValues(pool.ranks[keep], pool.cells[keep])
        self._check(found, masks)
        return found

    def _places(self, step: Step, below_cells: Array, above_cells: Array) -> tuple[Array, Array]:
        """Return where cells of both columns stand by what the step compares: ranks, or days."""
        below, above = self.columns[step[0]], self.columns[step[1]]
        if self._compares_days(step):
            return below.days[below_cells], above.days[above_cells]
        return below.ranks[below_cells], above.ranks[above_cells]

    def _compares_days(self, step: Step) -> bool:
        kinds = self.columns[step[0]].kind, self.columns[step[1]].kind
        return step[2].whole_days or by_day(*kinds)

    def _check(self, allowed: dict[str, AllowedValues], masks: Sequence[Mask]) -> None:
        """Refuse conditions under which no row without nulls keeps an inequality."""
        for below, above, each in self.steps:
            empty = [name for name in (below, above) if not len(allowed[name].ranks)]
            if empty and not self._may_be_null(empty[0], masks):
                msg = (
                    f"{describe(each)} cannot be met: no value of column {empty[0]!r} that is "
                    "allowed fits the others; correct the constraint, or synthesis.given"
                )
                raise ConfigError(msg)

    def _may_be_null(self, name: str, masks: Sequence[Mask]) -> bool:
        column = self.columns[name]
        return bool(np.any(masks[column.modelled] & (column.ranks < 0)))

    def repair(self, cells_ND: Array, allowed: dict[str, AllowedValues]) -> None:
        """Move values of these rows so that every step holds, in place."""
        before: dict[str, list[Step]] = {name: [] for name in self.columns}
        for step in self.steps:
            before[step[1]].append(step)
        bottom = [name for name in self.columns if not before[name]]
        upwards = dict.fromkeys([*bottom, *(above for _, above, _ in self.steps)])
        for name in upwards:
            lowest_N = np.full(len(cells_ND), -1, dtype=np.int64)
            for step in before[name]:
                found_N = self._lowest(cells_ND, step, allowed[name])
                lowest_N = np.maximum(lowest_N, found_N)
            self._raise(cells_ND, name, lowest_N, allowed[name])

    def _lowest(self, cells_ND: Array, step: Step, pool: AllowedValues) -> Array:
        """Return the rank that the upper column of a step has at least in each row; -1 for any."""
        below, strict = self.columns[step[0]], step[2].strict
        cells_N = cells_ND[:, below.modelled]
        ranks_N = self._ranks(cells_ND, step[0])
        lowest_N = ranks_N + strict
        if self._compares_days(step) and len(pool.ranks):
            days_N, of_pool = self._places(step, cells_N, pool.cells)
            places_N = np.searchsorted(of_pool, days_N + strict)
            lowest_N = pool.ranks[np.minimum(places_N, len(of_pool) - 1)]
        return np.where(ranks_N < 0, -1, lowest_N)

    def _ranks(self, cells_ND: Array, name: str) -> Array:
        column = self.columns[name]
        ranks_N: Array = column.ranks[cells_ND[:, column.modelled]]
        return ranks_N

    def _raise(self, cells_ND: Array, name: str, lowest_N: Array, pool: AllowedValues) -> None:
        """Move one column to at least the given ranks, and into its pool, where it is not null."""
        if not len(pool.ranks):
            return
        ranks_N = self._ranks(cells_ND, name)
        wanted_N = np.clip(ranks_N, lowest_N, pool.ranks[-1])
        move_N = (ranks_N >= 0) & (wanted_N != ranks_N)
        found_N = np.minimum(np.searchsorted(pool.ranks, wanted_N[move_N]), len(pool.ranks) - 1)
        cells_ND[move_N, self.columns[name].modelled] = pool.cells[found_N]
