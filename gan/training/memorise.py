"""The objective without learning: the generator keeps the training records themselves.

For baselines alone: what such a generator makes is copies, and the gate must say so.
"""

import torch
from torch import Tensor

from gan.config import ResolvedConfig
from gan.device import DeviceContext
from gan.training.batches import Batch
from gan.training.state import TrainState


class Memorise:
    """Hands every batch to the generator, once."""

    def __init__(self, config: ResolvedConfig, context: DeviceContext) -> None:  # noqa: ARG002 - an objective
        self.context = context

    def step(self, state: TrainState, batch: Batch, share: float) -> Tensor:  # noqa: ARG002 - same
        """Keep the batch and return no losses."""
        state.generator.memorise(batch.reals, state.progress.samples_seen)
        return torch.zeros(0, device=self.context.device)
