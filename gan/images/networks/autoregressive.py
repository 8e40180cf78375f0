"""`autoregressive`: shapes are drawn from a mixture, images of these shapes pixel by pixel.

What an image looks like from afar is fitted in seconds (see `shapes`); training teaches by
likelihood what its pixels are, given that (see `pixelwise`).

Shapes: N images, Z latent, R images that are fitted on.
"""

import numpy as np
import torch
from torch import Tensor

from gan.codecs import Encoded
from gan.config import ResolvedConfig
from gan.images.codec import ImageCodec
from gan.images.mixture import MixtureSize
from gan.images.networks import texture
from gan.images.networks.layers import Initialisable
from gan.images.networks.pixelwise import Pixelwise
from gan.images.networks.shapes import (
    FITTED_ROWS,
    MIXED_ROWS,
    DrawnShapes,
    ShapeMixture,
)
from gan.protocols import Generator, Networks
from gan.randomness import numpy_stream
from gan.randomness import stream as stream_of

AT_ONCE = 1_000
"""Images that are described at once."""
JUDGED_AT = 16
"""Pixels of an image, of each lattice, by which its likelihood is known."""


class AutoregressiveGenerator(Generator, Initialisable):
    """A mixture of shapes, and networks that draw pixels."""

    choosing = 1
    has_likelihood = True

    def __init__(self, config: ResolvedConfig, codec: ImageCodec) -> None:
        super().__init__()
        self.codec = codec
        network = config.network
        groups = len(codec.classes) or int(network["groups"])
        size = MixtureSize(
            components=int(network["components"]),
            gaussians=int(network["gaussians"]),
            rows_per_gaussian=int(network["rows_per_gaussian"]),
        )
        shapes = ShapeMixture(codec, groups, size, texture.NUMBERS)
        self.pixelwise = Pixelwise(codec, shapes, int(network["width"]))
        self.described, self.drawn = 1 + size.components, 1 + shapes.numbers

    @property
    def shapes(self) -> ShapeMixture:
        """The mixture that draws shapes."""
        return self.pixelwise.shapes

    def forward(self, z_NZ: Tensor, labels_N: Tensor) -> Tensor:
        """Return `images_NCHW`."""
        with torch.no_grad():
            images_NCHW: Tensor = self.pixelwise(z_NZ[:, self.drawn :], self._drawn(z_NZ, labels_N))
        return images_NCHW

    def _drawn(self, z_NZ: Tensor, labels_N: Tensor) -> DrawnShapes:
        drawn: DrawnShapes = self.shapes(z_NZ[:, 0], z_NZ[:, 1 : self.drawn], labels_N)
        return drawn

    def first_features(self, z_NZ: Tensor, labels_N: Tensor) -> Tensor:
        """Return what shapes stand for, before pixels are drawn."""
        return self.shapes.decode(self._drawn(z_NZ, labels_N).codes_NK)

    def loss(self, samples: Tensor, labels_N: Tensor, stream: torch.Generator) -> Tensor:
        """Return the mean nats of images whose shapes are known."""
        return self.pixelwise.loss(samples, labels_N, stream)

    def log_likelihood(self, samples: Tensor, labels_N: Tensor) -> Tensor:
        """Return that of an image's pixels where its shape is known, by some of them."""
        return -self.pixelwise.nats(samples, labels_N, stream_of(0, "likelihood"), JUDGED_AT)

    @torch.no_grad()
    def fit(self, encoded: Encoded, seed: int) -> None:
        """Fit what needs no step of what draws pixels, then how shapes are distributed."""
        rng, stream = numpy_stream(seed, "pixels"), stream_of(seed, "pixels")
        rows = rng.permutation(len(encoded.values))[:MIXED_ROWS]
        device = self.shapes.mean_F.device
        self.pixelwise.fit(self._samples(encoded, rows[:FITTED_ROWS]).to(device), stream)
        described_RD = torch.cat(
            [
                self.pixelwise.describe(self._samples(encoded, part).to(device), stream)
                for part in np.array_split(rows, len(rows) // AT_ONCE + 1)
            ]
        )
        self.shapes.fit(described_RD, torch.from_numpy(encoded.labels_N[rows]).to(device), rng)

    def _samples(
        self, encoded: Encoded, rows: np.ndarray[tuple[int], np.dtype[np.int64]]
    ) -> Tensor:
        return self.codec.to_samples(torch.from_numpy(encoded.values[rows]))

    def draw(self, stream: torch.Generator) -> None:
        """Everything draws its own."""
        del stream


def autoregressive_networks(config: ResolvedConfig, codec: ImageCodec) -> Networks:
    """Return the generator of the kind `autoregressive`; there is no discriminator."""
    return Networks(AutoregressiveGenerator(config, codec), None)
