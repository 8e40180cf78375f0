"""`mlp-gan` and `dcgan`: the classic dense and convolutional pairs.

Dense: 100 → 256 → 512 → 1,024 → image and its mirror, after Goodfellow et al. (2014).
Convolutional: from a quarter of the image's sides by transposed 5 x 5 convolutions with batch
normalisation and ReLU; two strided 5 x 5 convolutions judge (Radford et al., "Unsupervised
representation learning with deep convolutional generative adversarial networks", 2016, section 3).

Shapes: N images, C channels, H height, W width, Z latent, F features of the discriminator.
"""

import math

import torch
from torch import Tensor, nn

from gan.config import ResolvedConfig
from gan.images.codec import ImageCodec
from gan.images.networks.layers import (
    SLOPE,
    Conditioner,
    Initialisable,
    ProjectionHead,
    StreamDropout,
    bounded,
)
from gan.protocols import Discriminator, Generator, Networks

QUARTER, KERNEL = 4, 5
STD = 0.02
"""Of every first weight, as published."""


@torch.no_grad()
def draw_small(network: nn.Module, stream: torch.Generator) -> None:
    """Draw every weight as a small normal number, biases zero."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            module.weight.normal_(std=STD, generator=stream)
            if module.bias is not None:
                module.bias.zero_()


class MirrorGenerator(Generator):
    """Dense layers that double from a quarter of the widest to all pixels at once."""

    def __init__(self, config: ResolvedConfig, codec: ImageCodec) -> None:
        super().__init__()
        widest = int(config.network["width"])
        self.shape = (codec.channels, codec.height, codec.width)
        self.condition = Conditioner(config.latent, len(codec.classes))
        layers: list[nn.Module] = []
        inputs = self.condition.size
        for width in (widest // 4, widest // 2, widest):
            layers += [nn.Linear(inputs, width), nn.LeakyReLU(SLOPE)]
            inputs = width
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(widest, math.prod(self.shape))
        self.bound = bounded(config)

    def forward(self, z_NZ: Tensor, labels_N: Tensor) -> Tensor:
        """Return `images_NCHW`."""
        pixels = self.bound(self.head(self.body(self.condition(z_NZ, labels_N))))
        images_NCHW: Tensor = pixels.view(-1, *self.shape)
        return images_NCHW


class MirrorDiscriminator(Discriminator):
    """The generator's layers in reverse."""

    compares_batches = sees_images = True

    def __init__(self, config: ResolvedConfig, codec: ImageCodec) -> None:
        super().__init__()
        widest, inputs = int(config.network["width"]), codec.channels * codec.height * codec.width
        layers: list[nn.Module] = []
        for width in (widest, widest // 2, widest // 4):
            layers += [nn.Linear(inputs, width), nn.LeakyReLU(SLOPE)]
            inputs = width
        self.body = nn.Sequential(*layers)
        self.head = ProjectionHead(config, inputs, len(codec.classes))

    def forward(self, samples: Tensor, labels_N: Tensor) -> Tensor:
        """Return `logits_N`."""
        logits_N: Tensor = self.head(self.features(samples, labels_N), labels_N)
        return logits_N

    def features(self, samples: Tensor, labels_N: Tensor) -> Tensor:  # noqa: ARG002 - of the class
        """Return the last layer's units."""
        units: Tensor = self.body(samples.flatten(1))
        return units


class DcganGenerator(Generator, Initialisable):
    """A dense layer to a quarter of the sides, then three transposed convolutions."""

    def __init__(self, config: ResolvedConfig, codec: ImageCodec) -> None:
        super().__init__()
        width = int(config.network["width"])
        self.size = (codec.height, codec.width)
        self.start = (4 * width, *(math.ceil(side / QUARTER) for side in self.size))
        self.condition = Conditioner(config.latent, len(codec.classes))
        self.entry = nn.Linear(self.condition.size, math.prod(self.start), bias=False)
        self.body = nn.Sequential(
            nn.BatchNorm2d(4 * width),
            nn.ReLU(),
            nn.ConvTranspose2d(4 * width, 2 * width, KERNEL, padding=2, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            _doubling(2 * width, width, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            _doubling(width, codec.channels, bias=True),
        )
        self.bound = bounded(config)

    def forward(self, z_NZ: Tensor, labels_N: Tensor) -> Tensor:
        """Return `images_NCHW`, cut to the codec's size from the next multiple of four."""
        maps = self.entry(self.condition(z_NZ, labels_N)).unflatten(1, self.start)
        images_NCHW: Tensor = self.bound(
            self.body(maps.contiguous(memory_format=torch.channels_last))
        )
        return images_NCHW[:, :, : self.size[0], : self.size[1]]

    def draw(self, stream: torch.Generator) -> None:
        """Draw small normal weights."""
        draw_small(self, stream)


class DcganDiscriminator(Discriminator, Initialisable):
    """Two strided convolutions; all of the last maps are features."""

    compares_batches = sees_images = True

    def __init__(self, config: ResolvedConfig, codec: ImageCodec) -> None:
        super().__init__()
        width, normalized = int(config.network["width"]), config.network["norm"] == "layer"
        dropout = float(config.network["dropout"])
        sides, inputs, layers = (codec.height, codec.width), codec.channels, list[nn.Module]()
        for outputs in (width, 2 * width):
            layers.append(nn.Conv2d(inputs, outputs, KERNEL, stride=2, padding=2))
            if normalized and inputs != codec.channels:
                layers.append(nn.GroupNorm(1, outputs))
            layers += [nn.LeakyReLU(SLOPE), StreamDropout(self, dropout)]
            sides, inputs = (math.ceil(sides[0] / 2), math.ceil(sides[1] / 2)), outputs
        self.body = nn.Sequential(*layers)
        self.head = ProjectionHead(config, inputs * math.prod(sides), len(codec.classes))

    def forward(self, samples: Tensor, labels_N: Tensor) -> Tensor:
        """Return `logits_N`."""
        logits_N: Tensor = self.head(self.features(samples, labels_N), labels_N)
        return logits_N

    def features(self, samples: Tensor, labels_N: Tensor) -> Tensor:  # noqa: ARG002 - of the class
        """Return every unit of the last maps."""
        maps: Tensor = self.body(samples.contiguous(memory_format=torch.channels_last))
        return maps.flatten(1)

    def draw(self, stream: torch.Generator) -> None:
        """Draw small normal weights."""
        draw_small(self, stream)


def _doubling(inputs: int, outputs: int, *, bias: bool) -> nn.Module:
    """Return what doubles both sides."""
    return nn.ConvTranspose2d(
        inputs, outputs, KERNEL, stride=2, padding=2, output_padding=1, bias=bias
    )


def mirror_networks(config: ResolvedConfig, codec: ImageCodec) -> Networks:
    """Return both networks of the kind `mirror`."""
    return Networks(MirrorGenerator(config, codec), MirrorDiscriminator(config, codec))


def dcgan_networks(config: ResolvedConfig, codec: ImageCodec) -> Networks:
    """Return both networks of the kind `dcgan`."""
    return Networks(DcganGenerator(config, codec), DcganDiscriminator(config, codec))
