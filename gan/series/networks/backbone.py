"""What has been so far, as numbers: layers of moving averages, causal, without recurrent products.

A layer turns the inputs of every step into channels, averages these over the steps so far at decays
that span one step to some hundreds, and turns inputs and averages into its output. Averages are
linear in the channels, so that all steps are computed at once in training, by products with one
small matrix, and one after the other in sampling (exponential moving averages as in Ma et al.,
"Mega: moving average equipped gated attention", 2023, section 3.1; linear recurrences as in Orvieto
et al., "Resurrecting recurrent neural networks for long sequences", 2023).

Shapes: N entities, L steps, I inputs of a step, H units, G decays, C channels of one decay.
"""

import itertools
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

DECAYS: Final = 8
"""Half-lives of 1, 2, 4 … steps, and none: the step itself."""
CHUNK: Final = 256
"""Steps that are computed at once."""


class Kernels(NamedTuple):
    """What some steps are multiplied by."""

    decays: tuple[Tensor, ...]
    """Of each decay, (L, L): how much a step counts at another."""
    grown_LH: Tensor
    """How much of the sums before the first step is left."""
    shares_LH: Tensor
    """1 / the sum of the weights, if these are the first steps."""


class MovingAverages(nn.Module):
    """Averages over the steps so far, of a decay for each group of channels."""

    decay_H: Tensor

    def __init__(self, units: int) -> None:
        super().__init__()
        rates = torch.tensor([0.0, *(0.5 ** (0.5**g) for g in range(DECAYS - 1))])
        groups = torch.arange(units) * DECAYS // units
        self.counts = torch.bincount(groups, minlength=DECAYS).tolist()
        self.register_buffer("decay_H", rates[groups], persistent=False)
        self.rates = rates.tolist()
        self._kept: tuple[tuple[int, torch.device], Kernels] | None = None

    def forward(self, values_NLH: Tensor, sums_NH: Tensor, before: int) -> tuple[Tensor, Tensor]:
        """Return the averages at every step, and the sums after the last one.

        Args:
            values_NLH: of some steps.
            sums_NH: decayed sums of the steps before these.
            before: how many there were.
        """
        kernels = self._kernels(values_NLH.shape[1], values_NLH.device)
        parts = [
            kernel_LL @ part_NLC
            for kernel_LL, part_NLC in zip(
                kernels.decays, values_NLH.split(self.counts, dim=2), strict=True
            )
        ]
        sums_NLH = torch.cat(parts, dim=2)
        if not before:
            return sums_NLH * kernels.shares_LH, sums_NLH[:, -1]
        sums_NLH = sums_NLH + kernels.grown_LH * sums_NH[:, None]
        steps = torch.arange(values_NLH.shape[1], device=values_NLH.device)
        return sums_NLH / self._weight(steps + before + 1), sums_NLH[:, -1]

    def _kernels(self, length: int, device: torch.device) -> "Kernels":
        """Return what so many steps are multiplied by; the newest are kept."""
        if self._kept is None or self._kept[0] != (length, device):
            steps = torch.arange(length, device=device)
            apart_LL = (steps[:, None] - steps[None, :]).float()
            decays = tuple(
                torch.where(apart_LL >= 0, rate ** apart_LL.clamp(min=0), 0.0)
                for rate in self.rates
            )
            kernels = Kernels(
                decays, self.decay_H ** (steps[:, None] + 1), 1 / self._weight(steps + 1)
            )
            self._kept = (length, device), kernels
        return self._kept[1]

    def one(self, values_NH: Tensor, sums_NH: Tensor, before: int) -> tuple[Tensor, Tensor]:
        """Return the averages at one more step, and the sums after it."""
        sums_NH = values_NH + self.decay_H * sums_NH
        count = torch.tensor([before + 1], device=sums_NH.device)
        return sums_NH / self._weight(count), sums_NH

    def _weight(self, counts_L: Tensor) -> Tensor:
        """Return what the weights of so many steps sum to, (L, H)."""
        decay_H = self.decay_H
        return (1 - decay_H ** counts_L[:, None]) / (1 - decay_H)


class Backbone(nn.Module):
    """Layers of moving averages."""

    def __init__(self, inputs: int, units: int, depth: int) -> None:
        """Lay out the layers.

        Args:
            inputs: I.
            units: H.
            depth: layers.
        """
        super().__init__()
        sizes = [inputs, *[units] * depth]
        self.units = units
        self.averages = MovingAverages(units)
        self.channels = nn.ParameterList(torch.empty(each, units) for each in sizes[:-1])
        self.channel_bias = nn.ParameterList(torch.empty(units) for _ in range(depth))
        self.outputs = nn.ParameterList(torch.empty(each + units, units) for each in sizes[:-1])
        self.output_bias = nn.ParameterList(torch.empty(units) for _ in range(depth))

    @torch.no_grad()
    def draw(self, stream: torch.Generator) -> None:
        """Draw the weights in place: He et al. (2015), equation 10."""
        for weight in itertools.chain(self.channels, self.outputs):
            weight.normal_(std=(2 / len(weight)) ** 0.5, generator=stream)
        for bias in itertools.chain(self.channel_bias, self.output_bias):
            bias.zero_()

    def start(self, rows: int) -> list[Tensor]:
        """Return the sums before the first step, one (N, H) of each layer."""
        weight = self.channels[0]
        return [weight.new_zeros(rows, self.units) for _ in self.channels]

    def forward(self, inputs_NLI: Tensor) -> Tensor:
        """Return `states_NLH`: of each step, by it and those before it."""
        sums, found = self.start(len(inputs_NLI)), []
        for before, part in zip(
            itertools.count(0, CHUNK), inputs_NLI.split(CHUNK, dim=1), strict=False
        ):
            values = part
            for layer, weight in enumerate(self.channels):
                channels = functional.relu(values @ weight + self.channel_bias[layer])
                averages, sums[layer] = self.averages(channels, sums[layer], before)
                values = self._out(layer, values, averages)
            found.append(values)
        return torch.cat(found, dim=1)

    def one(
        self, inputs_NI: Tensor, sums: list[Tensor], before: int
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the state at one more step, and the sums after it."""
        values, after = inputs_NI, []
        for layer, weight in enumerate(self.channels):
            channels = functional.relu(values @ weight + self.channel_bias[layer])
            averages, kept = self.averages.one(channels, sums[layer], before)
            after.append(kept)
            values = self._out(layer, values, averages)
        return values, after

    def _out(self, layer: int, values: Tensor, averages: Tensor) -> Tensor:
        both = torch.cat([values, averages], dim=-1)
        out = functional.relu(both @ self.outputs[layer] + self.output_bias[layer])
        return out + values if layer else out
