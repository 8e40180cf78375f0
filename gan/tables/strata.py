"""Strata of a condition: a row meets it by a value of its own, or by one beside a neighbour's.

A column that lies beside another (`columns.relative`) meets a condition in several ways: by a code
of its own, by a difference to its neighbour whose code is its own, and so on along the neighbours.
Each way, with a group of the differences along it, is a stratum: sets of codes, one per column,
which is what a generator can be conditioned on. Strata share no row. Which codes of the last
neighbour can lead into the condition is found by the extremes of the group; it may be some too
many, so what is drawn is looked at.

Shapes: N rows, S strata, I intervals.
"""

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from gan.tables.columns.relative import RelativeNumeric
from gan.tables.columns.values import Modelled, to_units

Array = np.ndarray[Any, Any]


MOST_STRATA = 128
MOST_GROUPS = 16
"""Differences are told apart by so many groups at most: far ones would lead from too many codes."""


class Way(NamedTuple):
    """One way in which a column of a chain comes to its value."""

    key: int
    """Number of the groups of differences along the chain; 0 = by a code of its own."""
    cells: Mapping[int, Array]
    """By index of a column: the cells that it may have."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Chain:
    """A column beside another, its neighbour, that one's neighbour, and so on."""

    columns: tuple[tuple[int, Modelled], ...]
    """With their indexes in the codec."""
    groups: tuple[Array, ...]
    """Of all but the last: the group of differences of every cell, from 1; 0 = no difference."""
    count: int
    """Groups."""

    @classmethod
    def of(cls, modelled: Sequence[Modelled], index: int, most: int) -> Self:
        """Return the chain of a column that has so many ways at most."""
        places = {name: p for p, each in enumerate(modelled) for name in each.fields}
        chain = [index]
        while (parents := modelled[chain[-1]].parents) and len(chain) < most:
            chain.append(places[parents[0]])
        count = MOST_GROUPS
        while count > 1 and sum(count**step for step in range(len(chain))) > most:
            count -= 1
        columns = tuple((place, modelled[place]) for place in chain)
        groups = tuple(_groups(column, count) for _, column in columns[:-1])
        return cls(columns=columns, groups=groups, count=count)

    def ways(self, meets: Array) -> list[Way]:
        """Return the ways in which a row can meet conditions.

        Args:
            meets: the first column's cells that meet them by values of their own.
        """
        found = [Way(0, {self.columns[0][0]: meets})]
        open_ = [(0, dict[int, Array](), meets)]
        for (index, column), (following, other), groups in zip(
            self.columns, self.columns[1:], self.groups, strict=False
        ):
            if not isinstance(column, RelativeNumeric):
                break
            last = following == self.columns[-1][0]
            further = []
            for key, cells, sought in open_:
                for group in range(1, self.count + 1):
                    beside = groups == group
                    if not beside.any():
                        continue
                    leading = _leading_to(column, sought, beside, other)
                    number, chosen = key * (self.count + 1) + group, {**cells, index: beside}
                    ends = leading | other.relative if last else leading
                    found.append(Way(self._key(number, index), {**chosen, following: ends}))
                    further.append((number, chosen, leading))
            open_ = further
        return found

    def keys(self, cells_ND: Array) -> Array:
        """Return the key of the way of every row."""
        keys_N = np.zeros(len(cells_ND), dtype=np.int64)
        beside_N = np.ones(len(cells_ND), dtype=bool)
        for (index, _), groups in zip(self.columns, self.groups, strict=False):
            groups_N = np.where(beside_N, groups[cells_ND[:, index]], 0)
            beside_N = groups_N > 0
            keys_N = keys_N * (self.count + 1) + groups_N
        return keys_N

    def _key(self, number: int, index: int) -> int:
        """Return the key of a way that ends beside a column: what is further counts 0."""
        place = [each for each, _ in self.columns].index(index)
        key: int = number * (self.count + 1) ** (len(self.groups) - 1 - place)
        return key


@dataclass(frozen=True, kw_only=True, eq=False)
class ConditionStrata:
    """The strata of some conditions on the columns of a codec."""

    chains: tuple[Chain, ...]
    """Of each column beside another that has a condition."""
    keys: tuple[tuple[int, ...], ...]
    """S times: the keys of the ways along the chains."""
    masks: tuple[tuple[Array, ...], ...]
    """S times: the cells that each column may have."""

    @classmethod
    def of(
        cls, columns: Sequence[Modelled], masks: Sequence[Array], asked: Collection[str]
    ) -> Self:
        """Return the strata of conditions; one where none is on a column beside another.

        Args:
            columns: of the codec.
            masks: the cells of each that meet the conditions by values of their own.
            asked: names of the columns that have conditions.
        """
        targets = [
            index
            for index, column in enumerate(columns)
            if column.name in asked and isinstance(column, RelativeNumeric)
        ]
        most = int(MOST_STRATA ** (1 / max(len(targets), 1)) + 1e-9)
        chains = tuple(Chain.of(columns, index, most) for index in targets)
        ways = [chain.ways(masks[chain.columns[0][0]]) for chain in chains]
        keys, found = [], []
        for chosen in itertools.product(*ways):
            merged = [
                np.ones_like(mask) if index in targets else mask for index, mask in enumerate(masks)
            ]
            for way in chosen:
                for index, cells in way.cells.items():
                    merged[index] = merged[index] & cells
            if all(mask.any() for mask in merged):
                keys.append(tuple(way.key for way in chosen))
                found.append(tuple(merged))
        return cls(chains=chains, keys=tuple(keys), masks=tuple(found))

    def of_rows(self, cells_ND: Array) -> Array:
        """Return the stratum of every row; -1: of none."""
        if not self.chains:
            return np.zeros(len(cells_ND), dtype=np.int64)
        keys = np.stack([chain.keys(cells_ND) for chain in self.chains], axis=1)
        known = np.array(self.keys, dtype=np.int64)
        both, places = np.unique(np.concatenate([known, keys]), axis=0, return_inverse=True)
        strata = np.full(len(both), -1, dtype=np.int64)
        places = places.reshape(-1)
        strata[places[: len(known)]] = np.arange(len(known))
        found_N: Array = strata[places[len(known) :]]
        return found_N


def _groups(column: Modelled, count: int) -> Array:
    """Return the group of differences of every cell, from 1; 0 = no difference."""
    codes = column.codes_of(np.flatnonzero(column.relative))
    places = (codes - codes[0]) * count // (codes[-1] - codes[0] + 1) + 1
    groups = np.zeros(column.cells, dtype=np.int64)
    groups[column.relative] = places
    return groups


def _leading_to(column: RelativeNumeric, meets: Array, beside: Array, other: Modelled) -> Array:
    """Return the neighbour's own cells that a difference may turn into what is sought.

    Args:
        column: beside the other.
        meets: its cells of whose values some are sought.
        beside: its cells whose differences count.
        other: its neighbour.
    """
    first = column.own.cells - column.has_null
    offsets, _ = to_units(column.offsets.vocabularies[0], None)
    some = offsets[np.flatnonzero(beside) - first]
    reach = _intervals(column, meets) + np.array([-float(some.max()), -float(some.min())])
    units, valid = column.beside.expected(column.own, other.vocabularies[0])
    inside = np.any((units[:, None] >= reach[:, 0]) & (units[:, None] <= reach[:, 1]), axis=1)
    known, _ = to_units(column.own.vocabularies[0], column.decimals)
    at_null = meets[: len(known)][known == column.middle].any()
    found: Array = np.where(valid, inside, at_null) & ~other.relative
    return found


def _intervals(column: RelativeNumeric, meets: Array) -> Array:
    """Return intervals (I, 2) that hold all that is sought: from a cell outside to the next.

    A value that no cell reaches becomes the outermost, so that the ends are open.
    """
    first = column.own.cells - column.has_null
    units, _ = to_units(column.own.vocabularies[0].slice(0, first), column.decimals)
    order = np.argsort(units, kind="stable")
    values, sought = units[order].astype(np.float64), meets[:first][order]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], sought, [False]]).astype(np.int8)))
    padded = np.concatenate([[-np.inf], values, [np.inf]])
    return np.stack([padded[edges[0::2]], padded[edges[1::2] + 1]], axis=1)
