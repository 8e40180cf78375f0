"""The small convolutional net by which candidates are told from real images, and learned from.

Images larger than `FULL_SIDE` are halved by the first convolution, never averaged, so that the net
sees grain. It is trained with images moved by a few pixels, so that it does not learn them by
heart. Everything it draws comes from named streams.

Shapes: P images, C channels, H height, W width, K classes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gan.device import quick_products
from gan.images.pixels import AT_ONCE, moved
from gan.randomness import numpy_stream, stream

Array = np.ndarray[Any, Any]

FULL_SIDE = 32
GRID = 2
"""Every map ends as its mean in so many places a side, and its maximum."""
SLOPE = 0.2
BATCH, STEPS, RATE = 64, 240, 3e-3
SHIFT = 2
LOOK, PATIENCE, HELD = 20, 4, 0.15
"""Steps between looks at the part of the images that says when to stop; looks without improvement
before stopping; that part's share."""
CERTAIN = 0.02
"""Loss below which there is nothing left to learn."""


class LearnerNet(nn.Module):
    """Three convolutions, means and maximum of every map, a linear head."""

    def __init__(self, channels: int, side: int, classes: int, numbers: torch.Generator) -> None:
        super().__init__()
        stride = 1 if side <= FULL_SIDE else 2
        self.maps = nn.Sequential(
            nn.Conv2d(channels, 16, 3, stride=stride, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),
            nn.LeakyReLU(SLOPE),
        )
        self.head = nn.Linear(64 * (GRID * GRID + 1), classes)
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.kaiming_normal_(parameter, a=SLOPE, generator=numbers)
            else:
                nn.init.zeros_(parameter)

    def forward(self, pixels_PCHW: Tensor) -> Tensor:
        """Return `logits_PK`."""
        maps = self.maps(pixels_PCHW)
        means = nn.functional.adaptive_avg_pool2d(maps, GRID).flatten(1)
        logits_PK: Tensor = self.head(torch.cat([means, maps.amax((2, 3))], 1))
        return logits_PK


@dataclass(frozen=True, kw_only=True, eq=False)
class LearnerInputs:
    """What a net learns, and how."""

    pixels_PCHW: Tensor
    targets_P: Tensor
    """Class indexes."""
    classes: int
    seed: int
    purpose: str
    """Names the streams."""
    stops_early: bool
    """Whether a part is kept back that says when to stop; else all is learned in `STEPS` steps."""


def learn(inputs: LearnerInputs) -> LearnerNet:
    """Return a trained net; every class has the same share of every batch."""
    pixels_PCHW, targets_P, seed = inputs.pixels_PCHW, inputs.targets_P, inputs.seed
    rng = numpy_stream(seed, f"{inputs.purpose}-order")
    numbers = stream(seed, f"{inputs.purpose}-weights")
    side = min(pixels_PCHW.shape[2:])
    net = LearnerNet(pixels_PCHW.shape[1], side, inputs.classes, numbers)
    order = rng.permutation(len(targets_P))
    cut = max(2, round(HELD * len(order))) if inputs.stops_early else 0
    part, rest = torch.from_numpy(order[:cut]), order[cut:]
    members = [rest[targets_P[rest].numpy() == k] for k in range(inputs.classes)]
    members = [rows for rows in members if len(rows)]
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=1e-2)
    best, best_state, waited = math.inf, _state(net), 0
    for step in range(1, STEPS + 1):
        batch = _balanced(members, rng)
        shown = _shifted(pixels_PCHW[batch], rng)
        for group in optimiser.param_groups:
            group["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * (step - 1) / STEPS))
        optimiser.zero_grad(set_to_none=True)
        with quick_products():
            found = net(shown)
        nn.functional.cross_entropy(found.float(), targets_P[batch]).backward()
        optimiser.step()
        if step % LOOK or not inputs.stops_early:
            continue
        held = nn.functional.cross_entropy(logits(net, pixels_PCHW[part]), targets_P[part])
        waited += 1
        if float(held) < best:
            best, best_state, waited = float(held), _state(net), 0
        if waited == PATIENCE or best < CERTAIN:
            break
    if inputs.stops_early:
        net.load_state_dict(best_state)
    return net


def logits(net: LearnerNet, pixels_PCHW: Tensor) -> Tensor:
    """Return `logits_PK` of any number of images."""
    with torch.inference_mode():
        return torch.cat([net(part) for part in pixels_PCHW.split(AT_ONCE)])


def _balanced(members: list[Array], rng: np.random.Generator) -> Tensor:
    """Return the rows of a batch, of every class as many, at random where it is not a multiple."""
    chosen = (
        rng.permutation(np.arange(BATCH) % len(members))
        if len(members) <= BATCH
        else (rng.permutation(len(members))[:BATCH])
    )
    return torch.from_numpy(
        np.array([members[k][rng.integers(len(members[k]))] for k in chosen], dtype=np.int64)
    )


def _shifted(pixels_PCHW: Tensor, rng: np.random.Generator) -> Tensor:
    """Return a batch moved by a few pixels, all images alike."""
    most, count = min(SHIFT, min(pixels_PCHW.shape[2:]) // 8), len(pixels_PCHW)
    down, right = (rng.integers(0, 2 * most + 1, size=2) - most).tolist()
    alike = torch.full((count,), down), torch.full((count,), right)
    return moved(pixels_PCHW, *alike, torch.zeros(count, dtype=torch.bool))


def _state(net: nn.Module) -> Mapping[str, Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}
