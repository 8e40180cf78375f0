"""The radial spectrum of images, and a gain that gives made ones that of real ones.

Shapes: N images, C channels, H height, W width, B rings of frequencies.
"""

import torch
from torch import Tensor, nn

RINGS = 11
LEAST_GAIN, LARGEST_GAIN = 0.8, 1.5
"""What is further from right is more than a gain can mend."""
ATOM = 1 / 255
"""Values so near to black or white stay as they are."""
FLOOR = 1e-4
"""Power below which a ring holds nothing."""


class SpectrumGain(nn.Module):
    """Multiplies every ring of frequencies by what real images have more of it."""

    real_B: Tensor
    gain_B: Tensor

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.size = (height, width)
        self.register_buffer("real_B", torch.ones(RINGS))
        self.register_buffer("gain_B", torch.ones(RINGS))

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return images with the gain; black and white stay."""
        if bool((self.gain_B == 1).all()):
            return images_NCHW
        gain_HW = self.gain_B[self._rings()]
        gain_HW[0, 0] = 1.0  # the mean stays
        transformed = torch.fft.rfft2(images_NCHW.float()) * gain_HW
        changed = torch.fft.irfft2(transformed, s=self.size)
        return torch.where(images_NCHW.abs() < 1 - ATOM, changed, images_NCHW)

    def start(self) -> None:
        """Change nothing."""
        self.real_B.fill_(1.0)
        self.gain_B.fill_(1.0)

    def measure_real(self, images_NCHW: Tensor) -> None:
        """Remember the spectrum of real images."""
        self.real_B.copy_(self._power(images_NCHW))

    def fit(self, images_NCHW: Tensor) -> None:
        """Set the gain that gives these images the spectrum of the real ones."""
        share_B = (self.real_B + FLOOR) / (self._power(images_NCHW) + FLOOR)
        self.gain_B.copy_(share_B.sqrt().clamp(LEAST_GAIN, LARGEST_GAIN))

    def _rings(self) -> Tensor:
        """Return the ring of every frequency."""
        down_H1 = torch.fft.fftfreq(self.size[0])[:, None]
        radius_HW = torch.hypot(down_H1, torch.fft.rfftfreq(self.size[1])) / 0.5
        return (radius_HW * (RINGS - 1)).long().clamp_max(RINGS - 1).to(self.gain_B.device)

    def _power(self, images_NCHW: Tensor) -> Tensor:
        """Return the mean power in every ring, without the mean of an image."""
        centred = images_NCHW.float() - images_NCHW.float().mean((2, 3), keepdim=True)
        power_HW = torch.fft.rfft2(centred, norm="ortho").abs().square().mean((0, 1))
        rings_L = self._rings().flatten()
        sums_B = power_HW.new_zeros(RINGS).index_add(0, rings_L, power_HW.flatten())
        counts_B = power_HW.new_zeros(RINGS).index_add(
            0, rings_L, torch.ones_like(power_HW).flatten()
        )
        means_B: Tensor = sums_B / counts_B.clamp_min(1)
        return means_B
