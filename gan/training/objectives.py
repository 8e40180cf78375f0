"""The table of objectives: name in a phase → what does its steps."""

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from gan.config import ResolvedConfig
from gan.device import Place
from gan.training.adversarial import Adversarial
from gan.training.batches import Batch
from gan.training.likelihood import Likelihood
from gan.training.memorise import Memorise
from gan.training.state import TrainState


class Objective(Protocol):
    """Changes the networks by one batch."""

    def step(self, state: TrainState, batch: Batch, share: float) -> Tensor:
        """Return the losses that `REPORTED` names, in its order, detached, on the device."""


OBJECTIVES: dict[str, Callable[[ResolvedConfig, Place], Objective]] = {
    "adversarial": Adversarial,
    "likelihood": Likelihood,
    "memorise": Memorise,
}


def phases(config: ResolvedConfig, place: Place) -> list[Objective]:
    """Return the objective of each phase."""
    return [OBJECTIVES[phase.objective](config, place) for phase in config.phases]
