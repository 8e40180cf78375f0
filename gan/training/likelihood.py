"""The likelihood objective: the generator minimises the mean nats per record."""

import torch
from torch import Tensor

from gan.config import ResolvedConfig
from gan.device import Place
from gan.training.batches import Batch
from gan.training.schedules import cosine
from gan.training.state import TrainState


class Likelihood:
    """Negative log-likelihood by Adam along half a cosine; the generator says its own loss."""

    def __init__(self, config: ResolvedConfig, place: Place) -> None:
        self.config, self.place = config, place

    def step(self, state: TrainState, batch: Batch, share: float) -> Tensor:
        """Change the generator once and return its loss, the one name of `REPORTED`.

        Args:
            state: network and optimiser, changed in place.
            batch: the samples of this step.
            share: used share of the budget, which the learning rate follows.
        """
        config = self.config
        state.set_learning_rate(
            state.progress.learning_rate_factor
            * cosine(config.learning_rate, config.learning_rate_end, share)
        )
        losses = torch.zeros(1, device=self.place.device)
        for part in batch.chunks(state.progress.micro_batch):
            with self.place.autocast():
                loss = state.generator.loss(part.reals, part.stream)
            loss = loss * (len(part.labels_N) / len(batch.labels_N))
            loss.backward()
            losses += loss.detach()
        state.apply("generator")
        return losses
