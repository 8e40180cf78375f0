"""Training until targets are reached: what `training.until` may name, and whether it is reached.

The names are those of the assessment's numbers at a tick, and of the metrics that they are of.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gan.bounds import MetricEntry
from gan.errors import ConfigError
from gan.protocols import Assessment

FEWEST_CLASSES = 2
"""With fewer nothing of classes is measured."""


class TrainingTarget(NamedTuple):
    """A number of the assessment that training can be told to reach."""

    tick: str
    """Its name in `Assessment.metrics`."""
    higher: bool
    """Whether more is better."""


def targets(
    metrics: Sequence[MetricEntry], *, classes: int = FEWEST_CLASSES
) -> dict[str, TrainingTarget]:
    """Return every name that `training.until` may use of records of so many classes."""
    found: dict[str, TrainingTarget] = {}
    for entry in metrics:
        left_out = entry.class_ticks if classes < FEWEST_CLASSES else ()
        ticks = [tick for tick in entry.ticks if tick not in left_out]
        if not ticks or entry.direction == "target":
            continue
        higher = entry.direction == "higher"
        found.setdefault(entry.name, TrainingTarget(ticks[0], higher))
        for tick in ticks:
            found.setdefault(tick, TrainingTarget(tick, higher))
    return found


def check_until(names: Sequence[str], metrics: Sequence[MetricEntry], *, classes: int) -> None:
    """Refuse targets that nothing measures while training, or that are named twice.

    Args:
        names: of the targets.
        metrics: of the modality.
        classes: how many the records have.

    Raises:
        ConfigError: there is one.
    """
    known = targets(metrics, classes=classes)
    ticks = [known[name].tick for name in names if name in known]
    for name in names:
        if name in known and ticks.count(known[name].tick) > 1:
            msg = f"training.until has two targets for {known[name].tick}: leave one"
            raise ConfigError(msg)
        if name not in known:
            offered = ", ".join(sorted(known))
            msg = f"training.until has no target {name!r} for these records: choose of {offered}"
            raise ConfigError(msg)


def reached(
    until: Mapping[str, float], assessment: Assessment, metrics: Sequence[MetricEntry]
) -> str | None:
    """Return how all targets are reached, in words; None where one is not, or there are none.

    Raises:
        ConfigError: a target is not measured on these records.
    """
    known, words = targets(metrics), []
    for name, wanted in until.items():
        target = known[name]
        found = assessment.metrics.get(target.tick)
        if found is None:
            measured = ", ".join(one for one in known if known[one].tick in assessment.metrics)
            msg = (
                f"training.until names {name!r}, which is not measured on these records: "
                f"choose of {measured}"
            )
            raise ConfigError(msg)
        if not (found >= wanted if target.higher else found <= wanted):
            return None
        words.append(
            f"{name} {found:.3g} ({'at least' if target.higher else 'at most'} {wanted:g})"
        )
    return ", ".join(words) or None
