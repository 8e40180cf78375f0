"""One number for all members of a feature net: the mean.

Members differ in their seed alone, and on one of them a candidate's coverage is up to .15 higher
than on another. The features of both side by side are no steadier; the mean of what is measured on
each is. Members of one net share its name, so what they measure has the same metric and scope.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from gan.report import Ceiling, Measured, Metric


def over_members(found: Iterable[Measured]) -> list[Measured]:
    """Return the mean in the place of measurements of the same metric and scope.

    Members see the same records, halves and resamples, so draws and resamples have a mean entry by
    entry. The interval's ends are means as well: no mean is known worse than its parts are.
    """
    groups: dict[tuple[str, str], list[Measured]] = {}
    for item in found:
        groups.setdefault((item.metric.name, item.metric.scope), []).append(item)
    return [_mean(group) for group in groups.values()]


def _mean(group: Sequence[Measured]) -> Measured:
    metrics = [item.metric for item in group]
    ceilings = [metric.ceiling for metric in metrics if metric.ceiling is not None]
    value, low, high = _ends(metrics)
    metric = replace(metrics[0], value=value, low=low, high=high)
    if ceilings:
        value, low, high = _ends(ceilings)
        metric = replace(metric, ceiling=Ceiling(value=value, low=low, high=high))
    return Measured(
        metric=metric,
        reals=_entries([item.reals for item in group]),
        replicates=_entries([item.replicates for item in group]),
    )


def _ends(parts: Sequence[Metric] | Sequence[Ceiling]) -> list[float]:
    """Return the means of value, lower and upper end."""
    ends: list[float] = np.mean([(one.value, one.low, one.high) for one in parts], axis=0).tolist()
    return ends


def _entries(parts: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    means: list[float] = np.mean(parts, axis=0).tolist()
    return tuple(means)
