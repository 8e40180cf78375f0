"""Sampling of a masked autoregressive network: every hidden unit is computed once per row.

Column p needs the units of degree up to p. Those of lower degree are there already, so the step to
column p computes the units of degree p alone, then its codes. Units of degree 0 depend on nothing
but the condition: they are computed once per condition and become part of the biases.

Units lie in rows, one column per record: so products for few units or few codes are quickest. What
codes of a column's partner add to its logits is a table, computed once.

Shapes: N records, D columns in the network's order, K codes of all columns side by side, J codes of
one column, Q codes of its partner, H hidden units but those of degree 0, U units of one degree, C
conditions, P columns before a column.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from gan.tables.networks.masked_conditional import (
    LARGEST_BELOW_ONE,
    UnitLayout,
    Weights,
    inform,
)


class DrawStep(NamedTuple):
    """What one column takes: its units from the columns and units before, then its codes."""

    units: slice
    """Range of its units among those of degree 1 and more."""
    inputs_KU: Tensor
    """One vector per code of the columns before; the condition's part is in the first one's."""
    first_CU: Tensor
    """What the condition gives the first layer, where there are several conditions."""
    hidden: tuple[Tensor, ...]
    """(U, units before and its own but those of degree 0) of each layer."""
    hidden_bias: tuple[Tensor, ...]
    """(U, C) of each layer."""
    outputs_JH: Tensor
    bias_JC: Tensor
    """Minus infinity where a code is not allowed."""
    partner: int | None
    """Which of the columns before adds to the logits."""
    pairs_JQ: Tensor
    """What each of its codes adds; with the bias where there is one condition."""


class DrawnCodes(NamedTuple):
    """Where a distribution function passes a uniform number."""

    codes_N: Tensor
    start_N: Tensor
    """What is below the code, in units of the whole."""
    sought_N: Tensor
    end_N: Tensor


class MaskedSampler:
    """Draws codes from uniform numbers, column after column."""

    def __init__(self, weights: Weights, layout: UnitLayout, allowed_CK: Tensor) -> None:
        """Prepare the steps.

        Args:
            weights: of the network.
            layout: of the network.
            allowed_CK: bool, in the network's order; at least one code of every column per row.
        """
        self.order, self.trunk = layout.order, layout.widths[0]
        self.first = [0, *itertools.accumulate(layout.counts)]
        self.conditions, self.layers = len(allowed_CK), len(weights.hidden_HH) + 1
        units = [0, *itertools.accumulate(layout.widths)]
        self.units = units[-1] - self.trunk
        self.steps = list(self._prepare(weights, layout, allowed_CK, units))

    def _prepare(
        self, weights: Weights, layout: UnitLayout, allowed_CK: Tensor, units: Sequence[int]
    ) -> Iterator[DrawStep]:
        """Yield the step to each column.

        What the condition and the units of degree 0 give each layer and the codes is computed here,
        once per condition.
        """
        trunk = self.trunk
        first_CH = weights.bias_H + inform(allowed_CK, layout.counts, weights)
        units_CT, hidden = functional.relu(first_CH[:, :trunk]), []
        for weight_HH, bias_H in zip(weights.hidden_HH, weights.hidden_bias_H, strict=True):
            hidden.append(units_CT @ weight_HH[:, :trunk].T + bias_H)
            units_CT = units_CT + functional.relu(hidden[-1][:, :trunk])
        codes_CK = units_CT @ weights.outputs_KH[:, :trunk].T + weights.bias_K
        codes_CK = codes_CK.masked_fill(~allowed_CK, -torch.inf)
        columns = zip(itertools.pairwise(self.first), itertools.pairwise(units), strict=True)
        for ((first, end), (begin, stop)), partner in zip(columns, layout.partners, strict=True):
            codes, own = slice(first, end), slice(begin, stop)
            seen = slice(trunk, max(own.stop, trunk))
            inputs_KU = weights.inputs_KH[: codes.start, own].contiguous()
            if self.conditions == 1:
                inputs_KU[: self.first[1]] += first_CH[:, own]
            yield DrawStep(
                slice(own.start - trunk, own.stop - trunk),
                inputs_KU,
                first_CH[:, own].contiguous(),
                tuple(weight_HH[own, seen].contiguous() for weight_HH in weights.hidden_HH),
                tuple(bias_CH[:, own].T.contiguous() for bias_CH in hidden),
                weights.outputs_KH[codes, seen].contiguous(),
                codes_CK[:, codes].T.contiguous(),
                partner,
                self._pairs(weights, codes, partner, codes_CK[:, codes]),
            )

    def _pairs(
        self, weights: Weights, codes: slice, partner: int | None, bias_CJ: Tensor
    ) -> Tensor:
        """Return what codes of the partner add to the logits, with the bias if all rows have it."""
        if partner is None:
            return bias_CJ[:0].T
        of_partner = slice(self.first[partner], self.first[partner + 1])
        pairs_JQ = weights.pair_outputs_KR[codes] @ weights.pair_inputs_KR[of_partner].T
        return pairs_JQ + bias_CJ.T if self.conditions == 1 else pairs_JQ

    def __call__(self, z_NZ: Tensor, labels_N: Tensor) -> Tensor:
        """Return code + position in the code of every column, float64 (N, D), in codec order.

        Args:
            z_NZ: uniform in [0, 1), one per column.
            labels_N: row of the conditions that a record meets; ignored when there is only one.
        """
        N, D = z_NZ.shape
        codes_ND = torch.empty(N, D, dtype=torch.int64, device=z_NZ.device)
        layers = z_NZ.new_empty(self.layers, self.units, N)
        rows_N = labels_N if self.conditions > 1 else None
        drawn = list[DrawnCodes]()
        for column, step in enumerate(self.steps):
            if column:
                self._compute(step, codes_ND[:, :column], layers, rows_N)
            logits_JN = self._logits(step, layers[-1], drawn, rows_N)
            drawn.append(_find(logits_JN.softmax(0).T.contiguous(), z_NZ[:, column]))
            torch.add(drawn[-1].codes_N, self.first[column], out=codes_ND[:, column])
        codes_DN, *parts = map(torch.stack, zip(*drawn, strict=True))
        samples_ND = torch.empty(N, D, dtype=torch.float64, device=z_NZ.device)
        samples_ND[:, self.order] = (codes_DN + _position(*parts).double()).T
        return samples_ND

    def _compute(
        self, step: DrawStep, codes_NP: Tensor, layers: Tensor, rows_N: Tensor | None
    ) -> None:
        """Fill in the units of one degree, layer by layer."""
        own = step.units
        inputs_NU = functional.embedding_bag(codes_NP, step.inputs_KU, mode="sum")
        if rows_N is not None:
            inputs_NU += step.first_CU.index_select(0, rows_N)
        layers[0, own] = functional.relu_(inputs_NU).T
        for index, (weight_UH, bias_UC) in enumerate(
            zip(step.hidden, step.hidden_bias, strict=True)
        ):
            bias_UN = bias_UC if rows_N is None else bias_UC.index_select(1, rows_N)
            inner_UN = torch.addmm(bias_UN, weight_UH, layers[index, : own.stop])
            torch.add(layers[index, own], functional.relu_(inner_UN), out=layers[index + 1, own])

    def _logits(
        self, step: DrawStep, units_HN: Tensor, drawn: Sequence[DrawnCodes], rows_N: Tensor | None
    ) -> Tensor:
        """Return the logits of a column, (J, N)."""
        units_HN = units_HN[: step.units.stop]
        bias_JN = step.bias_JC if rows_N is None else step.bias_JC.index_select(1, rows_N)
        if step.partner is None:
            return torch.addmm(bias_JN, step.outputs_JH, units_HN)
        logits_JN = step.pairs_JQ.index_select(1, drawn[step.partner].codes_N)
        if rows_N is not None:
            logits_JN += bias_JN
        return logits_JN.addmm_(step.outputs_JH, units_HN)


def invert(logits_NJ: Tensor, uniform_N: Tensor) -> tuple[Tensor, Tensor]:
    """Return the code at which the distribution function passes a uniform number, and the position.

    The position in [0, 1) is what is left of the uniform number: itself uniform, so that no second
    one is needed for the value inside a code. A code of probability zero is never returned.
    """
    codes_N, *parts = _find(logits_NJ.softmax(1), uniform_N)
    return codes_N, _position(*parts)


def _find(shares_NJ: Tensor, uniform_N: Tensor) -> DrawnCodes:
    """Return where the distribution function of some shares passes a uniform number."""
    sums_NJ = shares_NJ.cumsum(1)
    total_N1 = sums_NJ.narrow(1, -1, 1)
    below_total = torch.nextafter(total_N1, total_N1.new_zeros(()))
    sought_N1 = torch.minimum(uniform_N.unsqueeze(1) * total_N1, below_total)
    codes_N1 = torch.searchsorted(sums_NJ, sought_N1, right=True)
    start_N1 = sums_NJ.gather(1, (codes_N1 - 1).clamp_(min=0)) * (codes_N1 > 0)
    end_N1 = sums_NJ.gather(1, codes_N1)
    return DrawnCodes(*(each.squeeze(1) for each in (codes_N1, start_N1, sought_N1, end_N1)))


def _position(start: Tensor, sought: Tensor, end: Tensor) -> Tensor:
    """Return where in a code a uniform number lies, in [0, 1)."""
    return ((sought - start) / (end - start)).clamp_(0, LARGEST_BELOW_ONE)
