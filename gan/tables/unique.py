"""Which cells the rows of a shard may have: under conditions, and in unique combinations.

Conditions. Generators meet conditions on codes. A range that ends inside a bin allows the bin's
code but only some of its cells: rows with such a code are kept in proportion to those cells, the
others are drawn again.

Unique combinations. No two rows of a data set agree in some columns, though its shards do not know
of each other. Every value of a column is a digit, every combination a number in mixed radix, the
column of most values last. Shard s of S takes the combinations whose number leaves the remainder s
when divided by S: every combination belongs to one shard, and all shards have the same number of
them, up to one. Drawn values move to their shard inside their bin, where every value is equally
likely; rows that cannot, and repetitions, are drawn again. What is left takes the next free
combination upwards.

Shapes: N rows, D modelled columns, K_j codes of column j.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa

from gan.codecs import ShardRequest
from gan.errors import ConfigError
from gan.tables.columns.rules import describe
from gan.tables.constraints import combination_ids
from storage.records.constraint import Constraint

if TYPE_CHECKING:
    from gan.tables.columns.values import Modelled
    from gan.tables.vocabularies import Vocabularies


Array = np.ndarray[Any, Any]

Mask = np.ndarray[Any, np.dtype[np.bool_]]


def allowed_cells(
    codec: "Vocabularies", request: ShardRequest, label: int | None = None
) -> list[Mask]:
    """Return for each modelled column which of its cells may be chosen.

    Args:
        codec: of the records.
        request: its conditions count; its classes only where one of them is asked for.
        label: index of the class that the rows have; None leaves the label as it is given.

    Raises:
        ConfigError: a condition that the codec refuses.
    """
    cells = [np.ones(column.cells, dtype=bool) for column in codec.columns]
    if request.given:
        cells = codec.cell_masks(request.given)
    allowed_CK = codec.allowed(request.given, per_class=label is not None)
    if allowed_CK is None:
        return cells
    ends = np.cumsum(codec.code_counts)
    codes = np.split(allowed_CK[label or 0], ends[:-1])
    return [
        cell & code[column.code_of_cell]
        for cell, code, column in zip(cells, codes, codec.columns, strict=True)
    ]


@dataclass(frozen=True, kw_only=True)
class PartialCodes:
    """A column with codes of which only some cells are allowed."""

    index: int
    """Of the modelled column."""
    column: "Modelled"
    kept: Array
    """float64 (K_j,): share of each code's cells that are allowed, the largest share being 1."""
    cells: Array
    """Allowed cells, code after code."""
    first: Array
    """Where the allowed cells of each code begin."""
    counts: Array
    """How many allowed cells each code has."""

    @classmethod
    def build(cls, index: int, column: "Modelled", chosen: Mask) -> Self | None:
        """Return the partial codes; None when every code is allowed whole or not at all."""
        sizes = np.diff(column.first_cells)
        counts = np.bincount(column.code_of_cell[chosen], minlength=column.codes)
        if not np.any((counts > 0) & (counts < sizes)):
            return None
        shares = counts / sizes
        return cls(
            index=index,
            column=column,
            kept=shares / shares.max(),
            cells=np.flatnonzero(chosen).astype(np.int32),
            first=np.cumsum(counts) - counts,
            counts=counts,
        )

    def choose_cells(self, cells_ND: Array) -> Mask:
        """Choose allowed cells, in place; return the rows that must be drawn again.

        The position of a cell in its code is uniform in [0, 1). Rows whose position is below the
        code's share are kept, and their position, stretched to [0, 1) again, chooses the cell.
        """
        cells_N = cells_ND[:, self.index]
        codes_N = self.column.codes_of(cells_N)
        position_N = self.column.positions(cells_N)
        share_N, count_N = self.kept[codes_N], self.counts[codes_N]
        known_N = count_N > 0
        kept_N = known_N & (position_N < share_N)
        stretched_N = np.where(kept_N, position_N / np.where(known_N, share_N, 1), position_N)
        chosen_N = np.minimum((stretched_N * count_N).astype(np.int64), np.maximum(count_N - 1, 0))
        among_N = np.minimum(self.first[codes_N] + chosen_N, len(self.cells) - 1)
        cells_ND[:, self.index] = self.cells[among_N]
        again_N: Mask = ~kept_N
        return again_N


def partial_codes(codec: "Vocabularies", request: ShardRequest) -> tuple[PartialCodes, ...]:
    """Return the columns with a condition that allows only some cells of a code."""
    if not request.given:
        return ()
    masks = allowed_cells(codec, ShardRequest(given=request.given))
    found = [
        PartialCodes.build(index, column, mask)
        for index, (column, mask) in enumerate(zip(codec.columns, masks, strict=True))
    ]
    return tuple(each for each in found if each is not None)


@dataclass(frozen=True, kw_only=True)
class Digit:
    """One modelled column's part in a combination."""

    index: int
    """Of the modelled column."""
    column: "Modelled"
    ids: Array
    """int64, one per cell: the number of its value; -1 where null or not allowed."""
    cells: Array
    """The first cell of every number."""
    fixed: bool
    """Whether repair must leave it alone: a class that was asked for."""

    @property
    def size(self) -> int:
        """How many values there are."""
        return len(self.cells)

    @cached_property
    def bins(self) -> tuple[Array, Array]:
        """For every code the first of its values' numbers, and how many there are."""
        codes = self.column.codes_of(self.cells)
        counts = np.bincount(codes, minlength=self.column.codes)
        return np.cumsum(counts) - counts, counts


class Unique:
    """One constraint of kind `unique` on one shard."""

    def __init__(
        self,
        codec: "Vocabularies",
        constraint: Constraint,
        masks: Sequence[Mask],
        request: ShardRequest,
    ) -> None:
        """Number the combinations.

        Args:
            codec: of the records.
            constraint: of kind unique; constant columns in it change nothing.
            masks: the cells that may be chosen, of every modelled column.
            request: which shard of how many, and whether classes were asked for.
        """
        self.constraint = constraint
        self.shard, self.shards = request.shard % request.shards, request.shards
        names, label = set(constraint.columns), codec.label_column
        found = [
            _digit(index, column, names, masks[index], fixed=asked and index == label)
            for asked in [request.labels_N is not None]
            for index, column in enumerate(codec.columns)
            if names & set(column.fields)
        ]
        self.digits = sorted(found, key=lambda digit: (not digit.fixed, digit.size, digit.index))
        self.moved = [digit for digit in self.digits if not digit.fixed]
        self.room = math.prod(digit.size for digit in self.digits)
        self.exempt = any(np.any(masks[d.index] & (d.ids < 0)) for d in self.digits)
        """Whether a row may hold a null among the columns; such rows are not compared."""

    def check(self, rows: int) -> None:
        """Check that there are combinations for so many rows in all shards.

        Raises:
            ConfigError: there are fewer.
        """
        if rows > self.room and not self.exempt:
            msg = (
                f"{describe(self.constraint)} allows {self.room} combinations of values that the "
                f"generator knows, and {rows} rows are asked for: synthesize fewer, or declare "
                "one of its columns as key"
            )
            raise ConfigError(msg)

    def move_to_shard(self, cells_ND: Array) -> None:
        """Move values of the last column, inside their bins, to combinations of this shard.

        In place. The position of a value in its bin is uniform; it chooses among the bin's values
        that are this shard's.
        """
        if self.shards == 1 or not self.moved:
            return
        last = self.digits[-1]
        cells_N = cells_ND[:, last.index]
        rest_N, whole_N = self._rest(cells_ND, self.digits[:-1])
        firsts, counts = last.bins
        codes_N = last.column.codes_of(cells_N)
        first_N, count_N = firsts[codes_N], counts[codes_N]
        start_N = first_N + (self.shard - rest_N * last.size - first_N) % self.shards
        many_N = (first_N + count_N - 1 - start_N) // self.shards + 1
        moves_N = whole_N & (last.ids[cells_N] >= 0) & (many_N > 0)
        ids_N = start_N + self.shards * (last.column.positions(cells_N) * many_N).astype(np.int64)
        cells_ND[moves_N, last.index] = last.cells[ids_N[moves_N]]

    def broken(self, cells_ND: Array, trusted_N: Mask) -> Mask:
        """Return the rows that are another shard's, or agree with an earlier one.

        Rows that are trusted count as earlier than those that are not.
        """
        rest_N, whole_N = self._rest(cells_ND, self.digits)
        order = np.argsort(~trusted_N, kind="stable")
        keys_N = np.zeros(len(cells_ND), dtype=np.int64)
        for digit in self.digits:
            keys_N = keys_N * (digit.size + 1) + digit.ids[cells_ND[:, digit.index]] + 1
            keys_N = np.unique(keys_N, return_inverse=True)[1]
        repeated_N = np.ones(len(cells_ND), dtype=bool)
        repeated_N[order[np.unique(keys_N[order], return_index=True)[1]]] = False
        broken_N: Mask = whole_N & (repeated_N | (rest_N != self.shard))
        return broken_N

    def _rest(self, cells_ND: Array, digits: Sequence[Digit]) -> tuple[Array, Mask]:
        """Return the number of some digits modulo the shards, and where none of them is null."""
        rest_N = np.zeros(len(cells_ND), dtype=np.int64)
        whole_N = np.ones(len(cells_ND), dtype=bool)
        for digit in digits:
            ids_N = digit.ids[cells_ND[:, digit.index]]
            whole_N &= ids_N >= 0
            rest_N = (rest_N * digit.size + ids_N) % self.shards
        return rest_N, whole_N

    def free_combinations(self, cells_ND: Array, kept_N: Mask) -> "FreeCombinations":
        """Return the combinations that are free beside those of the rows that are kept."""
        free = FreeCombinations(self)
        for row in np.flatnonzero(kept_N & self._rest(cells_ND, self.digits)[1]):
            free.take(cells_ND[row])
        return free


class FreeCombinations:
    """The combinations of one shard that no row has yet."""

    def __init__(self, unique: Unique) -> None:
        self.unique = unique
        self.moved = math.prod(digit.size for digit in unique.moved)
        self._free: dict[int, tuple[int, FreeNumbers]] = {}

    def take(self, cells_D: Array) -> bool:
        """Give a row the first free combination from its own upwards, in place; False when full."""
        unique = self.unique
        ids = [int(digit.ids[cells_D[digit.index]]) for digit in unique.digits]
        whole = 0
        for digit, one in zip(unique.digits, ids, strict=True):
            whole = whole * digit.size + one
        prefix, number = divmod(whole, self.moved)
        if prefix not in self._free:
            first = (unique.shard - prefix * self.moved) % unique.shards
            count = max(-(-(self.moved - first) // unique.shards), 0)
            self._free[prefix] = (first, FreeNumbers(count))
        first, free = self._free[prefix]
        own = max(-(-(number - first) // unique.shards), 0)
        found = free.take(min(own, free.count))
        if found is None:
            return False
        number = first + found * unique.shards
        for digit in reversed(unique.moved):
            number, one = divmod(number, digit.size)
            if one != digit.ids[cells_D[digit.index]]:
                cells_D[digit.index] = digit.cells[one]
        return True


class FreeNumbers:
    """The numbers 0 … count-1, of which each is taken once."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._next: dict[int, int] = {}

    def take(self, number: int) -> int | None:
        """Take the first free number from here upwards, else from 0; None when all are taken."""
        found = self._find(number)
        if found == self.count:
            found = self._find(0)
        if found == self.count:
            return None
        self._next[found] = found + 1
        return found

    def _find(self, number: int) -> int:
        """Return the first free number from here upwards, and shorten the way for the next call."""
        passed = []
        while number in self._next:
            passed.append(number)
            number = self._next[number]
        for each in passed:
            self._next[each] = number
        return number


def _digit(index: int, column: "Modelled", names: set[str], mask: Mask, *, fixed: bool) -> Digit:
    """Return a modelled column's values in the columns of a constraint, numbered in their order."""
    parts = [column.vocabulary(name) for name in column.fields if name in names]
    whole = np.all([part.is_valid().to_numpy(zero_copy_only=False) for part in parts], axis=0)
    chosen = np.flatnonzero(mask & whole)
    ids = np.full(column.cells, -1, dtype=np.int64)
    if not len(chosen):
        return Digit(index=index, column=column, ids=ids, cells=chosen, fixed=fixed)
    raw = combination_ids([part.take(pa.array(chosen)) for part in parts])
    first = np.unique(raw, return_index=True)[1]
    rank = np.empty_like(first)
    rank[np.argsort(first)] = np.arange(len(first))
    ids[chosen] = rank[raw]
    return Digit(index=index, column=column, ids=ids, cells=chosen[np.sort(first)], fixed=fixed)
