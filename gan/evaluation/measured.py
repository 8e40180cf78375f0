"""What an evaluation found, as plain data: evaluate.py fills it, gate.py reads it."""

from dataclasses import dataclass

from gan.report import Metric


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One metric with the two distributions that a decision about it needs."""

    metric: Metric
    reals: tuple[float, ...] = ()
    """The same metric with unseen real records as the candidate, once per random half."""
    replicates: tuple[float, ...] = ()
    """The candidate's metric on paired resamples: entry r of two candidates used the same
    holdout records."""


@dataclass(frozen=True, kw_only=True)
class Fact:
    """Something that holds or does not; it decides without an interval."""

    name: str
    holds: bool
    value: float
    text: str
    """What was found, one sentence."""


@dataclass(frozen=True, kw_only=True)
class TooFew:
    """A class with fewer holdout records than its metrics need."""

    label: str
    n: int
    needed: int


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Everything that was measured on one candidate."""

    measured: tuple[Measured, ...]
    facts: tuple[Fact, ...]
    too_few: tuple[TooFew, ...]
    n: int
    """Records on each side of the comparison."""
    holdout_rows: int
    candidate_rows: int
    candidate_class_counts: tuple[tuple[str | int | bool, int], ...]
    """Class → records; empty when unconditional."""
    seed: int
    """Seed of feature nets and resamples; two evaluations are paired only when it is equal."""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics alone, for the report."""
        return tuple(item.metric for item in self.measured)

    def find(self, name: str, scope: str) -> Measured | None:
        """Return the metric of that name and scope, or None."""
        for item in self.measured:
            if item.metric.name == name and item.metric.scope == scope:
                return item
        return None
