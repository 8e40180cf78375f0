"""Whether a challenger takes over from the champion: a pure decision over two evaluations."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gan.bounds import MetricEntry
from gan.gate import GateConfig, Judgement
from gan.report import Evaluation, Measured


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One side of a comparison: what was measured and what the gate said."""

    name: str
    """The generator version, for the sentence."""
    evaluation: Evaluation
    judgement: Judgement
    split_rule: str = ""
    """Digest of the split rule it was trained under."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Whether the challenger takes over, and why."""

    promote: bool
    reason: str


def compare(challenger: Contender, champion: Contender | None, config: GateConfig) -> Comparison:
    """Return whether the challenger takes over from the champion.

    Both were evaluated in this run, on the same holdout with the same seed, so resample r of one
    is paired with resample r of the other. A champion that is blocked on today's records is no
    rival: it would win some metric by failing (what lies far from today's data copies none of it),
    and nobody could ever follow it.
    """
    obstacle = _obstacle(challenger, config)
    if obstacle is not None:
        return Comparison(promote=False, reason=obstacle)
    if champion is None:
        return Comparison(promote=True, reason=f"{challenger.name} is the first champion")
    if champion.judgement.verdict == "block":
        reason = f"the champion {champion.name} is blocked today and {challenger.name} is not"
        return Comparison(promote=True, reason=reason)
    if challenger.split_rule != champion.split_rule:
        return Comparison(
            promote=False,
            reason=f"{challenger.name} was trained under another split rule than champion "
            f"{champion.name}, which may have seen today's holdout: promote by hand",
        )
    metrics = challenger.judgement.metrics
    primary = dict.fromkeys(entry.name for entry in metrics if entry.is_primary)
    losses = [loss for name in primary for loss in _losses(name, challenger, champion)]
    if losses:
        return Comparison(promote=False, reason=f"{challenger.name} loses: " + "; ".join(losses))
    return Comparison(
        promote=True,
        reason=f"no primary metric of {challenger.name} is worse than champion "
        f"{champion.name}'s by more than the paired interval",
    )


def _obstacle(challenger: Contender, config: GateConfig) -> str | None:
    """Return why the challenger cannot be promoted whatever the champion does, if so."""
    judgement = challenger.judgement
    if judgement.verdict == "block":
        first = next(reason for reason in judgement.reasons if reason.outcome == "block")
        return f"{challenger.name} is blocked: {first.text}"
    hidden = hidden_metrics(judgement.unknown, judgement.metrics, config)
    if hidden:
        return (
            f"{' and '.join(hidden)} of {challenger.name} cannot be known from "
            f"{challenger.evaluation.holdout_rows} holdout records: bring more records, "
            f"or set gate.accept_unknown"
        )
    return None


def hidden_metrics(
    unknown: Sequence[str], metrics: Sequence[MetricEntry], config: GateConfig
) -> tuple[str, ...]:
    """Return which unknown metrics stand in the way of a promotion."""
    needed = {entry.name for entry in metrics if entry.must_be_known}
    return () if config.accept_unknown else tuple(name for name in unknown if name in needed)


def _losses(name: str, challenger: Contender, champion: Contender) -> list[str]:
    """Return one phrase per scope in which the challenger is worse beyond the paired interval."""
    found = []
    for mine in challenger.evaluation.measured:
        if mine.metric.name != name:
            continue
        theirs = champion.evaluation.find(name, mine.metric.scope)
        if theirs is None:
            continue
        low, high = paired_interval(mine, theirs)
        worse = low > 0 if mine.metric.direction == "lower" else high < 0
        if worse:
            found.append(
                f"{name} ({mine.metric.scope}) {mine.metric.value:.4g} against "
                f"{theirs.metric.value:.4g}, difference {low:+.3g} to {high:+.3g}"
            )
    return found


def paired_interval(mine: Measured, theirs: Measured) -> tuple[float, float]:
    """Return the 95 % interval of `mine - theirs` over resamples of the same holdout records.

    Centred on the difference of the points: resamples are halves, so their own mean is biased
    where a metric depends on n, and only their spread is used (gan.metrics.intervals).

    Raises:
        ValueError: the two were not resampled alike.
    """
    if len(mine.replicates) != len(theirs.replicates):
        msg = (
            f"not a paired comparison: {len(mine.replicates)} resamples against "
            f"{len(theirs.replicates)}; evaluate both in one run"
        )
        raise ValueError(msg)
    difference = mine.metric.value - theirs.metric.value
    if not mine.replicates:
        return difference, difference
    deltas = np.subtract(mine.replicates, theirs.replicates)
    low, high = np.quantile(deltas - deltas.mean(), (0.025, 0.975))
    return difference + float(low), difference + float(high)
