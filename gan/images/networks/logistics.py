"""Networks that give the value of a pixel a mixture of logistic distributions, one per lattice.

A network sees a window of what is drawn and one of the shapes (see `pixelwise`). It corrects a
linear prediction by these and by the pixel's earlier channels, which least squares fit at once. All
lattices are computed together in training, where each has as many pixels, (L, S, …), and one at a
time where images are drawn, (N, …); then `lattice` says which.

Shapes: L lattices, S pixels that a step looks at, N images, C channels, V values of windows, X
numbers that are known of an image, G groups, U units, M logistic distributions, I inputs and O
outputs of a layer.
"""

import math
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from gan.device import exact_products
from gan.images.networks.layers import Initialisable

DEPTH, LOGISTICS = 2, 6
RIDGE = 10.0
"""Pixels' worth of no linear dependence."""
NARROWEST, WIDEST = -7.0, 2.0
"""Logarithms of the scale of a logistic distribution, of values in [-1, 1]."""
SHARE_POWER, SCALE_FACTOR = 1.15, 0.85
"""The temperature at which values are drawn, of shares and of scales: what a network of minutes
does not know it spreads over all values, and where all pixels are drawn so that is grain."""
LEAST_ERROR = 1e-3
SURELY = 1e-5


class Logistics(NamedTuple):
    """A mixture of logistic distributions for each value, in the last dimension."""

    share_M: Tensor
    """Logits."""
    centre_M: Tensor
    scale_M: Tensor
    """Logarithms."""

    def chance(self, lower: Tensor, upper: Tensor) -> Tensor:
        """Return the probability of what lies between two values."""
        sharpness_M = torch.exp(-self.scale_M)
        below_M, above_M = (
            torch.sigmoid((edge[..., None] - self.centre_M) * sharpness_M)
            for edge in (lower, upper)
        )
        return (self.share_M.softmax(-1) * (above_M - below_M)).sum(-1)

    def at_low_temperature(self) -> "Logistics":
        """Return the distributions that values are drawn from."""
        scale_M = self.scale_M + math.log(SCALE_FACTOR)
        return Logistics(SHARE_POWER * self.share_M, self.centre_M, scale_M)

    def quantile(self, chance_N: Tensor) -> Tensor:
        """Return values of one uniform number each: it chooses a logistic, its rest the place."""
        share_NM = self.share_M.softmax(1)
        edge_NM = share_NM.cumsum(1)
        index_N1 = (chance_N[:, None] > edge_NM[:, :-1]).sum(1, keepdim=True)
        begin_N = (edge_NM - share_NM).gather(1, index_N1)[:, 0]
        share_N, centre_N, scale_N = (
            each.gather(1, index_N1)[:, 0] for each in (share_NM, self.centre_M, self.scale_M)
        )
        within_N = ((chance_N - begin_N) / share_N.clamp_min(SURELY)).clamp(SURELY, 1 - SURELY)
        return centre_N + scale_N.exp() * within_N.logit()


class Pixel(NamedTuple):
    """What all channels of a pixel share."""

    units_U: Tensor
    linear_C: Tensor
    """Predictions from its windows."""


class LinearStack(Initialisable):
    """A linear layer for each lattice."""

    def __init__(self, lattices: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight_LIO = nn.Parameter(torch.empty(lattices, inputs, outputs))
        self.bias_LO = nn.Parameter(torch.empty(lattices, outputs))

    def forward(self, inputs: Tensor, lattice: int | None) -> Tensor:
        """Return (L, S, O) of (L, S, I), or (N, O) of (N, I)."""
        if lattice is None:
            return torch.baddbmm(self.bias_LO[:, None], inputs, self.weight_LIO)
        return torch.addmm(self.bias_LO[lattice], inputs, self.weight_LIO[lattice])

    def draw(self, stream: torch.Generator) -> None:
        """Draw as any linear layer: uniform in ±1/√inputs."""
        bound = self.weight_LIO.shape[1] ** -0.5
        for weights in self.parameters():
            weights.uniform_(-bound, bound, generator=stream)


class LatticeNetworks(Initialisable):
    """From windows and what is known of an image to distributions, channel after channel."""

    def __init__(
        self, lattices: int, window: int, channels: int, known: int, groups: int, units: int
    ) -> None:
        super().__init__()
        self.linear = LinearStack(lattices, window, channels)
        self.mixed_LCC = nn.Parameter(torch.empty(lattices, channels, channels))
        """Of the linear prediction of a channel, by the values of those before it."""
        self.window = LinearStack(lattices, window, units)
        self.known = LinearStack(lattices, known, units)
        self.group_LGU = nn.Parameter(torch.empty(lattices, groups, units))
        self.channel_LCU = nn.Parameter(torch.empty(lattices, channels, units))
        self.earlier_LCCU = nn.Parameter(torch.empty(lattices, channels, channels, units))
        self.hidden = nn.ModuleList(LinearStack(lattices, units, units) for _ in range(DEPTH))
        self.out = LinearStack(lattices, units, 3 * LOGISTICS)

    def image(self, known_NX: Tensor, group_N: Tensor, lattice: int | None = None) -> Tensor:
        """Return what all pixels of an image share, (L, N, U) or (N, U)."""
        which = slice(None) if lattice is None else lattice
        if lattice is None:
            known_NX = known_NX.expand(len(self.group_LGU), -1, -1)
        return cast("Tensor", self.known(known_NX, lattice)) + self.group_LGU[which, group_N]

    def pixel(self, window_V: Tensor, image_U: Tensor, lattice: int | None = None) -> Pixel:
        """Return what all channels of pixels share."""
        with exact_products(window_V):
            linear_C = self.linear(window_V, lattice)
        return Pixel(self.window(window_V, lattice) + image_U, linear_C)

    def value(
        self, pixel: Pixel, channel: int, values_C: Tensor, lattice: int | None = None
    ) -> Logistics:
        """Return the distributions of a channel; those before it are in `values_C`."""
        which = slice(None) if lattice is None else lattice
        channel_U, mixed_C = self.channel_LCU[which, channel], self.mixed_LCC[which, channel]
        if lattice is None:
            channel_U, mixed_C = channel_U[:, None], mixed_C[:, None]
        units_U, linear = pixel.units_U + channel_U, pixel.linear_C[..., channel]
        if channel:
            earlier_C = values_C[..., :channel]
            units_U = units_U + earlier_C @ self.earlier_LCCU[which, channel, :channel]
            linear = linear + (earlier_C * mixed_C[..., :channel]).sum(-1)
        for layer in self.hidden:
            units_U = units_U + layer(torch.relu(units_U), lattice)
        numbers: Tensor = self.out(torch.relu(units_U), lattice)
        share_M, centre_M, scale_M = numbers.float().chunk(3, dim=-1)
        return Logistics(share_M, centre_M + linear[..., None], scale_M.clamp(NARROWEST, WIDEST))

    def draw(self, stream: torch.Generator) -> None:
        """Draw small corrections of a prediction that is not fitted yet."""
        bound = self.channel_LCU.shape[2] ** -0.5
        self.earlier_LCCU.uniform_(-bound, bound, generator=stream)
        for layer in (self.linear, self.window, self.known, *self.hidden, self.out):
            cast("LinearStack", layer).draw(stream)
        for weights in (self.mixed_LCC, self.group_LGU, self.channel_LCU):
            nn.init.zeros_(weights)
        for weights in self.hidden.parameters():
            weights.mul_(0.5)
        self.out.weight_LIO.mul_(0.3)
        for lattice in range(len(self.mixed_LCC)):
            self._spread(lattice, 1.0)

    def _spread(self, lattice: int, error: float) -> None:
        """Begin with logistic distributions side by side, as wide as the linear error."""
        share_M, centre_M, scale_M = self.out.bias_LO[lattice].detach().chunk(3)
        share_M.zero_()
        centre_M.copy_(torch.linspace(-error, error, LOGISTICS))
        scale_M.fill_(math.log(0.4 * error))

    def fit_linear(self, lattice: int, window_SV: Tensor, values_SC: Tensor) -> None:
        """Set a lattice's linear prediction, and how wrong it is."""
        window_SV, values_SC = window_SV.double(), values_SC.double()
        errors = []
        for channel in range(values_SC.shape[1]):
            earlier_SC, value_S = values_SC[:, :channel], values_SC[:, channel]
            inputs = torch.cat([window_SV, earlier_SC, torch.ones_like(value_S)[:, None]], dim=1)
            gram = inputs.T @ inputs + RIDGE * torch.eye(inputs.shape[1]).to(inputs)
            weight = torch.linalg.solve(gram, inputs.T @ value_S)
            window, earlier, constant = weight.split([window_SV.shape[1], channel, 1])
            self.linear.weight_LIO[lattice, :, channel] = window
            self.linear.bias_LO[lattice, channel] = constant[0]
            self.mixed_LCC[lattice, channel, :channel] = earlier
            errors.append(float((inputs @ weight - value_S).std()))
        self._spread(lattice, max(sum(errors) / len(errors), LEAST_ERROR))
