"""The masked autoregressive network, trained on clipped gradients: what differential privacy takes.

A row may change the weights by a gradient of bounded length, whatever it holds (Abadi et al., "Deep
learning with differential privacy", CCS 2016, algorithm 1). The lengths of the gradients of all
rows of a batch are needed, their gradients are not: what one row adds to a matrix is an outer
product of what flows into it and of what comes back, and the length of an outer product is the
product of two lengths (Goodfellow, "Efficient per-example gradient computations", 2015; Li et al.,
"Large language models can be strong differentially private learners", ICLR 2022, section 4). So two
passes back through one graph do: the first finds the lengths, the second sums the gradients, each
row's scaled to at most the bound.

Codes have the shares that the codec counted with noise, and are not learnt: what is left for the
gradients is how columns depend on one another.

Shapes: N rows, D columns in the network's order, K codes of all columns side by side, H hidden
units, R entries of a partner's vector, B rows of the basis, G units of the condition.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from gan.config import ResolvedConfig
from gan.tables.networks.masked import BIAS_SCALE, MaskedAutoregressive
from gan.tables.networks.masked_conditional import (
    AllowedCodes,
    CodecShape,
    Weights,
    negative_log_likelihood,
)

TINY = 1e-12
"""Added to lengths before one is divided by them."""


class CountedCodec(CodecShape, Protocol):
    """What this network asks of a codec."""

    @property
    def shares(self) -> Sequence[Sequence[float]]:
        """Share of every code of every modelled column, counted with noise."""


class _Flow(NamedTuple):
    """What flows through one forward pass; tensors that know their gradients."""

    condition_NK: Tensor
    """What every code counts in the mean that stands for the condition."""
    added_NG: Tensor
    units: tuple[Tensor, ...]
    """Of each layer, (N, H); the last makes the logits."""
    sums: tuple[Tensor, ...]
    """Before the nonlinearity of each layer, (N, H)."""
    logits_NK: Tensor


class PrivateMasked(MaskedAutoregressive):
    """Codes by likelihood, from gradients of bounded length per row."""

    expansion_KB: Tensor

    def __init__(self, config: ResolvedConfig, codec: CountedCodec) -> None:
        super().__init__(config, codec)
        shares = [torch.tensor(codec.shares[index]) for index in self.layout.order]
        for name in ("bias_K", "pool_K"):
            kept = getattr(self, name).detach()
            delattr(self, name)
            self.register_buffer(name, kept)
        self._log_shares_K = torch.cat(shares).log()
        ones_BB = torch.eye(self.basis.rows)
        self.register_buffer("expansion_KB", self.basis.expand(ones_BB), persistent=False)

    @torch.no_grad()
    def draw(self, stream: torch.Generator) -> None:
        """Draw the weights in place; every column begins with the shares of its codes."""
        super().draw(stream)
        self.bias_K.copy_(self._log_shares_K / BIAS_SCALE)

    def finish(self, samples: Callable[[], Tensor], seed: int, most: int) -> bool:
        """Leave the weights as they are: lessons would be another look at the records."""
        del samples, seed, most
        return False

    def add_clipped(
        self, samples: Tensor, labels_N: Tensor, stream: torch.Generator, longest: float
    ) -> None:
        """Add the sum of the rows' gradients, each at most so long; see `Generator.add_clipped`."""
        del labels_N  # the label is a column
        flow, back_NK, squared_N = self._traced(samples, stream)
        scales_N = (longest / (squared_N.sqrt() + TINY)).clamp(max=1.0)
        flow.logits_NK.backward(back_NK * scales_N[:, None])

    def squared_lengths(self, samples: Tensor, stream: torch.Generator) -> Tensor:
        """Return the squared length of every row's gradient, (N,)."""
        return self._traced(samples, stream)[2]

    def _traced(self, samples: Tensor, stream: torch.Generator) -> tuple[_Flow, Tensor, Tensor]:
        """Return a forward pass, the gradients of its logits, and every row's squared length."""
        codes_ND = samples[:, self.order_D]
        sets = self.partitions.draw(codes_ND.cpu(), stream)
        weights = self.weights()
        flow = self._flow(codes_ND, sets, weights)
        loss = negative_log_likelihood(flow.logits_NK, codes_ND, sets, self.layout.counts)
        (mean_NK,) = torch.autograd.grad(loss, flow.logits_NK)
        back_NK = mean_NK * len(codes_ND)
        back = torch.autograd.grad(flow.logits_NK, flow.sums, back_NK, retain_graph=True)
        with torch.no_grad():
            squared_N = self._squared_lengths(codes_ND, flow, (back_NK, *back), weights)
        return flow, back_NK, squared_N

    def _flow(self, codes_ND: Tensor, sets: AllowedCodes, weights: Weights) -> _Flow:
        """Return what `logits` computes, with all that a row's gradient is made of."""
        condition_NK = self._condition(sets)
        added_NG = condition_NK @ weights.condition_KG
        inputs_NH = functional.embedding_bag(codes_ND + self.first_D, weights.inputs_KH, mode="sum")
        sums = [inputs_NH + added_NG @ weights.condition_GH + weights.bias_H]
        units = [functional.relu(sums[0])]
        for weight_HH, bias_H in zip(weights.hidden_HH, weights.hidden_bias_H, strict=True):
            sums.append(units[-1] @ weight_HH.T + bias_H)
            units.append(units[-1] + functional.relu(sums[-1]))
        logits_NK = units[-1] @ weights.outputs_KH.T + weights.bias_K
        logits_NK = logits_NK + self._pairs(codes_ND, weights)
        return _Flow(condition_NK, added_NG, tuple(units), tuple(sums), logits_NK)

    def _condition(self, sets: AllowedCodes) -> Tensor:
        """Return the mean over each set's codes minus that over all, as factors, (N, K)."""
        device = self.bias_K.device
        column_K = self.partitions.column_K
        low_NK, high_NK = (each[:, column_K].to(device) for each in (sets.low_ND, sets.high_ND))
        ranks_K, counts_K = sets.ranks_K.to(device), self.partitions.counts_D[column_K].to(device)
        allowed_NK = (ranks_K >= low_NK) & (ranks_K < high_NK)
        return allowed_NK / (high_NK - low_NK) - 1.0 / counts_K

    def _squared_lengths(
        self, codes_ND: Tensor, flow: _Flow, back: Sequence[Tensor], weights: Weights
    ) -> Tensor:
        """Return the squared length of every row's gradient, (N,).

        Args:
            codes_ND: in the network's order.
            flow: of these rows.
            back: gradients of a row's loss, of the logits and of the sums of every layer.
            weights: of this network.
        """
        logits_NK, *sums = back
        first_NH, *inner = (each.square() for each in sums)
        code_NB = functional.embedding_bag(
            codes_ND + self.first_D, self.expansion_KB, mode="sum"
        ).square()
        squared_N = (code_NB @ self.input_shares_BH.square() * first_NH).sum(1)
        squared_N += first_NH.sum(1) * (1 + flow.added_NG.square().sum(1))
        spread_NG = sums[0] @ weights.condition_GH.T
        set_NB = flow.condition_NK @ self.expansion_KB
        squared_N += spread_NG.square().sum(1) * set_NB.square().sum(1)
        for below_NH, inner_NH in zip(flow.units, inner, strict=False):
            squared_N += (inner_NH @ self.hidden_mask_HH * below_NH.square()).sum(1)
            squared_N += inner_NH.sum(1)
        out_NB = (logits_NK @ self.expansion_KB).square()
        squared_N += (out_NB @ self.output_mask_BH * flow.units[-1].square()).sum(1)
        return squared_N + self._squared_pairs(codes_ND, logits_NK, out_NB, weights)

    def _squared_pairs(
        self, codes_ND: Tensor, back_NK: Tensor, out_NB: Tensor, weights: Weights
    ) -> Tensor:
        """Return the part of the vectors of partners."""
        ends, column_B = self.layout.ends, self.basis.column_B
        squared_N = back_NK.new_zeros(len(back_NK))
        spread: dict[int, Tensor] = {}
        for column, ((first, end), partner) in enumerate(
            zip(pairwise(ends), self.layout.partners, strict=True)
        ):
            if partner is None:
                continue
            inputs_NR = weights.pair_inputs_KR[codes_ND[:, partner] + ends[partner]]
            own_N = out_NB[:, column_B == column].sum(1)
            squared_N += own_N * inputs_NR.square().sum(1)
            spread_NR = back_NK[:, first:end] @ weights.pair_outputs_KR[first:end]
            spread[partner] = spread.get(partner, 0.0) + spread_NR
        lengths_K = self.expansion_KB.square().sum(1)
        for partner, spread_NR in spread.items():
            code_N = lengths_K[codes_ND[:, partner] + ends[partner]]
            squared_N += code_N * spread_NR.square().sum(1)
        return squared_N


def build(config: ResolvedConfig, codec: CountedCodec, stream: torch.Generator) -> PrivateMasked:
    """Return the network on the processor, initialised from the stream alone."""
    network = PrivateMasked(config, codec)
    network.draw(stream)
    return network
