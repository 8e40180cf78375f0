"""A masked autoregressive network on codes, in which any subset of columns can be given.

Column after column, p(row) = Π p(code | codes of the columns before, condition): Germain et al.,
"MADE: masked autoencoder for distribution estimation" (2015), eq. 3 and 12. A hidden unit of degree
d depends on the first d columns only, so each is computed once per row when sampling. The condition
is a set of allowed codes per column; units of every degree see it, so a value that is given in the
last column also changes the first. Codes that are not allowed have probability zero.

Weights per code come from a basis in which neighbouring codes of an ordered column share strength:
a vector of its own for every one of a hundred bins would learn from a hundredth of the rows. A
code's vector is a sum of nodes that lie 4, 8, 16 … codes apart, each counted linearly by its
distance: a piecewise linear function of the code, and a bin is seen through its neighbours too.
Codes of one value, such as zero or null, and those of short columns and categories have a vector of
their own.

Partners. Two columns that say much of each other lie on a narrow band of pairs of codes, and hidden
units, which all columns share, blur it. So each column has a partner, the closest of the columns
before it, and the product of two vectors of their codes is added to its logits.

Shapes: N rows, D columns in the network's order, K codes of all columns side by side, H hidden
units sorted by degree, R entries of a partner's vector, B rows of the basis, G units of the
condition, C conditions, M pairs of code and row of the basis, or given values of a batch.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.quasirandom import SobolEngine

from gan.config import ResolvedConfig
from gan.errors import ConfigError
from gan.protocols import Draw, Generator
from gan.tables.columns.values import CodePlaces
from gan.tables.networks.label_finish import FEWEST_STEPS, ROWS, STEPS, Finish
from gan.tables.networks.lessons import lessons
from gan.tables.networks.masked_conditional import (
    LARGEST_BELOW_ONE,
    AllowedCodes,
    CodecShape,
    Partitions,
    Weights,
    codes_in_order,
    lay_out,
    log_probabilities,
    negative_log_likelihood,
)
from gan.tables.networks.masked_sampling import MaskedSampler

SPACING, GROWTH = 4, 2
"""Codes between the finest nodes; and how many times as far apart each next coarser set is."""
COARSE = 32
"""Codes between nodes that count fully where finer ones are damped, see `Basis.damping_B`."""
SHORT = 24
"""In columns of fewer codes every code has its own vector too."""
BIAS_SCALE = 8.0
"""Parameters of single codes are multiplied by this: Adam moves all parameters by equal steps,
and the logarithm of a rare code's frequency is far away."""
PAIR_RANK, PAIR_SPREAD = 32, 0.3
"""Length of the vectors by whose products a column's partner counts; their first spread."""
CONDITION_UNITS = 128
"""Length of the vector that encodes the condition, before it goes to every hidden unit."""

Drop = Callable[[Tensor], Tensor]
"""Drops hidden units in training."""


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

    def __init__(
        self,
        single: Sequence[tuple[bool, ...]],
        smooth: Sequence[bool],
        places: Sequence[CodePlaces | None] | None = None,
    ) -> None:
        """Lay out the nodes of all columns.

        Args:
            single: whether each code of each column is one value.
            smooth: whether neighbouring codes of each column are alike.
            places: where the codes of each column lie; None: one after another.
        """
        super().__init__()
        codes: list[list[Node]] = []
        columns: list[int] = []
        apart: list[int] = []
        known = places or [None] * len(single)
        for column, (alone, alike, where) in enumerate(zip(single, smooth, known, strict=True)):
            nodes, spacings = place_nodes(alone, len(columns), smooth=alike, places=where)
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


def _sums(rows_M: Tensor, table: Tensor, starts: Tensor, shares_M: Tensor) -> Tensor:
    return functional.embedding_bag(rows_M, table, starts, mode="sum", per_sample_weights=shares_M)


def _starts(keys_M: Tensor, keys: int) -> Tensor:
    """Return where the pairs of each key begin when they lie sorted."""
    sizes = torch.bincount(keys_M, minlength=keys)
    return sizes.cumsum(0) - sizes


def place_nodes(
    single: tuple[bool, ...], first: int, *, smooth: bool, places: CodePlaces | None = None
) -> tuple[list[list[Node]], list[int]]:
    """Return the nodes of every code of a column, and of each new row how far its nodes lie apart.

    A code's own vector counts as one of nodes that lie COARSE apart: it is never damped.

    Args:
        single: whether each code is one value; of a category all are.
        first: the first free row.
        smooth: whether neighbouring codes are alike.
        places: where they lie; None: one after another, without phases.
    """
    codes = len(single)
    along, phases = places or CodePlaces(tuple(range(codes)), (-1,) * codes)
    column: list[list[Node]] = [[] for _ in single]
    spacings: list[int] = []
    for code, alone in enumerate(single):
        if alone or codes < SHORT:
            column[code].append(Node(first + len(spacings), 1.0))
            spacings.append(COARSE)
    rows = {phase: row for row, phase in enumerate(sorted({*phases} - {-1}), first + len(spacings))}
    for code, phase in enumerate(phases):
        column[code] += [Node(rows[phase], 1.0)] if phase >= 0 else []
    spacings += [COARSE] * len(rows)
    apart, last = SPACING, max(along)
    while smooth and apart <= last:
        start = first + len(spacings)
        for place, nodes in zip(along, column, strict=True):
            node, beyond = divmod(place, apart)
            nodes.append(Node(start + node, 1 - beyond / apart))
            if beyond:
                nodes.append(Node(start + node + 1, beyond / apart))
        spacings += [apart] * (last // apart + 2)
        apart *= GROWTH
    return column, spacings


class MaskedAutoregressive(Generator):
    """Codes from uniform numbers, one per column, by the inverse of each distribution function."""

    has_likelihood = True

    order_D: Tensor
    first_D: Tensor
    codec_index_K: Tensor
    input_shares_BH: Tensor
    hidden_mask_HH: Tensor
    output_mask_BH: Tensor
    keep_H: Tensor

    def __init__(self, config: ResolvedConfig, codec: CodecShape) -> None:
        super().__init__()
        layout = self.layout = lay_out(codec, config.network)
        self.basis = Basis(layout.single, layout.smooth, layout.places)
        self.partitions = Partitions(layout)
        L, H = int(config.network["depth"]) - 1, sum(layout.widths)
        K, B = sum(layout.counts), self.basis.rows
        self.inputs_BH = nn.Parameter(torch.empty(B, H))
        self.condition_BG = nn.Parameter(torch.empty(B, CONDITION_UNITS))
        self.condition_GH = nn.Parameter(torch.empty(CONDITION_UNITS, H))
        self.pool_K = nn.Parameter(torch.empty(K))
        self.bias_H = nn.Parameter(torch.empty(H))
        self.hidden_HH = nn.ParameterList(torch.empty(H, H) for _ in range(L))
        self.hidden_bias_H = nn.ParameterList(torch.empty(H) for _ in range(L))
        self.outputs_BH = nn.Parameter(torch.empty(B, H))
        self.bias_K = nn.Parameter(torch.empty(K))
        self.pair_inputs_BR = nn.Parameter(torch.empty(B, PAIR_RANK))
        self.pair_outputs_BR = nn.Parameter(torch.empty(B, PAIR_RANK))
        column_B1, damping_B1 = self.basis.column_B[:, None], self.basis.damping_B[:, None]
        degree_H = torch.repeat_interleave(
            torch.arange(len(layout.widths)), torch.tensor(layout.widths)
        )
        of_label_H = torch.arange(H) >= H - layout.label_units
        dropout, label_dropout = (
            float(config.network[name]) for name in ("dropout", "label_dropout")
        )
        for name, tensor in {
            "order_D": torch.tensor(layout.order),
            "first_D": self.partitions.first_D,
            "codec_index_K": codes_in_order(codec, layout),
            "input_shares_BH": (degree_H > column_B1) * damping_B1 ** (1 + of_label_H.float()),
            "hidden_mask_HH": (degree_H[:, None] >= degree_H).float(),
            "output_mask_BH": (degree_H <= column_B1).float(),
            "keep_H": 1 - torch.where(of_label_H, label_dropout, dropout),
        }.items():
            self.register_buffer(name, tensor, persistent=False)

    @torch.no_grad()
    def draw(self, stream: torch.Generator) -> None:
        """Draw the weights in place: units start with variance about one, all codes alike."""
        spread = (len(self.layout.counts) / 2) ** -0.5
        self.inputs_BH.normal_(std=spread, generator=stream)
        self.condition_BG.normal_(std=spread, generator=stream)
        self.condition_GH.normal_(std=CONDITION_UNITS**-0.5, generator=stream)
        for weight_HH in self.hidden_HH:
            weight_HH.normal_(generator=stream)
            weight_HH.mul_(self.hidden_mask_HH.sum(1, keepdim=True).rsqrt())
        self.pair_inputs_BR.normal_(std=PAIR_SPREAD, generator=stream)
        zeros = (self.bias_H, *self.hidden_bias_H, self.outputs_BH, self.bias_K, self.pool_K)
        for each in (*zeros, self.pair_outputs_BR):
            each.zero_()

    def finish(self, samples: Callable[[], Tensor], seed: int, most: int) -> bool:
        """Train the label's own units at last, by what trees say of it; see `label_finish`."""
        if not self.layout.label_units or most < FEWEST_STEPS * ROWS:
            return False
        taught = lessons(samples()[:, self.order_D].cpu().numpy(), self.layout, seed)
        if taught is None:
            return False
        Finish(self, inform_of_sets, BIAS_SCALE).run(taught, min(STEPS, most // ROWS), seed)
        return True

    def weights(self) -> Weights:
        """Return the weights as products use them."""
        return Weights(
            self.basis.expand(self.inputs_BH * self.input_shares_BH),
            self.basis.expand(self.condition_BG),
            self.condition_GH,
            (self.pool_K * BIAS_SCALE).exp(),
            self.bias_H,
            tuple(weight_HH * self.hidden_mask_HH for weight_HH in self.hidden_HH),
            tuple(self.hidden_bias_H),
            self.basis.expand(self.outputs_BH * self.output_mask_BH),
            self.bias_K * BIAS_SCALE,
            self.basis.expand(self.pair_inputs_BR),
            self.basis.expand(self.pair_outputs_BR),
        )

    def logits(
        self, codes_ND: Tensor, condition_NH: Tensor | float, weights: Weights, drop: Drop
    ) -> Tensor:
        """Return `logits_NK`, before any code is ruled out.

        Args:
            codes_ND: in the network's order, counted within their column.
            condition_NH: what the condition adds to the first layer.
            weights: of this network.
            drop: applied to every hidden layer.
        """
        inputs_NH = functional.embedding_bag(codes_ND + self.first_D, weights.inputs_KH, mode="sum")
        units_NH = drop(functional.relu(inputs_NH + condition_NH + weights.bias_H))
        for weight_HH, bias_H in zip(weights.hidden_HH, weights.hidden_bias_H, strict=True):
            inner_NH = functional.relu(units_NH @ weight_HH.T + bias_H)
            units_NH = units_NH + drop(inner_NH)
        logits_NK = units_NH @ weights.outputs_KH.T + weights.bias_K
        return logits_NK + self._pairs(codes_ND, weights)

    def _pairs(self, codes_ND: Tensor, weights: Weights) -> Tensor:
        """Return what each column's partner adds to its logits, (N, K)."""
        parts, ends = [], self.layout.ends
        for (first, end), partner in zip(pairwise(ends), self.layout.partners, strict=True):
            if partner is None:
                parts.append(weights.bias_K.new_zeros(len(codes_ND), end - first))
                continue
            inputs_NR = weights.pair_inputs_KR[codes_ND[:, partner] + ends[partner]]
            parts.append(inputs_NR @ weights.pair_outputs_KR[first:end].T)
        return torch.cat(parts, dim=1)

    def loss(
        self,
        samples: Tensor,
        labels_N: Tensor,  # noqa: ARG002 - the label is a column
        stream: torch.Generator,
    ) -> Tensor:
        """Return the mean negative log likelihood in nats, under conditions that are drawn here.

        Args:
            samples: codes, int64 (N, D), in the codec's order.
            labels_N: classes, not read.
            stream: of this step, on the processor.
        """
        codes_ND = samples[:, self.order_D]
        sets = self.partitions.draw(codes_ND.cpu(), stream)
        weights = self.weights()
        condition_NH = inform_of_sets(sets, self.partitions, weights)
        logits_NK = self.logits(codes_ND, condition_NH, weights, self._drop(stream))
        sets = sets.to(logits_NK.device)
        return negative_log_likelihood(logits_NK, codes_ND, sets, self.layout.counts)

    def _drop(self, stream: torch.Generator) -> Drop:
        if self.settled:
            return lambda units_NH: units_NH

        def drop(units_NH: Tensor) -> Tensor:
            draws_NH = torch.rand(units_NH.shape, generator=stream).to(units_NH.device)
            return units_NH * ((draws_NH < self.keep_H) / self.keep_H)

        return drop

    @torch.no_grad()
    def log_likelihood(self, samples: Tensor, labels_N: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """Return the log likelihood of codes in nats, under no condition, float64 (N,)."""
        codes_ND, weights = samples[:, self.order_D], self.weights()
        logits_NK = self.logits(codes_ND, 0.0, weights, lambda units_NH: units_NH)
        return log_probabilities(logits_NK, codes_ND, self.layout.counts).double().sum(1)

    def latents(self, rows: int, numbers: torch.Generator) -> Tensor:
        """Return numbers that are uniform in [0, 1), one per column, (rows, D).

        They are the first points of a scrambled Sobol' sequence (Owen, "Randomly permuted
        (t,m,s)-nets and (t,s)-sequences", 1995): every row is distributed as by independent
        numbers, but together the rows cover each column and each pair of columns evenly, so that
        shares of levels and how columns go together vary less from shard to shard.
        """
        seed = int(torch.randint(2**62, (), generator=numbers))
        points = SobolEngine(len(self.layout.counts), scramble=True, seed=seed)
        return points.draw(rows).clamp(max=LARGEST_BELOW_ONE)

    @torch.no_grad()
    def conditioned(self, allowed_CK: np.ndarray[Any, np.dtype[np.bool_]] | None) -> Draw:
        """Return what draws samples under conditions; see `Generator.conditioned`.

        Raises:
            ConfigError: a condition allows no value of some column.
        """
        if allowed_CK is None:
            allowed_CK = np.ones((1, len(self.codec_index_K)), dtype=bool)
        allowed = torch.from_numpy(allowed_CK).to(self.order_D.device)[:, self.codec_index_K]
        layout = self.layout
        for index, allowed_CJ in zip(layout.order, allowed.split(layout.counts, 1), strict=True):
            if not bool(allowed_CJ.any(1).all()):
                msg = (
                    f"the conditions allow no value at all in modelled column {index}: widen one "
                    "of synthesis.given"
                )
                raise ConfigError(msg)
        return MaskedSampler(self.weights(), layout, allowed)

    def forward(self, z_NZ: Tensor, labels_N: Tensor) -> Tensor:
        """Return code + position in the code of every column, float64 (N, D), unconditional."""
        return self.conditioned(None)(z_NZ, labels_N)


def inform_of_sets(sets: AllowedCodes, partitions: Partitions, weights: Weights) -> Tensor:
    """Return what sets add to the first layer, (N, H): what `masked_conditional.inform` returns.

    The codes of a set lie side by side, so its sum is the difference of two running sums; those
    are float64, or the sums of rare codes would drown.
    """
    device = weights.condition_KG.device
    pooled = torch.cat([weights.pool_K[:, None] * weights.condition_KG, weights.pool_K[:, None]], 1)
    running = functional.pad(pooled[sets.codes_K.to(device)].double().cumsum(0), (0, 0, 1, 0))
    ends_D = partitions.first_D + partitions.counts_D
    every_DG = _pooled(running, partitions.first_D.to(device), ends_D.to(device))
    rows_M, columns_M = (each.to(device) for each in sets.given_ND.nonzero(as_tuple=True))
    low_M, high_M = sets.low_ND[sets.given_ND], sets.high_ND[sets.given_ND]
    added_MG = _pooled(running, low_M.to(device), high_M.to(device)) - every_DG[columns_M]
    added_NG = added_MG.new_zeros(len(sets.given_ND), added_MG.shape[1])
    return added_NG.index_add(0, rows_M, added_MG) @ weights.condition_GH


def _pooled(running: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return the weighted mean of the vectors from low to high; the last column is the weight."""
    sums = running[high] - running[low]
    return (sums[:, :-1] / sums[:, -1:]).float()


def build(
    config: ResolvedConfig, codec: CodecShape, stream: torch.Generator
) -> MaskedAutoregressive:
    """Return the network on the processor, initialised from the stream alone."""
    network = MaskedAutoregressive(config, codec)
    network.draw(stream)
    return network
