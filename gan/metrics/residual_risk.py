"""What an attack on training records gains over the same attack on records never trained on.

Giomi, Boenisch, Wehmeyer and Tasnádi, "A unified framework for quantifying privacy risk in
synthetic data", PETS 2023 (arXiv:2211.10459), section 4.3: of attacks that succeed on training
records at rate r and on control records at rate c, the risk that is left to the data set is
(r - c) / (1 - c). What everyone's data would give away is no leak of those who were trained on.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gan.metrics.intervals import Z_95, wilson


class Attacked(NamedTuple):
    """Attacks on one kind of record."""

    hits: float
    attacks: float

    @property
    def rate(self) -> float:
        """Share that succeeded."""
        return self.hits / max(self.attacks, 1)


def clustered(hits: Sequence[int], attacks: int) -> tuple[Attacked, float]:
    """Return attacks of which many may hit the same record, and how many of them count as one.

    The design effect of clusters (Kish 1965, Survey Sampling, section 5.4): hits on one record say
    one thing about the data, not as many as there are.

    Args:
        hits: numbers of the records that were hit, one per hit.
        attacks: all of them.
    """
    counts = np.bincount(hits) if len(hits) else np.zeros(1)
    total = counts.sum()
    effect = float((counts**2).sum() / total) if total else 1.0
    return Attacked(float(total), attacks), effect


def thinned(attacked: Attacked, effect: float) -> Attacked:
    """Return the attacks as so many fewer that say as much."""
    return Attacked(attacked.hits / effect, attacked.attacks / effect)


class ResidualRisk(NamedTuple):
    """Risk with its 95 % interval, and how wide the interval of no risk at all is."""

    value: float
    low: float
    high: float
    chance: float
    """Half the width of the interval of records that no generator has seen."""


def residual_risk(train: Attacked, control: Attacked) -> ResidualRisk:
    """Return the risk that is left to training records; below zero by chance alone.

    The interval joins those of Wilson for both rates (Newcombe 1998, Statistics in Medicine 17,
    873, method 10), the baseline's rate in the denominator taken as it is.
    """
    rates, n = (train.rate, control.rate), (max(train.attacks, 1.0), max(control.attacks, 1.0))
    own, other = wilson(rates[0], n[0]), wilson(rates[1], n[1])
    gap, left = rates[0] - rates[1], max(1.0 - rates[1], 1.0 / n[1])
    below = math.hypot(rates[0] - own.low, other.high - rates[1])
    above = math.hypot(own.high - rates[0], rates[1] - other.low)
    spread = math.sqrt(rates[1] * (1 - rates[1]) * (1 / n[0] + 1 / n[1]))
    return ResidualRisk(
        value=gap / left,
        low=(gap - below) / left,
        high=min((gap + above) / left, 1.0),
        chance=Z_95 * spread / left,
    )
