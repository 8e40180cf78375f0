"""Signals of a training: counted on the device at every step, so that no step waits for them.

A step whose gradients are no finite numbers changes no weight: the optimiser is told so on the
device. What counters cannot see is what `gan.training.probe` looks at, once per tick.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

NETWORKS = ("generator", "discriminator")


class Signals(NamedTuple):
    """What was seen of a training since its last tick; None is not known."""

    losses: Mapping[str, float]
    """Means over the finite steps."""
    weights_finite: bool = True
    skipped: int = 0
    """Steps that were left out, because a loss or a gradient was no finite number."""
    longest: int = 0
    """Most of them in a row."""
    generator_gradient: float | None = None
    """Mean length of the gradient over the finite steps."""
    discriminator_gradient: float | None = None
    diversity: float | None = None
    """How much samples of fixed latents differ within their class, in what real records do."""
    validation_gap: float | None = None
    """(D(train) - D(validation)) / (D(train) - D(fakes)): 0 nothing learned by heart, 1 all of it
    (Karras et al., StyleGAN2-ADA, 2020, eq. 1). The paper's other signal, the sign of D(train),
    says nothing with a relativistic loss, whose logits have no zero."""
    gap_certain: bool = False
    """Whether chance alone does not explain that D(train) is above D(validation)."""

    def numbers(self) -> dict[str, float]:
        """Return what goes into the statistics of a tick."""
        found = {
            "generator_gradient": self.generator_gradient,
            "discriminator_gradient": self.discriminator_gradient,
            "diversity": self.diversity,
            "validation_gap": self.validation_gap,
            "skipped_steps": float(self.skipped) or None,
        }
        return {**self.losses, **{name: one for name, one in found.items() if one is not None}}


class Skipping(Protocol):
    """An optimiser that leaves its step out where a number on its device is one."""

    found_inf: Tensor


class Gauges:
    """Counters on the device, part of a checkpoint."""

    SKIPPED, STREAK, LONGEST, LENGTHS = 0, 1, 2, 3
    """Places of the counters; then sum and number of the gradient lengths of each network."""

    def __init__(self, device: torch.device) -> None:
        size = self.LENGTHS + 2 * len(NETWORKS)
        self.counts = torch.zeros(size, dtype=torch.float64, device=device)
        self._good = torch.ones((), dtype=torch.bool, device=device)

    def check_gradients(self, name: str, optimiser: Any) -> None:
        """Let the next step of an optimiser change nothing if its gradients are not finite.

        One that cannot skip gets gradients of zero, which change no weight without momentum.
        """
        weights = [one for group in optimiser.param_groups for one in group["params"]]
        gradients = [one.grad for one in weights if one.grad is not None]
        length = nn.utils.get_total_norm(gradients)
        finite = length.isfinite()
        if can_skip(optimiser):
            optimiser.found_inf = (~finite).float()
        else:
            for gradient in gradients:
                gradient.nan_to_num_(0.0, 0.0, 0.0).mul_(finite)
        place = self.LENGTHS + 2 * NETWORKS.index(name)
        self.counts[place] += torch.where(finite, length, 0.0)
        self.counts[place + 1] += finite
        self._good = self._good & finite

    def count_step(self, losses: Tensor) -> Tensor:
        """Count a step; return its losses and a one, or zeros where something was not finite."""
        good = self._good & losses.isfinite().all()
        self._good = torch.ones_like(good)
        counts, bad = self.counts, (~good).double()
        counts[self.SKIPPED] += bad
        counts[self.STREAK] = (counts[self.STREAK] + 1) * bad
        counts[self.LONGEST] = torch.maximum(counts[self.LONGEST], counts[self.STREAK])
        counted = torch.cat([losses.double(), torch.ones_like(bad)[None]])
        return torch.where(good, counted, 0.0)

    def begin_tick(self) -> None:
        """Count anew; a row of steps that were left out goes on."""
        streak = self.counts[self.STREAK].clone()
        self.counts.zero_()
        self.counts[self.STREAK] = streak
        self.counts[self.LONGEST] = streak


def can_skip(optimiser: torch.optim.Optimizer) -> bool:
    """Return whether an optimiser leaves out a step on its device, as fused ones do."""
    return bool(getattr(optimiser, "_step_supports_amp_scaling", False))
