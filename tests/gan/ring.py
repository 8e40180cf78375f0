"""Eight Gaussians on a ring, and how many of them a trained generator finds: GANs' first test.

Metz et al., "Unrolled GANs" (2017), section 3.1: a mode is found when samples lie within three
standard deviations of its centre.
"""

import math

import numpy as np
import torch
from torch import nn

from gan.codecs import Encoded
from gan.config import TrainingConfig
from gan.device import find_device
from gan.presets import ChosenPreset, complete
from gan.protocols import Discriminator, Generator
from gan.randomness import stream
from gan.training.batches import Batches
from gan.training.objectives import Adversarial
from gan.training.state import TrainState

MODES, RADIUS, SPREAD, ROWS, LATENT, WIDTH = 8, 2.0, 0.1, 4_096, 4, 64


def centres():
    angles_K = torch.arange(MODES) * (2 * math.pi / MODES)
    return RADIUS * torch.stack([angles_K.cos(), angles_K.sin()], dim=1)


def points(rows, seed):
    numbers = stream(seed, "ring")
    mode_N = torch.arange(rows) % MODES
    return centres()[mode_N] + SPREAD * torch.randn(rows, 2, generator=numbers)


class PlaneCodec:
    modality, label, classes, notes = "plane", None, (), ()

    def to_samples(self, values):
        return values


def stack(inputs, outputs, seed, name):
    layers = [nn.Linear(inputs, WIDTH), nn.LeakyReLU(0.2), nn.Linear(WIDTH, WIDTH)]
    network = nn.Sequential(*layers, nn.LeakyReLU(0.2), nn.Linear(WIDTH, outputs))
    numbers = stream(seed, name)
    for weights in network.parameters():
        bound = WIDTH**-0.5 if weights.dim() > 1 else 0.0
        nn.init.uniform_(weights, -bound * 1.7, bound * 1.7, generator=numbers)
    return network


class RingGenerator(Generator):
    def __init__(self, seed):
        super().__init__()
        self.body = stack(LATENT, 2, seed, "generator")

    def forward(self, z_NZ, labels_N):  # noqa: ARG002 - a generator
        return self.body(z_NZ)


class RingDiscriminator(Discriminator):
    def __init__(self, seed):
        super().__init__()
        self.body = stack(2, 1, seed, "discriminator")

    def forward(self, samples, labels_N):
        return self.body[-1](self.features(samples, labels_N))[:, 0]

    def features(self, samples, labels_N):  # noqa: ARG002 - a discriminator
        return self.body[:-1](samples)


def resolve(generator, preset, seed=0, batches=2_000, batch_size=128):
    training = TrainingConfig(budget_samples=batches * batch_size, batch_size=batch_size)
    chosen = ChosenPreset("plane", "ring", "eight Gaussians", preset)
    return complete(chosen, generator, training, train_rows=ROWS, seed=seed)


def train_ring(monkeypatch_build, config, seed=0):
    """Train by the product's objective, without the loop's assessments; return the state."""
    monkeypatch_build(lambda *_: (RingGenerator(seed), RingDiscriminator(seed)))
    context = find_device("cpu")
    state = TrainState(config, PlaneCodec(), context)
    encoded = Encoded(points(ROWS, 1).numpy(), np.zeros(ROWS, np.int64))
    batches = Batches(encoded, PlaneCodec(), context, seed=seed)
    objective = Adversarial(config, context)
    while state.progress.samples_seen < config.budget_samples:
        share = state.progress.samples_seen / config.budget_samples
        batch = batches.take(state.progress.samples_seen, config.batch_size, config.latent)
        state.after_step(objective.step(state, batch, share), share)
    return state


def found(generator, seed=0):
    """Return how many modes are found, and the share of samples near any."""
    z_NZ = torch.randn(4_000, LATENT, generator=stream(seed, "ring-samples"))
    with torch.no_grad():
        samples = generator(z_NZ, torch.zeros(len(z_NZ), dtype=torch.int64))
    distance_NK = torch.cdist(samples, centres())
    near_N, mode_N = distance_NK.min(1)
    good_N = near_N < 3 * SPREAD
    counts_K = torch.bincount(mode_N[good_N], minlength=MODES)
    least = len(samples) / MODES / 10
    return int((counts_K >= least).sum()), float(good_N.float().mean())
