"""The networks whose layers are features: one that is trained, one that is random.

Shapes: N images, H height, W width, C channels, F features.
"""

import torch
from torch import Tensor, nn

from gan.randomness import stream

FEATURES = 64
"""Units of the penultimate layer."""
WIDTHS = (32, 64, 128)
SMALL_WIDTHS = (16, 32, 64)
"""Of images up to FULL_SIDE."""
RANDOM_WIDTHS = (64, 128, 128)
RANDOM_STRIDES = (2, 2, 1)
FULL_SIDE = 16
"""An image up to this side keeps its size in the first stage, so that there is something left."""


class FeatureNet(nn.Module):
    """A network of which some layers are features."""

    def features(self, pixels_NCHW: Tensor) -> Tensor:
        """Return `features_NF`."""
        raise NotImplementedError


class TrainedNet(FeatureNet):
    """Three convolutions with batch normalisation, and a head; called, it returns the logits."""

    def __init__(self, height: int, width: int, channels: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        small = min(height, width) <= FULL_SIDE
        widths = SMALL_WIDTHS if small else WIDTHS
        wide = channels
        for place, wider in enumerate(widths):
            layers += [
                nn.Conv2d(wide, wider, 3, padding=1, bias=False),
                nn.BatchNorm2d(wider),
                nn.ReLU(),
            ]
            if place == 1 or (place == 0 and not small):
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
            wide = wider
        layers += [nn.AdaptiveMaxPool2d(2), nn.Flatten()]
        self.trunk = nn.Sequential(*layers, nn.Linear(4 * wide, FEATURES), nn.ReLU())
        self.head = nn.Linear(FEATURES, classes)

    def features(self, pixels_NCHW: Tensor) -> Tensor:
        """Return `features_NF`: the penultimate layer."""
        features_NF: Tensor = self.trunk(pixels_NCHW)
        return features_NF

    def forward(self, pixels_NCHW: Tensor) -> Tensor:
        """Return `logits_NK`."""
        logits_NK: Tensor = self.head(self.trunk(pixels_NCHW))
        return logits_NK


class RandomNet(FeatureNet):
    """Orthogonal random convolutions, the mean and the maximum of every map; it knows no data.

    Means and maxima over the whole image see what a projection of the maps averages away: grain,
    blur, a pattern that is everywhere.
    """

    def __init__(self, height: int, width: int, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        wide = channels
        for place, (wider, stride) in enumerate(zip(RANDOM_WIDTHS, RANDOM_STRIDES, strict=True)):
            step = 1 if place == 0 and min(height, width) <= FULL_SIDE else stride
            layers += [nn.Conv2d(wide, wider, 3, stride=step, padding=1), nn.ReLU()]
            wide = wider
        self.trunk = nn.Sequential(*layers)

    def features(self, pixels_NCHW: Tensor) -> Tensor:
        """Return `features_NF`."""
        maps_NCHW = self.trunk(pixels_NCHW)
        return torch.cat([maps_NCHW.mean((2, 3)), maps_NCHW.amax((2, 3))], dim=1)


def initialise(net: nn.Module, seed: int, purpose: str) -> None:
    """Draw all weights from a stream.

    A trained net's by He et al. 2015 (arXiv:1502.01852), equation 14; a random net's orthogonal by
    Saxe et al. 2014 (arXiv:1312.6120), so that no map repeats another.
    """
    generator = stream(seed, purpose)
    for parameter in net.parameters():
        if parameter.ndim == 1:
            continue  # of a normalisation, as it is
        if isinstance(net, RandomNet):
            nn.init.orthogonal_(parameter.flatten(1), gain=2**0.5, generator=generator)
        else:
            nn.init.kaiming_normal_(parameter, nonlinearity="relu", generator=generator)
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
            nn.init.zeros_(module.bias)
