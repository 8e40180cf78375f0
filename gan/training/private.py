"""Training with differential privacy: clipped gradients, noise, and records drawn by chance.

Abadi et al., "Deep learning with differential privacy" (CCS 2016), algorithm 1. Every step takes
each record with the same probability, whatever the others do; what the records' gradients sum to,
each at most so long, gets Gaussian noise. How much follows from the accountant
(`gan.accounting`), for a number of steps that is fixed before the first.

Noise and draws come from a seed that is stored nowhere: whoever could repeat them could take the
noise away. So a private training is not repeatable, and one that was interrupted goes on with other
noise. No loss is reported, and nothing is assessed: that would be another look at the records.
"""

import torch
from torch import Tensor

from gan.accounting import new_secret
from gan.config import PrivateConfig, ResolvedConfig
from gan.device import DeviceContext
from gan.errors import ConfigError, TrainingError
from gan.randomness import stream
from gan.training.batches import Batch
from gan.training.state import TrainState


class PrivateLikelihood:
    """The generator's likelihood, of which no record can move the weights by more than noise."""

    def __init__(self, config: ResolvedConfig, context: DeviceContext) -> None:
        self.config, self.context = config, context
        self.private = _required(config)
        self.secret = new_secret()

    def step(self, state: TrainState, batch: Batch, share: float) -> Tensor:
        """Change the generator once and return no loss.

        Args:
            state: network and optimiser, changed in place.
            batch: is not trained on; the step draws its own records.
            share: used share of the budget, which the learning rate follows.
        """
        private, seen = self.private, state.progress.samples_seen
        if seen // self.config.batch_size >= private.steps:
            msg = f"a private training ends after {private.steps} steps: run it again"
            raise TrainingError(msg)
        state.follow_schedule(share)
        numbers = stream(self.secret, "private-step", seen)
        for weights in state.generator.parameters():
            weights.grad = torch.zeros_like(weights)
        for samples, labels_N in self._drawn(state, batch, numbers):
            state.generator.add_clipped(samples, labels_N, numbers, private.clip)
        self._disturb(state, numbers)
        state.apply("generator")
        return torch.zeros(0, device=self.context.device)

    def _drawn(
        self, state: TrainState, batch: Batch, numbers: torch.Generator
    ) -> list[tuple[Tensor, Tensor]]:
        """Return the records of a step, each of them there by its own chance, in parts.

        Where steps are only timed, the state holds no records: then those of the batch.
        """
        encoded = state.encoded
        if encoded is None:
            return [(batch.reals, batch.labels_N)]
        chances_N = torch.rand(len(encoded.values), generator=numbers, dtype=torch.float64)
        rows_N = (chances_N < self.private.sample_rate).nonzero()[:, 0]
        found = []
        for part in rows_N.split(state.progress.micro_batch):
            rows = part.numpy()
            if not len(rows):
                continue
            values = self.context.send(torch.from_numpy(encoded.values[rows]))
            labels_N = self.context.send(torch.from_numpy(encoded.labels_N[rows]))
            found.append((state.codec.to_samples(values), labels_N))
        return found

    def _disturb(self, state: TrainState, numbers: torch.Generator) -> None:
        """Add noise to the summed gradients, and make them the mean over an expected batch."""
        private = self.private
        deviation = private.noise * private.clip
        for weights in state.generator.parameters():
            if weights.grad is None:
                continue
            noise = torch.randn(weights.shape, generator=numbers).to(weights.device)
            weights.grad.add_(noise, alpha=deviation).div_(self.config.batch_size)


def _required(config: ResolvedConfig) -> PrivateConfig:
    if config.private is None:
        msg = "this configuration says nothing of its privacy: resolve the recipe again"
        raise ConfigError(msg)
    return config.private
