"""Two small dense networks, and the one preset that trains them."""

import torch
from torch import nn
from torch.nn.functional import one_hot
from torch.nn.utils import skip_init

from gan.errors import ConfigError
from gan.presets import ChosenPreset, Preset, complete
from gan.protocols import Discriminator, Generator, Networks, PresetEntry

PRESETS = {"dense": PresetEntry("Two dense layers.", "of the tests")}


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
    numbers = {"network": {"width": 64}, "latent": 8, "gamma": 0.1, "batch_size": 64}
    chosen = ChosenPreset("vectors", "dense", "dense alone", Preset(learning_rate=3e-3, **numbers))
    return complete(chosen, generator, training, train_rows=train_rows, seed=seed)
