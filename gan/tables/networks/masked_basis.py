"""Tables of vectors per code in which neighbouring codes of an ordered column share strength.

A vector of its own for every one of a hundred bins learns from a hundredth of the rows. So a code's
vector is a sum of nodes that lie 4, 16, 64 … codes apart, each counted linearly by its distance: a
piecewise linear function of the code, and a bin is seen through its neighbours too. Codes of one
value, such as zero or null, and those of short columns and categories have a vector of their own.

Shapes: K codes of all columns side by side, B rows of the basis, H units, M pairs of code and row.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from gan.tables.networks.masked_layout import Layout

SPACING = 4
"""Codes between the finest nodes; and how many times as far apart each next coarser set is."""

SHORT = 24
"""In columns of fewer codes every code has its own vector too."""

Nodes = list[tuple[int, float]]
"""Rows of the basis that a code is the sum of, and its share in each."""


class Basis(nn.Module):
    """Expands a table of nodes to one vector per code."""

    rows_M: Tensor
    shares_M: Tensor
    starts_K: Tensor

    def __init__(self, layout: Layout) -> None:
        """Place the nodes of all columns."""
        super().__init__()
        codes: list[Nodes] = []
        self.rows = 0
        for single, ordered in zip(layout.single, layout.ordered, strict=True):
            column, self.rows = place_nodes(single, self.rows, ordered=ordered)
            codes += column
        pairs = [pair for nodes in codes for pair in nodes]
        sizes_K = torch.tensor([len(nodes) for nodes in codes])
        for name, tensor in {
            "rows_M": torch.tensor([row for row, _ in pairs]),
            "shares_M": torch.tensor([share for _, share in pairs]),
            "starts_K": sizes_K.cumsum(0) - sizes_K,
        }.items():
            self.register_buffer(name, tensor, persistent=False)

    def expand(self, table_BH: Tensor) -> Tensor:
        """Return one vector per code, (K, H)."""
        return functional.embedding_bag(
            self.rows_M, table_BH, self.starts_K, mode="sum", per_sample_weights=self.shares_M
        )


def place_nodes(single: tuple[bool, ...], first: int, *, ordered: bool) -> tuple[list[Nodes], int]:
    """Return the nodes of every code of a column, and the first row that is still free.

    Args:
        single: whether each code is one value; of a category all are.
        first: the first free row.
        ordered: whether neighbouring codes mean neighbouring values.
    """
    codes = len(single)
    column: list[Nodes] = [[] for _ in single]
    for code, alone in enumerate(single):
        if alone or codes < SHORT:
            column[code].append((first, 1.0))
            first += 1
    apart = SPACING
    while ordered and apart < codes:
        for code, nodes in enumerate(column):
            node, beyond = divmod(code, apart)
            nodes.append((first + node, 1 - beyond / apart))
            if beyond:
                nodes.append((first + node + 1, beyond / apart))
        first += (codes - 1) // apart + 2
        apart *= SPACING
    return column, first
