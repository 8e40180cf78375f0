"""The networks whose layers are features: one that is trained, one that is random.

Shapes: N images, H height, W width, C channels, F features.
"""

import math

import torch
from torch import Tensor, nn

from gan.randomness import stream

FEATURES = 64
"""Units of the penultimate layer."""
WIDTHS = (32, 64, 64)
RANDOM_WIDTHS = (64, 128, 128)
RANDOM_STRIDES, SMALL_STRIDES = (2, 2, 1), (1, 2, 2)
"""Of images of any size the last maps have a quarter of the side."""
SIDE = 32
"""Larger images are averaged down to about this many pixels a side before a net sees them."""
FULL_SIDE = 16
"""An image up to this side keeps its size in the first stage, so that there is something left."""


class FeatureNet(nn.Module):
    """A network of which some layers are features."""

    def features(self, pixels_NCHW: Tensor) -> Tensor:
        """Return `features_NF`."""
        raise NotImplementedError


class TrainedNet(FeatureNet):
    """Three convolutions and a head, without normalisation; called, it returns the logits.

    A net with batch normalisation learns in fewer steps and is worse to judge with: whatever grain
    or blur moves is blown up, so that what a person sees and what she does not weigh the same.
    """

    def __init__(self, height: int, width: int, channels: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        small = min(height, width) <= FULL_SIDE
        wide = channels
        for place, wider in enumerate(WIDTHS):
            layers.append(nn.Conv2d(wide, wider, 3, padding=1))
            if place == 1 or (place == 0 and not small):
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
            layers.append(nn.ReLU())  # after the maximum: the same numbers, a quarter of them
            wide = wider
        layers += [nn.AdaptiveMaxPool2d(2), nn.Flatten()]
        self.trunk = nn.Sequential(*layers, nn.Linear(4 * wide, FEATURES), nn.ReLU())
        self.head = nn.Linear(FEATURES, classes)

    def filters(self) -> list[Tensor]:
        """Return the weights whose steps are orthogonalised: all but the first and the head's."""
        layers = [layer for layer in self.trunk if isinstance(layer, (nn.Conv2d, nn.Linear))]
        return [layer.weight for layer in layers[1:]]

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
        strides = SMALL_STRIDES if min(height, width) <= FULL_SIDE else RANDOM_STRIDES
        for wider, stride in zip(RANDOM_WIDTHS, strides, strict=True):
            layers += [nn.Conv2d(wide, wider, 3, stride=stride, padding=1), nn.ReLU()]
            wide = wider
        self.trunk = nn.Sequential(*layers)

    def features(self, pixels_NCHW: Tensor) -> Tensor:
        """Return `features_NF`."""
        maps_NCHW = self.trunk(pixels_NCHW)
        return torch.cat([maps_NCHW.mean((2, 3)), maps_NCHW.amax((2, 3))], dim=1)


def initialise(net: nn.Module, seed: int, purpose: str) -> None:
    """Draw all weights from a stream.

    A trained net's uniform within one over the root of its inputs, LeCun et al. 1998 ("Efficient
    BackProp", section 4.6): larger ones leave half of the penultimate units silent. A random net's
    orthogonal by Saxe et al. 2014 (arXiv:1312.6120), so that no map repeats another.
    """
    generator = stream(seed, purpose)
    for module in net.modules():
        if not isinstance(module, (nn.Conv2d, nn.Linear)):
            continue
        if isinstance(net, RandomNet):
            nn.init.orthogonal_(module.weight.flatten(1), gain=2**0.5, generator=generator)
            bound = 0.0
        else:
            bound = 1.0 / math.sqrt(module.weight[0].numel())
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
        if module.bias is not None:
            nn.init.uniform_(module.bias, -bound, bound, generator=generator)
