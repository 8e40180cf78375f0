"""Conditions on cells: which may be chosen, and ranges that end inside a bin.

Generators obey conditions on codes. A range that ends inside a bin allows the bin's code but only
some of its cells: such a bin is kept in proportion to those, the other rows are drawn again.

Shapes: N rows, D modelled columns, K codes of all columns side by side.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gan.protocols import Wanted

if TYPE_CHECKING:
    from gan.tables.columns.modelled import Modelled
    from gan.tables.vocabularies import Vocabularies

Array = np.ndarray[Any, Any]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


def allowed_cells(codec: "Vocabularies", wanted: Wanted, label: int | None = None) -> list[Mask]:
    """Return for each modelled column which of its cells may be chosen.

    Args:
        codec: of the records.
        wanted: its conditions count; its classes only where one of them is asked for.
        label: index of the class that the rows have; None leaves the label as it is given.

    Raises:
        ConfigError: a condition that the codec refuses.
    """
    cells = [np.ones(column.cells, dtype=bool) for column in codec.columns]
    if wanted.given:
        ends = np.cumsum([column.cells for column in codec.columns])
        cells = np.split(codec.cell_mask(wanted.given), ends[:-1])
    allowed_CK = codec.allowed(wanted.given, per_class=label is not None)
    if allowed_CK is None:
        return cells
    ends = np.cumsum(codec.code_counts)
    codes = np.split(allowed_CK[label or 0], ends[:-1])
    return [
        cell & code[column.code_of_cell]
        for cell, code, column in zip(cells, codes, codec.columns, strict=True)
    ]


@dataclass(frozen=True, kw_only=True)
class Edge:
    """A column with bins of which only some cells are allowed."""

    index: int
    """Of the modelled column."""
    column: "Modelled"
    kept: Array
    """float64 (K_j,): share of each code's cells that are allowed, the largest share being 1."""
    cells: Array
    """Allowed cells, code after code."""
    first: Array
    """Where each code's begin."""
    counts: Array
    """How many each code has."""

    @classmethod
    def build(cls, index: int, column: "Modelled", chosen: Mask) -> Self | None:
        """Return the edge; None when whole codes are allowed or not."""
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

    def settle(self, cells_ND: Array) -> Mask:
        """Choose allowed cells, in place; return the rows that must be drawn again.

        The position of a cell in its code is uniform in [0, 1). Rows whose position is below the
        code's share are kept, and their position, stretched to [0, 1) again, chooses the cell.
        """
        cells_N = cells_ND[:, self.index]
        codes_N = self.column.code_of_cell[cells_N]
        start_N = self.column.first_cells[codes_N]
        size_N = self.column.first_cells[codes_N + 1] - start_N
        place_N = (cells_N - start_N + 0.5) / size_N
        share_N, count_N = self.kept[codes_N], self.counts[codes_N]
        known_N = count_N > 0
        kept_N = known_N & (place_N < share_N)
        along_N = np.where(kept_N, place_N / np.where(known_N, share_N, 1), place_N)
        chosen_N = np.minimum((along_N * count_N).astype(np.int64), np.maximum(count_N - 1, 0))
        places_N = np.minimum(self.first[codes_N] + chosen_N, len(self.cells) - 1)
        cells_ND[:, self.index] = self.cells[places_N]
        again_N: Mask = ~kept_N
        return again_N


def edges(codec: "Vocabularies", wanted: Wanted) -> tuple[Edge, ...]:
    """Return the columns whose condition ends inside a bin."""
    if not wanted.given:
        return ()
    masks = allowed_cells(codec, Wanted(given=wanted.given))
    found = [
        Edge.build(index, column, mask)
        for index, (column, mask) in enumerate(zip(codec.columns, masks, strict=True))
    ]
    return tuple(edge for edge in found if edge is not None)
