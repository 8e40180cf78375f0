"""The label's own units, trained at last, by lessons alone.

The label is the last column, so its units say nothing to any other: they can be trained when all
else is as it will be shipped. The likelihood of whole rows is at its best before or after the
label's is, and few rows teach little of it: here it gets the steps that it needs, by what trees say
(`lessons`). All other units are fixed, and are computed without gradients.

Rows are taught under conditions too, as in training. What is known of other columns does not change
the answer, and of what is known of the label the answer keeps its share.

Shapes: N rows of a step, D columns in the network's order, K codes of all of them, J codes of the
label, H hidden units, U of them the label's own, L the others, B rows of the basis, b of them the
label's, R entries of a partner's vector.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from gan.randomness import stream
from gan.tables.networks.lessons import Lessons
from gan.tables.networks.masked_conditional import AllowedCodes, Partitions, UnitLayout, Weights

STEPS, FEWEST_STEPS, ROWS = 800, 40, 256
"""Steps, as far as training was no shorter, and rows of each; fewer steps are not worth it."""
RATE, RATE_END = 3e-3, 0.03
"""Learning rate of the first step, and which share of it is left at the last."""
DECAY = 1.0
"""Of weights, times the learning rate: lessons are no few rows to be learnt by heart."""
LEAST_SHARE = 1e-9

Inform = Callable[[AllowedCodes, Partitions, Weights], Tensor]
"""What sets add to the first layer, (N, H)."""


class Expanding(Protocol):
    """A basis of vectors of codes."""

    @property
    def rows(self) -> int:
        """B."""

    @property
    def column_B(self) -> Tensor:  # noqa: N802 - a tensor
        """Column of each row."""

    def expand(self, table_BH: Tensor) -> Tensor:
        """Return one vector per code, (K, H)."""


class Taught(Protocol):
    """What is asked of the network."""

    @property
    def basis(self) -> Expanding:
        """Of the weights of codes."""

    @property
    def layout(self) -> UnitLayout:
        """Columns and units in their order."""

    @property
    def partitions(self) -> Partitions:
        """Of conditions."""

    @property
    def first_D(self) -> Tensor:  # noqa: N802 - a tensor
        """First code of each column."""

    @property
    def inputs_BH(self) -> Tensor:  # noqa: N802 - a tensor
        """Of the first layer."""

    @property
    def input_shares_BH(self) -> Tensor:  # noqa: N802 - a tensor
        """What they count."""

    @property
    def bias_H(self) -> Tensor:  # noqa: N802 - a tensor
        """Of the first layer."""

    @property
    def hidden_HH(self) -> Iterable[Tensor]:  # noqa: N802 - a tensor
        """Of the layers after it."""

    @property
    def hidden_bias_H(self) -> Iterable[Tensor]:  # noqa: N802 - a tensor
        """Of the layers after it."""

    @property
    def outputs_BH(self) -> Tensor:  # noqa: N802 - a tensor
        """Of the codes."""

    @property
    def bias_K(self) -> Tensor:  # noqa: N802 - a tensor
        """Of the codes."""

    @property
    def pair_outputs_BR(self) -> Tensor:  # noqa: N802 - a tensor
        """Of the codes, for partners."""

    def weights(self) -> Weights:
        """Return the weights as products use them."""


@dataclass(frozen=True, eq=False)
class LabelUnits:
    """The weights of the label's own units and codes, apart from all others."""

    inputs_BU: Tensor
    hidden_UH: list[Tensor]
    outputs_bH: Tensor
    pair_outputs_bR: Tensor
    bias_U: Tensor
    hidden_bias_U: list[Tensor]
    bias_J: Tensor
    matrices: list[Tensor] = field(init=False)
    biases: list[Tensor] = field(init=False)

    def __post_init__(self) -> None:
        matrices = [self.inputs_BU, *self.hidden_UH, self.outputs_bH, self.pair_outputs_bR]
        object.__setattr__(self, "matrices", matrices)
        object.__setattr__(self, "biases", [self.bias_U, *self.hidden_bias_U, self.bias_J])

    @property
    def all(self) -> list[Tensor]:
        """Every tensor, in one order."""
        return [*self.matrices, *self.biases]


def label_units(network: Taught) -> LabelUnits:
    """Return views of a network's weights."""
    own = slice(len(network.bias_H) - network.layout.label_units, None)
    first, end = network.layout.ends[-2:]
    label = label_rows(network)
    return LabelUnits(
        network.inputs_BH.data[:, own],
        [weight_HH.data[own] for weight_HH in network.hidden_HH],
        network.outputs_BH.data[label],
        network.pair_outputs_BR.data[label],
        network.bias_H.data[own],
        [bias_H.data[own] for bias_H in network.hidden_bias_H],
        network.bias_K.data[first:end],
    )


def label_rows(network: Taught) -> slice:
    """Return the label's rows of the basis: the last."""
    rows_b = (network.basis.column_B == len(network.layout.counts) - 1).nonzero()[:, 0]
    return slice(int(rows_b[0]), int(rows_b[-1]) + 1)


class Finish:
    """Trains the label's units of a network whose other weights stay."""

    def __init__(self, network: Taught, inform: Inform, bias_scale: float) -> None:
        """Keep what is fixed.

        Args:
            network: changed by `run` alone.
            inform: of its conditions.
            bias_scale: what parameters of single codes are multiplied by.
        """
        self.network, self.inform, self.bias_scale = network, inform, bias_scale
        self.others = slice(0, len(network.bias_H) - network.layout.label_units)
        self.codes = slice(*network.layout.ends[-2:])
        with torch.no_grad():
            weights = self.weights = network.weights()
            self.inputs_KL = weights.inputs_KH[:, self.others].contiguous()
            rows = label_rows(network)
            every_Bb = torch.eye(network.basis.rows, device=weights.bias_H.device)[:, rows]
            self.basis_Jb = network.basis.expand(every_Bb.contiguous())[self.codes]
        self.shares_BU = network.input_shares_BH[:, self.others.stop :]

    def run(self, lessons: Lessons, steps: int, seed: int) -> None:
        """Change the label's units in place."""
        own = label_units(self.network)
        copies = [tensor.clone().requires_grad_() for tensor in own.all]
        units = _of(copies, len(own.hidden_UH))
        matrices: dict[str, Any] = {"params": units.matrices, "weight_decay": DECAY}
        adam = torch.optim.Adam(
            [matrices, {"params": units.biases}],
            lr=RATE,
            betas=(0.9, 0.99),
            decoupled_weight_decay=True,
            fused=True,
        )
        for rate, numbers in _schedule(steps, seed):
            for group in adam.param_groups:
                group["lr"] = rate
            codes_ND, shares_NJ = lessons.draw(ROWS, numbers)
            sets = self.network.partitions.draw(codes_ND, numbers)
            device = self.basis_Jb.device
            self.loss(units, codes_ND.to(device), shares_NJ.to(device), sets).backward()
            adam.step()
            adam.zero_grad()
        for tensor, copy in zip(own.all, copies, strict=True):
            tensor.copy_(copy.detach())

    def loss(
        self, units: LabelUnits, codes_ND: Tensor, shares_NJ: Tensor, sets: AllowedCodes
    ) -> Tensor:
        """Return the mean cross entropy of the label with its shares among what is allowed."""
        logits_NJ = self.logits(units, codes_ND, sets)
        sets = sets.to(logits_NJ.device)
        ranks_J = sets.ranks_K[self.codes]
        allowed_NJ = (ranks_J >= sets.low_ND[:, -1:]) & (ranks_J < sets.high_ND[:, -1:])
        shares_NJ = shares_NJ * allowed_NJ
        shares_NJ = shares_NJ / shares_NJ.sum(1, keepdim=True).clamp(min=LEAST_SHARE)
        lowest = torch.finfo(logits_NJ.dtype).min
        logs_NJ = logits_NJ.masked_fill(~allowed_NJ, lowest).log_softmax(1)
        return -(shares_NJ * logs_NJ).sum(1).mean()

    def logits(self, units: LabelUnits, codes_ND: Tensor, sets: AllowedCodes) -> Tensor:
        """Return the label's logits (N, J), before any code is ruled out."""
        network, weights, places_ND = self.network, self.weights, codes_ND + self.network.first_D
        with torch.no_grad():
            condition_NH = self.inform(sets, network.partitions, weights)
            lower_NL = list(self._lower(places_ND, condition_NH[:, self.others]))
        inputs_KU = network.basis.expand(units.inputs_BU * self.shares_BU)
        inputs_NU = functional.embedding_bag(places_ND, inputs_KU, mode="sum")
        own_NU = functional.relu(inputs_NU + condition_NH[:, self.others.stop :] + units.bias_U)
        for below_NL, weight_UH, bias_U in zip(
            lower_NL[:-1], units.hidden_UH, units.hidden_bias_U, strict=True
        ):
            inner_NU = torch.cat([below_NL, own_NU], dim=1) @ weight_UH.T + bias_U
            own_NU = own_NU + functional.relu(inner_NU)
        logits_NJ = torch.cat([lower_NL[-1], own_NU], dim=1) @ (self.basis_Jb @ units.outputs_bH).T
        logits_NJ = logits_NJ + units.bias_J * self.bias_scale
        partner = network.layout.partners[-1]
        if partner is None:
            return logits_NJ
        inputs_NR = weights.pair_inputs_KR[places_ND[:, partner]]
        return logits_NJ + inputs_NR @ (self.basis_Jb @ units.pair_outputs_bR).T

    def _lower(self, places_ND: Tensor, condition_NL: Tensor) -> Iterator[Tensor]:
        """Yield the units that are not the label's, layer by layer."""
        weights, lower = self.weights, self.others
        inputs_NL = functional.embedding_bag(places_ND, self.inputs_KL, mode="sum")
        units_NL = functional.relu(inputs_NL + condition_NL + weights.bias_H[lower])
        yield units_NL
        for weight_HH, bias_H in zip(weights.hidden_HH, weights.hidden_bias_H, strict=True):
            inner_NL = units_NL @ weight_HH[lower, lower].T + bias_H[lower]
            units_NL = units_NL + functional.relu(inner_NL)
            yield units_NL


def _of(tensors: list[Tensor], layers: int) -> LabelUnits:
    """Return tensors in the order of `LabelUnits.all` by name; so many layers follow the first."""
    inputs, *rest = tensors
    hidden, (outputs, pairs, bias, *biases) = rest[:layers], rest[layers:]
    return LabelUnits(inputs, hidden, outputs, pairs, bias, biases[:layers], biases[layers])


def _schedule(steps: int, seed: int) -> Iterator[tuple[float, torch.Generator]]:
    """Yield the learning rate and the randoms of each step."""
    for step in range(steps):
        fallen = 0.5 * (1 + math.cos(math.pi * step / steps))
        yield RATE * (RATE_END + (1 - RATE_END) * fallen), stream(seed, "label-finish", step)
