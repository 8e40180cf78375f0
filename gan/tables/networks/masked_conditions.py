"""Random conditions for training: any subset of columns, each given exactly or as a set of codes.

A set is a cell of a random partition that does not depend on the row: the row only says in which
cell it lies. So p(set | row) is the same for every row that the set allows, and the network learns
p(row | row in set) itself, not a distribution tilted by how sets were drawn.

Shapes: N rows, D columns in the order of the network, K codes of all columns side by side, M
given values.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gan.tables.networks.masked_layout import Layout

FREE_SHARE = 0.5
"""Rows that train without any condition."""

FEW_SHARE, FEW_COLUMNS = 0.25, 3
"""Rows in which 1 to so many columns are given, as people ask; in the others any number."""

EXACT_SHARE = 0.4
"""Of the given columns, those whose value is given itself."""

CUTS = 3
"""A partition has 1 to so many cuts."""

SHUFFLED_SHARE = 0.1
"""Of the steps, those in which ordered columns too are cut in a random order of their codes."""


class Sets(NamedTuple):
    """Which codes each row allows: those whose rank is in [low, high) of their column."""

    codes_K: Tensor
    """Code (counted over all columns) at each rank; columns stay in their places."""
    ranks_K: Tensor
    """Rank of each code (counted over all columns): the inverse of `codes_K`."""
    low_ND: Tensor
    high_ND: Tensor
    """Counted over all columns; a column's first and last rank + 1 when it is not given."""
    given_ND: Tensor
    """Whether anything is said of the column."""

    def to(self, device: torch.device) -> "Sets":
        """Return the sets on a device."""
        return Sets(*[tensor.to(device) for tensor in self])


class Partitions:
    """Draws the conditions of a batch."""

    def __init__(self, layout: Layout) -> None:
        """Take the number of codes of each column, and whether their order means something."""
        counts_D = torch.tensor(layout.counts)
        self.counts_D = counts_D
        self.first_D = counts_D.cumsum(0) - counts_D
        self.column_K = torch.repeat_interleave(torch.arange(len(counts_D)), counts_D)
        self.ordered_K = torch.tensor(layout.ordered)[self.column_K]

    def draw(self, codes_ND: Tensor, numbers: torch.Generator) -> Sets:
        """Return conditions that hold for these rows.

        Args:
            codes_ND: on the processor, counted within their column, in the network's order.
            numbers: on the processor.
        """
        N, D = codes_ND.shape
        codes_K = self._order(numbers)
        ranks_K = torch.empty_like(codes_K)
        ranks_K[codes_K] = torch.arange(len(codes_K))
        rank_ND = ranks_K[codes_ND + self.first_D] - self.first_D
        low_ND, high_ND = self._cells(rank_ND, numbers)
        exact_ND = torch.rand(N, D, generator=numbers) < EXACT_SHARE
        low_ND = torch.where(exact_ND, rank_ND, low_ND)
        high_ND = torch.where(exact_ND, rank_ND + 1, high_ND)
        given_ND = self._given(N, D, numbers)
        return Sets(
            codes_K,
            ranks_K,
            torch.where(given_ND, low_ND, 0) + self.first_D,
            torch.where(given_ND, high_ND, self.counts_D) + self.first_D,
            given_ND,
        )

    def _given(self, N: int, D: int, numbers: torch.Generator) -> Tensor:
        """Return which columns are given: none, a few, or any number of them."""
        few_N1 = torch.randint(1, FEW_COLUMNS + 1, (N, 1), generator=numbers)
        any_N1 = torch.randint(1, D + 1, (N, 1), generator=numbers)
        kind_N1 = torch.rand(N, 1, generator=numbers)
        count_N1 = torch.where(kind_N1 < FREE_SHARE + FEW_SHARE, few_N1, any_N1)
        count_N1 = torch.where(kind_N1 < FREE_SHARE, 0, count_N1)
        return torch.rand(N, D, generator=numbers).argsort(1).argsort(1) < count_N1

    def _order(self, numbers: torch.Generator) -> Tensor:
        """Return the codes in an order that shuffles those of unordered columns."""
        place_K = torch.rand(len(self.column_K), generator=numbers, dtype=torch.float64)
        if torch.rand((), generator=numbers) >= SHUFFLED_SHARE:
            place_K = torch.where(self.ordered_K, 0.0, place_K)
        return torch.argsort(self.column_K + place_K, stable=True)

    def _cells(self, rank_ND: Tensor, numbers: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the first rank and the last rank + 1 of the cell of a random partition."""
        N, D = rank_ND.shape
        used_ND = torch.randint(1, CUTS + 1, (N, D), generator=numbers)
        low_ND, high_ND = torch.zeros_like(rank_ND), self.counts_D.expand(N, D)
        for number in range(CUTS):
            places_ND = torch.rand(N, D, generator=numbers) * (self.counts_D - 1)
            cut_ND = torch.where(number < used_ND, places_ND.long() + 1, 0)
            below_ND = cut_ND <= rank_ND
            low_ND = torch.where(below_ND, torch.maximum(low_ND, cut_ND), low_ND)
            high_ND = torch.where(below_ND, high_ND, torch.minimum(high_ND, cut_ND))
        return low_ND, high_ND
