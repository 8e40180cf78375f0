"""`resnet`: residual convolutions without normalisation, with a linear head.

Shapes: N images, C channels, H height, W width, Z latent, F features of the discriminator.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from gan.config import ResolvedConfig
from gan.images.codec import ImageCodec
from gan.images.networks.layers import SLOPE, Conditioner, Initialisable, ProjectionHead
from gan.protocols import Discriminator, Generator, Networks

SMALLEST_MAP = 4
"""A `resnet` halves the image until its shorter side is below twice this."""


class ResidualBlock(Initialisable):
    """x + conv(act(conv(act(x)))), the second convolution starting at zero (Fixup).

    Zhang et al., "Fixup initialization" (2019), section 3; `blocks` is their L, m = 2.
    """

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.gain = blocks**-0.5

    def forward(self, maps_NCHW: Tensor) -> Tensor:
        """Return maps of the same shape."""
        inner = self.first(functional.leaky_relu(maps_NCHW, SLOPE))
        residual: Tensor = self.second(functional.leaky_relu(inner, SLOPE))
        return maps_NCHW + residual

    def draw(self, stream: torch.Generator) -> None:
        """Draw the first convolution as He's normal times L^(-1/(2m-2)), all else zero."""
        inputs = self.first.weight[0].numel()
        std = self.gain * math.sqrt(2 / ((1 + SLOPE**2) * inputs))
        self.first.weight.normal_(std=std, generator=stream)
        for zeros in (self.first.bias, self.second.weight, self.second.bias):
            if zeros is not None:
                zeros.zero_()


class LinkingConv(nn.Conv2d, Initialisable):
    """A convolution between residual stages, which keeps the scale of what it passes on."""

    def draw(self, stream: torch.Generator) -> None:
        """Draw normal weights of variance 1 / inputs, biases zero."""
        self.weight.normal_(std=self.weight[0].numel() ** -0.5, generator=stream)
        if self.bias is not None:
            self.bias.zero_()


class ResnetLadder:
    """Sizes and channels of a `resnet`, from the image (level 0) to the smallest map."""

    def __init__(self, config: ResolvedConfig, codec: ImageCodec) -> None:
        width, cap = int(config.network["width"]), int(config.network["max_width"])
        shorter = min(codec.height, codec.width)
        self.halvings = max(int(math.log2(shorter / SMALLEST_MAP)), 0)
        levels = range(self.halvings + 1)
        self.channels = [min(width * 2**level, cap) for level in levels]
        self.sizes = [
            (math.ceil(codec.height / 2**level), math.ceil(codec.width / 2**level))
            for level in levels
        ]
        self.blocks_per_level = int(config.network["depth"])
        self.blocks = self.blocks_per_level * len(levels)

    def level(self, level: int) -> list[nn.Module]:
        """Return the residual blocks of a level."""
        channels = self.channels[level]
        return [ResidualBlock(channels, self.blocks) for _ in range(self.blocks_per_level)]

    def down(self, level: int) -> nn.Module:
        """Return what halves the maps of a level, rounding up, by weighing 2 x 2 pixels."""
        H, W = self.sizes[level]
        inputs, outputs = self.channels[level : level + 2]
        return LinkingConv(inputs, outputs, 2, stride=2, padding=(H % 2, W % 2))

    def up(self, level: int) -> list[nn.Module]:
        """Return what doubles the maps of the next level to this one's size or one more."""
        link = LinkingConv(self.channels[level + 1], self.channels[level], 1)
        return [link, nn.Upsample(scale_factor=2)]


class ResnetGenerator(Generator):
    """Residual blocks from the smallest map upwards, doubling by nearest neighbours."""

    def __init__(self, config: ResolvedConfig, codec: ImageCodec) -> None:
        super().__init__()
        ladder = ResnetLadder(config, codec)
        self.size = (codec.height, codec.width)
        self.start = (ladder.channels[-1], *ladder.sizes[-1])
        self.condition = Conditioner(config.latent, len(codec.classes))
        self.entry = nn.Linear(self.condition.size, math.prod(self.start))
        layers = ladder.level(ladder.halvings)
        for level in reversed(range(ladder.halvings)):
            layers += [*ladder.up(level), *ladder.level(level)]
        self.body = nn.Sequential(*layers)
        self.head = nn.Conv2d(ladder.channels[0], codec.channels, 3, padding=1)

    def forward(self, z_NZ: Tensor, labels_N: Tensor) -> Tensor:
        """Return `images_NCHW`, cut to the codec's size from the next larger one of the ladder."""
        maps = self.entry(self.condition(z_NZ, labels_N)).unflatten(1, self.start)
        maps = self.body(maps.contiguous(memory_format=torch.channels_last))
        images_NCHW: Tensor = self.head(functional.leaky_relu(maps, SLOPE))
        return images_NCHW[:, :, : self.size[0], : self.size[1]]


class ResnetDiscriminator(Discriminator):
    """Residual blocks from the image downwards; each smallest map becomes one feature."""

    compares_batches = sees_images = True

    def __init__(self, config: ResolvedConfig, codec: ImageCodec) -> None:
        super().__init__()
        ladder = ResnetLadder(config, codec)
        layers: list[nn.Module] = [LinkingConv(codec.channels, ladder.channels[0], 3, padding=1)]
        for level in range(ladder.halvings):
            layers += [*ladder.level(level), ladder.down(level)]
        self.body = nn.Sequential(*layers, *ladder.level(ladder.halvings))
        features = ladder.channels[-1]
        self.pool = LinkingConv(features, features, ladder.sizes[-1], groups=features)
        self.head = ProjectionHead(config, features, len(codec.classes))

    def forward(self, samples: Tensor, labels_N: Tensor) -> Tensor:
        """Return `logits_N`."""
        logits_N: Tensor = self.head(self.features(samples, labels_N), labels_N)
        return logits_N

    def features(self, samples: Tensor, labels_N: Tensor) -> Tensor:  # noqa: ARG002 - a discriminator
        """Return one number of each smallest map."""
        maps = self.body(samples.contiguous(memory_format=torch.channels_last))
        features_NF: Tensor = self.pool(functional.leaky_relu(maps, SLOPE)).flatten(1)
        return features_NF


def residual_networks(config: ResolvedConfig, codec: ImageCodec) -> Networks:
    """Return both networks of the kind `resnet`."""
    return Networks(ResnetGenerator(config, codec), ResnetDiscriminator(config, codec))
