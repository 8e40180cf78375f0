"""Two small dense networks, and the one preset that trains them."""

import torch
from torch import nn
from torch.nn.functional import one_hot
from torch.nn.utils import skip_init

from gan.config import ALGORITHM_VERSION, PhaseConfig, ResolvedConfig
from gan.errors import ConfigError
from gan.protocols import Discriminator, Generator, Networks

PRESETS = {"dense": "Two dense layers."}
NUMBERS = {
    "latent": 8, "gamma": 0.1, "gamma_end": 0.1, "ema_half_life_samples": 5_000, "ema_ramp": 0.05,
    "learning_rate": 3e-3, "learning_rate_end": 3e-4, "beta1": 0.0, "beta2": 0.99, "threads": 1,
    "patience_samples": 10**9, "sampling_batch": 256, "precision": "float32", "network": {},
    "phases": (PhaseConfig(objective="adversarial", fraction=1),), "modality": "vectors",
    "algorithm_version": ALGORITHM_VERSION, "preset": "dense", "notes": ("preset dense",),
}  # fmt: skip


class Dense(nn.Module):
    def __init__(self, inputs, outputs, classes, stream):
        super().__init__()
        self.first = skip_init(nn.Linear, inputs + classes, 64)
        self.last = skip_init(nn.Linear, 64, outputs)
        for weights in self.parameters():
            nn.init.uniform_(weights, -0.2, 0.2, generator=stream)
        self.classes = classes

    def forward(self, values, labels_N):
        values = torch.cat([values, one_hot(labels_N, self.classes)], dim=1)
        return self.last(torch.relu(self.first(values))).squeeze(1)


class DenseGenerator(Dense, Generator):
    pass


class DenseDiscriminator(Dense, Discriminator):
    pass


def build(config, codec, stream):
    classes = max(len(codec.classes), 1)
    generator = DenseGenerator(config.latent, codec.size, classes, stream)
    return Networks(generator, DenseDiscriminator(codec.size, 1, classes, stream))


def resolve(generator, training, codec, *, train_rows, seed):
    if generator.preset not in ("auto", *PRESETS):
        msg = f"unknown preset {generator.preset!r} for vectors: choose auto or dense"
        raise ConfigError(msg)
    batch = 64 if training.batch_size == "auto" else training.batch_size
    samples = 100_000 if training.budget_samples == "auto" else training.budget_samples
    budget = {"budget_samples": samples, "budget_s": training.budget_s, "tick_samples": 50 * batch}
    return ResolvedConfig(**NUMBERS, **budget, batch_size=batch, seed=seed)
