"""Sampling from a masked autoregressive network: every hidden unit is computed once per row.

Column p needs the units of degree up to p. Those of lower degree are there already, so the step to
column p computes the units of degree p alone, then its codes. Units of degree 0 depend on nothing
but the condition: they are computed once per condition and become part of the biases.

Shapes: N rows, D columns in the network's order, K codes of all columns side by side, H hidden
units sorted by degree (T of degree 0), C conditions, U units of one
degree, J codes of one column, P columns before it.
"""

import itertools
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from gan.tables.networks.masked_layout import Layout, Weights

LARGEST_BELOW_ONE = 1 - 2.0**-24
"""The largest float32 below 1."""


class Step(NamedTuple):
    """What one column takes: its units from the columns and units before, then its codes."""

    units: slice
    """Place of its units among those of degree 1 and more."""
    inputs_KU: Tensor
    """One vector per code of the columns before."""
    first_CU: Tensor
    """What the condition gives the first layer."""
    hidden: tuple[Tensor, ...]
    """(units before and its own but those of degree 0, U) of each layer."""
    hidden_bias: tuple[Tensor, ...]
    """(C, U) of each layer."""
    outputs_HJ: Tensor
    bias_CJ: Tensor
    """Minus infinity where a code is not allowed."""


class MaskedSampler:
    """Draws codes from uniform numbers, column after column."""

    def __init__(self, weights: Weights, layout: Layout, allowed_CK: Tensor) -> None:
        """Prepare the steps.

        Args:
            weights: of the network.
            layout: of the network.
            allowed_CK: bool, in the network's order; at least one code of every column per row.
        """
        self.order, self.trunk = layout.order, layout.widths[0]
        self.first = [0, *itertools.accumulate(layout.counts)]
        self.conditions, self.layers = len(allowed_CK), len(weights.hidden_HH) + 1
        constants = _fold(weights, layout, allowed_CK)
        units = [0, *itertools.accumulate(layout.widths)]
        self.units = units[-1] - self.trunk
        self.steps = [
            _step(weights, constants, slice(*codes), slice(*own), self.trunk)
            for codes, own in zip(
                itertools.pairwise(self.first), itertools.pairwise(units), strict=True
            )
        ]

    def __call__(self, z_NZ: Tensor, labels_N: Tensor) -> Tensor:
        """Return code + position in the code of every column, float64 (N, D), in codec order.

        Args:
            z_NZ: uniform in [0, 1), one per column.
            labels_N: row of the conditions that a record obeys; ignored when there is only one.
        """
        N, D = z_NZ.shape
        places_ND = torch.empty(N, D, dtype=torch.int64, device=z_NZ.device)
        samples_ND = torch.empty(N, D, dtype=torch.float64, device=z_NZ.device)
        layers = z_NZ.new_empty(self.layers, N, self.units)
        rows_N = labels_N if self.conditions > 1 else None
        for column, step in enumerate(self.steps):
            if column:
                self._compute(step, places_ND[:, :column], layers, rows_N)
            logits_NJ = layers[-1, :, : step.units.stop] @ step.outputs_HJ + _rows(
                step.bias_CJ, rows_N
            )
            codes_N, along_N = invert(logits_NJ, z_NZ[:, column])
            places_ND[:, column] = codes_N + self.first[column]
            samples_ND[:, self.order[column]] = codes_N + along_N.double()
        return samples_ND

    def _compute(
        self, step: Step, places_NP: Tensor, layers: Tensor, rows_N: Tensor | None
    ) -> None:
        """Fill in the units of one degree, layer by layer."""
        own = step.units
        inputs_NU = functional.embedding_bag(places_NP, step.inputs_KU, mode="sum")
        layers[0, :, own] = functional.relu_(inputs_NU + _rows(step.first_CU, rows_N))
        for index, (weight, bias_CU) in enumerate(zip(step.hidden, step.hidden_bias, strict=True)):
            below = layers[index, :, : own.stop]
            inner_NU = functional.relu_(below @ weight + _rows(bias_CU, rows_N))
            layers[index + 1, :, own] = layers[index, :, own] + inner_NU


class Constants(NamedTuple):
    """What depends on the condition alone."""

    first_CH: Tensor
    hidden_CH: tuple[Tensor, ...]
    """Of each layer after the first."""
    codes_CK: Tensor


def _fold(weights: Weights, layout: Layout, allowed_CK: Tensor) -> Constants:
    """Return what the condition and the units of degree 0 give each layer and the codes."""
    trunk = layout.widths[0]
    first_CH = weights.bias_H + inform(allowed_CK, layout.counts, weights)
    units_CT, hidden = functional.relu(first_CH[:, :trunk]), []
    for weight_HH, bias_H in zip(weights.hidden_HH, weights.hidden_bias_H, strict=True):
        hidden.append(units_CT @ weight_HH[:, :trunk].T + bias_H)
        units_CT = units_CT + functional.relu(hidden[-1][:, :trunk])
    codes_CK = units_CT @ weights.outputs_KH[:, :trunk].T + weights.bias_K
    return Constants(first_CH, tuple(hidden), codes_CK.masked_fill(~allowed_CK, -torch.inf))


def _step(weights: Weights, constants: Constants, codes: slice, own: slice, trunk: int) -> Step:
    """Return the step to a column: its codes, and its units among all."""
    seen = slice(trunk, max(own.stop, trunk))
    return Step(
        slice(own.start - trunk, own.stop - trunk),
        weights.inputs_KH[: codes.start, own].contiguous(),
        constants.first_CH[:, own].contiguous(),
        tuple(weight_HH[own, seen].T.contiguous() for weight_HH in weights.hidden_HH),
        tuple(bias_CH[:, own].contiguous() for bias_CH in constants.hidden_CH),
        weights.outputs_KH[codes, seen].T.contiguous(),
        constants.codes_CK[:, codes].contiguous(),
    )


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


def invert(logits_NJ: Tensor, uniform_N: Tensor) -> tuple[Tensor, Tensor]:
    """Return the code at which the distribution function passes a uniform number, and how far in.

    The position in [0, 1) is what is left of the uniform number: itself uniform, so that no second
    one is needed for the value inside a code. A code of probability zero is never returned.
    """
    sums_NJ = logits_NJ.softmax(1).cumsum(1)
    total_N1 = sums_NJ[:, -1:]
    below_total = torch.nextafter(total_N1, torch.zeros_like(total_N1))
    sought_N1 = torch.minimum(uniform_N[:, None] * total_N1, below_total)
    codes_N1 = torch.searchsorted(sums_NJ, sought_N1, right=True)
    start_N1 = sums_NJ.gather(1, (codes_N1 - 1).clamp(min=0)) * (codes_N1 > 0)
    end_N1 = sums_NJ.gather(1, codes_N1)
    along_N1 = (sought_N1 - start_N1) / (end_N1 - start_N1)
    return codes_N1[:, 0], along_N1[:, 0].clamp(0, LARGEST_BELOW_ONE)


def _rows(table_CX: Tensor, rows_N: Tensor | None) -> Tensor:
    """Return each record's row of a table; the one row, to be broadcast, when there is only one."""
    return table_CX if rows_N is None else table_CX[rows_N]
