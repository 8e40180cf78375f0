"""The strip: what the same latents and classes become, tick after tick.

It is part of every checkpoint, so that a training that was killed and continued, on whatever
machine, has the strip of one that was not. Its size is bounded however long a training lasts: of
tick n those stay whose number is a multiple of a power of two, and the newest.

Shapes: R rows of the strip, each one latent and class; a modality's own letters are in its files.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan.codecs import Codec
from gan.config import ResolvedConfig
from gan.modalities import load_modality
from gan.protocols import Frame, Generator
from gan.randomness import stream
from gan.sample import device_of, fixed_latents
from gan.training.state import TrainState

Values = np.ndarray[Any, Any]

MOST_FRAMES = 16
"""Ticks that stay, beside the newest."""
FEWEST_ROWS, MOST_ROWS = 3, 10
MOST_BYTES = 2_000_000
"""Of all frames, where so few rows are enough for it."""
PREFIX = "strip."
"""Of its tensors in a checkpoint: strip.<number of the tick>.<samples seen>."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StripRows:
    """What the rows of a strip are."""

    z_RZ: Tensor
    labels_R: Values
    """Class indexes."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Filmstrip:
    """A finished strip."""

    frames: tuple[Frame, ...]
    labels_R: Values
    """Class indexes of the rows."""


class Strip:
    """Frames of one training; empty where records are no pictures."""

    def __init__(self, config: ResolvedConfig, codec: Codec) -> None:
        self._config, self._codec = config, codec
        self._shown = load_modality(config.modality).has_pictures
        self._rows: StripRows | None = None
        self._frames: dict[int, Frame] = {}
        """By the number of the tick, 0 being the start."""

    def take(self, state: TrainState) -> None:
        """Add what the averaged generator makes now, after so many ticks; nothing but pictures."""
        if not self._shown:
            return
        rows = self._rows or self._choose_rows(state)
        self._rows = rows
        number = len(state.progress.history) + 1 if state.progress.samples_seen else 0
        values = self._make(state.generator_ema, rows)
        self._frames = {n: kept for n, kept in self._frames.items() if n < number}
        self._frames[number] = Frame(state.progress.samples_seen, values)
        stride = stride_of(number)
        self._frames = {
            n: kept for n, kept in self._frames.items() if n % stride == 0 or n == number
        }

    def finished(self, state: TrainState) -> Filmstrip | None:
        """Return every frame that is kept, in order; None without any."""
        if not self._frames:
            return None
        rows = self._rows or self._choose_rows(state)
        return Filmstrip(frames=self.frames(), labels_R=rows.labels_R)

    def frames(self) -> tuple[Frame, ...]:
        """Return every frame that is kept, in order."""
        return tuple(self._frames[number] for number in sorted(self._frames))

    def tensors(self) -> dict[str, Tensor]:
        """Return the frames under their names in a checkpoint."""
        return {
            f"{PREFIX}{number:06d}.{frame.samples_seen:012d}": torch.from_numpy(frame.values)
            for number, frame in self._frames.items()
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go to the frames of a checkpoint; earlier versions wrote none."""
        self._frames = {}
        for name in sorted(tensors):
            if name.startswith(PREFIX):
                number, samples_seen = map(int, name.removeprefix(PREFIX).split("."))
                self._frames[number] = Frame(samples_seen, tensors[name].numpy())

    def _choose_rows(self, state: TrainState) -> StripRows:
        """Return latents and classes, the same at every tick, as many as the bytes allow."""
        config, generator = self._config, state.generator_ema
        labels_R = row_classes(len(self._codec.classes), MOST_ROWS)
        z_RZ = fixed_latents(generator, config, len(labels_R), stream(config.seed, "strip"))
        rows = StripRows(z_RZ=z_RZ, labels_R=labels_R)
        fitting = MOST_BYTES // (self._make(generator, rows)[0].nbytes * MOST_FRAMES)
        if fitting >= len(labels_R):
            return rows
        chosen = np.linspace(0, len(labels_R) - 1, max(fitting, FEWEST_ROWS)).round().astype(int)
        return StripRows(z_RZ=z_RZ[chosen], labels_R=labels_R[chosen])

    def _make(self, generator: Generator, rows: StripRows) -> Values:
        """Return what the generator makes of the rows, as the codec stores it."""
        device = device_of(generator)
        with torch.inference_mode():
            samples = generator(rows.z_RZ.to(device), torch.from_numpy(rows.labels_R).to(device))
        return self._codec.to_values(samples)


def stride_of(number: int) -> int:
    """Return the smallest power of two of which at most `MOST_FRAMES` multiples are in 0 … n."""
    stride = 1
    while number // stride + 1 > MOST_FRAMES:
        stride *= 2
    return stride


def row_classes(classes: int, most: int) -> Values:
    """Return a class index per row: of many classes some, of few each several times."""
    if classes == 0:
        return np.zeros(most, dtype=np.int64)
    if classes > most:
        return np.linspace(0, classes - 1, most).round().astype(np.int64)
    return np.repeat(np.arange(classes), most // classes)
