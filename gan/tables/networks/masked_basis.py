"""Tables of vectors per code in which neighbouring codes of an ordered column share strength.

A vector of its own for every one of a hundred bins learns from a hundredth of the rows. So a code's
vector is a sum of nodes that lie 4, 8, 16 … codes apart, each counted linearly by its distance: a
piecewise linear function of the code, and a bin is seen through its neighbours too. Codes of one
value, such as zero or null, and those of short columns and categories have a vector of their own.

Shapes: K codes of all columns side by side, B rows of the basis, H units, M pairs of code and row.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from gan.tables.networks.masked_layout import Layout

SPACING, GROWTH = 4, 2
"""Codes between the finest nodes; and how many times as far apart each next coarser set is."""

COARSE = 32
"""Codes between nodes that count fully where finer ones are damped, see `Basis.damping_B`."""

SHORT = 24
"""In columns of fewer codes every code has its own vector too."""


class Node(NamedTuple):
    """A row of the basis and its share in a code's vector."""

    row: int
    share: float


class Basis(nn.Module):
    """Expands a table of nodes to one vector per code."""

    rows_M: Tensor
    shares_M: Tensor
    starts_K: Tensor
    codes_M: Tensor
    code_shares_M: Tensor
    code_starts_B: Tensor
    column_B: Tensor
    damping_B: Tensor
    """Square root of the nodes' distance ÷ COARSE, at most 1: how much they count where smooth
    functions are sought. Adam moves every parameter by equal steps: who counts less learns less."""

    def __init__(self, layout: Layout) -> None:
        """Place the nodes of all columns."""
        super().__init__()
        codes: list[list[Node]] = []
        columns: list[int] = []
        apart: list[int] = []
        for column, (single, ordered) in enumerate(zip(layout.single, layout.ordered, strict=True)):
            nodes, spacings = place_nodes(single, len(columns), ordered=ordered)
            codes += nodes
            apart += spacings
            columns += [column] * len(spacings)
        pairs = [(code, *node) for code, nodes in enumerate(codes) for node in nodes]
        codes_M, rows_M, shares_M = (torch.tensor(each) for each in zip(*pairs, strict=True))
        by_row_M = torch.argsort(rows_M, stable=True)
        spacing_B = torch.tensor(apart)
        for name, tensor in {
            "rows_M": rows_M,
            "shares_M": shares_M,
            "starts_K": _starts(codes_M, len(codes)),
            "codes_M": codes_M[by_row_M],
            "code_shares_M": shares_M[by_row_M],
            "code_starts_B": _starts(rows_M, len(columns)),
            "column_B": torch.tensor(columns),
            "damping_B": (spacing_B / COARSE).clamp(max=1).sqrt(),
        }.items():
            self.register_buffer(name, tensor, persistent=False)

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return len(self.column_B)

    def expand(self, table_BH: Tensor) -> Tensor:
        """Return one vector per code, (K, H)."""
        expanded: Tensor = _Expand.apply(table_BH, self)  # type: ignore[no-untyped-call]
        return expanded


class _Expand(torch.autograd.Function):
    """Weighted sums of rows; the gradient is as many sums the other way round, so both are fast."""

    @staticmethod
    def forward(ctx: Any, table_BH: Tensor, basis: Basis) -> Tensor:
        """Sum each code's nodes."""
        ctx.basis = basis
        return _sums(basis.rows_M, table_BH, basis.starts_K, basis.shares_M)

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor, None]:
        """Sum the gradients of each node's codes."""
        (gradient_KH,), basis = above, ctx.basis
        table_BH = _sums(basis.codes_M, gradient_KH, basis.code_starts_B, basis.code_shares_M)
        return table_BH, None


def _sums(places_M: Tensor, table: Tensor, starts: Tensor, shares_M: Tensor) -> Tensor:
    return functional.embedding_bag(
        places_M, table, starts, mode="sum", per_sample_weights=shares_M
    )


def _starts(keys_M: Tensor, keys: int) -> Tensor:
    """Return where the pairs of each key begin when they lie sorted."""
    sizes = torch.bincount(keys_M, minlength=keys)
    return sizes.cumsum(0) - sizes


def place_nodes(
    single: tuple[bool, ...], first: int, *, ordered: bool
) -> tuple[list[list[Node]], list[int]]:
    """Return the nodes of every code of a column, and of each new row how far its nodes lie apart.

    A code's own vector counts as one of nodes that lie COARSE apart: it is never damped.

    Args:
        single: whether each code is one value; of a category all are.
        first: the first free row.
        ordered: whether neighbouring codes mean neighbouring values.
    """
    codes = len(single)
    column: list[list[Node]] = [[] for _ in single]
    spacings: list[int] = []
    for code, alone in enumerate(single):
        if alone or codes < SHORT:
            column[code].append(Node(first + len(spacings), 1.0))
            spacings.append(COARSE)
    apart = SPACING
    while ordered and apart < codes:
        start = first + len(spacings)
        for code, nodes in enumerate(column):
            node, beyond = divmod(code, apart)
            nodes.append(Node(start + node, 1 - beyond / apart))
            if beyond:
                nodes.append(Node(start + node + 1, beyond / apart))
        spacings += [apart] * ((codes - 1) // apart + 2)
        apart *= GROWTH
    return column, spacings
