"""Everything a training carries from one step to the next; a checkpoint is exactly this.

Randomness is no part of it: every step draws from its own stream. Schedules (learning rate, phase,
tick, average) are pure functions of the samples seen.
"""

import copy
import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from gan.codecs import Codec, Encoded
from gan.config import ResolvedConfig
from gan.device import DeviceContext
from gan.modalities import load_modality
from gan.randomness import stream
from gan.report import Event
from gan.training import ranks
from gan.training.losses import REPORTED
from gan.training.optimizers import DECAY, build_optimizer
from gan.training.regularizers import PENALTIES
from gan.training.signals import Gauges
from gan.training.techniques import check_techniques


class Spent(NamedTuple):
    """What a training has used so far, over all its runs."""

    samples: int
    seconds: float
    """Of wall time."""
    cpu_s: float = 0.0
    """Of processor time, over all threads."""


LEAST_SHARE = 1e-9
"""Of a budget: less is nothing left."""


def used_share(config: ResolvedConfig, spent: Spent) -> float:
    """Return the used share of the budget that will run out first, 0 to 1.

    With a budget of samples alone, equal work gives equal weights on any machine; a budget of
    time gives that up, so that the learning rate has fallen when the time is over.
    """
    budgets = (config.budget_samples, config.budget_s, config.budget_cpu_s)
    shares = [
        used / budget for used, budget in zip(spent, budgets, strict=True) if budget is not None
    ]
    return min(max(shares, default=1.0), 1.0)


def is_spent(config: ResolvedConfig, spent: Spent) -> bool:
    """Return whether a budget has run out, or nothing is left to train."""
    if config.is_fitted and spent.samples:
        return True
    budgets = (config.budget_samples, config.budget_s, config.budget_cpu_s)
    return any(
        budget is not None and used >= budget for used, budget in zip(spent, budgets, strict=True)
    )


def seconds_left(config: ResolvedConfig, spent: Spent) -> float | None:
    """Return how long the budgets of time still last; None where there is none.

    Processor time goes on as it did so far.
    """
    left = []
    if config.budget_s is not None:
        left.append(config.budget_s - spent.seconds)
    if config.budget_cpu_s is not None and spent.cpu_s > 0:
        left.append((config.budget_cpu_s - spent.cpu_s) * spent.seconds / spent.cpu_s)
    return max(min(left), 0.0) if left else None


def phase_at(config: ResolvedConfig, share: float) -> int:
    """Return the index of the phase that is due after this share of the budget."""
    end = 0.0
    for index, phase in enumerate(config.phases):
        end += phase.fraction
        if share < end:
            return index
    return len(config.phases) - 1


def share_of_phase(config: ResolvedConfig, share: float) -> float:
    """Return the used share of the phase that is due after this share of the budget."""
    phase = phase_at(config, share)
    before = sum(each.fraction for each in config.phases[:phase])
    return min(max((share - before) / config.phases[phase].fraction, 0.0), 1.0)


def crosses_tick(config: ResolvedConfig, samples_seen: int) -> bool:
    """Return whether the step that ended at `samples_seen` finished a tick."""
    before = samples_seen - config.batch_size
    return samples_seen // config.tick_samples > before // config.tick_samples


TIMED_TICKS = 14
"""Ticks that a budget of time has where assessing is cheap, as a preset's budget of samples has.
The first takes half as long, so that it is assessed within a tenth of the budget, the assessment
included."""
STEPS_PER_LOOK = 5.0
"""With a budget of time, steps take at least so many times as long as the assessment before them:
in a minute of which assessments took half, the steps were as many as in half a minute."""
LONGEST_TICK_S = 300.0
"""With a budget of time a tick comes at the latest after so many seconds."""


def outlasts_tick(config: ResolvedConfig, spent: Spent, before: Spent) -> bool:
    """Return whether the time since the last tick makes one due, however few samples it had.

    Only with a budget of time: with one of samples alone, everything that decides counts samples.
    """
    if not config.is_timed:
        return False
    lasted_s, cpu_s = spent.seconds - before.seconds, spent.cpu_s - before.cpu_s
    ticks = TIMED_TICKS if before.samples else 2 * TIMED_TICKS
    by_share = is_spent(config, Spent(0, seconds=lasted_s * ticks, cpu_s=cpu_s * ticks))
    return by_share or lasted_s >= LONGEST_TICK_S


def is_rested(config: ResolvedConfig, progress: "Progress") -> bool:
    """Return whether steps took long enough since the last assessment for the next one."""
    before = progress.spent_at_tick
    return not config.is_timed or (
        progress.cpu_s - before.cpu_s >= STEPS_PER_LOOK * progress.look_cpu_s
        or progress.seconds - before.seconds >= LONGEST_TICK_S
    )


def cosine(start: float, end: float, share: float) -> float:
    """Return a value that falls from start to end along half a cosine."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * share))


def ema_decay(samples_seen: int, batch_size: int, *, half_life_samples: int, ramp: float) -> float:
    """Return the decay of one step of `batch_size` samples.

    A weight's share halves every `half_life_samples`, early on every `ramp * samples_seen`, so
    that the average follows the quick start (as in StyleGAN2-ADA's set-up, Karras et al. 2020).
    """
    half_life = min(half_life_samples, ramp * samples_seen)
    return math.pow(0.5, batch_size / max(half_life, 1e-8))


@torch.no_grad()
def update_average(average: Sequence[Tensor], current: Sequence[Tensor], decay: float) -> None:
    """Move the averaged weights towards the current ones, in place: a ← decay·a + (1-decay)·c."""
    step = get_ema_multi_avg_fn(decay)
    step(cast("list[Tensor]", average), cast("list[Tensor]", current), torch.tensor(0))


@dataclass
class Progress:
    """The state's numbers, JSON-able; all decisions are taken on these."""

    samples_seen: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0
    """Processor seconds, over all threads."""
    asked_cpu_s: float = 0.0
    """Processor seconds that the threads would have had on an idle machine."""
    look_cpu_s: float = 0.0
    """Processor seconds of the last tick's signals and assessment."""
    stopped: str | None = None
    """Why training ended, None while it goes on."""
    repairs: int = 0
    """How often it went back since it last got beyond where it had failed."""
    failed_at: int = 0
    """The farthest point at which it failed, in samples."""
    draw: int = 0
    """Number of the random stream that steps and new weights are drawn from."""
    learning_rate_factor: float = 1.0
    """Halved where numbers were not finite."""
    gamma_factor: float = 1.0
    """Doubled where the generator collapsed."""
    discriminator_factor: float = 1.0
    """Of the discriminator's learning rate: halved where there is no gamma to double."""
    full_precision: bool = False
    """Whether it computes in float32, whatever was chosen."""
    augment_share: float = 0.0
    """Share of samples that an augmentation changes; raised where the discriminator overfits."""
    micro_batch: int = 0
    """Samples that go through the networks at once; below the batch size they are accumulated."""
    phase: int = 0
    """The last one that began …"""
    phase_began: int = 0
    """… and after how many samples."""
    anchor: list[float] = field(default_factory=lambda: [0.0, 0.0])
    """Used share of the budget when the last phase that was cut short ended, and the share that
    schedules count from there."""
    best_samples_seen: int = 0
    best_rank: float | None = None
    """Rank of the best snapshot, None before the first usable one."""
    copies_reference: float | None = None
    """Copies at the first tick of full coverage."""
    copies_ticks: int = 0
    """Ticks in a row with too many copies."""
    history: list[dict[str, float]] = field(default_factory=list)
    """The lines of `stats.jsonl`."""
    events: list[Event] = field(default_factory=list)

    @property
    def spent(self) -> Spent:
        """What was used so far."""
        return Spent(self.samples_seen, self.seconds, self.cpu_s)

    @property
    def spent_at_tick(self) -> Spent:
        """What had been used at the last tick."""
        if not self.history:
            return Spent(0, 0.0)
        last = self.history[-1]
        return Spent(int(last["samples_seen"]), last["seconds"], last.get("cpu_s", 0.0))

    @property
    def at_tick(self) -> bool:
        """Whether no step was done since the last tick, or since the start."""
        last = self.history[-1]["samples_seen"] if self.history else 0
        return self.samples_seen == last

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as JSON-able data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild progress; raises TypeError or KeyError for another version's data."""
        return cls(**{**data, "events": [Event(**event) for event in data["events"]]})

    def note(self, kind: str, text: str) -> None:
        """Remember that something happened now."""
        self.events.append(Event(kind=kind, samples_seen=self.samples_seen, text=text))


GradientChange = tuple[Callable[[nn.Module, float], None], float]
"""What changes a network's gradients before its step, and how strongly."""


class _Trained(NamedTuple):
    """A network and what changes it."""

    network: nn.Module
    optimiser: torch.optim.Optimizer


class TrainState:
    """Networks, average, optimisers, the best snapshot so far, and progress."""

    def __init__(
        self, config: ResolvedConfig, codec: Codec, context: DeviceContext, draw: int = 0
    ) -> None:
        self.config, self.codec, self.context = config, codec, context
        self.device = context.device
        self.generator, self.discriminator = load_modality(config.modality).build(
            config, codec, stream(config.seed, "weights", draw)
        )
        for network in (self.generator, self.discriminator):
            if network is not None:
                context.move(network)
        check_techniques(config, self.discriminator)
        prepare = PENALTIES[config.penalty].layers
        if prepare is not None and self.discriminator is not None:
            prepare(self.discriminator, stream(config.seed, "layers", draw))
        self.generator_ema = copy.deepcopy(self.generator).requires_grad_(False).eval()
        self.optimisers = {
            name: _Trained(network, build_optimizer(network, config))
            for name, network in (
                ("generator", self.generator),
                ("discriminator", self.discriminator),
            )
            if network is not None and next(network.parameters(), None) is not None
        }
        self.encoded: Encoded | None = None
        """All training records, for what a generator learns of them at once."""
        self.best = _cloned(self.generator_ema)
        self.sums = [
            torch.zeros(1 + len(REPORTED[phase.objective]), dtype=torch.float64, device=self.device)
            for phase in config.phases
        ]
        """Losses and number of the finite steps since the last tick, of each phase; read once per
        tick, so that no step waits."""
        self.gauges = Gauges(self.device)
        self.progress = Progress(
            micro_batch=config.batch_size, augment_share=config.augment_share, draw=draw
        )
        self._averaged = (list(self.generator_ema.parameters()), list(self.generator.parameters()))
        self._copied = (_kept_buffers(self.generator_ema), _kept_buffers(self.generator))

    def follow_schedule(self, share: float) -> float:
        """Set every optimiser's numbers to those of this share of the budget.

        Returns:
            The used share of the phase, which every schedule follows.
        """
        config, factor = self.config, self.progress.learning_rate_factor
        phase, used = config.phases[phase_at(config, share)], share_of_phase(config, share)
        if phase.most_samples is not None:
            seen = self.progress.samples_seen - self.progress.phase_began
            used = max(used, min(seen / phase.most_samples, 1.0))
        start = config.learning_rate if phase.learning_rate is None else phase.learning_rate
        fall = config.learning_rate_end / config.learning_rate
        learning_rate = factor * cosine(start, start * fall, used)
        for name, trained in self.optimisers.items():
            scale = 1.0
            if name == "discriminator":
                scale = config.discriminator_rate * self.progress.discriminator_factor
            for group in trained.optimiser.param_groups:
                group["lr"] = learning_rate * scale
                if share >= config.regularized:
                    group["weight_decay"] = 0.0
                elif DECAY in group:
                    group["weight_decay"] = group[DECAY]
                if phase.beta1 is not None:
                    group["betas"] = (phase.beta1, config.beta2)
        return used

    def begin_step(self) -> float:
        """Return the share of the budget that schedules count as used.

        A phase that begins starts from the average. What a phase leaves of its part, because it has
        had its most samples, goes to those that follow.
        """
        share = self._scheduled_share()
        phase = phase_at(self.config, share)
        most = self.config.phases[phase].most_samples
        seen = self.progress.samples_seen - self.progress.phase_began
        follows = phase == self.progress.phase and phase < len(self.config.phases) - 1
        if follows and most is not None and seen >= most:
            share, phase = sum(each.fraction for each in self.config.phases[: phase + 1]), phase + 1
            self.progress.anchor = [used_share(self.config, self.progress.spent), share]
        if phase != self.progress.phase:
            self.progress.phase = phase
            self.progress.phase_began = self.progress.samples_seen
            self.generator_ema.begin(self.config.phases[phase].objective)
            self.generator.load_state_dict(self.generator_ema.state_dict())
        return share

    def _scheduled_share(self) -> float:
        """Return the used share, of what is left from the anchor on."""
        began, counted = self.progress.anchor
        used = used_share(self.config, self.progress.spent)
        return counted + (used - began) * (1 - counted) / max(1 - began, LEAST_SHARE)

    @property
    def at_once(self) -> int:
        """Samples that go through the networks of this rank at once."""
        return max(self.progress.micro_batch // ranks.count(), 1)

    def apply(self, network: str, changes: Iterable[GradientChange] = ()) -> None:
        """Change the weights of `generator` or `discriminator` by their gradients; forget those.

        The gradients are those of the whole batch, changed as is asked for. Such that are no finite
        numbers change nothing.
        """
        trained, optimiser = self.optimisers[network].network, self.optimisers[network].optimiser
        ranks.average_gradients(trained.parameters())
        for change, strength in changes:
            change(trained, strength)
        self.gauges.check_gradients(network, optimiser)
        optimiser.step()
        optimiser.zero_grad()

    def after_step(self, losses: Tensor, share: float) -> None:
        """Count one step: its samples, its phase's losses, and its share in the average.

        Buffers are no weights: the average takes the generator's as they are.
        """
        config, seen = self.config, self.progress.samples_seen + self.config.batch_size
        self.progress.samples_seen = seen
        losses = self.gauges.count_step(ranks.mean(losses))
        self.sums[phase_at(config, share)] += losses
        decay = ema_decay(
            seen,
            config.batch_size,
            half_life_samples=config.ema_half_life_samples,
            ramp=config.ema_ramp,
        )
        if self._averaged[0]:
            update_average(*self._averaged, decay)
        for average, current in zip(*self._copied, strict=True):
            average.copy_(current)

    def begin_tick(self) -> None:
        """Count anew."""
        for sums in self.sums:
            sums.zero_()
        self.gauges.begin_tick()

    def weights(self) -> Iterator[Tensor]:
        """Yield every weight that must be a finite number."""
        for network in (self.generator, self.discriminator, self.generator_ema):
            if network is not None:
                yield from network.parameters()

    def fitted(self) -> Self:
        """Let the generator learn from all training records what it learns at once."""
        if self.encoded is not None:
            self.generator.fit(self.encoded, self.config.seed)
        self.generator_ema.load_state_dict(self.generator.state_dict())
        self.best = _cloned(self.generator_ema)
        return self

    def current_and_average(self) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Return the generator's weights and their running averages, in the same order."""
        average, current = self._averaged
        return current, average

    def keep_best(self, rank: float | None) -> None:
        """Take the average as it stands as the best snapshot."""
        self.best = _cloned(self.generator_ema)
        self.progress.best_samples_seen = self.progress.samples_seen
        self.progress.best_rank = rank

    def tensors(self) -> dict[str, Tensor]:
        """Return every tensor under its name in a checkpoint; on the device, not copied."""
        judging = {} if self.discriminator is None else self.discriminator.state_dict()
        found = {
            **dict(_named("generator", self.generator.state_dict())),
            **dict(_named("discriminator", judging)),
            **dict(_named("generator_ema", self.generator_ema.state_dict())),
            **dict(_named("best", self.best)),
            **dict(_named("sums", {str(phase): sums for phase, sums in enumerate(self.sums)})),
            "gauges": self.gauges.counts,
        }
        for name, trained in self.optimisers.items():
            found |= dict(_moments(f"{name}_{self.config.optimizer}", *trained))
        return found

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor], progress: Progress) -> None:
        """Go to a checkpoint's tensors, numbers and precision; KeyError when one is missing."""
        for trained in self.optimisers.values():
            trained.optimiser.zero_grad()
        for name, tensor in self.tensors().items():
            tensor.copy_(tensors[name])
        self.progress = progress
        if progress.full_precision:
            self.context.compute_fully()


def _kept_buffers(network: nn.Module) -> list[Tensor]:
    """Return the buffers that a snapshot keeps; the others are constants."""
    kept = network.state_dict()
    return [buffer for name, buffer in network.named_buffers() if name in kept]


def _moments(
    prefix: str, network: nn.Module, optimiser: torch.optim.Optimizer
) -> Iterator[tuple[str, Tensor]]:
    for name, parameter in network.named_parameters():
        for moment, tensor in optimiser.state[parameter].items():
            yield f"{prefix}.{name}.{moment}", tensor


def _named(prefix: str, tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in tensors.items():
        yield f"{prefix}.{name}", tensor


def _cloned(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}
