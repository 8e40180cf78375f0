"""`blocks` and `biggan`: the classic residual pairs with normalisation.

Pre-activation blocks with skip connections, doubled by nearest neighbours and halved by means
(Gulrajani et al., WGAN-GP, 2017, appendix F; Miyato et al., SNGAN, 2018, figure 9). `biggan`: the
class steers every normalisation, chunks of the latent enter at every level, and one map attends to
itself (Brock et al., 2019, figure 15; Zhang et al., SAGAN, 2019, section 3).

Shapes: N images, C channels, H height, W width, Z latent, E what steers, L = H·W places.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from gan.config import ResolvedConfig
from gan.errors import ConfigError
from gan.images.codec import ImageCodec
from gan.images.networks.layers import (
    Conditioner,
    Initialisable,
    ProjectionHead,
    bounded,
)
from gan.protocols import Discriminator, Generator, Networks

SMALLEST_SIDE = 4
"""Maps are halved until the shorter side is below twice this."""


def halvings(codec: ImageCodec) -> int:
    """Return how often an image is halved."""
    return max(int(math.log2(min(codec.height, codec.width) / SMALLEST_SIDE)), 0)


class SteeredNorm(Initialisable):
    """Batch normalisation whose gain and bias follow a vector, or are learnt where there is none.

    De Vries et al., "Modulating early visual processing by language" (2017), section 3.
    """

    def __init__(self, channels: int, steering: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=not steering)
        self.gain = nn.Linear(steering, channels, bias=False) if steering else None
        self.bias = nn.Linear(steering, channels, bias=False) if steering else None

    def forward(self, maps_NCHW: Tensor, steering_NE: Tensor | None) -> Tensor:
        """Return maps of the same shape."""
        normal: Tensor = self.norm(maps_NCHW)
        if self.gain is None or self.bias is None or steering_NE is None:
            return normal
        gain_NC11 = self.gain(steering_NE)[:, :, None, None]
        bias_NC11 = self.bias(steering_NE)[:, :, None, None]
        steered: Tensor = normal * (1 + gain_NC11) + bias_NC11
        return steered

    def draw(self, stream: torch.Generator) -> None:
        """Start as without steering: nearly zero."""
        for layer in (self.gain, self.bias):
            if layer is not None:
                layer.weight.normal_(std=0.02, generator=stream)


class UpBlock(nn.Module):
    """norm, ReLU, double, conv, norm, ReLU, conv, beside a doubled skip connection."""

    def __init__(self, channels: int, steering: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([SteeredNorm(channels, steering) for _ in range(2)])
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.skip = nn.Conv2d(channels, channels, 1)

    def forward(self, maps_NCHW: Tensor, steering_NE: Tensor | None) -> Tensor:
        """Return maps of twice the sides."""
        inner = functional.relu(self.norms[0](maps_NCHW, steering_NE))
        inner = self.first(functional.interpolate(inner, scale_factor=2.0))
        inner = self.second(functional.relu(self.norms[1](inner, steering_NE)))
        skip = functional.interpolate(self.skip(maps_NCHW), scale_factor=2.0)
        doubled: Tensor = inner + skip
        return doubled


class DownBlock(nn.Module):
    """ReLU, conv, ReLU, conv, halve, beside a halved skip connection; the first has no first ReLU.

    Miyato et al. (2018), figure 9b and its optimised first block.
    """

    def __init__(self, inputs: int, outputs: int, *, halve: bool, first: bool) -> None:
        super().__init__()
        self.halve, self.is_first = halve, first
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1) if halve or inputs != outputs else None

    def forward(self, maps_NCHW: Tensor) -> Tensor:
        """Return maps of the same sides or half of them, rounded up."""
        inner = maps_NCHW if self.is_first else functional.relu(maps_NCHW)
        inner = self.second(functional.relu(self.first(inner)))
        skip = maps_NCHW if self.skip is None else self.skip(maps_NCHW)
        joined: Tensor = inner + skip
        return functional.avg_pool2d(joined, 2, ceil_mode=True) if self.halve else joined


class SelfAttention(Initialisable):
    """Every place looks at every other; starts as the identity (SAGAN, equations 1 to 3)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = max(channels // 8, 1)
        self.query = nn.Conv2d(channels, narrow, 1, bias=False)
        self.key = nn.Conv2d(channels, narrow, 1, bias=False)
        self.value = nn.Conv2d(channels, channels, 1, bias=False)
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(self, maps_NCHW: Tensor) -> Tensor:
        """Return maps of the same shape."""
        query_NLc = self.query(maps_NCHW).flatten(2).mT
        key_NcL = self.key(maps_NCHW).flatten(2)
        value_NCL = self.value(maps_NCHW).flatten(2)
        share_NLL = torch.softmax(query_NLc @ key_NcL, dim=2)
        seen = (value_NCL @ share_NLL.mT).view_as(maps_NCHW)
        attended: Tensor = maps_NCHW + self.strength * seen
        return attended

    def draw(self, stream: torch.Generator) -> None:
        """Start as the identity."""
        del stream
        self.strength.zero_()


@torch.no_grad()
def draw_glorot(network: nn.Module, stream: torch.Generator) -> None:
    """Draw every layer's weights as Glorot and Bengio (2010), equation 16; biases zero."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(module.weight, generator=stream)
            if module.bias is not None:
                module.bias.zero_()


class BlockGenerator(Generator, Initialisable):
    """Residual blocks from the smallest map upwards."""

    def __init__(self, config: ResolvedConfig, codec: ImageCodec) -> None:
        super().__init__()
        width, self.steered = int(config.network["width"]), config.network["kind"] == "biggan"
        levels = halvings(codec)
        self.size = (codec.height, codec.width)
        self.start = (width, *(math.ceil(side / 2**levels) for side in self.size))
        classes = len(codec.classes)
        self.chunk = config.latent // (levels + 1) if self.steered else config.latent
        if not self.chunk:
            msg = (
                f"generator.latent is {config.latent}, and each of {levels + 1} levels of these "
                f"images takes a part of it: ask for at least {levels + 1}"
            )
            raise ConfigError(msg)
        self.condition = Conditioner(self.chunk, classes)
        steering = self.condition.size if self.steered else 0
        self.entry = nn.Linear(self.condition.size, math.prod(self.start))
        self.blocks = nn.ModuleList([UpBlock(width, steering) for _ in range(levels)])
        self.attends_after = levels // 2 - 1 if self.steered else -1
        self.attention = SelfAttention(width) if self.attends_after >= 0 else None
        self.norm = SteeredNorm(width, 0)
        self.head = nn.Conv2d(width, codec.channels, 3, padding=1)
        self.bound = bounded(config)

    def forward(self, z_NZ: Tensor, labels_N: Tensor) -> Tensor:
        """Return `images_NCHW`, cut to the codec's size from the next larger one."""
        first_NZ = z_NZ[:, : self.chunk] if self.steered else z_NZ
        maps = self.entry(self.condition(first_NZ, labels_N)).unflatten(1, self.start)
        maps = maps.contiguous(memory_format=torch.channels_last)
        for index, block in enumerate(self.blocks):
            maps = block(maps, self._steering(z_NZ, labels_N, index + 1))
            if self.attention is not None and index == self.attends_after:
                maps = self.attention(maps)
        maps = functional.relu(self.norm(maps, None))
        images_NCHW: Tensor = self.bound(self.head(maps))
        return images_NCHW[:, :, : self.size[0], : self.size[1]]

    def _steering(self, z_NZ: Tensor, labels_N: Tensor, level: int) -> Tensor | None:
        """Return the level's chunk of the latent with the class, or None."""
        if not self.steered:
            return None
        chunk_NZ = z_NZ[:, level * self.chunk : (level + 1) * self.chunk]
        steering_NE: Tensor = self.condition(chunk_NZ, labels_N)
        return steering_NE

    def draw(self, stream: torch.Generator) -> None:
        """Draw as Glorot and Bengio."""
        draw_glorot(self, stream)


class BlockDiscriminator(Discriminator, Initialisable):
    """Residual blocks from the image downwards, then two at the smallest map; sums of maps."""

    compares_batches = sees_images = True

    def __init__(self, config: ResolvedConfig, codec: ImageCodec) -> None:
        super().__init__()
        width, levels = int(config.network["width"]), halvings(codec)
        attends_after = (levels - 1) // 2 if config.network["kind"] == "biggan" else -1
        layers, inputs = list[nn.Module](), codec.channels
        for level in range(levels):
            layers.append(DownBlock(inputs, width, halve=True, first=level == 0))
            if level == attends_after:
                layers.append(SelfAttention(width))
            inputs = width
        layers.append(DownBlock(inputs, width, halve=False, first=levels == 0))
        layers.append(DownBlock(width, width, halve=False, first=False))
        self.body = nn.Sequential(*layers)
        self.head = ProjectionHead(config, width, len(codec.classes))

    def forward(self, samples: Tensor, labels_N: Tensor) -> Tensor:
        """Return `logits_N`."""
        logits_N: Tensor = self.head(self.features(samples, labels_N), labels_N)
        return logits_N

    def features(self, samples: Tensor, labels_N: Tensor) -> Tensor:  # noqa: ARG002 - of the class
        """Return the sum of each smallest map."""
        maps = self.body(samples.contiguous(memory_format=torch.channels_last))
        sums_NF: Tensor = functional.relu(maps).sum((2, 3))
        return sums_NF

    def draw(self, stream: torch.Generator) -> None:
        """Draw as Glorot and Bengio."""
        draw_glorot(self, stream)


def block_networks(config: ResolvedConfig, codec: ImageCodec) -> Networks:
    """Return both networks of the kinds `blocks` and `biggan`."""
    return Networks(BlockGenerator(config, codec), BlockDiscriminator(config, codec))
