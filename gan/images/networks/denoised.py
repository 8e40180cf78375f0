"""A draw of a mixture of Gaussians, denoised in three steps: what other generators begin from.

The mixture (see `mixture`) is the noise of a short diffusion: an image's place within its Gaussian
(and its grain, where the mixture is smaller than the images) is mixed with a normal draw, and a
small U-net learns to return the image. Sampling starts from a draw of the mixture and follows three
deterministic steps (Song et al., "Denoising diffusion implicit models", 2021, eq. 12, with the
mixture's coordinates in place of pixels). Before the first step it is the mixture alone.

Shapes: N images, C channels, H height, W width, D coordinates, Z latent, L its normal numbers.
"""

import itertools
import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from gan.codecs import Encoded
from gan.config import ResolvedConfig
from gan.device import exact_products
from gan.images.codec import ImageCodec
from gan.images.networks.layers import Initialisable
from gan.images.networks.mixture import GaussianIndex, MixtureGenerator
from gan.images.networks.unet import UNet
from gan.protocols import Generator

FITTED, DENOISED, REFINED = 0, 1, 2
"""What makes images: the mixture alone, the steps that denoise, and what a generator adds."""
LEVELS = (1.0, 0.7, 0.4)
"""Shares of noise of the steps from the mixture's draw to an image."""
LEAST_LEVEL = 0.1
"""Of the shares of noise that are trained on."""
LARGEST = 1.3
"""A draw of the mixture beyond this is cut: images are in [-1, 1]."""
SHIFT = 2
"""Pixels by which image and draw are shifted together in training, from 16 pixels a side on."""
SMALLEST_SHIFTED = 16
LEAST_SIZE = 1e-6
"""Of grain, of values in [-1, 1]: less is none."""


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


class DenoisedMixture(Generator, Initialisable):
    """A mixture, and a U-net that denoises its draws."""

    choosing = 1
    complete_when_fitted = True
    stage: Tensor
    """FITTED, DENOISED or REFINED."""

    def __init__(self, config: ResolvedConfig, codec: ImageCodec) -> None:
        super().__init__()
        self.codec = codec
        self.mixture = MixtureGenerator(config, codec)
        self.described = self.mixture.described
        self.groups = len(self.mixture.mean_GP)
        self.denoiser = UNet(codec, self.groups, int(config.network["width"]))
        blocks = self.denoiser.blocks
        self.noise_shape = (1, blocks.h, blocks.w)
        self.shift = SHIFT if min(codec.height, codec.width) >= SMALLEST_SHIFTED else 0
        self.register_buffer("stage", torch.zeros(()))

    def forward(self, z_NZ: Tensor, labels_N: Tensor) -> Tensor:
        """Return `images_NCHW`."""
        place = self.mixture.choose(z_NZ[:, 0], labels_N)
        drawn, level_N = self.draft(z_NZ, place)
        return self.mixture.add_defects(self.denoised(drawn, place, level_N), z_NZ, place)

    def draft(self, z_NZ: Tensor, place: GaussianIndex) -> tuple[Tensor, Tensor]:
        """Return the images that the last step starts from, and their levels of noise."""
        with torch.no_grad():
            noisy = self._noise(z_NZ[:, 1 : self.mixture.numbers], place)
            level_N = z_NZ.new_full(z_NZ.shape[:1], LEVELS[-1])
            if int(self.stage) != FITTED:
                for level, lower in itertools.pairwise(LEVELS):
                    noisy = self._step(noisy, place, level, lower)
            return self._draw(noisy, place), level_N

    def denoised(self, drawn: Tensor, place: GaussianIndex, level_N: Tensor) -> Tensor:
        """Return what the denoiser makes of images; these themselves before it was trained."""
        if int(self.stage) == FITTED:
            return drawn.clamp(-1, 1)
        nothing = drawn.new_zeros(len(drawn), *self.noise_shape)
        images_NCHW: Tensor = self.denoiser(drawn, place.group_N, level_N, nothing)
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
        return (self.denoised(noisy, place, level_N) - samples).abs().mean()

    @torch.no_grad()
    def fit(self, encoded: Encoded, seed: int) -> None:
        """Fit the mixture."""
        self.mixture.fit(encoded, seed)

    def draw(self, stream: torch.Generator) -> None:
        """Start with the mixture alone; everything else draws its own."""
        del stream
        self.stage.fill_(FITTED)


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
