"""Networks for images: `mlp` (dense) and `resnet` (norm-free residual).

Both generators take the class as a learnt vector beside the latent; both discriminators project:
logit = w·h + b + v_class·h (Miyato & Koyama, "cGANs with projection discriminator", 2018, eq. 3).
There is no normalisation anywhere and the head is linear: a bounded head stops learning on images
that are mostly background. Images are clamped when they are exported.

Shapes: N images, C channels, H height, W width, Z latent, F features of the discriminator.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from gan.config import ResolvedConfig
from gan.errors import ConfigError
from gan.images.codec import ImageCodec
from gan.protocols import Discriminator, Generator, Networks

SLOPE = 0.2
"""Of the leaky ReLU, for negative inputs."""

SMALLEST_MAP = 4
"""A `resnet` halves the image until its shorter side is below twice this."""


class Initialisable(nn.Module):
    """A module that is not initialised in the common way."""

    def draw(self, stream: torch.Generator) -> None:
        """Draw its weights, in place."""
        raise NotImplementedError


class Conditioner(Initialisable):
    """Puts the learnt vector of the class beside the latent."""

    def __init__(self, latent: int, classes: int) -> None:
        super().__init__()
        self.size = 2 * latent if classes else latent
        self.embedding = nn.Embedding(classes, latent) if classes else None

    def forward(self, z_NZ: Tensor, labels_N: Tensor) -> Tensor:
        """Return (N, size)."""
        if self.embedding is None:
            return z_NZ
        return torch.cat([z_NZ, self.embedding(labels_N)], dim=1)

    def draw(self, stream: torch.Generator) -> None:
        """Draw the classes' vectors like latents: standard normal."""
        if self.embedding is not None:
            self.embedding.weight.normal_(generator=stream)


class ProjectionHead(Initialisable):
    """The logit of features, with a learnt direction for each class."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 1)
        self.directions = nn.Embedding(classes, features) if classes else None

    def forward(self, features_NF: Tensor, labels_N: Tensor) -> Tensor:
        """Return `logits_N`."""
        logits_N: Tensor = self.linear(features_NF).squeeze(1)
        if self.directions is None:
            return logits_N
        projected_N: Tensor = (features_NF * self.directions(labels_N)).sum(1)
        return logits_N + projected_N

    def draw(self, stream: torch.Generator) -> None:
        """Draw the classes' directions: normal, of about unit length."""
        if self.directions is not None:
            std = self.directions.embedding_dim**-0.5
            self.directions.weight.normal_(std=std, generator=stream)


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

    def __init__(self, config: ResolvedConfig, codec: ImageCodec) -> None:
        super().__init__()
        width = int(config.network["discriminator_width"])
        depth = int(config.network["discriminator_depth"])
        self.body = dense_stack(codec.channels * codec.height * codec.width, width, depth)
        self.head = ProjectionHead(width, len(codec.classes))

    def forward(self, samples: Tensor, labels_N: Tensor) -> Tensor:
        """Return `logits_N`."""
        logits_N: Tensor = self.head(self.body(samples.flatten(1)), labels_N)
        return logits_N


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

    def __init__(self, config: ResolvedConfig, codec: ImageCodec) -> None:
        super().__init__()
        ladder = ResnetLadder(config, codec)
        layers: list[nn.Module] = [LinkingConv(codec.channels, ladder.channels[0], 3, padding=1)]
        for level in range(ladder.halvings):
            layers += [*ladder.level(level), ladder.down(level)]
        self.body = nn.Sequential(*layers, *ladder.level(ladder.halvings))
        features = ladder.channels[-1]
        self.pool = LinkingConv(features, features, ladder.sizes[-1], groups=features)
        self.head = ProjectionHead(features, len(codec.classes))

    def forward(self, samples: Tensor, labels_N: Tensor) -> Tensor:
        """Return `logits_N`."""
        maps = self.body(samples.contiguous(memory_format=torch.channels_last))
        features_NF = self.pool(functional.leaky_relu(maps, SLOPE)).flatten(1)
        logits_N: Tensor = self.head(features_NF, labels_N)
        return logits_N


Build = Callable[[ResolvedConfig, ImageCodec], Networks]

NETWORKS: dict[str, Build] = {
    "mlp": lambda config, codec: Networks(
        MlpGenerator(config, codec), MlpDiscriminator(config, codec)
    ),
    "resnet": lambda config, codec: Networks(
        ResnetGenerator(config, codec), ResnetDiscriminator(config, codec)
    ),
}
"""`network["kind"]` → both networks."""


def build(config: ResolvedConfig, codec: ImageCodec, stream: torch.Generator) -> Networks:
    """Return both networks on the processor, initialised from the stream alone.

    Raises:
        ConfigError: there is no such kind of network.
    """
    kind = str(config.network.get("kind"))
    if kind not in NETWORKS:
        msg = f"unknown network {kind!r}: choose one of {', '.join(sorted(NETWORKS))}"
        raise ConfigError(msg)
    with torch.device("meta"):
        networks = NETWORKS[kind](config, codec)
    for network in networks:
        if network is not None:
            network.to_empty(device="cpu")
            initialise(network, stream)
    return networks


@torch.no_grad()
def initialise(network: nn.Module, stream: torch.Generator) -> None:
    """Draw every weight from the stream.

    Linear layers and convolutions: uniform in ±1/√inputs, biases too (LeCun et al., "Efficient
    backprop", 1998, section 4.6, times 1/√3). A `Initialisable` module then draws its own.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            bound = 1 / math.sqrt(module.weight[0].numel())
            module.weight.uniform_(-bound, bound, generator=stream)
            if module.bias is not None:
                module.bias.uniform_(-bound, bound, generator=stream)
    for module in network.modules():
        if isinstance(module, Initialisable):
            module.draw(stream)
