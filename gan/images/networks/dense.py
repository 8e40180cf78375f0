"""`mlp`: dense layers, norm-free, with a linear head; the quickest for small images.

A bounded head stops learning on images that are mostly background, so images are clamped when they
are exported.

Shapes: N images, C channels, H height, W width, Z latent.
"""

import math

from torch import Tensor, nn

from gan.config import ResolvedConfig
from gan.images.codec import ImageCodec
from gan.images.networks.layers import SLOPE, Conditioner, ProjectionHead
from gan.protocols import Discriminator, Generator, Networks


def dense_stack(inputs: int, width: int, depth: int) -> nn.Sequential:
    """Return `depth` linear layers of `width` units, each with a leaky ReLU."""
    layers: list[nn.Module] = []
    for index in range(depth):
        layers += [nn.Linear(width if index else inputs, width), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers)


class MlpGenerator(Generator):
    """Dense layers from latent and class to all pixels at once."""

    def __init__(self, config: ResolvedConfig, codec: ImageCodec) -> None:
        super().__init__()
        width, depth = int(config.network["width"]), int(config.network["depth"])
        self.shape = (codec.channels, codec.height, codec.width)
        self.condition = Conditioner(config.latent, len(codec.classes))
        self.body = dense_stack(self.condition.size, width, depth)
        self.head = nn.Linear(width, math.prod(self.shape))

    def forward(self, z_NZ: Tensor, labels_N: Tensor) -> Tensor:
        """Return `images_NCHW`."""
        pixels: Tensor = self.head(self.body(self.condition(z_NZ, labels_N)))
        return pixels.view(-1, *self.shape)


class MlpDiscriminator(Discriminator):
    """Dense layers from all pixels to the features that the head projects."""

    compares_batches = sees_images = True

    def __init__(self, config: ResolvedConfig, codec: ImageCodec) -> None:
        super().__init__()
        width = int(config.network["discriminator_width"])
        depth = int(config.network["discriminator_depth"])
        self.body = dense_stack(codec.channels * codec.height * codec.width, width, depth)
        self.head = ProjectionHead(config, width, len(codec.classes))

    def forward(self, samples: Tensor, labels_N: Tensor) -> Tensor:
        """Return `logits_N`."""
        logits_N: Tensor = self.head(self.features(samples, labels_N), labels_N)
        return logits_N

    def features(self, samples: Tensor, labels_N: Tensor) -> Tensor:  # noqa: ARG002 - a discriminator
        """Return the last layer's units."""
        units: Tensor = self.body(samples.flatten(1))
        return units


def dense_networks(config: ResolvedConfig, codec: ImageCodec) -> Networks:
    """Return both networks of the kind `mlp`."""
    return Networks(MlpGenerator(config, codec), MlpDiscriminator(config, codec))
