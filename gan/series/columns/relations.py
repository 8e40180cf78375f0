"""How a value follows from values before it: the same, back to another, a sum, a ratio, a change.

Bins of values alone lose what makes a series one: a price that stays for weeks, returns to what it
was after a promotion or falls to four fifths; a stock that is the last one less what was sold; a
temperature that moves by fractions of a bin. So a variable has the codes of its own values, and
behind them codes of its relations to a reference, which the values before decide:

    same     the last value
    back     the last other value before that
    sum      the last value plus or minus another variable of this step, or of the last one
    lot      such a sum plus what was added to it the last time that something was; or plus a factor
             of the first value, where lots are as large as an entity is
    change   the last value plus a difference, or times a factor
    predicted  a linear prediction from the last values of all variables and from those of this step
               that are drawn before, plus a difference (a vector autoregression: Lütkepohl, "New
               introduction to multiple time series analysis", 2005, equation 2.1.1)

A relation has the code "equal to the reference", or codes of differences to it, or of ratios. Which
relations a variable has is found by evidence: far more steps than by chance are explained. A value
is encoded by the first relation that it meets, by itself where it meets none. What is stored are
differences and ratios that enough entities have.

Shapes: N entities, L steps of the longest, D variables, T steps of all, P last values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from gan.tables.columns.numeric import Numeric

Array = np.ndarray[Any, Any]
Pair = tuple[Tensor, Tensor]

LOG_UNIT: Final = 1e-4
MOST_APART: Final = 7_000
"""Logarithms differ by so much at most: values by a factor of two."""
Reference = Literal["last", "back", "sum", "lot", "predicted"]


class Addend(NamedTuple):
    """What a running sum adds to the last value."""

    variable: int
    sign: int
    lagged: bool
    """Whether it is the other's value of the step before."""


class Term(NamedTuple):
    """A value that a prediction is made of."""

    variable: int
    lag: int
    """Steps before; 0: of this step."""
    weight: float


class Prediction(NamedTuple):
    """A linear prediction of a value, in units."""

    constant: float
    terms: tuple[Term, ...]

    @property
    def inside(self) -> set[int]:
        """The variables of the same step that it needs."""
        return {each.variable for each in self.terms if not each.lag}

    def of(self, history: "History", units: Tensor, present: Tensor) -> Pair:
        """Return the predictions, and where there is a value for every term; last axis D.

        Args:
            history: before these steps.
            units: of these steps; what is missing counts as the last value.
            present: where they are not missing.
        """
        total = torch.full_like(units[..., 0], self.constant)
        known = torch.ones_like(present[..., 0])
        for variable, lag, weight in self.terms:
            value = history.recent[..., variable, max(lag - 1, 0)]
            there = history.has_last[..., variable]
            if not lag:
                value = torch.where(present[..., variable], units[..., variable], value)
                there = there | present[..., variable]
            total = total + weight * value
            known = known & there
        return total, known


@dataclass(frozen=True, kw_only=True, eq=False)
class Relation:
    """One way in which a value may follow from others: a reference, and codes beside it."""

    reference: Reference
    addend: Addend | None = None
    """Of sums and lots."""
    offsets: Numeric | None = None
    """Codes of differences to the reference, in units; None: equal to it."""
    ratios: tuple[float, ...] = ()
    """Codes of ratios to the reference, in place of differences."""
    relative: bool = False
    """Whether the differences are those of logarithms, in `LOG_UNIT`."""
    reach: float = np.inf
    """Bins' widths of its own that a value differs from the reference, at most."""
    prediction: Prediction | None = None
    """Of what is predicted."""
    within: float = np.inf
    """Units that a value differs from its prediction, at most."""
    of_first: bool = False
    """Whether the codes are of differences ÷ the first value: their logarithms, in `LOG_UNIT`."""

    @property
    def codes(self) -> int:
        """How many codes it has."""
        if self.offsets is not None:
            return self.offsets.codes
        return max(len(self.ratios), 1)

    def apart(self, units: Tensor, reference: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
        """Return how far values are from the reference, and where that can be said."""
        if self.of_first:
            return _log_ratio(units - reference, first)
        if not self.relative:
            return units - reference, torch.ones_like(units, dtype=torch.bool)
        apart, both = _log_ratio(units, reference)
        return apart, both & (apart.abs() <= MOST_APART)

    def moved(self, reference: Tensor, apart: Tensor, first: Tensor) -> Tensor:
        """Return the values that are so far from the reference."""
        if self.of_first:
            return reference + (first * (apart * LOG_UNIT).exp()).round()
        if not self.relative:
            return reference + apart
        return (reference * (apart * LOG_UNIT).exp()).round()

    @property
    def is_equal(self) -> bool:
        """Whether its one code means equal to the reference."""
        return self.offsets is None and not self.ratios

    def to_json(self) -> dict[str, Any]:
        """Return the relation as JSON."""
        return {
            "reference": self.reference,
            "addend": None if self.addend is None else list(self.addend),
            "offsets": None if self.offsets is None else self.offsets.to_json(),
            "ratios": list(self.ratios),
            "relative": self.relative,
            "reach": _finite(self.reach),
            "prediction": None if self.prediction is None else list(self.prediction),
            "within": _finite(self.within),
            "of_first": self.of_first,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild the relation."""
        addend, offsets, predicted = data["addend"], data["offsets"], data["prediction"]
        return cls(
            reference=data["reference"],
            addend=None if addend is None else Addend(*addend),
            offsets=None if offsets is None else Numeric.from_json(offsets),
            ratios=tuple(data["ratios"]),
            relative=data["relative"],
            reach=np.inf if data["reach"] is None else data["reach"],
            prediction=None
            if predicted is None
            else Prediction(predicted[0], tuple(Term(*each) for each in predicted[1])),
            within=np.inf if data["within"] is None else data["within"],
            of_first=data["of_first"],
        )


def _log_ratio(above: Tensor, below: Tensor) -> Pair:
    """Return logarithms of ratios in `LOG_UNIT`, and where both numbers are positive."""
    both = (above > 0) & (below > 0)
    ratio = torch.where(both, above, 1.0) / torch.where(both, below, 1.0)
    return (ratio.log() / LOG_UNIT).round(), both


def _finite(number: float) -> float | None:
    """Return a number, None in place of infinity."""
    return None if np.isinf(number) else number


class History(NamedTuple):
    """What is known before every step, of each variable; (N, L, D)."""

    last: Tensor
    """The last value that was not missing."""
    has_last: Tensor
    back: Tensor
    """The last value that differed from it."""
    has_back: Tensor
    lot: Tensor
    """What was last added to a running sum beside its addend."""
    has_lot: Tensor
    first: Tensor
    """The first value that was not missing."""
    recent: Tensor
    """The last P values, the newest first: (N, L, D, P). What is missing is the one before it, what
    is before the first value is the first."""


Addends = Sequence[Addend | None]
"""Of each variable what its running sum adds; None where it is no sum."""


def history_of(units_NLD: Tensor, present_NLD: Tensor, addends: Addends, lags: int = 0) -> History:
    """Return what is known before every step.

    Args:
        units_NLD: values.
        present_NLD: where they are not missing; padding is.
        addends: of the variables.
        lags: P.
    """
    steps = torch.arange(units_NLD.shape[1], device=units_NLD.device)[None, :, None]
    last, has_last = _before(units_NLD, torch.where(present_NLD, steps, -1))
    changes_NLD = present_NLD & has_last & (units_NLD != last)
    back, has_back = _before(last, torch.where(changes_NLD, steps, -1))
    none = torch.zeros_like(last), torch.zeros_like(has_last)
    recent = _recent(units_NLD, present_NLD, lags)
    first = units_NLD.gather(1, present_NLD.int().argmax(1, keepdim=True)) * has_last
    history = History(last, has_last, back, has_back, *none, first, recent)
    if not any(addends):
        return history
    lots, found = added_lots(history, units_NLD, present_NLD, addends)
    lot, has_lot = _before(lots, torch.where(found, steps, -1))
    return history._replace(lot=lot, has_lot=has_lot)


def summed(history: History, units: Tensor, present: Tensor, index: int, addend: Addend) -> Pair:
    """Return the running sum of one variable, and where there is one; last axis D.

    Args:
        history: before these steps.
        units: of these steps.
        present: where they are not missing.
        index: of the variable.
        addend: what it adds.
    """
    other, sign, lagged = addend
    added = history.last[..., other] if lagged else units[..., other]
    there = history.has_last[..., other] if lagged else present[..., other]
    return history.last[..., index] + sign * added, history.has_last[..., index] & there


def added_lots(history: History, units: Tensor, present: Tensor, addends: Addends) -> Pair:
    """Return what steps add to running sums beside their addends, and where they add any."""
    lots, found = [], []
    for index, addend in enumerate(addends):
        if addend is None:
            lots.append(torch.zeros_like(units[..., index]))
            found.append(torch.zeros_like(present[..., index]))
            continue
        reference, known = summed(history, units, present, index, addend)
        lots.append(units[..., index] - reference)
        found.append(known & present[..., index] & (lots[-1] != 0))
    return torch.stack(lots, dim=-1), torch.stack(found, dim=-1)


def _before(values_NLD: Tensor, places_NLD: Tensor) -> tuple[Tensor, Tensor]:
    """Return the value at the newest place before each step, and whether there is one."""
    newest_NLD = places_NLD.cummax(1).values.roll(1, 1)
    newest_NLD[:, 0] = -1
    return values_NLD.gather(1, newest_NLD.clamp(min=0)), newest_NLD >= 0


def _recent(units_NLD: Tensor, present_NLD: Tensor, lags: int) -> Tensor:
    """Return the last values before every step, (N, L, D, P)."""
    if not lags:
        return units_NLD.new_zeros(*units_NLD.shape, 0)
    steps = torch.arange(units_NLD.shape[1], device=units_NLD.device)[None, :, None]
    newest_NLD = torch.where(present_NLD, steps, -1).cummax(1).values
    opening_N1D = present_NLD.int().argmax(1, keepdim=True)
    found = []
    for lag in range(1, lags + 1):
        place_NLD = torch.maximum(steps - lag, opening_N1D).expand_as(newest_NLD)
        at_NLD = newest_NLD.gather(1, place_NLD.clamp(max=units_NLD.shape[1] - 1)).clamp(min=0)
        found.append(units_NLD.gather(1, at_NLD))
    known_NLD1 = ((newest_NLD >= 0).cummax(1).values.roll(1, 1) & (steps > 0))[..., None]
    return torch.stack(found, dim=-1) * known_NLD1


def next_history(
    history: History, units_ND: Tensor, present_ND: Tensor, addends: Addends
) -> History:
    """Return what is known after one more step; all of one step, (N, D)."""
    lots_ND, found_ND = history.lot, history.has_lot
    if any(addends):
        lots_ND, found_ND = added_lots(history, units_ND, present_ND, addends)
    changed_ND = present_ND & history.has_last & (units_ND != history.last)
    last_ND = torch.where(present_ND, units_ND, history.last)
    moved_NDP = torch.cat([last_ND[..., None], history.recent[..., :-1]], dim=-1)
    opened_ND1 = (history.has_last | ~present_ND)[..., None]
    recent_NDP = history.recent
    if recent_NDP.shape[-1]:
        recent_NDP = torch.where(opened_ND1, moved_NDP, last_ND[..., None])
    return History(
        last_ND,
        history.has_last | present_ND,
        torch.where(changed_ND, history.last, history.back),
        history.has_back | changed_ND,
        torch.where(found_ND, lots_ND, history.lot),
        history.has_lot | found_ND,
        torch.where(history.has_last, history.first, last_ND * present_ND),
        recent_NDP,
    )
