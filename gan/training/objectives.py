"""Objectives: what one training step changes. A phase names one of `OBJECTIVES`.

Adversarial: one step of the discriminator and one of the generator. Likelihood: the generator
minimises the mean nats per record.

Shapes: N pairs of one real and one fake, M = 2N.
"""

import functools
from collections.abc import Callable
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from gan.config import ResolvedConfig
from gan.device import DeviceContext
from gan.errors import ConfigError
from gan.protocols import Discriminator
from gan.training import ranks
from gan.training.augment import augment
from gan.training.batches import Batch
from gan.training.losses import ADVERSARIAL, REPORTED
from gan.training.private import PrivateLikelihood
from gan.training.regularizers import PENALTIES, PenaltyInputs
from gan.training.state import TrainState, cosine
from gan.training.techniques import TECHNIQUES, TermInputs

Compared = tuple[Tensor, Tensor | None]
"""N reals, then N fakes; and a loss that the generator adds of its own."""


class Adversarial:
    """A loss, a penalty and techniques by their names in the configuration, and augmentation.

    Both steps share one pass of the generator and one augmentation: the generator does not change
    between them, so a second pass on the same latents would give the same fakes. Each `backward`
    names its inputs, so the discriminator's step computes no gradient of the generator and the
    generator's step none of the discriminator.
    """

    def __init__(self, config: ResolvedConfig, context: DeviceContext) -> None:
        self.config, self.context = config, context
        self.loss, self.penalty = ADVERSARIAL[config.loss], PENALTIES[config.penalty]
        self.techniques = [(TECHNIQUES[name], weight) for name, weight in config.terms.items()]
        self.pack = int(config.network.get("pack", 1))

    def step(self, state: TrainState, batch: Batch, share: float) -> Tensor:
        """Change both networks once and return the losses in the order of `REPORTED`.

        With several discriminator steps the generator changes in the last of so many batches.

        A batch that does not fit in memory goes through in parts with summed gradients. Then the
        fakes are made anew for the generator's step, because keeping the graphs of all parts would
        take the very memory that is to be saved.

        Args:
            state: networks and optimisers, changed in place.
            batch: the samples of this step.
            share: used share of the budget, which learning rate and penalty follow.
        """
        config = self.config
        share = state.follow_schedule(share)
        steps = state.progress.samples_seen // config.batch_size
        gamma = cosine(config.gamma, config.gamma_end, share) * state.progress.gamma_factor
        strength = (steps % config.penalty_interval == 0) * config.penalty_interval * gamma / 2
        moves = (steps + 1) % config.discriminator_steps == 0
        parts = batch.chunks(state.at_once)
        at_once = len(parts) == 1 and moves
        losses = torch.zeros(len(REPORTED["adversarial"]), device=self.context.device)
        for part in parts:
            with torch.set_grad_enabled(at_once):
                pairs, own = self._pairs(state, part, share)
            weight = len(part.labels_N) / len(batch.labels_N)
            losses += self.discriminator_step(state, pairs.detach(), part, strength, weight)
        self._apply(state, "discriminator")
        for part in parts if moves else ():
            if not at_once:
                pairs, own = self._pairs(state, part, share)
            weight = len(part.labels_N) / len(batch.labels_N)
            losses += self.generator_step(state, (pairs, own), part, weight)
        if moves:
            self._apply(state, "generator")
        return losses

    def _pairs(self, state: TrainState, part: Batch, share: float) -> Compared:
        """Return N reals, then N fakes of the same classes, all changed alike."""
        inputs = (part.reals, part.z_NZ, part.labels_N, part.stream)
        with self.context.autocast(), ranks.whole_batch(len(part.labels_N), pack=self.pack):
            reals, fakes, own = state.generator.pairs(*inputs)
        pairs = torch.cat([reals, fakes.float()])
        with ranks.whole_batch(len(pairs), halves=True):
            pairs = augment(pairs, self.config.augment, state.progress.augment_share, part.stream)
            for technique, scale in self.techniques:
                if technique.samples is not None:
                    pairs = technique.samples(pairs, scale * (1 - share), part.stream)
        return pairs, own

    def _logits(
        self, discriminator: nn.Module, samples: Tensor, labels: Tensor, *, pairs: bool = False
    ) -> Tensor:
        """Return what both losses see, of reals and fakes together where these are `pairs`."""
        whole_batch = ranks.whole_batch(len(samples), pack=self.pack, halves=pairs)

        def judge(samples: Tensor) -> Tensor:
            with self.context.autocast(), whole_batch:
                logits: Tensor = discriminator(samples, labels)
            return logits.float()

        return (
            judge(samples) if self.penalty.logits is None else self.penalty.logits(judge, samples)
        )

    def discriminator_step(
        self, state: TrainState, pairs: Tensor, part: Batch, strength: float, weight: float
    ) -> Tensor:
        """Add the gradients of the discriminator's loss and penalty; return the losses."""
        discriminator, labels_M = _prepare(state, part), part.labels_N.repeat(2)
        penalised = strength > 0 and self.penalty.gradient is not None
        pairs.requires_grad_(penalised)
        logits_M = self._logits(discriminator, pairs, labels_M, pairs=True)
        real_logits_N, fake_logits_N = logits_M.chunk(2)
        loss = self.loss.discriminator(real_logits_N, fake_logits_N)
        for technique, share in self.techniques:
            if technique.discriminator is not None:
                loss = loss + share * technique.discriminator(real_logits_N)
        steepness = torch.zeros_like(loss)
        if penalised and self.penalty.gradient is not None:
            judge = functools.partial(self._logits, discriminator, labels=part.labels_N)
            inputs = PenaltyInputs(pairs, logits_M, judge, part.stream)
            with ranks.whole_batch(len(part.labels_N), pack=self.pack):
                steepness = self.penalty.gradient(inputs)
        total = (loss + strength * steepness) * weight
        total.backward(inputs=list(discriminator.parameters()))
        return torch.stack([loss.detach(), torch.zeros_like(loss), steepness.detach()]) * weight

    def generator_step(
        self, state: TrainState, compared: Compared, part: Batch, weight: float
    ) -> Tensor:
        """Add the gradients of the generator's loss; return the losses."""
        discriminator = _prepare(state, part)
        reals, fakes = compared[0].chunk(2)
        real_logits_N = torch.zeros(0)
        if self.loss.pairwise:
            with torch.no_grad():
                real_logits_N = self._logits(discriminator, reals, part.labels_N)
        fake_logits_N = self._logits(discriminator, fakes, part.labels_N)
        loss = self.loss.generator(real_logits_N, fake_logits_N)
        features = functools.partial(discriminator.features, labels_N=part.labels_N)
        inputs = TermInputs(reals, fakes, features, *state.current_and_average())
        for technique, share in self.techniques:
            if technique.generator is not None:
                with ranks.whole_batch(len(part.labels_N), pack=self.pack):
                    loss = loss + share * technique.generator(inputs)
        if compared[1] is not None:
            loss = loss + compared[1]
        loss = loss * weight
        loss.backward(inputs=list(state.generator.parameters()))
        zero = torch.zeros_like(loss)
        return torch.stack([zero, loss.detach() * self.config.discriminator_steps, zero])

    def _apply(self, state: TrainState, name: Literal["generator", "discriminator"]) -> None:
        """Change a network by its gradients."""
        network = state.generator if name == "generator" else state.discriminator
        changes = [
            (technique.gradients, length)
            for technique, length in self.techniques
            if technique.gradients is not None
        ]
        state.apply(name, changes)
        if name == "discriminator" and network is not None and self.penalty.weights is not None:
            self.penalty.weights(network)


def _prepare(state: TrainState, part: Batch) -> Discriminator:
    """Return the discriminator, with the randoms of this step.

    Raises:
        ConfigError: the preset has none.
    """
    if state.discriminator is None:
        msg = (
            f"preset {state.config.preset!r} has no discriminator: "
            "an adversarial phase needs one, choose another preset"
        )
        raise ConfigError(msg)
    state.discriminator.stream = part.stream
    return state.discriminator


class Likelihood:
    """The generator's own loss, along half a cosine: negative log-likelihood, or denoising."""

    def __init__(self, config: ResolvedConfig, context: DeviceContext) -> None:  # noqa: ARG002 - an objective
        self.context = context

    def step(self, state: TrainState, batch: Batch, share: float) -> Tensor:
        """Change the generator once and return its loss, the one name of `REPORTED`.

        Args:
            state: network and optimiser, changed in place.
            batch: the samples of this step.
            share: used share of the budget, which the learning rate follows.
        """
        state.follow_schedule(share)
        state.generator.settled = share >= state.config.regularized
        losses = torch.zeros(1, device=self.context.device)
        for part in batch.chunks(state.at_once):
            with self.context.autocast(), ranks.whole_batch(len(part.labels_N)):
                loss = state.generator.loss(part.reals, part.labels_N, part.stream)
            loss = loss * (len(part.labels_N) / len(batch.labels_N))
            loss.backward()
            losses += loss.detach()
        state.apply("generator")
        return losses


class Fitted:
    """Nothing: the generator was fitted before the first step, and one step ends the training."""

    def __init__(self, config: ResolvedConfig, context: DeviceContext) -> None:  # noqa: ARG002 - an objective
        self.context = context

    def step(self, state: TrainState, batch: Batch, share: float) -> Tensor:  # noqa: ARG002
        """Return no loss."""
        return torch.zeros(0, device=self.context.device)


class Objective(Protocol):
    """Changes the networks by one batch."""

    def step(self, state: TrainState, batch: Batch, share: float) -> Tensor:
        """Return the losses that `REPORTED` names, in its order, detached, on the device."""


OBJECTIVES: dict[str, Callable[[ResolvedConfig, DeviceContext], Objective]] = {
    "adversarial": Adversarial,
    "likelihood": Likelihood,
    "denoising": Likelihood,
    "fitted": Fitted,
    "private": PrivateLikelihood,
}


def phases(config: ResolvedConfig, context: DeviceContext) -> list[Objective]:
    """Return the objective of each phase."""
    return [OBJECTIVES[phase.objective](config, context) for phase in config.phases]
