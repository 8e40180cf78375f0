"""What networks for images share: how classes enter, how features become a logit, first weights.

Both generators take the class as a learnt vector beside the latent; both discriminators project:
logit = w·h + b + v_class·h (Miyato & Koyama, "cGANs with projection discriminator", 2018, eq. 3).

Shapes: N images, Z latent, F features of the discriminator.
"""

import math

import torch
from torch import Tensor, nn

from gan.config import ResolvedConfig
from gan.protocols import Discriminator
from gan.training.techniques import DEVIATION, DEVIATION_GROUP

SLOPE = 0.2
"""Of the leaky ReLU, for negative inputs."""
TINY = 1e-8
"""What keeps a root's slope finite."""


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
    """The logit of features, with a learnt direction for each class.

    With a strength of `minibatch-deviation` it also sees how different neighbours in a batch are.
    """

    def __init__(self, config: ResolvedConfig, features: int, classes: int) -> None:
        super().__init__()
        self.strength = config.terms.get(DEVIATION, 0.0)
        self.linear = nn.Linear(features + (self.strength > 0), 1)
        self.directions = nn.Embedding(classes, features) if classes else None

    def forward(self, features_NF: Tensor, labels_N: Tensor) -> Tensor:
        """Return `logits_N`."""
        seen = features_NF
        if self.strength:
            seen = torch.cat([seen, self.strength * batch_deviation(seen)], dim=1)
        logits_N: Tensor = self.linear(seen).squeeze(1)
        if self.directions is None:
            return logits_N
        projected_N: Tensor = (features_NF * self.directions(labels_N)).sum(1)
        return logits_N + projected_N

    def draw(self, stream: torch.Generator) -> None:
        """Draw the classes' directions: normal, of about unit length."""
        if self.directions is not None:
            std = self.directions.embedding_dim**-0.5
            self.directions.weight.normal_(std=std, generator=stream)


def batch_deviation(features_NF: Tensor) -> Tensor:
    """Return, for groups of four neighbours, their mean standard deviation; (N, 1).

    Karras et al., "Progressive growing of GANs" (2018), section 3.
    """
    pairs = len(features_NF) // 2  # reals and fakes are never compared with each other
    group = math.gcd(pairs, DEVIATION_GROUP)
    grouped = features_NF.float().unflatten(0, (-1, group))
    deviation_M = (grouped.var(1, correction=0) + TINY).sqrt().mean(1)
    deviation_N1: Tensor = deviation_M.repeat_interleave(group)[:, None]
    return deviation_N1.to(features_NF.dtype)


class StreamDropout(nn.Module):
    """Drops units of a discriminator while it trains, by the randoms of the step.

    Srivastava et al., "Dropout" (2014), section 4; what is kept is scaled up.
    """

    def __init__(self, owner: Discriminator, share: float) -> None:
        super().__init__()
        self.share = share
        self._owner = [owner]
        """In a list: the owner is no part of this module."""

    def forward(self, units: Tensor) -> Tensor:
        """Return units of the same shape."""
        stream = self._owner[0].stream
        if stream is None or not self.share or not self.training:
            return units
        kept = torch.rand(units.shape, generator=stream) >= self.share
        return units * kept.to(units.device) / (1 - self.share)


@torch.no_grad()
def draw_he(network: nn.Module, stream: torch.Generator) -> None:
    """Draw convolutions, biases zero: He et al., "Delving deep into rectifiers" (2015), eq. 14."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, SLOPE, generator=stream)
            if module.bias is not None:
                module.bias.zero_()


def bounded(config: ResolvedConfig) -> nn.Module:
    """Return what a generator's last layer ends in: `tanh` or nothing."""
    return nn.Tanh() if config.network["head"] == "tanh" else nn.Identity()


@torch.no_grad()
def initialise(network: nn.Module, stream: torch.Generator) -> None:
    """Draw every weight from the stream.

    Linear layers and convolutions: uniform in ±1/√inputs, biases too (LeCun et al., "Efficient
    backprop", 1998, section 4.6, times 1/√3). Normalisations start as the identity. An
    `Initialisable` module then draws its own.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            bound = 1 / math.sqrt(module.weight[0].numel())
            module.weight.uniform_(-bound, bound, generator=stream)
            if module.bias is not None:
                module.bias.uniform_(-bound, bound, generator=stream)
        elif isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
            module.reset_parameters()
    for module in network.modules():
        if isinstance(module, Initialisable):
            module.draw(stream)
