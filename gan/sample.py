"""Synthesis: records from a generator, shard by shard, the same on any number of workers.

A shard's randoms depend on (seed, index) alone. Forward passes have one fixed size, the last one
padded, on one thread: another cut or thread count would change the last bits of some pixels.

Shapes: N records, B records of one forward pass, Z latent.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from gan.config import ResolvedConfig
from gan.device import find_place
from gan.errors import ConfigError, SnapshotError
from gan.modalities import load_modality
from gan.protocols import ClassCounts, Codec, Generator
from gan.randomness import stream
from gan.snapshot import Snapshot, load_snapshot

Values = np.ndarray[Any, Any]
Labels = np.ndarray[Any, np.dtype[np.int64]]

PURPOSE = "synthesis"


def expand(rows: ClassCounts | int, codec: Codec) -> Labels:
    """Return one class index per record, in the order of the classes.

    Raises:
        ConfigError: a class the generator does not know, or counts and generator do not fit.
    """
    if isinstance(rows, int):
        if codec.classes:
            msg = (
                f"{rows} rows were asked of a generator of {len(codec.classes)} classes: say how "
                "many rows of each class"
            )
            raise ConfigError(msg)
        return np.zeros(rows, dtype=np.int64)
    index = {label: number for number, label in enumerate(codec.classes)}
    unknown = [label for label, _ in rows if label not in index]
    if unknown:
        msg = f"the generator does not know class {unknown[0]!r}: it knows {list(index)}"
        raise ConfigError(msg)
    numbers = [index[label] for label, _ in rows]
    return np.repeat(np.array(numbers, dtype=np.int64), [count for _, count in rows])


@torch.inference_mode()
def generate(
    generator: Generator, codec: Codec, config: ResolvedConfig, labels_N: Labels, latents: Tensor
) -> Values:
    """Return stored values for class indexes and latents, in passes of the fixed size.

    Args:
        generator: on the device that it shall run on.
        codec: turns its output into stored values.
        config: of the training; its `sampling_batch` is the size of a pass.
        labels_N: one class index per record.
        latents: at least as many rows as records, padded to whole passes.
    """
    size, rows = config.sampling_batch, len(labels_N)
    device = next(generator.parameters()).device
    padded = torch.zeros(len(latents), dtype=torch.int64)
    padded[:rows] = torch.from_numpy(labels_N)
    passes = [
        codec.to_values(generator(z_BZ.to(device), labels_B.to(device)))
        for z_BZ, labels_B in zip(latents.split(size), padded.split(size), strict=True)
    ]
    return np.concatenate(passes)[:rows]


def draw_latents(config: ResolvedConfig, rows: int, numbers: torch.Generator) -> Tensor:
    """Return latents for the records, padded to whole passes (at least one)."""
    passes = max(-(-rows // config.sampling_batch), 1)
    latents = torch.randn(passes * config.sampling_batch, config.latent, generator=numbers)
    return latents * config.latent_spread


@torch.inference_mode()
def log_likelihood(
    generator: Generator, codec: Codec, config: ResolvedConfig, records: pa.Table
) -> Values | None:
    """Return nats per record, float64 (N,), in passes of the fixed size.

    None for a generator that has no likelihood.

    Raises:
        DataError: the records do not fit the codec.
    """
    if not generator.has_likelihood:
        return None
    device = next(generator.parameters()).device
    samples = codec.to_samples(torch.from_numpy(codec.encode(records).values))
    parts = [
        generator.log_likelihood(part.to(device)).double().cpu().numpy()
        for part in samples.split(config.sampling_batch)
    ]
    return np.concatenate(parts)


@dataclass(frozen=True)
class AverageSampler:
    """What an assessment gets: the averaged generator as it stands; see `SampleFn`."""

    generator: Generator
    codec: Codec
    config: ResolvedConfig

    def __call__(self, rows: ClassCounts | int) -> pa.Table:
        """Return records; every call starts from the same latents."""
        codec, config = self.codec, self.config
        labels_N = expand(rows, codec)
        latents = draw_latents(config, len(labels_N), stream(config.seed, "assess"))
        return codec.decode(generate(self.generator, codec, config, labels_N, latents), labels_N)

    def log_likelihood(self, records: pa.Table) -> Values | None:
        """Return nats per record, float64 (N,); None for a generator that cannot say."""
        return log_likelihood(self.generator, self.codec, self.config, records)


def average_sampler(generator: Generator, codec: Codec, config: ResolvedConfig) -> AverageSampler:
    """Return what an assessment calls."""
    return AverageSampler(generator, codec, config)


class Sampler:
    """Makes records with the generator of a snapshot."""

    def __init__(self, snapshot: Snapshot, device: str = "cpu") -> None:
        """Build the generator and give it the snapshot's weights.

        Raises:
            SnapshotError: the weights do not fit the networks of the configuration.
        """
        self.snapshot = snapshot
        self.place = find_place(device)
        networks = load_modality(snapshot.config.modality).build(
            snapshot.config, snapshot.codec, stream(0, "weights")
        )
        self.generator = networks.generator.requires_grad_(False)
        try:
            self.generator.load_state_dict(dict(snapshot.weights))
        except RuntimeError as error:
            msg = f"the weights do not fit the networks of this version: {error}"
            raise SnapshotError(msg) from error
        self.place.settle(self.generator)

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> Self:
        """Load a snapshot folder.

        Raises:
            SnapshotError: the folder is incomplete, was changed, or is of another version.
            ConfigError: the device is not there.
        """
        return cls(load_snapshot(folder), device)

    def records(self, rows: ClassCounts | int, *, seed: int, index: int) -> pa.Table:
        """Return shard `index` of a synthesis: so many rows of each class, shuffled.

        Args:
            rows: rows of each class, or the number of rows when unconditional.
            seed: of the synthesis.
            index: of the shard; equal (rows, seed, index) give equal records.

        Raises:
            ConfigError: the rows do not fit the generator's classes.
        """
        numbers = stream(seed, PURPOSE, index)
        labels_N = expand(rows, self.snapshot.codec)
        labels_N = labels_N[torch.randperm(len(labels_N), generator=numbers).numpy()]
        return self.snapshot.codec.decode(self.values(labels_N, numbers), labels_N)

    def values(self, labels_N: Labels, numbers: torch.Generator) -> Values:
        """Return stored values (images: uint8 NHWC) for class indexes, one row each."""
        config = self.snapshot.config
        latents = draw_latents(config, len(labels_N), numbers)
        with self.place.settled():
            return generate(self.generator, self.snapshot.codec, config, labels_N, latents)
