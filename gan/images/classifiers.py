"""Small classifiers of images that learn in a few hundred steps, as users would train them.

`convnet` is built to need few steps, after Jordan, "94% on CIFAR-10 in 3.29 seconds on a single
GPU" (2024, arXiv:2404.00498): its first layer is fixed and whitens patches (section 3.2), its other
filters begin as the identity (3.1), and their steps are orthogonalised (appendix; Jordan, "Muon",
2024). `linear-probe` is a linear layer on fixed random features. Both see the same batches, drawn
by the chance of each image and augmented.

Shapes: N images, B images of a batch, H height, W width, C channels, K classes.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gan.device import one_thread, quick_products
from gan.images.examples import Examples, plain_examples
from gan.images.orthogonal import OrthogonalSteps
from gan.images.pixels import AT_ONCE, moved
from gan.randomness import numpy_stream, stream

Array = np.ndarray[Any, Any]

SMALL_SIDE = 16
"""Up to this side the first convolution keeps the size; from there on it halves it."""
BATCH = 80
STEPS, SMALL_STEPS = 160, 80
"""Optimiser steps of every training on images of USUAL_PLACES and more places, of smaller ones."""
USUAL_PLACES = 14 * 14
"""Of the whitened map of a 28 x 28 image; larger maps get fewer steps, to the same cost."""
FEWEST_STEPS = 60
PLACE_S = {"convnet": 1.0e-6, "linear-probe": 0.5e-6}
"""Processor seconds for learning from one place of the whitened map of one image, roughly."""
PREDICTING = 0.35
"""Of that, for prediction."""
WARM_UP = 0.1
WIDTH = 64
WHITENED = 16
"""Most principal components of patches that the first layer tells apart, each with both signs."""
PATCHES = 100_000
SMOOTHING = 0.1
"""Of targets: Szegedy et al. 2016 (arXiv:1512.00567), section 7."""
FILTER_RATE, RATE, DECAY = 0.24, 5e-3, 0.01
PROBE_GRID, PROBE_FILTERS = 3, 128
SHIFT = 20
"""The usual augmentation moves images by up to a 20th of their sides, and at least by a pixel."""
STOP_FRACTION = 0.2
"""Part of train that decides on mirror images."""
RECOGNISED = 0.9
"""Mirror images are usual where this share of the accuracy is left on images never seen so."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What is done to every image of a batch, with parameters of its own."""

    shift: int
    """Most pixels that it is moved by, each way; the edge is repeated."""
    flips: bool = False
    """Half of them are mirrored."""
    smallest_crop: float = 1.0
    """Shortest side of the part that is enlarged to the whole, a share."""
    mixup: float = 0.0
    """Parameter of the beta distribution by which pairs and their targets are blended, Zhang et
    al. 2018 (arXiv:1710.09412), section 2; 0: none."""


class ConvNet(nn.Module):
    """Whitened patches, two convolutions, the largest answer of each filter, a linear layer."""

    def __init__(self, pixels_NCHW: Tensor, classes: int, random: torch.Generator) -> None:
        super().__init__()
        small = min(pixels_NCHW.shape[2:]) <= SMALL_SIDE
        self.whiten = _whitening(pixels_NCHW, 3 if small else 4, 1 if small else 2, random)
        self.first = _identity(self.whiten.out_channels, WIDTH)
        self.first_norm = nn.BatchNorm2d(WIDTH, momentum=0.4)
        self.second = _identity(WIDTH, 2 * WIDTH)
        self.second_norm = nn.BatchNorm2d(2 * WIDTH, momentum=0.4)
        self.head = _linear(2 * WIDTH, classes, random)

    def forward(self, pixels_NCHW: Tensor) -> Tensor:
        """Return `logits_NK`."""
        maps = functional.gelu(self.whiten(pixels_NCHW))
        maps = functional.gelu(self.first_norm(functional.max_pool2d(self.first(maps), 2)))
        maps = functional.gelu(self.second_norm(functional.max_pool2d(self.second(maps), 2)))
        logits_NK: Tensor = self.head(maps.amax(dim=(2, 3)))
        return logits_NK

    def filters(self) -> list[Tensor]:
        """Return the parameters whose steps are orthogonalised."""
        return [self.first.weight, self.second.weight]


class LinearProbe(nn.Module):
    """A linear layer on means and maxima of fixed random filters over a grid of places."""

    def __init__(self, pixels_NCHW: Tensor, classes: int, random: torch.Generator) -> None:
        super().__init__()
        small = min(pixels_NCHW.shape[2:]) <= SMALL_SIDE
        self.whiten = _whitening(pixels_NCHW, 3 if small else 4, 1 if small else 2, random)
        self.mixed = nn.Conv2d(self.whiten.out_channels, PROBE_FILTERS, 3, padding=1, bias=False)
        nn.init.orthogonal_(self.mixed.weight, generator=random)
        self.mixed.weight.requires_grad_(False)
        features = 2 * PROBE_FILTERS * PROBE_GRID**2
        self.norm = nn.BatchNorm1d(features, affine=False, momentum=0.1)
        self.head = _linear(features, classes, random)

    def forward(self, pixels_NCHW: Tensor) -> Tensor:
        """Return `logits_NK`."""
        with torch.no_grad():
            maps = functional.relu(self.mixed(functional.gelu(self.whiten(pixels_NCHW))))
            parts = (
                functional.adaptive_avg_pool2d(maps, PROBE_GRID),
                functional.adaptive_max_pool2d(maps, PROBE_GRID),
            )
            features_NF = self.norm(torch.cat([part.flatten(1) for part in parts], dim=1).float())
        logits_NK: Tensor = self.head(features_NF)
        return logits_NK

    def filters(self) -> list[Tensor]:
        """Return nothing: the filters stay as they are."""
        return []


CLASSIFIERS: dict[str, type[ConvNet] | type[LinearProbe]] = {
    "convnet": ConvNet,
    "linear-probe": LinearProbe,
}
"""Name → network."""


def count_steps(height: int, width: int) -> int:
    """Return the optimiser steps of a training on images of this size."""
    if min(height, width) <= SMALL_SIDE:
        return SMALL_STEPS
    return max(FEWEST_STEPS, min(STEPS, round(STEPS * USUAL_PLACES / _places(height, width))))


def training_cost_s(name: str, height: int, width: int, predicted: int) -> float:
    """Return the processor seconds of a training and of so many predictions, by constants."""
    images = BATCH * count_steps(height, width) + PREDICTING * predicted
    return PLACE_S[name] * _places(height, width) * images


def _places(height: int, width: int) -> int:
    """Return the size of the whitened map."""
    small = min(height, width) <= SMALL_SIDE
    return height * width if small else (height // 2) * (width // 2)


@one_thread()
def train_classifier(
    name: str,
    examples: Examples,
    augmentation: Augmentation,
    seed: int,
    purpose: str,
    length: int = 1,
) -> nn.Module:
    """Return a network of CLASSIFIERS that has learnt the examples, in a fixed number of steps.

    Args:
        name: of the network.
        examples: what it learns from.
        augmentation: of every image.
        seed: of its weights and batches.
        purpose: of the streams of randoms.
        length: times the usual number of steps.
    """
    random = stream(seed, f"{purpose}-weights")
    net = CLASSIFIERS[name](examples.pixels_NCHW, examples.targets_NK.shape[1], random)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    filters = net.filters()
    orthogonal = OrthogonalSteps(filters)
    rest = [
        one for one in net.parameters() if one.requires_grad and all(one is not f for f in filters)
    ]
    optimiser = torch.optim.AdamW(rest, lr=RATE, weight_decay=DECAY)
    batches = _Batches(examples, augmentation, seed, purpose)
    steps = length * count_steps(examples.pixels_NCHW.shape[2], examples.pixels_NCHW.shape[3])
    for step in range(steps):
        pixels_BCHW, targets_BK, weight_B = batches.draw()
        loss = _loss(_logits(net, pixels_BCHW), targets_BK, weight_B)
        loss.backward()
        part = min(1.0, (step + 1) / (WARM_UP * steps)) * (1 - step / steps)
        optimiser.param_groups[0]["lr"] = RATE * part
        optimiser.step()
        orthogonal.step(FILTER_RATE * part)
        net.zero_grad(set_to_none=True)
    return net.eval()


@one_thread()
def predict(net: nn.Module, pixels_NCHW: Tensor, *, flips: bool) -> Tensor:
    """Return `probabilities_NK`; with `flips` the mean of those of image and mirror image."""
    parts = []
    with torch.inference_mode():
        for batch in pixels_NCHW.split(AT_ONCE):
            probabilities_BK = net(batch).softmax(1)
            if flips:
                probabilities_BK = (probabilities_BK + net(batch.flip(3)).softmax(1)) / 2
            parts.append(probabilities_BK)
    return torch.cat(parts)


def usual_augmentation(pixels_NCHW: Tensor, classes_N: Array, K: int, seed: int) -> Augmentation:
    """Return small shifts, and mirror images where they still look like their class.

    A linear probe that saw no mirror image says so, of a part of these images that it did not see.
    """
    usual = Augmentation(shift=max(1, min(pixels_NCHW.shape[2:]) // SHIFT))
    order = numpy_stream(seed, "usual-augmentation").permutation(len(classes_N))
    part, rest = np.split(order, [max(1, round(STOP_FRACTION * len(order)))])
    if len(rest) == 0:
        return usual
    examples = plain_examples(pixels_NCHW[rest], classes_N[rest], K)
    net = train_classifier("linear-probe", examples, usual, seed, "usual-augmentation")
    seen, mirrored = (
        (predict(net, pixels, flips=False).argmax(1).numpy() == classes_N[part]).mean()
        for pixels in (pixels_NCHW[part], pixels_NCHW[part].flip(3))
    )
    return replace(usual, flips=bool(mirrored >= RECOGNISED * seen))


class _Batches:
    """Draws batches by chance, with replacement, and augments them."""

    def __init__(
        self, examples: Examples, augmentation: Augmentation, seed: int, purpose: str
    ) -> None:
        self._examples, self._augmentation = examples, augmentation
        self._sums_N = examples.chance_N.double().cumsum(0)
        self._random = stream(seed, f"{purpose}-batches")
        self._blends = numpy_stream(seed, f"{purpose}-mixup")

    def draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return `pixels_BCHW`, `targets_BK` and `weight_B`."""
        examples, random, how = self._examples, self._random, self._augmentation
        at_B = torch.rand(BATCH, generator=random, dtype=torch.float64) * self._sums_N[-1]
        chosen_B = torch.searchsorted(self._sums_N, at_B, right=True)
        chosen_B = chosen_B.clamp_(max=len(self._sums_N) - 1)
        pixels_BCHW = _shown(examples.pixels_NCHW[chosen_B], how, random)
        if how.smallest_crop < 1:
            pixels_BCHW = _cropped(pixels_BCHW, how.smallest_crop, random)
        targets_BK, weight_B = examples.targets_NK[chosen_B], examples.weight_N[chosen_B]
        if how.mixup:
            shares = self._blends.beta(how.mixup, how.mixup, BATCH).astype(np.float32)
            share_B, other_B = torch.from_numpy(shares), torch.randperm(BATCH, generator=random)
            pixels_BCHW = _blend(pixels_BCHW, other_B, share_B[:, None, None, None])
            targets_BK = _blend(targets_BK * weight_B[:, None], other_B, share_B[:, None])
            weight_B = torch.ones(BATCH)
        return pixels_BCHW, targets_BK, weight_B


def _blend(values: Tensor, other_B: Tensor, share: Tensor) -> Tensor:
    return share * values + (1 - share) * values[other_B]


def _shown(pixels_BCHW: Tensor, how: Augmentation, random: torch.Generator) -> Tensor:
    """Return shifted and, where it is said, mirrored images."""
    B = len(pixels_BCHW)
    down_B = torch.randint(-how.shift, how.shift + 1, (B, 1), generator=random)[:, 0]
    right_B = torch.randint(-how.shift, how.shift + 1, (B, 1), generator=random)[:, 0]
    mirrored_B = (torch.rand(B, 1, generator=random)[:, 0] < 0.5) & how.flips
    return moved(pixels_BCHW, down_B, torch.where(mirrored_B, -right_B, right_B), mirrored_B)


def _cropped(pixels_BCHW: Tensor, smallest: float, random: torch.Generator) -> Tensor:
    """Return random parts, enlarged to the whole."""
    B = len(pixels_BCHW)
    sides_B2 = smallest + (1 - smallest) * torch.rand(B, 2, generator=random)
    middles_B2 = (2 * torch.rand(B, 2, generator=random) - 1) * (1 - sides_B2)
    theta_B23 = torch.zeros(B, 2, 3)
    theta_B23[:, 0, 0], theta_B23[:, 1, 1] = sides_B2.unbind(1)
    theta_B23[:, :, 2] = middles_B2
    grid = functional.affine_grid(theta_B23, list(pixels_BCHW.shape), align_corners=False)
    return functional.grid_sample(pixels_BCHW, grid, padding_mode="border", align_corners=False)


def _logits(net: nn.Module, pixels_NCHW: Tensor) -> Tensor:
    with quick_products():
        logits_NK: Tensor = net(pixels_NCHW.contiguous(memory_format=torch.channels_last))
    return logits_NK.float()


def _loss(logits_BK: Tensor, targets_BK: Tensor, weight_B: Tensor) -> Tensor:
    """Return the weighted cross-entropy with smoothed targets."""
    sums_B = targets_BK.sum(1, keepdim=True)
    smoothed_BK = (1 - SMOOTHING) * targets_BK + SMOOTHING * sums_B / targets_BK.shape[1]
    return -((smoothed_BK * logits_BK.log_softmax(1)).sum(1) * weight_B).mean()


def _whitening(pixels_NCHW: Tensor, size: int, stride: int, random: torch.Generator) -> nn.Conv2d:
    """Return a fixed convolution to the principal components of patches, of variance 1."""
    channels = pixels_NCHW.shape[1]
    chosen = torch.randperm(len(pixels_NCHW), generator=random)[:1000]
    patches = (
        functional.unfold(pixels_NCHW[chosen], size, stride=stride).movedim(1, 2).flatten(0, 1)
    )
    patches = patches[torch.randperm(len(patches), generator=random)[:PATCHES]].double()
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    scaled = vectors / (values + 5e-3 * values[-1] + 1e-12).sqrt()
    kept = scaled.flip(1)[:, :WHITENED].T.reshape(-1, channels, size, size).float()
    layer = nn.Conv2d(channels, 2 * len(kept), size, stride=stride, padding=1, bias=False)
    layer.weight = nn.Parameter(torch.cat([kept, -kept]), requires_grad=False)
    return layer


def _identity(incoming: int, outgoing: int) -> nn.Conv2d:
    """Return a convolution whose first filters pass their channel on, and others average two."""
    layer = nn.Conv2d(incoming, outgoing, 3, padding=1, bias=False)
    weight = torch.zeros_like(layer.weight)
    for out in range(outgoing):
        weight[out, out % incoming, 1, 1] = 1.0
        if out >= incoming:
            weight[out, (out + 1) % incoming, 1, 1] = -1.0
    layer.weight = nn.Parameter(weight)
    return layer


def _linear(incoming: int, outgoing: int, random: torch.Generator) -> nn.Linear:
    layer = nn.Linear(incoming, outgoing)
    nn.init.normal_(layer.weight, std=incoming**-0.5, generator=random)
    nn.init.zeros_(layer.bias)
    return layer
