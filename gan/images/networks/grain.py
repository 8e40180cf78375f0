"""What a mixture leaves out of images, as a random field: texture, grain, what is finer than it.

Of each group: how much of it there is at every pixel, and its power by spatial frequency. A draw is
white noise with that spectrum, of that size, as textures without structure are (Galerne, Gousseau
and Morel, "Random phase textures", IEEE Trans. Image Processing 20, 2011, section III).

Shapes: N images, C channels, H height, W width, F frequencies of a row, G groups.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

SHARED_ROWS = 10.0
"""Images' worth of all groups' spectrum and size that each group's is drawn towards."""
FLOOR = 1e-4
"""Least spread of a pixel, of values in [-1, 1]."""
NORMAL_MEDIAN = 0.6745
SMOOTHED = 3
"""Pixels a side over which spreads are averaged."""
LARGEST_STRENGTH = 3.0
"""How much stronger or weaker than usual the grain of one image may be."""


class Grain(nn.Module):
    """Draws what images have beyond the mixture, of the right size and spectrum in each group."""

    spread_GCHW: Tensor
    amplitude_GHF: Tensor
    strength_G: Tensor

    def __init__(self, groups: int, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.size = (height, width)
        self.numbers = 1 + height * width
        self.register_buffer("spread_GCHW", torch.zeros(groups, channels, height, width))
        self.register_buffer("amplitude_GHF", torch.ones(groups, height, width // 2 + 1))
        self.register_buffer("strength_G", torch.zeros(groups))

    def forward(self, normal_NL: Tensor, group_N: Tensor) -> Tensor:
        """Return `grain_NCHW` of normal numbers: the first says how strong it is in its image."""
        white_NHW = normal_NL[:, 1:].unflatten(1, self.size).float()
        transformed = torch.fft.rfft2(white_NHW) * self.amplitude_GHF[group_N]
        field_NHW = torch.fft.irfft2(transformed, s=self.size)
        strength_N = (self.strength_G[group_N] * normal_NL[:, 0]).exp()
        strength_N = strength_N.clamp(1 / LARGEST_STRENGTH, LARGEST_STRENGTH)
        sized_NHW = field_NHW * strength_N[:, None, None]
        grain_NCHW: Tensor = sized_NHW[:, None] * self.spread_GCHW[group_N]
        return grain_NCHW

    def start(self) -> None:
        """Draw nothing, until it is measured."""
        self.spread_GCHW.zero_()
        self.amplitude_GHF.fill_(1.0)
        self.strength_G.zero_()

    def measure(self, beyond_RCHW: Tensor, group_R: Tensor) -> None:
        """Take spread, spectrum and strength of what real images have beyond the mixture."""
        spread = _spread(beyond_RCHW)
        power_HF = self._power(beyond_RCHW / spread).mean(0)
        for group in range(len(self.strength_G)):
            rows = group_R == group
            n = float(rows.sum())
            share = n / (n + SHARED_ROWS)
            own = _spread(beyond_RCHW[rows]) if n else spread
            mixed = (share * own.square() + (1 - share) * spread.square()).sqrt()
            self.spread_GCHW[group] = mixed
            own_HF = self._power(beyond_RCHW[rows] / mixed).mean(0) if n else power_HF
            mixed_HF = share * own_HF + (1 - share) * power_HF
            self.amplitude_GHF[group] = (mixed_HF / self._mean(mixed_HF)).sqrt()
            sizes_R = (beyond_RCHW[rows] / mixed).square().mean((1, 2, 3)).clamp_min(FLOOR)
            if n > 1:
                self.strength_G[group] = share * 0.5 * sizes_R.log().std()

    def _power(self, images_NCHW: Tensor) -> Tensor:
        """Return the power of every frequency, mean over the channels."""
        power_NHF: Tensor = torch.fft.rfft2(images_NCHW.float()).abs().square().mean(1) + FLOOR
        return power_NHF

    def _mean(self, power_HF: Tensor) -> Tensor:
        """Return the mean over all frequencies; those of a row stand for their mirrored ones."""
        counts_F = torch.full((power_HF.shape[1],), 2.0, device=power_HF.device)
        counts_F[0] = 1.0
        if self.size[1] % 2 == 0:
            counts_F[-1] = 1.0
        return (power_HF * counts_F).sum() / (counts_F.sum() * power_HF.shape[0])


def _spread(values_NCHW: Tensor) -> Tensor:
    """Return the spread of every pixel, of what is everywhere: edges are no grain.

    From the median of absolute values, which of a normal distribution is 0.6745 of its spread, and
    averaged over small squares.
    """
    variance = (values_NCHW.abs().median(0).values / NORMAL_MEDIAN).square()
    padded = functional.pad(variance[None], (SMOOTHED // 2,) * 4, mode="replicate")
    smooth = functional.avg_pool2d(padded, SMOOTHED, stride=1)[0]
    return (smooth + FLOOR**2).sqrt()
