"""The training samples, in memory as they are stored, dealt out epoch by epoch.

Shapes: N samples of one step.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gan.codecs import Codec, Encoded
from gan.config import ResolvedConfig
from gan.device import DeviceContext
from gan.errors import DataError
from gan.randomness import stream
from gan.training import ranks
from gan.training.state import Progress

ALL = slice(None)


class Batch(NamedTuple):
    """What one step trains on; the labels serve reals and fakes alike."""

    reals: Tensor
    labels_N: Tensor
    z_NZ: Tensor
    stream: torch.Generator
    """The step's own stream, on the processor, for augmentation."""

    def chunks(self, size: int) -> "list[Batch]":
        """Return the batch in parts of at most `size`, in order."""
        parts = zip(
            self.reals.split(size), self.labels_N.split(size), self.z_NZ.split(size), strict=True
        )
        return [Batch(*part, self.stream) for part in parts]


class Batches:
    """Samples of position p, p + 1, …: every epoch shows every sample once, in its own order.

    A batch depends on the position alone, so a resumed training sees what it would have seen.
    """

    def __init__(
        self, encoded: Encoded, codec: Codec, context: DeviceContext, *, seed: int
    ) -> None:
        if len(encoded.values) == 0:
            msg = "there are no training records: split train has 0 rows"
            raise DataError(msg)
        self.codec, self.context, self.seed = codec, context, seed
        self.encoded = encoded
        self._epoch = -1
        self._order_R = torch.empty(0, dtype=torch.int64)

    def next(self, config: ResolvedConfig, progress: Progress) -> Batch:
        """Return this rank's share of what the next step of a training sees."""
        wanted = (config.batch_size, config.latent, progress.draw)
        return self.take(progress.samples_seen, *wanted, ranks.share(config.batch_size))

    def take(
        self, position: int, count: int, latent: int, draw: int = 0, part: slice = ALL
    ) -> Batch:
        """Return the `count` samples from a position on, with fresh latents of that draw.

        Of these a part: its randoms are those that it has within the whole.
        """
        rows_N = self._rows(position, count)[part].numpy()
        numbers = stream(self.seed, f"step-{draw}" if draw else "step", position)
        values = torch.from_numpy(self.encoded.values[rows_N])
        labels_N = torch.from_numpy(self.encoded.labels_N[rows_N])
        z_NZ = torch.randn(count, latent, generator=numbers)[part]
        return Batch(
            self.codec.to_samples(self.context.send(values)),
            self.context.send(labels_N),
            self.context.send(z_NZ),
            numbers,
        )

    def everything(self) -> Tensor:
        """Return all samples, in the order of the records."""
        return self.codec.to_samples(
            self.context.send(torch.from_numpy(self.encoded.values.copy()))
        )

    def _rows(self, position: int, count: int) -> Tensor:
        """Return row numbers; a batch may span the end of an epoch."""
        parts = []
        while count:
            epoch, offset = divmod(position, len(self.encoded.values))
            part = self._order(epoch)[offset : offset + count]
            parts.append(part)
            position, count = position + len(part), count - len(part)
        return torch.cat(parts)

    def _order(self, epoch: int) -> Tensor:
        if epoch != self._epoch:
            shuffle = stream(self.seed, "epoch", epoch)
            self._order_R = torch.randperm(len(self.encoded.values), generator=shuffle)
            self._epoch = epoch
        return self._order_R
