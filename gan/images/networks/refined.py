"""`mixture-gan`: a draw of a mixture of Gaussians, denoised in three steps, finished adversarially.

The mixture (see `mixture`) is the noise of a short diffusion: an image's place within its Gaussian
(and its grain, where the mixture is smaller than the images) is mixed with a normal draw, and a
small U-net learns to return the image. Sampling starts from a draw of the mixture and follows three
deterministic steps (Song et al., "Denoising diffusion implicit models", 2021, eq. 12, with the
mixture's coordinates in place of pixels). Then a copy of the U-net that makes the last step is
trained against a discriminator, for edges and grain. Before the first step it is the mixture alone.

The discriminator sees every block of pixels as Walsh-Hadamard bands of unit variance, because what
betrays a smooth generator is of small variance, and how near each value is to black and white.

Shapes: N images, C channels, H height, W width, D coordinates, c bands, h and w sides in blocks.
"""

import copy
import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from gan.config import ResolvedConfig
from gan.device import exact_products
from gan.images.codec import ImageCodec
from gan.images.networks.layers import SLOPE, Initialisable, draw_he
from gan.images.networks.mixture import GaussianIndex, MixtureGenerator
from gan.images.networks.spectrum import SpectrumGain
from gan.images.networks.unet import Blocks, UNet
from gan.protocols import Discriminator, Encoded, Generator, Networks, Pairs
from gan.randomness import numpy_stream
from gan.randomness import stream as stream_of

FITTED, DENOISED, FINISHED = 0, 1, 2
"""What makes images: the mixture alone, the steps that denoise, and the last one finished."""
LEVELS = (1.0, 0.7, 0.4)
"""Shares of noise of the steps from the mixture's draw to an image."""
LEAST_LEVEL = 0.1
"""Of the shares of noise that are trained on."""
LARGEST = 1.3
"""A draw of the mixture beyond this is cut: images are in [-1, 1]."""
SHIFT = 2
"""Pixels by which image and draw are shifted together in training, from 16 pixels a side on."""
SMALLEST_SHIFTED = 16
NEAR_ATOM = 0.06
"""How near to black or white a value must be to be told from others."""
LEAST_SIZE = 1e-6
"""Of grain, of values in [-1, 1]: less is none."""
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


class Noisy(NamedTuple):
    """An image as the mixture sees it, with or without noise."""

    coordinates_ND: Tensor
    """Standard normal within its Gaussian."""
    grain_NCHW: Tensor
    """What the mixture's components leave out."""

    def mixed(self, noise: "Noisy", level_N: Tensor) -> "Noisy":
        """Return this with a share of noise, whose variance replaces as much of its own."""
        kept_N = (1 - level_N.square()).sqrt()
        return Noisy(
            kept_N[:, None] * self.coordinates_ND + level_N[:, None] * noise.coordinates_ND,
            kept_N[:, None, None, None] * self.grain_NCHW
            + level_N[:, None, None, None] * noise.grain_NCHW,
        )


class MixtureGanGenerator(Generator, Initialisable):
    """A mixture, a U-net that denoises its draws, and one that finishes them."""

    choosing = 1
    complete_when_fitted = True
    stage: Tensor
    """FITTED, DENOISED or FINISHED."""

    def __init__(self, config: ResolvedConfig, codec: ImageCodec) -> None:
        super().__init__()
        self.codec = codec
        self.mixture = MixtureGenerator(config, codec)
        self.described = self.mixture.described
        self.bands = Bands(codec)
        groups, width = len(self.mixture.mean_GP), int(config.network["width"])
        self.denoiser = UNet(codec, groups, width)
        self.finisher = copy.deepcopy(self.denoiser)
        self.noise_shape = (1, self.bands.blocks.h, self.bands.blocks.w)
        self.shift = SHIFT if min(codec.height, codec.width) >= SMALLEST_SHIFTED else 0
        self.spectrum = SpectrumGain(codec.height, codec.width)
        self.register_buffer("stage", torch.zeros(()))

    def forward(self, z_NZ: Tensor, labels_N: Tensor) -> Tensor:
        """Return `images_NCHW`; only what finishes an image is differentiated."""
        place, stage = self.mixture.choose(z_NZ[:, 0], labels_N), int(self.stage)
        with torch.no_grad():
            noisy = self._noise(z_NZ[:, 1 : self.mixture.numbers], place)
            if stage == FITTED:
                drawn: Tensor = self.spectrum(self._draw(noisy, place).clamp(-1, 1))
                return drawn
            for level, lower in itertools.pairwise(LEVELS):
                noisy = self._step(noisy, place, level, lower)
        start = self._draw(noisy, place)
        level_N = z_NZ.new_full(z_NZ.shape[:1], LEVELS[-1])
        noise = z_NZ[:, self.mixture.numbers :].unflatten(1, self.noise_shape)
        if stage == FINISHED:
            made = self.finisher(start, place.group_N, level_N, noise)
        else:
            made = self.denoiser(start, place.group_N, level_N, torch.zeros_like(noise))
        images_NCHW: Tensor = self.spectrum(made)
        return images_NCHW

    def first_features(self, z_NZ: Tensor, labels_N: Tensor) -> Tensor:
        """Return the mixture's draws, before anything refines them."""
        place = self.mixture.choose(z_NZ[:, 0], labels_N)
        return self.mixture.decode(z_NZ[:, 1 : 1 + self.mixture.components], place)

    def _noise(self, normal_NL: Tensor, place: GaussianIndex) -> Noisy:
        """Return nothing but noise."""
        return Noisy(
            normal_NL[:, : self.mixture.components], self.mixture.draw_grain(normal_NL, place)
        )

    def _draw(self, noisy: Noisy, place: GaussianIndex) -> Tensor:
        """Return the mixture's images."""
        images = self._base(noisy.coordinates_ND, place) + noisy.grain_NCHW
        cut: Tensor = images.clamp(-LARGEST, LARGEST)
        return cut

    def _base(self, coordinates_ND: Tensor, place: GaussianIndex) -> Tensor:
        """Return the images that coordinates stand for, without grain."""
        with exact_products(coordinates_ND):
            return self.mixture.enlarge(self.mixture.decode(coordinates_ND, place))

    def _step(self, noisy: Noisy, place: GaussianIndex, level: float, lower: float) -> Noisy:
        """Return an image with less noise: the same noise, less of it.

        Of grain an expectation is less than there is, and three steps would lose half of it: it
        keeps its size.
        """
        level_N = noisy.grain_NCHW.new_full((len(noisy.grain_NCHW),), level)
        nothing = noisy.grain_NCHW.new_zeros(len(noisy.grain_NCHW), *self.noise_shape)
        images = self.denoiser(self._draw(noisy, place), place.group_N, level_N, nothing)
        clean = self._parts(images.float(), place)
        noise = [
            (mixed - math.sqrt(1 - level**2) * part) / level
            for mixed, part in zip(noisy, clean, strict=True)
        ]
        kept = math.sqrt(1 - lower**2)
        coordinates_ND, grain_NCHW = (
            kept * part + lower * each for part, each in zip(clean, noise, strict=True)
        )
        if self.mixture.grain is not None:
            grain_NCHW = grain_NCHW * (_size(noisy.grain_NCHW) / _size(grain_NCHW))
        return Noisy(coordinates_ND, grain_NCHW)

    def _parts(self, images_NCHW: Tensor, place: GaussianIndex) -> Noisy:
        """Return whitened coordinates and grain; coordinates longer than usual are cut back."""
        with exact_products(images_NCHW):
            whitened_ND = self.mixture.whiten(self.mixture.shrink(images_NCHW), place)
        if self.mixture.grain is None:
            grain_NCHW = torch.zeros_like(images_NCHW)
        else:
            grain_NCHW = images_NCHW - self._base(whitened_ND, place)
        length_N1 = whitened_ND.square().mean(1, keepdim=True).sqrt()
        return Noisy(whitened_ND / length_N1.clamp_min(1), grain_NCHW)

    def loss(self, samples: Tensor, labels_N: Tensor, stream: torch.Generator) -> Tensor:
        """Return the mean absolute error of images that are denoised in one step."""
        self.stage.fill_(DENOISED)
        with torch.no_grad():
            with exact_products(samples):
                place = self.mixture.locate(self.mixture.shrink(samples), labels_N)
            clean = self._parts(samples, place)
            drawn_N = torch.rand(len(samples), generator=stream).to(samples.device)
            level_N = LEAST_LEVEL + (1 - LEAST_LEVEL) * drawn_N
            within = (len(samples), self.mixture.numbers - 1)
            noise = self._noise(torch.randn(within, generator=stream).to(samples.device), place)
            noisy = self._draw(clean.mixed(noise, level_N), place)
            noisy, samples = shifted([noisy, samples], self.shift, stream)
        nothing = samples.new_zeros(len(samples), *self.noise_shape)
        denoised: Tensor = self.denoiser(noisy, place.group_N, level_N, nothing)
        return (denoised - samples).abs().mean()

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
            self.stage.fill_(FINISHED)

    @torch.no_grad()
    def fit(self, encoded: Encoded, seed: int) -> None:
        """Fit the mixture, and measure the bands of real images."""
        self.mixture.fit(encoded, seed)
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
        del stream
        self.stage.fill_(FITTED)
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


def _size(grain_NCHW: Tensor) -> Tensor:
    """Return the root of the mean square of every image, (N, 1, 1, 1)."""
    return grain_NCHW.square().mean((1, 2, 3), keepdim=True).sqrt() + LEAST_SIZE


def shifted(images: list[Tensor], most: int, stream: torch.Generator) -> list[Tensor]:
    """Return images shifted together by up to so many pixels; borders are repeated."""
    if not most:
        return images
    H, W = images[0].shape[2:]
    down, right = torch.randint(0, 2 * most + 1, (2,), generator=stream).tolist()
    padded = functional.pad(torch.cat(images), (most,) * 4, mode="replicate")
    return list(padded[:, :, down : down + H, right : right + W].chunk(len(images)))


def mixture_gan_networks(config: ResolvedConfig, codec: ImageCodec) -> Networks:
    """Return both networks of the kind `mixture-gan`."""
    return Networks(MixtureGanGenerator(config, codec), BandDiscriminator(config, codec))
