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

EXACT_SHARE = 0.6
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

    def differences(self, counts_D: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return a row's mean of its allowed codes minus that of all codes, over given columns.

        As terms: places in the running sums over `codes_K` (a zero before them), what each is
        multiplied by, and the first term of each row.
        """
        columns_M = self.given_ND.nonzero()[:, 1]
        low_M, high_M = self.low_ND[self.given_ND], self.high_ND[self.given_ND]
        first_M = (counts_D.cumsum(0) - counts_D)[columns_M]
        places = [high_M, low_M, first_M + counts_D[columns_M], first_M]
        allowed_M, all_M = 1 / (high_M - low_M), 1 / counts_D[columns_M]
        shares = [allowed_M, -allowed_M, -all_M, all_M]
        terms_N = len(places) * self.given_ND.sum(1)
        starts_N = terms_N.cumsum(0) - terms_N
        return torch.stack(places, 1).flatten(), torch.stack(shares, 1).flatten(), starts_N


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
        """Return which columns are given: none, or each with a share that differs by row."""
        share_N = torch.rand(N, 1, generator=numbers).square()
        free_N = torch.rand(N, 1, generator=numbers) < FREE_SHARE
        return (torch.rand(N, D, generator=numbers) < share_N) & ~free_N

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
