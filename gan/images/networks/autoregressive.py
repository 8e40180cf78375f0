"""`autoregressive`: what a denoised draw of a mixture shows, drawn anew pixel by pixel.

A mixture and its denoiser (see `denoised`) know where things are, and leave grain that no image
has. So only the shapes of what they make are kept, and a likelihood draws values (see `pixelwise`).

Shapes: N images, Z latent, R images that are fitted on.
"""

import torch
from torch import Tensor

from gan.config import ResolvedConfig
from gan.device import exact_products
from gan.images.codec import ImageCodec
from gan.images.networks.denoised import REFINED, DenoisedMixture
from gan.images.networks.pixelwise import FITTED_ROWS, Pixelwise
from gan.protocols import Encoded, Networks
from gan.randomness import numpy_stream
from gan.randomness import stream as stream_of


class AutoregressiveGenerator(DenoisedMixture):
    """A mixture, a U-net that denoises its draws, and networks that draw their pixels anew."""

    def __init__(self, config: ResolvedConfig, codec: ImageCodec) -> None:
        super().__init__(config, codec)
        rows, units = int(config.network["shape_rows"]), int(config.network["units"])
        self.pixelwise = Pixelwise(codec, rows, self.groups, units)

    def forward(self, z_NZ: Tensor, labels_N: Tensor) -> Tensor:
        """Return `images_NCHW`."""
        images_NCHW = super().forward(z_NZ[:, : self.mixture.numbers], labels_N)
        if int(self.stage) != REFINED:
            return images_NCHW
        place = self.mixture.choose(z_NZ[:, 0], labels_N)
        normal_NZ = z_NZ[:, self.mixture.numbers :]
        with torch.no_grad():
            redrawn: Tensor = self.pixelwise(normal_NZ, images_NCHW.float(), place.group_N)
        return redrawn

    def loss(self, samples: Tensor, labels_N: Tensor, stream: torch.Generator) -> Tensor:
        """Return the error of denoised images; once images are drawn anew, their nats."""
        if int(self.stage) != REFINED:
            return super().loss(samples, labels_N, stream)
        return self.pixelwise.loss(samples, self._group(samples, labels_N), stream)

    def begin(self, objective: str) -> None:
        """In the phase of likelihood, and after it, images are drawn anew."""
        if objective == "likelihood":
            self.stage.fill_(REFINED)

    @torch.no_grad()
    def fit(self, encoded: Encoded, seed: int) -> None:
        """Fit the mixture, and what needs no step of what draws pixels."""
        super().fit(encoded, seed)
        rows = numpy_stream(seed, "pixels").permutation(len(encoded.values))[:FITTED_ROWS]
        device = self.stage.device
        samples = self.codec.to_samples(torch.from_numpy(encoded.values[rows])).to(device)
        labels_R = torch.from_numpy(encoded.labels_N[rows]).to(device)
        group_R = self._group(samples, labels_R)
        self.pixelwise.fit(samples, group_R, stream_of(seed, "pixels"))

    @torch.no_grad()
    def _group(self, samples: Tensor, labels_N: Tensor) -> Tensor:
        """Return the group of every image: its class, or the most probable cluster."""
        if self.mixture.is_labelled:
            return labels_N
        with exact_products(samples):
            return self.mixture.locate(self.mixture.shrink(samples), labels_N).group_N


def autoregressive_networks(config: ResolvedConfig, codec: ImageCodec) -> Networks:
    """Return the generator of the kind `autoregressive`; there is no discriminator."""
    return Networks(AutoregressiveGenerator(config, codec), None)
