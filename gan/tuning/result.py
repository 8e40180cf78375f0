"""The trials of a study and what they found, as plain frozen data."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

from gan.tuning.knobs import Value

TrialState = Literal["complete", "pruned", "refused", "failed"]
"""complete: trained to its end, with a usable snapshot. pruned: stopped early, others were better
by then. refused: the settings do not go together, nothing was trained. failed: training left the
finite numbers, or no snapshot was usable."""
STATES: tuple[TrialState, ...] = get_args(TrialState)
FIRST = 1
"""Number of the trial that trains the recipe as it is."""


@dataclass(frozen=True, kw_only=True)
class FinishedTrial:
    """One trial that is over, as it is kept and told to the sampler."""

    number: int
    """From 1."""
    state: TrialState
    settings: Mapping[str, Value]
    """What differs from the recipe: setting → value."""
    drawn: Mapping[str, Value]
    """What the sampler drew, by setting."""
    rank: float | None = None
    """Of the chosen snapshot on validation, lower is better; None where there is none."""
    curve: Sequence[tuple[float, float | None]] = ()
    """Used share of the budget and rank at every tick; None where the generator was unusable."""
    samples_seen: int = 0
    seconds: float = 0.0
    """Of wall time, assessments included."""
    cpu_s: float = 0.0
    """Of processor time, over all threads."""
    why: str = ""
    """Of a trial that was refused or failed, or stopped early: the reason, one sentence."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is none.
        """
        if raw["state"] not in STATES:
            msg = f"unknown state {raw['state']!r}"
            raise ValueError(msg)
        curve = tuple((float(share), rank) for share, rank in raw["curve"])
        return cls(**{**raw, "curve": curve})


@dataclass(frozen=True, kw_only=True)
class TuningResult:
    """Everything that a study found."""

    name: str
    """Of the recipe."""
    study: str
    """Its digest."""
    modality: str
    device: str
    """That the trials train on."""
    trial_s: float
    """Budget of one trial: of processor time, on a GPU of wall time."""
    trials: Sequence[FinishedTrial]
    """By number."""
    importance: Mapping[str, float] = field(default_factory=dict)
    """Setting → share of what decides whether a trial is among the best, the largest first; empty
    where too few were trained."""

    @property
    def best(self) -> FinishedTrial | None:
        """The complete trial of the lowest rank, the first of equals; None where none is."""
        ranked = [one for one in self.trials if one.state == "complete" and one.rank is not None]
        return min(ranked, key=lambda one: (one.rank, one.number), default=None)

    @property
    def baseline(self) -> FinishedTrial | None:
        """The trial of the recipe as it is; None where it has not been made yet."""
        return next((one for one in self.trials if one.number == FIRST), None)

    @property
    def budget(self) -> str:
        """The budget of one trial, in words."""
        return budget_text(self.trial_s, self.device)

    def counts(self) -> dict[TrialState, int]:
        """Return how many trials ended how."""
        return {state: sum(one.state == state for one in self.trials) for state in STATES}

    def best_until(self) -> list[tuple[int, float]]:
        """Return number and lowest rank so far, at every complete trial."""
        lowest, found = math.inf, list[tuple[int, float]]()
        for one in self.trials:
            if one.state == "complete" and one.rank is not None:
                lowest = min(lowest, one.rank)
                found.append((one.number, lowest))
        return found

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return dataclasses.asdict(self)


def budget_text(seconds: float, device: str) -> str:
    """Return a budget of trials in words: processor time, on a GPU wall time."""
    return f"{seconds:,.4g} {'CPU-s' if device == 'cpu' else 's'}"
