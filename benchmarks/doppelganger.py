"""DoppelGANger, rebuilt small: for comparison alone.

After Lin et al., "Using GANs for sharing networked time series data: challenges, initial promise,
and open questions" (IMC 2020), sections 4.1 and 4.2, with the sizes that gretel-synthetics takes
where nothing is set, but for the batch of 1,024, which is more than small sets have: a generator of
static columns, one of the middle and half range of every number of an entity, and an LSTM that puts
out several steps at a time, numbers scaled to [-1, 1] by these, categories one-hot, and whether the
series goes on; a critic of all of it and one of what is static, both with a gradient penalty
(WGAN-GP), Adam at 1e-3 with β1 = 0.5.

Shapes: N entities, L steps, A numbers of what is static, Q numbers of a step, Z latent.
"""

import itertools
from time import process_time
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

LATENT, WIDTH, LAYERS, RECURRENT = 10, 100, 3, 100
"""Numbers of the latents; units and layers of dense parts; units of the LSTM."""
PENALTY, ATTRIBUTE_WEIGHT, RATE, BATCH = 10.0, 1.0, 1e-3, 100
WANTED_PASSES: Final = 10
"""So many steps at a time that the LSTM takes about so many passes."""


class Blocks(NamedTuple):
    """What the numbers of a vector are: sizes of one-hot parts, 0 for a number in [-1, 1]."""

    sizes: tuple[int, ...]

    @property
    def total(self) -> int:
        """Numbers of the vector."""
        return sum(max(size, 1) for size in self.sizes)

    def squash(self, raw: Tensor) -> Tensor:
        """Return what a network puts out as such a vector; last axis."""
        parts = raw.split([max(size, 1) for size in self.sizes], dim=-1)
        both = zip(parts, self.sizes, strict=True)
        return torch.cat([p.softmax(-1) if size else p.tanh() for p, size in both], dim=-1)


def dense(inputs: int, outputs: int, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Return dense layers."""
    sizes = [inputs, *[WIDTH] * LAYERS]
    inner = [(nn.Linear(a, b), activation()) for a, b in itertools.pairwise(sizes)]
    return nn.Sequential(*itertools.chain(*inner), nn.Linear(WIDTH, outputs))


class DoppelGANger(nn.Module):
    """Both generators of what is static, and that of steps."""

    def __init__(self, static: Blocks, ranges: Blocks, step: Blocks, length: int) -> None:
        super().__init__()
        self.static, self.ranges, self.step, self.length = static, ranges, step, length
        self.together = max(-(-length // WANTED_PASSES), 1)
        self.passes = -(-length // self.together)
        self.of_static = dense(LATENT, static.total)
        self.of_ranges = dense(LATENT + static.total, ranges.total)
        known = static.total + ranges.total
        self.lstm = nn.LSTM(known + LATENT, RECURRENT, batch_first=True)
        self.of_steps = nn.Linear(RECURRENT, self.together * step.total)

    def forward(self, rows: int, stream: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return what is static, (N, A), and steps, (N, L, Q)."""
        first, second = (torch.randn(rows, LATENT, generator=stream) for _ in range(2))
        static_NA = self.static.squash(self.of_static(first))
        ranges_NA = self.ranges.squash(self.of_ranges(torch.cat([second, static_NA], 1)))
        known_NA = torch.cat([static_NA, ranges_NA], 1)
        noise = torch.randn(rows, self.passes, LATENT, generator=stream)
        inputs = torch.cat([known_NA[:, None].expand(-1, self.passes, -1), noise], 2)
        raw = self.of_steps(self.lstm(inputs)[0]).reshape(rows, -1, self.step.total)
        return known_NA, self.step.squash(raw[:, : self.length])


def train_doppelganger(
    model: DoppelGANger, known_NA: Tensor, steps_NLQ: Tensor, seed: int, is_over: "Clock"
) -> int:
    """Train until the clock says so; return the number of steps of training.

    Args:
        model: to train.
        known_NA: statics and ranges of the real entities.
        steps_NLQ: their steps, zero behind the last one.
        seed: of batches and latents.
        is_over: says whether the time is spent.
    """
    stream = torch.Generator().manual_seed(seed)
    flat_NX = torch.cat([known_NA, steps_NLQ.flatten(1)], 1)
    critics = [dense(flat_NX.shape[1], 1), dense(known_NA.shape[1], 1)]
    weights = [1.0, ATTRIBUTE_WEIGHT]
    ours = torch.optim.Adam(model.parameters(), RATE, betas=(0.5, 0.999))
    theirs = torch.optim.Adam(
        itertools.chain(*(each.parameters() for each in critics)), RATE, betas=(0.5, 0.999)
    )
    taken = 0
    while not is_over():
        rows = torch.randint(len(flat_NX), (min(BATCH, len(flat_NX)),), generator=stream)
        reals = flat_NX[rows], known_NA[rows]
        with torch.no_grad():
            fakes = _flat(model(len(rows), stream), _flag(model))
        losses = [
            weight * _critic_loss(critic, real, fake, stream)
            for critic, weight, real, fake in zip(critics, weights, reals, fakes, strict=True)
        ]
        theirs.zero_grad()
        torch.stack(losses).sum().backward()
        theirs.step()
        fakes = _flat(model(len(rows), stream), _flag(model))
        losses = [
            -weight * critic(fake).mean()
            for critic, weight, fake in zip(critics, weights, fakes, strict=True)
        ]
        ours.zero_grad()
        torch.stack(losses).sum().backward()
        ours.step()
        taken += 1
    return taken


class Clock:
    """Says whether so many processor seconds are spent."""

    def __init__(self, budget_cpu_s: float) -> None:
        self.end_s = process_time() + budget_cpu_s

    def __call__(self) -> bool:
        """Return whether the time is over."""
        return process_time() >= self.end_s


def _flag(model: DoppelGANger) -> int:
    """Return where in a step the flag lies that the series goes on: the last one-hot part."""
    return model.step.total - model.step.sizes[-1]


def _flat(made: tuple[Tensor, Tensor], flag: int) -> tuple[Tensor, Tensor]:
    """Return both critics' inputs; steps behind the one at which the series ends are zero."""
    known_NA, steps_NLQ = made
    ends_NL = (steps_NLQ[..., flag + 1] > steps_NLQ[..., flag]).float()
    before_NL = functional.pad(ends_NL.cumsum(1)[:, :-1], (1, 0)) == 0
    return torch.cat([known_NA, (steps_NLQ * before_NL[..., None]).flatten(1)], 1), known_NA


def _critic_loss(critic: nn.Module, real: Tensor, fake: Tensor, stream: torch.Generator) -> Tensor:
    """Return the loss of a critic: Gulrajani et al., "Improved training of WGANs" (2017), eq. 3."""
    share = torch.rand(len(real), 1, generator=stream)
    between = (share * real + (1 - share) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    penalty = (slope.norm(dim=1) - 1).square().mean()
    loss: Tensor = critic(fake).mean() - critic(real).mean() + PENALTY * penalty
    return loss
