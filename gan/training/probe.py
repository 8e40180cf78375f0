"""The probe: what a tick learns of both networks from fixed records and latents.

It changes nothing: the average generates, the discriminator judges as in evaluation, unaugmented.
All that a tick reads, counters and probe, comes from the device at once.

Shapes: N records of a probe, C classes, V values of a sample, P numbers of a probe.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from gan.device import DeviceContext
from gan.training.batches import Batch, Batches
from gan.training.losses import REPORTED
from gan.training.signals import Gauges, Signals
from gan.training.state import TrainState

PROBED = 256
"""About how many records of train, of validation and of fakes are looked at."""
PROBED_SHARE = 8
"""But no more than a tick's samples over this, so that slow networks stay cheap."""
CERTAIN = 3.0
"""Standard errors by which D(train) must be above D(validation)."""
FEWEST = 8
"""Logits from which an error is known."""
ROWS_PER_CLASS = 4
"""With fewer records to a class, samples are compared over all classes at once."""
LEAST_SPREAD = 1e-6
"""Real records that differ less have no diversity to lose."""


class _Seen(NamedTuple):
    """One set of records, and as many fakes, before the discriminator."""

    reals: Tensor
    fakes: Tensor
    labels_N: Tensor
    real_logits: Tensor
    fake_logits: Tensor


class Probe:
    """Looks at train and validation by the networks of a state."""

    def __init__(
        self, context: DeviceContext, train: Batches, validation: Batches | None = None
    ) -> None:
        """Take the records; validation holds none of train, without it no gap is known."""
        self.context, self.train, self.validation = context, train, validation

    def read(self, state: TrainState) -> Signals:
        """Return what was seen since the last tick, and count anew; waits for the device once."""
        nothing = torch.zeros((), dtype=torch.float64, device=self.context.device)
        largest = [one.detach().abs().amax().double() for one in state.weights()]
        parts = [
            torch.stack([nothing, *largest]).sum()[None],
            state.gauges.counts,
            *state.sums,
            self._look(state),
        ]
        sizes = [len(part) for part in parts]
        numbers = iter(torch.cat(parts).tolist())
        (weights,), counts, *sums, looked = [[next(numbers) for _ in range(n)] for n in sizes]
        losses: dict[str, float] = {}
        for phase, (*totals, steps) in zip(state.config.phases, sums, strict=True):
            if steps:
                means = [total / steps for total in totals]
                losses |= dict(zip(REPORTED[phase.objective], means, strict=True))
        lengths = [
            counts[place] / counts[place + 1] if counts[place + 1] else None
            for place in range(Gauges.LENGTHS, len(counts), 2)
        ]
        state.begin_tick()
        signals = Signals(
            losses=losses,
            weights_finite=math.isfinite(weights),
            skipped=int(counts[Gauges.SKIPPED]),
            longest=int(counts[Gauges.LONGEST]),
            generator_gradient=lengths[0],
            discriminator_gradient=lengths[1],
        )
        return _judged(signals, *looked) if looked else signals

    @torch.no_grad()
    def _look(self, state: TrainState) -> Tensor:
        """Return numbers_P, the arguments of `_judged`; none where there is no discriminator."""
        if state.discriminator is None:
            return torch.zeros(0, dtype=torch.float64, device=self.context.device)
        state.discriminator.eval()
        try:
            seen = self._see(state, self.train)
            unseen = None if self.validation is None else self._see(state, self.validation)
        finally:
            state.discriminator.train()
        fakes = seen.fake_logits
        unknown = torch.full_like(fakes, math.nan)
        train, other = seen.real_logits, unknown if unseen is None else unseen.real_logits
        rows = [len(one.encoded.values) if one else 1 for one in (self.train, self.validation)]
        errors = [
            _squared_error(logits, many) for logits, many in zip((train, other), rows, strict=True)
        ]
        numbers = [
            _diversity(seen, len(self.train.codec.classes)),
            *(logits.mean() for logits in (train, other, fakes)),
            (errors[0] + errors[1]).sqrt(),
        ]
        return torch.stack([one.double() for one in numbers])

    def _see(self, state: TrainState, batches: Batches) -> _Seen:
        """Return what the discriminator says of the first records and of fixed latents."""
        found = [self._pair(state, part) for part in self._parts(state, batches)]
        return _Seen(*(torch.cat(parts) for parts in zip(*found, strict=True)))

    def _parts(self, state: TrainState, batches: Batches) -> Iterator[Batch]:
        """Yield as much as is worth its time, in parts that fit in memory."""
        progress, size = state.progress, state.config.batch_size
        ticked = progress.samples_seen - progress.spent_at_tick.samples
        for index in range(max(1, min(PROBED, ticked // PROBED_SHARE) // size)):
            batch = batches.take(index * size, size, state.config.latent)
            yield from batch.chunks(progress.micro_batch)

    def _pair(self, state: TrainState, part: Batch) -> _Seen:
        assert state.discriminator is not None  # noqa: S101 - asked with one only
        state.discriminator.stream = part.stream
        labels_N = part.labels_N
        with self.context.autocast():
            pairs = state.generator_ema.pairs(part.reals, part.z_NZ, labels_N, part.stream)
            reals, fakes = pairs.reals.float(), pairs.fakes.float()
            logits = state.discriminator(torch.cat([reals, fakes]), labels_N.repeat(2))
        return _Seen(reals, fakes, labels_N, *logits.float().chunk(2))


def _squared_error(logits: Tensor, records: int) -> Tensor:
    """Return that of their mean, of at most so many records; NaN where too few say anything."""
    rows = min(len(logits), records)
    return logits.var(correction=0) / (rows - 1 if rows >= FEWEST else math.nan)


def _diversity(seen: _Seen, classes: int) -> Tensor:
    """Return the spread of fakes within their class, in that of reals; 1 where reals have none.

    The squared deviation from a class's mean is half the mean squared distance of two samples.
    """
    labels_N = seen.labels_N
    if classes * ROWS_PER_CLASS > len(labels_N) or not classes:
        labels_N, classes = torch.zeros_like(labels_N), 1
    members_CN = torch.nn.functional.one_hot(labels_N, classes).float().T
    counts_C1 = members_CN.sum(1, keepdim=True).clamp_min(1.0)
    spreads = []
    for samples in (seen.reals, seen.fakes):
        samples_NV = samples.flatten(1)
        means_CV = members_CN @ samples_NV / counts_C1
        spreads.append((samples_NV - means_CV[labels_N]).square().mean())
    reals, fakes = spreads
    return torch.where(reals > LEAST_SPREAD**2, (fakes / reals).sqrt(), 1.0)


def _judged(
    signals: Signals, diversity: float, train: float, validation: float, fakes: float, error: float
) -> Signals:
    """Return the signals with those that the probe gives, from means of D and their error."""
    gap, whole = train - validation, train - fakes
    known = math.isfinite(gap) and whole > CERTAIN * error
    return signals._replace(
        diversity=diversity,
        validation_gap=gap / whole if known else None,
        gap_certain=known and gap > CERTAIN * error,
    )
