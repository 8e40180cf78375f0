"""The adversarial objective: one step of the discriminator and one of the generator.

Shapes: N pairs of one real and one fake, M = 2N.
"""

import torch
from torch import Tensor, nn

from gan.config import ResolvedConfig
from gan.device import Place
from gan.training.augment import augment
from gan.training.batches import Batch
from gan.training.losses import discriminator_loss, generator_loss
from gan.training.regularizers import r1_r2
from gan.training.schedules import cosine
from gan.training.state import LOSSES, TrainState


class Adversarial:
    """RpGAN + R1 + R2 with augmentation.

    Both steps share one pass of the generator and one augmentation: the generator does not change
    between them, so a second pass on the same latents would give the same fakes. Each `backward`
    names its inputs, so the discriminator's step computes no gradient of the generator and the
    generator's step none of the discriminator.
    """

    def __init__(self, config: ResolvedConfig, place: Place) -> None:
        self.config, self.place = config, place

    def step(self, state: TrainState, batch: Batch, share: float) -> Tensor:
        """Change both networks once and return the losses in the order of `state.LOSSES`.

        A batch that does not fit in memory goes through in parts with summed gradients. Then the
        fakes are made anew for the generator's step, because keeping the graphs of all parts would
        take the very memory that is to be saved.

        Args:
            state: networks and optimisers, changed in place.
            batch: the samples of this step.
            share: used share of the budget, which learning rate and penalty follow.
        """
        penalty = self._follow_schedules(state, share)
        parts = batch.chunks(state.progress.micro_batch)
        at_once = len(parts) == 1
        losses = torch.zeros(len(LOSSES), device=self.place.device)
        for part in parts:
            with torch.set_grad_enabled(at_once):
                pairs = self._pairs(state.generator, part)
            weight = len(part.labels_N) / len(batch.labels_N)
            losses += self._pull_discriminator(state, pairs.detach(), part, penalty, weight)
        _apply(state.discriminator_adam)
        for part in parts:
            if not at_once:
                pairs = self._pairs(state.generator, part)
            weight = len(part.labels_N) / len(batch.labels_N)
            losses += self._pull_generator(state, pairs, part, weight)
        _apply(state.generator_adam)
        return losses

    def _follow_schedules(self, state: TrainState, share: float) -> float:
        """Set the learning rate and return the strength of this step's penalty, 0 for none."""
        config = self.config
        factor = state.progress.learning_rate_factor
        state.set_learning_rate(
            factor * cosine(config.learning_rate, config.learning_rate_end, share)
        )
        due = state.progress.samples_seen // config.batch_size % config.penalty_interval == 0
        return due * config.penalty_interval * cosine(config.gamma, config.gamma_end, share) / 2

    def _pairs(self, generator: nn.Module, part: Batch) -> Tensor:
        """Return N reals, then N fakes of the same classes, all augmented."""
        with self.place.autocast():
            fakes = generator(part.z_NZ, part.labels_N).float()
        return augment(torch.cat([part.reals, fakes]), self.config.augment, part.stream)

    def _logits(self, discriminator: nn.Module, samples: Tensor, labels: Tensor) -> Tensor:
        with self.place.autocast():
            logits: Tensor = discriminator(samples, labels)
        return logits.float()

    def _pull_discriminator(
        self, state: TrainState, pairs: Tensor, part: Batch, penalty: float, weight: float
    ) -> Tensor:
        """Add the gradients of the discriminator's loss and penalty; return the losses."""
        pairs.requires_grad_(penalty > 0)
        logits_M = self._logits(state.discriminator, pairs, part.labels_N.repeat(2))
        loss = discriminator_loss(*logits_M.chunk(2))
        steepness = r1_r2(logits_M, pairs) if penalty > 0 else torch.zeros_like(loss)
        total = (loss + penalty * steepness) * weight
        total.backward(inputs=list(state.discriminator.parameters()))
        return torch.stack([loss.detach(), torch.zeros_like(loss), steepness.detach()]) * weight

    def _pull_generator(
        self, state: TrainState, pairs: Tensor, part: Batch, weight: float
    ) -> Tensor:
        """Add the gradients of the generator's loss; return the losses."""
        reals, fakes = pairs.chunk(2)
        with torch.no_grad():
            real_logits_N = self._logits(state.discriminator, reals, part.labels_N)
        fake_logits_N = self._logits(state.discriminator, fakes, part.labels_N)
        loss = generator_loss(real_logits_N, fake_logits_N) * weight
        loss.backward(inputs=list(state.generator.parameters()))
        zero = torch.zeros_like(loss)
        return torch.stack([zero, loss.detach(), zero])


def _apply(optimiser: torch.optim.Optimizer) -> None:
    """Change the weights by their gradients and forget the gradients."""
    optimiser.step()
    optimiser.zero_grad()
