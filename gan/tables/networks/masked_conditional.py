"""Layout and conditions of a masked autoregressive network.

Layout. Columns have an order of the network's own; hidden units are sorted by degree, the number of
columns they may see.

Training draws random conditions: any subset of columns, each given exactly or as a set of codes. A
set is a cell of a random partition that does not depend on the row: the row only says in which cell
it lies. So p(set | row) is the same for every row that the set allows, and the network learns
p(row | row in set) itself, not a distribution tilted by how sets were drawn.

Shapes: N rows, D columns in the network's order, K codes of all columns side by side, J codes of
one column, H hidden units (T of degree 0, U of one degree), G units of the condition, C conditions,
P columns before a column, M rows whose set of a column has several codes.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gan.tables.columns.values import CodePlaces

FEWEST_UNITS = 8
"""Hidden units of a degree, however many columns there are."""
LARGEST_BELOW_ONE = 1 - 2.0**-24
"""The largest float32 below 1."""
FREE_SHARE = 0.5
"""Rows that train without any condition."""
FEW_SHARE, FEW_COLUMNS = 0.25, 3
"""Rows in which 1 to so many columns are given, as users do; in the others any number."""
EXACT_SHARE = 0.4
"""Of the given columns, those whose value is given itself."""
CUTS = 3
"""A partition has 1 to so many cuts."""
SHUFFLED_SHARE = 0.1
"""Of the steps, those in which ordered columns too are cut in a random order of their codes."""


class CodedColumn(Protocol):
    """A modelled column, as the codec describes it."""

    @property
    def kind(self) -> str:
        """`category` or `numeric`."""

    @property
    def is_smooth(self) -> bool:
        """Whether neighbouring codes are alike."""

    @property
    def places(self) -> CodePlaces:
        """Where every code lies."""

    @property
    def codes(self) -> int:
        """How many codes it has."""

    @property
    def first_cells(self) -> np.ndarray[Any, np.dtype[np.int32]]:
        """First cell of each code, and the number of all cells."""


class CodecShape(Protocol):
    """What the network asks of a codec."""

    @property
    def columns(self) -> Sequence[CodedColumn]:
        """The modelled columns."""

    @property
    def label_column(self) -> int | None:
        """Which of them is the label."""

    @property
    def closest(self) -> Sequence[Sequence[int]]:
        """For each of them the others that say most of it, the closest first; empty: not known."""


class UnitLayout(NamedTuple):
    """Columns in the network's order, and how many units may see the first so many of them."""

    order: tuple[int, ...]
    """Index in the codec of each column."""
    counts: tuple[int, ...]
    """Codes of each column."""
    ordered: tuple[bool, ...]
    """Whether neighbouring codes mean neighbouring values."""
    smooth: tuple[bool, ...]
    """Whether neighbouring codes are alike: these, and levels in the order of the label."""
    places: tuple[CodePlaces, ...]
    """Where the codes of each column lie."""
    single: tuple[tuple[bool, ...], ...]
    """Whether each code of each column is one value, not a range of them."""
    widths: tuple[int, ...]
    """Hidden units of each degree, 0 to D - 1."""
    partners: tuple[int | None, ...]
    """Which of the columns before each says most of it."""
    label_units: int
    """Of the last degree, when the last column is the label; else 0."""

    @property
    def ends(self) -> tuple[int, ...]:
        """First code of each column among all of them, and how many there are."""
        return (0, *itertools.accumulate(self.counts))


def lay_out(codec: CodecShape, network: Mapping[str, int | float | str]) -> UnitLayout:
    """Return the layout: columns of few codes first, the label last; every degree's share of units.

    Degree 0, which sees the condition alone, has `trunk` units; the others share `width`, and the
    label gets `label_width` more: only its own units see every other column.
    """
    columns = codec.columns
    order = sorted(
        range(len(columns)), key=lambda i: (i == codec.label_column, columns[i].codes, i)
    )
    share = max(int(network["width"]) // max(len(order) - 1, 1), FEWEST_UNITS)
    widths = [int(network["trunk"]), *[share] * (len(order) - 1)]
    labelled = codec.label_column is not None and len(order) > 1
    if labelled:
        widths[-1] += int(network["label_width"])
    return UnitLayout(
        order=tuple(order),
        counts=tuple(columns[index].codes for index in order),
        ordered=tuple(columns[index].kind == "numeric" for index in order),
        smooth=tuple(columns[index].is_smooth for index in order),
        places=tuple(columns[index].places for index in order),
        single=tuple(
            tuple(bool(cells == 1) for cells in np.diff(columns[index].first_cells))
            for index in order
        ),
        widths=tuple(widths),
        partners=_partners(codec.closest, order),
        label_units=widths[-1] if labelled else 0,
    )


def _partners(closest: Sequence[Sequence[int]], order: Sequence[int]) -> tuple[int | None, ...]:
    """Return the place of the closest column before each; None where none of the named ones is."""
    place = {index: at for at, index in enumerate(order)}
    named = ([place[other] for other in closest[index]] if closest else [] for index in order)
    return tuple(
        next((other for other in others if other < at), None) for at, others in enumerate(named)
    )


def codes_in_order(codec: CodecShape, layout: UnitLayout) -> Tensor:
    """Return the codec's index of every code, in the network's order, (K,)."""
    first = [0, *itertools.accumulate(column.codes for column in codec.columns)]
    return torch.cat([torch.arange(first[i], first[i + 1]) for i in layout.order])


class Weights(NamedTuple):
    """A network's weights: one vector per code, what a unit may not see is zero."""

    inputs_KH: Tensor
    condition_KG: Tensor
    condition_GH: Tensor
    pool_K: Tensor
    """What each code counts in the mean that stands for a set."""
    bias_H: Tensor
    hidden_HH: tuple[Tensor, ...]
    """Of each layer after the first, outputs first."""
    hidden_bias_H: tuple[Tensor, ...]
    outputs_KH: Tensor
    bias_K: Tensor
    pair_inputs_KR: Tensor
    pair_outputs_KR: Tensor


def inform(allowed_CK: Tensor, counts: tuple[int, ...], weights: Weights) -> Tensor:
    """Return what conditions add to the first layer, (C, H): nothing for columns not given.

    The weighted mean of a column's allowed codes, minus that of all of them.
    """
    parts, pools = [], weights.pool_K.double().split(counts)
    for allowed_CJ, pool_J in zip(allowed_CK.split(counts, 1), pools, strict=True):
        some_CJ = allowed_CJ * pool_J
        every_CJ = torch.ones_like(allowed_CJ) * pool_J
        parts.append(
            some_CJ / some_CJ.sum(1, keepdim=True) - every_CJ / every_CJ.sum(1, keepdim=True)
        )
    return torch.cat(parts, dim=1).float() @ weights.condition_KG @ weights.condition_GH


class AllowedCodes(NamedTuple):
    """Which codes each row allows: those whose rank is in [low, high) of their column."""

    codes_K: Tensor
    """Code (counted over all columns) at each rank; the order of the columns stays."""
    ranks_K: Tensor
    """Rank of each code (counted over all columns): the inverse of `codes_K`."""
    low_ND: Tensor
    high_ND: Tensor
    """Counted over all columns; a column's first and last rank + 1 when it is not given."""
    given_ND: Tensor
    """Whether the column has a condition."""

    def to(self, device: torch.device) -> "AllowedCodes":
        """Return the sets on a device."""
        return AllowedCodes(*[tensor.to(device) for tensor in self])


class Partitions:
    """Draws the conditions of a batch."""

    def __init__(self, layout: UnitLayout) -> None:
        """Keep the number of codes of each column, and whether their order means something."""
        counts_D = torch.tensor(layout.counts)
        self.counts_D = counts_D
        self.first_D = counts_D.cumsum(0) - counts_D
        self.column_K = torch.repeat_interleave(torch.arange(len(counts_D)), counts_D)
        self.ordered_K = torch.tensor(layout.ordered)[self.column_K]

    def draw(self, codes_ND: Tensor, numbers: torch.Generator) -> AllowedCodes:
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
        return AllowedCodes(
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
        # One row: of the whole batch, however many processes see it together.
        (key_K,) = torch.rand(1, len(self.column_K), generator=numbers, dtype=torch.float64)
        if torch.rand((), generator=numbers) >= SHUFFLED_SHARE:
            key_K = torch.where(self.ordered_K, 0.0, key_K)
        return torch.argsort(self.column_K + key_K, stable=True)

    def _cells(self, rank_ND: Tensor, numbers: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the first rank and the last rank + 1 of the cell of a random partition."""
        N, D = rank_ND.shape
        used_ND = torch.randint(1, CUTS + 1, (N, D), generator=numbers)
        low_ND, high_ND = torch.zeros_like(rank_ND), self.counts_D.expand(N, D)
        for number in range(CUTS):
            drawn_ND = torch.rand(N, D, generator=numbers) * (self.counts_D - 1)
            cut_ND = torch.where(number < used_ND, drawn_ND.long() + 1, 0)
            below_ND = cut_ND <= rank_ND
            low_ND = torch.where(below_ND, torch.maximum(low_ND, cut_ND), low_ND)
            high_ND = torch.where(below_ND, high_ND, torch.minimum(high_ND, cut_ND))
        return low_ND, high_ND


def log_probabilities(logits_NK: Tensor, codes_ND: Tensor, counts: tuple[int, ...]) -> Tensor:
    """Return log p(code) of every column under no condition, (N, D)."""
    columns = zip(logits_NK.split(counts, dim=1), codes_ND.unbind(1), strict=True)
    picked = [
        -functional.cross_entropy(logits_NJ, codes_N, reduction="none")
        for logits_NJ, codes_N in columns
    ]
    return torch.stack(picked, dim=1)


def negative_log_likelihood(
    logits_NK: Tensor, codes_ND: Tensor, sets: AllowedCodes, counts: tuple[int, ...]
) -> Tensor:
    """Return the mean nats per row under conditions: in every column the allowed codes share 1.

    Args:
        logits_NK: of any code; lost, for they are overwritten.
        codes_ND: of the rows.
        sets: hold for these rows.
        counts: codes of each column.
    """
    loss: Tensor = _Likelihood.apply(logits_NK, codes_ND, sets, counts)  # type: ignore[no-untyped-call]
    return loss


class _Likelihood(torch.autograd.Function):
    """Σ over columns of -log softmax; d/d logits = softmax - onehot, kept from the way forward."""

    @staticmethod
    def forward(
        ctx: Any, logits_NK: Tensor, codes_ND: Tensor, sets: AllowedCodes, counts: tuple[int, ...]
    ) -> Tensor:
        """Return the mean over the rows, and keep the gradient in place of the logits."""
        free_ND = (sets.high_ND - sets.low_ND > 1).to(logits_NK.dtype)
        several_ND = sets.given_ND & (free_ND > 0)
        total = logits_NK.new_zeros(())
        gradient_NK, first = logits_NK.detach(), 0
        for column, codes in enumerate(counts):
            part = slice(first, first + codes)
            chosen_N1, free_N1 = codes_ND[:, column, None], free_ND[:, column, None]
            logits_NJ = gradient_NK[:, part]
            _rule_out(logits_NJ, sets.ranks_K[part], column, sets, several_ND[:, column])
            logs_NJ = logits_NJ.log_softmax(1)
            total -= (logs_NJ.gather(1, chosen_N1) * free_N1).sum()
            shares_NJ = logs_NJ.exp_().mul_(free_N1 / len(codes_ND))
            shares_NJ.scatter_add_(1, chosen_N1, free_N1 / -len(codes_ND))
            logits_NJ.copy_(shares_NJ)
            first += codes
        ctx.save_for_backward(gradient_NK)
        return total / len(codes_ND)

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient of the logits alone."""
        (gradient_NK,) = ctx.saved_tensors
        return gradient_NK * above[0], None, None, None


def _rule_out(
    logits_NJ: Tensor, ranks_J: Tensor, column: int, sets: AllowedCodes, several_N: Tensor
) -> None:
    """Write minus infinity where a set of several codes does not allow one, in place."""
    rows_M = several_N.nonzero()[:, 0]
    low_M1, high_M1 = sets.low_ND[rows_M, column, None], sets.high_ND[rows_M, column, None]
    forbidden_MJ = (ranks_J < low_M1) | (ranks_J >= high_M1)
    logits_NJ[rows_M] = logits_NJ[rows_M].masked_fill(forbidden_MJ, -torch.inf)
