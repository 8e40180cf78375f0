"""What an arm changes against the baseline: a paired hierarchical bootstrap of seeds and records.

Both arms are scored on the same records by models of the same seeds. A draw takes the records with
replacement, and then the seeds. What single records make of single seeds is in the spread over the
records already, and would be counted again in that over the seeds (Owen 2007, Annals of Applied
Statistics 1, 386, theorem 4): it is taken out there. The spread of a mean over S seeds is
(S - 1) / S of what it should be, so the seeds' part is scaled by the root of S / (S - 1) (Davison &
Hinkley 1997, "Bootstrap methods and their application", section 3.8). With few seeds that spread is
itself uncertain: the interval is as much wider as Student's quantile is than the normal one, at the
degrees of freedom of Satterthwaite 1946 (Biometrics Bulletin 2, 110), to which the seeds alone
contribute.

Shapes: S seeds, E records of the holdout, C classes, B draws.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gan.lift.result import Estimate
from gan.metrics.intervals import LEVELS, Z_95
from gan.randomness import numpy_stream

Array = np.ndarray[Any, Any]
Metric = Callable[[Array, Array, Array], Array]
"""Targets, scores and weights_BE in, one value per set of weights out."""

AT_ONCE = 250
"""Draws whose weights are in memory together."""
Z_POWER = 0.8416212335729143
"""Normal quantile of a power of 80 %."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The mean over the seeds of arm - baseline."""

    interval: Estimate
    spread: float
    """Its standard deviation."""
    detectable: float
    """Smallest difference that is told from zero with a power of 80 %."""


def resampled(
    metrics: Mapping[str, Metric],
    targets_E: Array,
    arms: Mapping[str, Sequence[Array]],
    seed: int,
    draws: int,
) -> dict[tuple[str, str], Array]:
    """Return (arm, metric) → the values of every seed, as it is and then resampled; (S, 1 + B).

    All arms and seeds are scored on the same draws of the records: what is paired stays paired.

    Args:
        metrics: by name.
        targets_E: what was.
        arms: name → the scores of every seed.
        seed: root of the draws.
        draws: their number, B.
    """
    rng, rows = numpy_stream(seed, "lift-records"), len(targets_E)
    parts: dict[tuple[str, str], list[Array]] = {
        (arm, name): [] for arm in arms for name in metrics
    }
    for start in range(0, draws + 1, AT_ONCE):
        count = min(AT_ONCE, draws + 1 - start)
        weights = rng.multinomial(rows, np.full(rows, 1 / rows), size=count).astype(np.float64)
        if start == 0:
            weights[0] = 1.0
        for arm, scores in arms.items():
            for name, metric in metrics.items():
                parts[arm, name].append(_values(metric, targets_E, scores, weights))
    return {key: np.concatenate(found, axis=1) for key, found in parts.items()}


def _values(metric: Metric, targets_E: Array, scores: Sequence[Array], weights_BE: Array) -> Array:
    """Return the values of all seeds; seeds with the same scores are computed once."""
    found: list[tuple[Array, Array]] = []
    rows = []
    for one in scores:
        known = next((value for seen, value in found if np.array_equal(seen, one)), None)
        if known is None:
            known = metric(targets_E, one, weights_BE)
            found.append((one, known))
        rows.append(known)
    return np.stack(rows)


def difference(arm_SB: Array, baseline_SB: Array, seed: int) -> Difference:
    """Return the effect of an arm from what `resampled` found of it and of the baseline."""
    return mean_over_seeds(arm_SB - baseline_SB, seed)


def mean_over_seeds(values_SB: Array, seed: int) -> Difference:
    """Return the mean over seeds of the first column, with the interval of the others."""
    count, point = len(values_SB), float(values_SB[:, 0].mean())
    again_SB = values_SB[:, 1:]
    again_SB = again_SB[:, np.isfinite(again_SB).all(axis=0)]
    if again_SB.shape[1] < 2:
        nothing = Estimate(point, -np.inf, np.inf)
        return Difference(interval=nothing, spread=np.inf, detectable=np.inf)
    mean_B = again_SB.mean(axis=0)
    of_seeds = _variance_of_seeds(values_SB[:, 0], again_SB - mean_B)
    moved_B = mean_B + _moves_of_seeds(values_SB[:, 0], of_seeds, len(mean_B), seed)
    spread = float(moved_B.std(ddof=1))
    wide = _student(of_seeds / count, count, spread) / Z_95
    low, high = point + (np.quantile(moved_B, LEVELS) - point) * wide
    interval = Estimate(point, min(point, float(low)), max(point, float(high)))
    detectable = spread * (wide * Z_95 + Z_POWER)
    return Difference(interval=interval, spread=spread, detectable=detectable)


def over_seeds(values_S: Sequence[float]) -> Estimate:
    """Return the mean with Student's interval over the seeds alone."""
    values = np.asarray(values_S, dtype=np.float64)
    mean = float(values.mean())
    if len(values) < 2:
        return Estimate(mean, mean, mean)
    from scipy.stats import t

    half = float(t.ppf(LEVELS[1], len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return Estimate(mean, mean - half, mean + half)


def _variance_of_seeds(values_S: Array, away_SB: Array) -> float:
    """Return the variance between seeds, without what single records make of single seeds."""
    count = len(values_S)
    if count < 2:
        return 0.0
    again = float(away_SB.var(axis=1, ddof=1).mean()) * count / (count - 1)
    return max(0.0, float(values_S.var(ddof=1)) - again)


def _moves_of_seeds(values_S: Array, variance: float, draws: int, seed: int) -> Array:
    """Return what drawing the seeds does to their mean; float64 (B,)."""
    count, rng = len(values_S), numpy_stream(seed, "lift-seeds")
    if variance == 0.0:
        return np.zeros(draws)
    away_S = (values_S - values_S.mean()) * np.sqrt(variance / values_S.var(ddof=1))
    counts_BS = rng.multinomial(count, np.full(count, 1 / count), size=draws)
    moves_B: Array = np.sqrt(count / (count - 1)) * (counts_BS / count) @ away_S
    return moves_B


def _student(of_seeds: float, count: int, spread: float) -> float:
    """Return Student's 97.5 % quantile at Satterthwaite's degrees of freedom.

    Args:
        of_seeds: variance of the mean that comes of the seeds.
        count: seeds.
        spread: standard deviation of the mean, of seeds and records together.
    """
    from scipy.stats import t

    if of_seeds == 0.0 or spread == 0.0:
        return Z_95
    freedom = (count - 1) * (spread**2 / of_seeds) ** 2
    return float(t.ppf(LEVELS[1], max(freedom, count - 1)))
