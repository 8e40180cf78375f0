"""Everything a training carries from one step to the next; a checkpoint is exactly this.

Randomness is no part of it: every step draws from its own stream.
"""

import copy
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor, nn

from gan.config import ResolvedConfig
from gan.device import Place
from gan.modalities import load_modality
from gan.protocols import Codec
from gan.randomness import stream
from gan.report import Event
from gan.training.ema import ema_decay, update_average

LOSSES = ("discriminator_loss", "generator_loss", "gradient_penalty")
"""What a step returns, in this order."""


@dataclass
class Progress:
    """The state's numbers, JSON-able; all decisions are taken on these."""

    samples_seen: int = 0
    seconds: float = 0.0
    stopped: str | None = None
    """Why training ended, None while it goes on."""
    repairs: int = 0
    learning_rate_factor: float = 1.0
    """Halved by every repair."""
    micro_batch: int = 0
    """Samples that go through the networks at once; below the batch size they are accumulated."""
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


class TrainState:
    """Networks, average, optimisers, the best snapshot so far, and progress."""

    def __init__(self, config: ResolvedConfig, codec: Codec, place: Place) -> None:
        self.config = config
        networks = load_modality(config.modality).build(
            config, codec, stream(config.seed, "weights")
        )
        self.generator, self.discriminator = networks
        for network in networks:
            place.settle(network)
        self.generator_ema = copy.deepcopy(self.generator).requires_grad_(False)
        self.generator_adam = _adam(self.generator, config)
        self.discriminator_adam = _adam(self.discriminator, config)
        self.best = _cloned(self.generator_ema)
        self.sums = torch.zeros(len(LOSSES), dtype=torch.float64, device=place.device)
        """Losses since the last tick; read once per tick, so that no step waits for the device."""
        self.progress = Progress(micro_batch=config.batch_size)
        self._averaged = (list(self.generator_ema.parameters()), list(self.generator.parameters()))

    def set_learning_rate(self, learning_rate: float) -> None:
        """Set both optimisers' step size."""
        for optimiser in (self.generator_adam, self.discriminator_adam):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate

    def after_step(self, losses: Tensor) -> None:
        """Count one step: its samples, its losses, and its share in the average."""
        config, seen = self.config, self.progress.samples_seen + self.config.batch_size
        self.progress.samples_seen = seen
        self.sums += losses
        decay = ema_decay(
            seen,
            config.batch_size,
            half_life_samples=config.ema_half_life_samples,
            ramp=config.ema_ramp,
        )
        update_average(*self._averaged, decay)

    def keep_best(self, rank: float | None) -> None:
        """Take the average as it stands as the best snapshot."""
        self.best = _cloned(self.generator_ema)
        self.progress.best_samples_seen = self.progress.samples_seen
        self.progress.best_rank = rank

    def tensors(self) -> dict[str, Tensor]:
        """Return every tensor under its name in a checkpoint; on the device, not copied."""
        return {
            **dict(_named("generator", self.generator.state_dict())),
            **dict(_named("discriminator", self.discriminator.state_dict())),
            **dict(_named("generator_ema", self.generator_ema.state_dict())),
            **dict(_named("best", self.best)),
            **dict(_moments("generator_adam", self.generator, self.generator_adam)),
            **dict(_moments("discriminator_adam", self.discriminator, self.discriminator_adam)),
            "sums": self.sums,
        }

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor], progress: Progress) -> None:
        """Go to a checkpoint's tensors and numbers; raises KeyError when one is missing."""
        for optimiser in (self.generator_adam, self.discriminator_adam):
            optimiser.zero_grad()
        for name, tensor in self.tensors().items():
            tensor.copy_(tensors[name])
        self.progress = progress


def _adam(network: nn.Module, config: ResolvedConfig) -> torch.optim.Adam:
    """Return a fused Adam whose moments exist from the start, so that they can be restored."""
    optimiser = torch.optim.Adam(
        network.parameters(),
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        fused=True,
    )
    for parameter in network.parameters():
        optimiser.state[parameter] = {
            "step": torch.zeros((), device=parameter.device),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }
    return optimiser


def _moments(
    prefix: str, network: nn.Module, optimiser: torch.optim.Adam
) -> Iterator[tuple[str, Tensor]]:
    for name, parameter in network.named_parameters():
        for moment, tensor in optimiser.state[parameter].items():
            yield f"{prefix}.{name}.{moment}", tensor


def _named(prefix: str, tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in tensors.items():
        yield f"{prefix}.{name}", tensor


def _cloned(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}
