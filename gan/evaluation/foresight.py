"""What no candidate's verdict will be able to say, known from the numbers of records alone.

A judge tells what its measurements would show of real data as the candidate, as far as that depends
on numbers of records; the gate's own rule says whether anything can be known from so many.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from gan.bounds import MetricEntry, entry_of
from gan.evaluation.promotion import hidden_metrics
from gan.gate import GateConfig, real_pass_share, too_few_reason
from gan.report import Ceiling, Measured, Metric, Reason, TooFew

CERTAIN = 3.0
"""Standard deviations of the difference between two shares of as many draws."""


@dataclass(frozen=True, kw_only=True)
class Foreseen:
    """What a judge knows before there is a candidate."""

    holdout_rows: int
    too_few: tuple[TooFew, ...] = ()
    """Classes that cannot be judged."""
    reals: tuple[Measured, ...] = ()
    """Metrics with unseen real records as the candidate, as every evaluation will have them."""
    sampled: tuple[Measured, ...] = ()
    """The same of metrics whose draws will be others of the same distribution."""


@dataclass(frozen=True, kw_only=True)
class Foresight:
    """What cannot be known of any candidate."""

    reasons: tuple[Reason, ...]
    hidden: tuple[str, ...]
    """Metrics that must be known before a generator is promoted, unless the recipe accepts it."""


def foresee(foreseen: Foreseen, metrics: Sequence[MetricEntry], config: GateConfig) -> Foresight:
    """Return what the gate will call unknown, whatever candidate comes.

    Args:
        foreseen: of the modality's judge.
        metrics: of the modality, with the bounds in force.
        config: the recipe's gate.
    """
    reasons = [too_few_reason(item) for item in foreseen.too_few]
    items = (
        *((item, False) for item in foreseen.reals),
        *((item, True) for item in foreseen.sampled),
    )
    names = Counter(item.metric.name for item, _ in items)
    for item, sampled in items:
        entry, ceiling = entry_of(item.metric, metrics), item.metric.ceiling
        if entry is None or not entry.limits or ceiling is None:
            continue
        share = real_pass_share(item, entry.bounds(ceiling.value))
        if share + (_margin(item, share) if sampled else 0.0) < config.real_pass_share:
            name, scope = item.metric.name, item.metric.scope
            text = (
                f"{name}{f' ({scope})' if names[name] > 1 else ''} cannot be known from "
                f"{foreseen.holdout_rows} holdout records, because real data itself would pass in "
                f"only {'about ' * sampled}{share:.0%} of cases"
            )
            reasons.append(Reason(metric=name, scope=scope, outcome="unknown", text=text))
    unknown = tuple(sorted({reason.metric for reason in reasons}))
    hidden = hidden_metrics(unknown, metrics, config)
    return Foresight(reasons=tuple(reasons), hidden=hidden)


def _margin(item: Measured, share: float) -> float:
    """Return how far the share of other draws may lie above: nothing is foreseen by chance."""
    return CERTAIN * math.sqrt(2 * share * (1 - share) / max(len(item.reals), 1))


def real_as_candidate(
    name: str, n: int, ceiling: Ceiling, draws: Sequence[float], *, scope: str = "all"
) -> Measured:
    """Return a metric of real data as the candidate."""
    metric = Metric(
        name=name,
        scope=scope,
        value=ceiling.value,
        low=ceiling.low,
        high=ceiling.high,
        n=n,
        ceiling=ceiling,
    )
    return Measured(metric=metric, reals=tuple(draws))
