"""The averaged generator, which is the one that is shipped."""

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn


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
