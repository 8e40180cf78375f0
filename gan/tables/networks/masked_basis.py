"""Tables of vectors per code in which neighbouring codes of an ordinal column share strength.

Shapes: K codes of all columns side by side, B rows of the basis, H units, M pairs of code and row.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

COARSER = 4
"""Beside its own vector a code has a share in vectors 4, 16, 64 … codes apart, linearly between."""


class Basis(nn.Module):
    """Expands a table over nodes of several widths to one vector per code."""

    rows_M: Tensor
    shares_M: Tensor
    starts_K: Tensor

    def __init__(self, code_counts: tuple[int, ...], ordinal: tuple[bool, ...]) -> None:
        """Place the nodes; codes of a column that is not ordinal have their own vector alone."""
        super().__init__()
        rows, shares, sizes, free = [], [], [], sum(code_counts)
        first = 0
        for codes, ordered in zip(code_counts, ordinal, strict=True):
            members = [(torch.arange(first, first + codes), torch.ones(codes))]
            width = COARSER
            while ordered and width < codes:
                node, along = torch.arange(codes) // width, torch.arange(codes) % width / width
                members += [(free + node, 1 - along), (free + node + 1, along)]
                free += (codes - 1) // width + 2
                width *= COARSER
            rows.append(torch.stack([row for row, _ in members], 1).flatten())
            shares.append(torch.stack([share for _, share in members], 1).flatten())
            sizes += [len(members)] * codes
            first += codes
        self.rows = free
        self.register_buffer("rows_M", torch.cat(rows), persistent=False)
        self.register_buffer("shares_M", torch.cat(shares), persistent=False)
        sizes_K = torch.tensor(sizes)
        self.register_buffer("starts_K", sizes_K.cumsum(0) - sizes_K, persistent=False)

    def expand(self, table_BH: Tensor) -> Tensor:
        """Return one vector per code, (K, H)."""
        return functional.embedding_bag(
            self.rows_M, table_BH, self.starts_K, mode="sum", per_sample_weights=self.shares_M
        )
