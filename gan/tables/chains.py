"""Repair of rows that break inequalities: values move up, or down, to the nearest allowed one.

Columns are visited from the bottom of the inequalities upwards. Each takes the smallest allowed
value that is at least those below it, but never one so large that a column above it has nothing
left: what is that large is taken out first, from the top downwards. So every visit finds a value.

Shapes: N rows, D modelled columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from gan.errors import ConfigError
from gan.tables.constraints import describe
from gan.tables.contradictions import Step, ordered
from storage.records.schema import Constraint

if TYPE_CHECKING:
    from gan.tables.vocabularies import Vocabularies

Array = np.ndarray[Any, Any]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, kw_only=True)
class Place:
    """A column of the table among the modelled ones."""

    index: int
    """Of the modelled column."""
    ranks: Array
    """int64, one per cell: its place among all values of all these columns; -1 for null."""


@dataclass(frozen=True, kw_only=True)
class Pool:
    """The values that a column may take, ascending."""

    ranks: Array
    cells: Array


class Chains:
    """The inequalities between columns that a generator draws."""

    def __init__(self, codec: "Vocabularies", constraints: Sequence[Constraint]) -> None:
        """Order the columns.

        Steps from or to a column that is made, and steps between columns that are drawn together,
        are left out: repair cannot help there.
        """
        made = {maker.name for maker in codec.made}
        where = {
            name: index
            for index, each in enumerate(codec.columns)
            for name in each.fields
            if name not in made
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
        self.places = {
            name: Place(index=where[name], ranks=ranks)
            for name, ranks in zip(values, common_ranks(list(values.values())), strict=True)
        }

    def pools(self, masks: Sequence[Mask]) -> dict[str, Pool]:
        """Return the values of each column that leave something to every column above it.

        Args:
            masks: the cells that may be chosen, of every modelled column.

        Raises:
            ConfigError: nothing is left of a column.
        """
        pools = {}
        for name, place in self.places.items():
            cells = np.flatnonzero(masks[place.index] & (place.ranks >= 0))
            order = np.argsort(place.ranks[cells], kind="stable")
            pools[name] = Pool(ranks=place.ranks[cells][order], cells=cells[order])
        for below, above, each in reversed(self.steps):
            pool, top = pools[below], pools[above].ranks
            if len(top):
                keep = pool.ranks <= int(top[-1]) - each.strict
                pools[below] = Pool(ranks=pool.ranks[keep], cells=pool.cells[keep])
        self._check(pools, masks)
        return pools

    def _check(self, pools: dict[str, Pool], masks: Sequence[Mask]) -> None:
        """Refuse conditions under which no row without nulls keeps an inequality."""
        for below, above, each in self.steps:
            empty = [name for name in (below, above) if not len(pools[name].ranks)]
            if empty and not self._may_be_null(empty[0], masks):
                msg = (
                    f"{describe(each)} cannot be met: no value of column {empty[0]!r} that is "
                    "allowed fits the others; correct the constraint, or synthesis.given"
                )
                raise ConfigError(msg)

    def _may_be_null(self, name: str, masks: Sequence[Mask]) -> bool:
        place = self.places[name]
        return bool(np.any(masks[place.index] & (place.ranks < 0)))

    def repair(self, cells_ND: Array, pools: dict[str, Pool]) -> None:
        """Move values of these rows so that every step holds, in place."""
        before: dict[str, list[Step]] = {name: [] for name in self.places}
        for step in self.steps:
            before[step[1]].append(step)
        bottom = [name for name in self.places if not before[name]]
        upwards = dict.fromkeys([*bottom, *(above for _, above, _ in self.steps)])
        for name in upwards:
            lowest_N = np.full(len(cells_ND), -1, dtype=np.int64)
            for below, _, each in before[name]:
                ranks_N = self._ranks(cells_ND, below)
                lowest_N = np.maximum(lowest_N, np.where(ranks_N < 0, -1, ranks_N + each.strict))
            self._raise(cells_ND, name, lowest_N, pools[name])

    def _ranks(self, cells_ND: Array, name: str) -> Array:
        place = self.places[name]
        ranks_N: Array = place.ranks[cells_ND[:, place.index]]
        return ranks_N

    def _raise(self, cells_ND: Array, name: str, lowest_N: Array, pool: Pool) -> None:
        """Move one column to at least the given ranks, and into its pool, where it is not null."""
        if not len(pool.ranks):
            return
        ranks_N = self._ranks(cells_ND, name)
        wanted_N = np.clip(ranks_N, lowest_N, pool.ranks[-1])
        move_N = (ranks_N >= 0) & (wanted_N != ranks_N)
        found_N = np.minimum(np.searchsorted(pool.ranks, wanted_N[move_N]), len(pool.ranks) - 1)
        cells_ND[move_N, self.places[name].index] = pool.cells[found_N]


def common_ranks(vocabularies: Sequence[Any]) -> list[Array]:
    """Return for each Arrow array its values' places among all values; -1 for null.

    Numbers are compared with numbers, and dates with timestamps; those with other than their own
    kind of value never meet.
    """
    values = [_sortable(each) for each in vocabularies]
    order: dict[type, list[Any]] = {}
    for each in values:
        for value in each:
            if value is not None:
                order.setdefault(_family(value), []).append(value)
    places = {
        family: {value: rank for rank, value in enumerate(sorted(set(found)))}
        for family, found in order.items()
    }
    return [
        np.array([-1 if v is None else places[_family(v)][v] for v in each], dtype=np.int64)
        for each in values
    ]


def _sortable(vocabulary: Any) -> list[Any]:
    """Return values as Python compares them: moments without zone, no NaN."""
    kind = vocabulary.type
    if pa.types.is_timestamp(kind):
        vocabulary = vocabulary.cast(pa.timestamp("us", tz=kind.tz), safe=False)
    elif pa.types.is_time(kind):
        vocabulary = vocabulary.cast(pa.time64("us"), safe=False)
    return [_moment(value) for value in vocabulary.to_pylist()]


def _moment(value: Any) -> Any:
    """Return dates and times with a zone as plain moments, other values as they are."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - of no zone
    return value


def _family(value: Any) -> type:
    """Return a type that stands for all types with which a value can be compared."""
    if isinstance(value, datetime):
        return datetime
    return float if hasattr(value, "__float__") else type(value)
