"""Columns in the order of the network, and the weights as products use them.

Shapes: K codes of all columns side by side, H hidden units sorted by degree, G units
of the condition.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

FEWEST_UNITS = 8
"""Hidden units of a degree, however many columns there are."""


class Column(Protocol):
    """A modelled column, as the codec describes it."""

    @property
    def kind(self) -> str:
        """`category` or `numeric`."""

    @property
    def codes(self) -> int:
        """How many codes it has."""

    @property
    def first_cells(self) -> np.ndarray[Any, np.dtype[np.int32]]:
        """First cell of each code, and the number of all cells."""


class TableCodec(Protocol):
    """What the network asks of a codec."""

    @property
    def columns(self) -> Sequence[Column]:
        """The modelled columns."""

    @property
    def label_column(self) -> int | None:
        """Which of them is the label."""


class Layout(NamedTuple):
    """Columns in the network's order, and how many units may see the first so many of them."""

    order: tuple[int, ...]
    """Index in the codec of each column."""
    counts: tuple[int, ...]
    """Codes of each column."""
    ordered: tuple[bool, ...]
    """Whether neighbouring codes mean neighbouring values."""
    single: tuple[tuple[bool, ...], ...]
    """Whether each code of each column is one value, not a range of them."""
    widths: tuple[int, ...]
    """Hidden units of each degree, 0 to D - 1."""
    label_units: int
    """Of the last degree, when the last column is the label; else 0."""


def codes_in_order(codec: TableCodec, layout: Layout) -> Tensor:
    """Return the codec's place of every code, in the network's order, (K,)."""
    first = [0, *itertools.accumulate(column.codes for column in codec.columns)]
    places = [torch.arange(first[index], first[index + 1]) for index in layout.order]
    return torch.cat(places)


def lay_out(codec: TableCodec, network: Mapping[str, int | float | str]) -> Layout:
    """Return the layout: columns of few codes first, the label last; every degree's share of units.

    Degree 0, which sees the condition alone, has `trunk` units; the others share `width`, and the
    label gets `label_width` more: only its own units see all that speaks of it.
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
    return Layout(
        order=tuple(order),
        counts=tuple(columns[index].codes for index in order),
        ordered=tuple(columns[index].kind == "numeric" for index in order),
        single=tuple(
            tuple(bool(cells == 1) for cells in np.diff(columns[index].first_cells))
            for index in order
        ),
        widths=tuple(widths),
        label_units=widths[-1] if labelled else 0,
    )


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
