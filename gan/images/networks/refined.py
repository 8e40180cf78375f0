"""`mixture-gan`: a draw of a mixture of Gaussians, denoised in three steps, finished adversarially.

A copy of the U-net that makes the last step (see `denoised`) is trained against a discriminator,
for edges and grain. The discriminator sees every block of pixels as Walsh-Hadamard bands of unit
variance, because what betrays a smooth generator is of small variance, and how near each value is
to black and white.

Shapes: N images, C channels, H height, W width, c bands, h and w sides in blocks.
"""

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from gan.codecs import Encoded
from gan.config import ResolvedConfig
from gan.images.codec import ImageCodec
from gan.images.networks.denoised import REFINED, DenoisedMixture, shifted
from gan.images.networks.layers import SLOPE, Initialisable, draw_he
from gan.images.networks.spectrum import SpectrumGain
from gan.images.networks.unet import Blocks
from gan.protocols import Discriminator, Networks, Pairs
from gan.randomness import numpy_stream
from gan.randomness import stream as stream_of

NEAR_ATOM = 0.06
"""How near to black or white a value must be to be told from others."""
MEASURED, PART = 600, 200
"""Made images that the spectrum is measured on, and how many are made at once."""
SPREAD_FLOOR, BAND_ROWS = 0.02, 2_000
"""Least standard deviation of a band, and images that bands are measured on."""
MANY_SATURATED = 0.03
"""Share of black and white values from which on the discriminator is told of them."""


class Bands(nn.Module):
    """Walsh-Hadamard bands inside blocks, standardised, and indicators of atoms."""

    transform_cc: Tensor
    mean_c: Tensor
    spread_c: Tensor

    def __init__(self, codec: ImageCodec) -> None:
        super().__init__()
        self.blocks = Blocks(codec)
        c = self.blocks.channels
        self.atoms = codec.saturated >= MANY_SATURATED
        self.channels = c * 3 if self.atoms else c
        self.register_buffer("transform_cc", torch.zeros(c, c))
        self.register_buffer("mean_c", torch.zeros(c))
        self.register_buffer("spread_c", torch.ones(c))
        self.colours = codec.channels

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return `bands_Nchw`."""
        blocks = self.blocks.split(images_NCHW)
        bands = self._transform(blocks) - self.mean_c[:, None, None]
        seen = [bands / self.spread_c[:, None, None]]
        if self.atoms:
            seen += [
                1 - 2 * torch.exp(-(blocks + 1).clamp_min(0) / NEAR_ATOM),
                1 - 2 * torch.exp(-(1 - blocks).clamp_min(0) / NEAR_ATOM),
            ]
        return torch.cat(seen, dim=1)

    def _transform(self, blocks: Tensor) -> Tensor:
        return functional.conv2d(blocks, self.transform_cc[:, :, None, None])

    def start(self) -> None:
        """Set the transform, and neither shift nor scale."""
        whole, step = torch.ones(1, 1), torch.tensor([[1.0, 1.0], [1.0, -1.0]]) * 0.5**0.5
        while len(whole) < self.blocks.side:
            whole = torch.kron(whole, step)
        self.transform_cc.copy_(torch.kron(torch.eye(self.colours), torch.kron(whole, whole)))
        self.mean_c.zero_()
        self.spread_c.fill_(1.0)

    def measure(self, images_NCHW: Tensor) -> None:
        """Take mean and spread of every band of real images."""
        bands = self._transform(self.blocks.split(images_NCHW))
        self.mean_c.copy_(bands.mean((0, 2, 3)))
        self.spread_c.copy_(bands.std((0, 2, 3)) + SPREAD_FLOOR)


class MixtureGanGenerator(DenoisedMixture):
    """A mixture, a U-net that denoises its draws, and one that finishes them."""

    def __init__(self, config: ResolvedConfig, codec: ImageCodec) -> None:
        super().__init__(config, codec)
        self.bands = Bands(codec)
        self.finisher = copy.deepcopy(self.denoiser)
        self.spectrum = SpectrumGain(codec.height, codec.width)

    def forward(self, z_NZ: Tensor, labels_N: Tensor) -> Tensor:
        """Return `images_NCHW`; only what finishes an image is differentiated."""
        place = self.mixture.choose(z_NZ[:, 0], labels_N)
        drawn, level_N = self.draft(z_NZ, place)
        if int(self.stage) == REFINED:
            noise = z_NZ[:, self.mixture.numbers :].unflatten(1, self.noise_shape)
            made = self.finisher(drawn, place.group_N, level_N, noise)
        else:
            made = self.denoised(drawn, place, level_N)
        return self.mixture.add_defects(self.spectrum(made), z_NZ, place)

    def pairs(
        self, reals: Tensor, z_NZ: Tensor, labels_N: Tensor, stream: torch.Generator
    ) -> Pairs:
        """Return the bands of reals and fakes, shifted alike."""
        fakes = self(z_NZ, labels_N).float()
        if self.training:
            reals, fakes = shifted([reals, fakes], self.shift, stream)
        return Pairs(self.bands(reals), self.bands(fakes))

    def seen(self, samples: Tensor) -> Tensor:
        """Return the bands of samples."""
        bands: Tensor = self.bands(samples)
        return bands

    def begin(self, objective: str) -> None:
        """Before the adversarial phase, what finishes an image is what denoises it best."""
        if objective == "adversarial":
            self.finisher.load_state_dict(self.denoiser.state_dict())
            self.stage.fill_(REFINED)

    @torch.no_grad()
    def fit(self, encoded: Encoded, seed: int) -> None:
        """Fit the mixture, and measure the bands of real images."""
        super().fit(encoded, seed)
        rows = numpy_stream(seed, "bands").permutation(len(encoded.values))[:BAND_ROWS]
        samples = self.codec.to_samples(torch.from_numpy(encoded.values[rows]))
        samples = samples.to(self.stage.device)
        self.bands.measure(samples)
        self.spectrum.measure_real(samples)

    @torch.no_grad()
    def finish(self, samples: Callable[[], Tensor], seed: int, most: int) -> bool:  # noqa: ARG002
        """Set the gain that gives what is made the spectrum of real images."""
        if not self.shift:
            return False
        numbers = stream_of(seed, "spectrum")
        device = self.stage.device
        latent = self.mixture.numbers + math.prod(self.noise_shape)
        z_NZ = torch.randn(MEASURED, latent, generator=numbers).to(device)
        shares_G = self.mixture.group_share_G.cpu()
        labels_N = torch.multinomial(shares_G, MEASURED, replacement=True, generator=numbers)
        parts = zip(z_NZ.split(PART), labels_N.to(device).split(PART), strict=True)
        self.spectrum.fit(torch.cat([self(*part) for part in parts]))
        return True

    def draw(self, stream: torch.Generator) -> None:
        """Start unfinished; everything else draws its own."""
        super().draw(stream)
        self.bands.start()
        self.spectrum.start()


class BandDiscriminator(Discriminator, Initialisable):
    """Convolutions on bands: features of the whole image are projected, patches vote beside it."""

    def __init__(self, config: ResolvedConfig, codec: ImageCodec) -> None:
        super().__init__()
        bands, width = Bands(codec), int(config.network["width"])
        groups = len(codec.classes) or 1
        self.is_labelled = bool(codec.classes)
        quarter = -(-bands.blocks.h // 4) * -(-bands.blocks.w // 4)
        self.body = nn.Sequential(
            nn.Conv2d(bands.channels, width, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.LeakyReLU(SLOPE),
        )
        self.whole = nn.Sequential(
            nn.Conv2d(2 * width, 3 * width, 3, stride=2, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Flatten(),
            nn.Linear(3 * width * quarter, 4 * width),
            nn.LeakyReLU(SLOPE),
        )
        self.head = nn.Linear(4 * width, 1)
        self.directions = nn.Embedding(groups, 4 * width)
        self.patches = nn.Conv2d(2 * width, 1, 1)

    def forward(self, samples: Tensor, labels_N: Tensor) -> Tensor:
        """Return `logits_N` of bands."""
        maps = self.body(samples.contiguous(memory_format=torch.channels_last))
        units_NF = self.whole(maps)
        group_N = labels_N if self.is_labelled else torch.zeros_like(labels_N)
        projected_N = (units_NF * self.directions(group_N)).sum(1) * units_NF.shape[1] ** -0.5
        logits_N: Tensor = self.head(units_NF)[:, 0] + projected_N
        votes_N: Tensor = self.patches(maps).mean((1, 2, 3))
        return logits_N + 2 * votes_N

    def features(self, samples: Tensor, labels_N: Tensor) -> Tensor:  # noqa: ARG002 - of the class
        """Return the units that are projected."""
        units_NF: Tensor = self.whole(
            self.body(samples.contiguous(memory_format=torch.channels_last))
        )
        return units_NF

    def draw(self, stream: torch.Generator) -> None:
        """Draw convolutions, and small directions."""
        draw_he(self, stream)
        self.directions.weight.normal_(std=0.1, generator=stream)


def mixture_gan_networks(config: ResolvedConfig, codec: ImageCodec) -> Networks:
    """Return both networks of the kind `mixture-gan`."""
    return Networks(MixtureGanGenerator(config, codec), BandDiscriminator(config, codec))
