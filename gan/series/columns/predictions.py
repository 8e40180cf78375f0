"""Which variables are coded by how far they are from a linear prediction.

Bins of values cannot say what is smooth: a load, a temperature or a wave moves by fractions of the
bins that its whole range needs, and what is drawn inside them jitters. A prediction from the last
values of all variables, and from those of the same step that are drawn before, leaves a difference
whose bins are as much finer as the prediction is good; how the difference is distributed at a step
the network says. Predictions are least squares on the steps at which a value is not said otherwise,
weighed down where it is far off (Huber, "Robust estimation of a location parameter", 1964), of a
few terms: those that say most of it.

Shapes: N entities, L steps of the longest, D variables, M steps of all that count, F terms.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gan.series.columns.evidence import SAMPLE, ObservedUnits, Search
from gan.series.columns.relations import Prediction, Relation, Term
from gan.series.columns.variables import KEPT_SHARE, MISSING, Variable
from gan.tables.columns.numeric import Numeric

Array = np.ndarray[Any, Any]

LAGS: Final = 3
"""Last values of every other variable that a prediction may be of."""
OWN_LAGS: Final = (3, 6, 12)
"""Last values of its own. What is left beside a prediction from too few goes with what was left the
step before, which is too small for the network to see in the values: series of thousands of steps
that are drawn without it swing farther and farther."""
STEPS_PER_LAG, NEARER = 64, 0.9
"""More than the fewest need series of so many steps for each, in the median, and a median distance
to the prediction that is so much of the one before."""
MOST_TERMS: Final = 24
STEPS_PER_TERM: Final = 50
SHARPER: Final = 2.0
"""A value is so many times nearer to its prediction than to another value, in the median."""
FARTHEST: Final = 8.0
"""Median distances to its prediction beyond which a value is said otherwise."""
MOST_EXACT: Final = 0.5
"""Share of the steps whose value has a code of its own: counts are said by these."""
HUBER: Final = 4.5
"""Median distances beyond which a step counts less."""
PASSES: Final = 4
RIDGE, LONG_RIDGE = 1e-5, 1e-7
"""Of predictions, and of those that many last values of long series may be in."""
DIGITS: Final = 6
"""Of a weight that is kept."""


def with_predictions(
    variables: Sequence[Variable], units_NLD: Array, groups: Sequence[int]
) -> tuple[Variable, ...]:
    """Return the variables, those that a prediction says better with its relation.

    Args:
        variables: in their order, with their other relations.
        units_NLD: of the training records, `MISSING` where there is no step.
        groups: of each variable, how many entities must have what is shown.
    """
    every = max(units_NLD.size // SAMPLE, 1)
    units = torch.from_numpy(np.ascontiguousarray(units_NLD[::every]))
    typical = float((units != MISSING).any(-1).sum(1).median())
    lags = [each for each in OWN_LAGS if each == OWN_LAGS[0] or each * STEPS_PER_LAG <= typical]
    seen = ObservedUnits.of(units, lags[-1])
    numbers = [index for index, each in enumerate(variables) if each.is_number]
    found = []
    for index, (variable, group) in enumerate(zip(variables, groups, strict=True)):
        relation = None
        if _may_follow(variable):
            search = Search(index, variable, seen, group)
            relation = _predicted(search, [other for other in numbers if other != index], lags)
        if relation is not None:
            others = [each for each in variable.relations if each.offsets is None]
            variable = replace(variable, relations=(*others, relation))  # noqa: PLW2901
        found.append(variable)
    return tuple(found)


def _may_follow(variable: Variable) -> bool:
    """Say whether a variable is a number most of whose values lie in bins, and no sum or ratio."""
    own = variable.own
    said = any(each.addend or each.ratios or each.relative for each in variable.relations)
    if not isinstance(own, Numeric) or said:
        return False
    exact = np.asarray(variable.shares)[np.diff(own.first_cells) == 1]
    return float(exact.sum()) < MOST_EXACT


class _Fit(NamedTuple):
    """A prediction, how far values are from it, and how far in the median."""

    prediction: Prediction
    apart_NL: Tensor
    near_NL: Tensor
    """The steps that it is for and has all terms of."""
    usual: float


def _predicted(search: Search, others: Sequence[int], lags: Sequence[int]) -> Relation | None:
    """Return the relation to a prediction; None where it is not near enough."""
    steps_NL = search.known & ~_said_otherwise(search)
    fit_NL = steps_NL.clone()
    if len(lags) > 1:  # what lies before the first step is no value
        fit_NL[:, : lags[-1]] = False
    if int(fit_NL.sum()) < 2 * STEPS_PER_TERM:
        return None
    found = _fit(search, others, lags[0], steps_NL, fit_NL, long=len(lags) > 1)
    for more in lags[1:]:
        longer = _fit(search, others, more, steps_NL, fit_NL, long=True)
        if longer.usual > NEARER * found.usual:
            break
        found = longer
    random = float((search.units[search.known] - search.other).abs().median())
    if not 0 < SHARPER * found.usual <= random:
        return None
    within = FARTHEST * found.usual
    offsets = search.offsets(found.near_NL & (found.apart_NL.abs() <= within), found.apart_NL)
    if offsets is None:
        return None
    return Relation(
        reference="predicted", offsets=offsets, prediction=found.prediction, within=within
    )


def _fit(
    search: Search,
    others: Sequence[int],
    lags: int,
    steps_NL: Tensor,
    fit_NL: Tensor,
    *,
    long: bool,
) -> _Fit:
    """Return the prediction from so many last values of its own, of the steps to fit."""
    terms = [Term(search.index, lag, 0.0) for lag in range(1, lags + 1)]
    terms += [Term(other, lag, 0.0) for other in others for lag in range(1, LAGS + 1)]
    terms += [Term(other, 0, 0.0) for other in others if other < search.index]
    inputs_MF, ridge = _inputs(search, terms, fit_NL), LONG_RIDGE if long else RIDGE
    prediction = _fitted(inputs_MF, search.units[fit_NL].numpy(), terms, ridge)
    reference, known = prediction.of(
        search.seen.history, search.seen.units_NLD, search.seen.present_NLD
    )
    own = search.variable.own
    apart = search.units - reference
    usual = float(apart[steps_NL & known].abs().median())
    if isinstance(own, Numeric) and own.decimals is not None:
        apart = search.units - reference.round()
    return _Fit(prediction, apart, steps_NL & known, usual)


def _said_otherwise(search: Search) -> Any:
    """Return the steps whose value an equal relation or a code of its own says, (N, L)."""
    variable, own = search.variable, search.variable.own
    said = torch.zeros_like(search.known)
    if variable.relations:
        said |= search.units == search.last
    if any(each.reference == "back" for each in variable.relations):
        said |= search.seen.history.has_back[..., search.index] & (search.units == search.back)
    kept = (np.asarray(variable.shares) >= KEPT_SHARE) & (np.diff(own.first_cells) == 1)
    for code in np.flatnonzero(kept):
        said |= search.units == variable.unit_of_cell[own.first_cells[code]]
    return said


def _inputs(search: Search, terms: Sequence[Term], steps_NL: Any) -> Array:
    """Return the values of terms at some steps, (M, F)."""
    seen = search.seen
    columns = []
    for variable, lag, _ in terms:
        value = seen.history.recent[..., variable, max(lag - 1, 0)]
        if not lag:
            units = seen.units_NLD[..., variable]
            value = torch.where(units == MISSING, value, units)
        columns.append(value[steps_NL])
    return torch.stack(columns, dim=1).numpy()


def _fitted(inputs_MF: Array, values_M: Array, terms: Sequence[Term], ridge: float) -> Prediction:
    """Return the prediction of the terms that say most."""
    weights_F, constant = _least_squares(inputs_MF, values_M, ridge)
    spread_F = inputs_MF.std(0)
    most = min(MOST_TERMS, max(len(values_M) // STEPS_PER_TERM, 1))
    chosen = np.argsort(-np.abs(weights_F * spread_F), kind="stable")[:most]
    chosen = np.sort(chosen[spread_F[chosen] > 0])
    weights_F, constant = _least_squares(inputs_MF[:, chosen], values_M, ridge)
    kept = [
        Term(terms[at].variable, terms[at].lag, _rounded(weight))
        for at, weight in zip(chosen.tolist(), weights_F.tolist(), strict=True)
    ]
    return Prediction(_rounded(constant), tuple(kept))


def _rounded(number: float) -> float:
    return float(f"{number:.{DIGITS}g}")


def _least_squares(inputs_MF: Array, values_M: Array, ridge: float) -> tuple[Array, float]:
    """Return weights and constant; steps that are far off count less."""
    middle_F, spread_F = inputs_MF.mean(0), inputs_MF.std(0)
    spread_F = np.where(spread_F > 0, spread_F, 1.0)
    scaled_MF = (inputs_MF - middle_F) / spread_F
    count_M = np.ones(len(values_M))
    for _ in range(PASSES):
        middle = np.average(values_M, weights=count_M)
        center_F = np.average(scaled_MF, axis=0, weights=count_M)
        away_MF = scaled_MF - center_F
        weighed_MF = away_MF * count_M[:, None]
        square_FF = weighed_MF.T @ away_MF + ridge * len(values_M) * np.eye(len(spread_F))
        weights_F = np.linalg.solve(square_FF, weighed_MF.T @ (values_M - middle))
        off_M = np.abs(values_M - middle - away_MF @ weights_F)
        far = HUBER * max(float(np.median(off_M)), 1e-12)
        count_M = np.minimum(far / np.maximum(off_M, far), 1.0)
    weights_F = weights_F / spread_F
    return weights_F, float(middle - center_F @ (weights_F * spread_F) - middle_F @ weights_F)
