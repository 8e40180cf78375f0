"""How many exceptions a condition would have if columns merely moved together.

Where amounts, counts and flags move together, the levels at one end of a column may have a value in
all their rows with no rule behind it. Against that stands a probit model of the other rows: whether
a row lacks the value, by all other columns and by the condition's own column, each as the scores of
a normal distribution. It foresees the exceptions among the rows of the condition; a rule is told by
how many of them there are none of.

N rows, S of them looked at, F features, L levels in their order.
"""

from collections.abc import Collection, Sequence
from functools import cached_property
from math import erfc, sqrt
from typing import Final

import numpy as np

from storage.sources.tables.structure.columns import Floats, Ints, Mask, TableColumns

_ROWS: Final = 6000
_FEWEST_ROWS: Final = 30
_MOST_LEVELS: Final = 12
_MOST_FEATURES: Final = 80
_ROUNDS: Final = 25
_CLOSE: Final = 1e-4
_SURE: Final = 2.0
"""The model's own standard errors by which it may foresee too many."""

_GRID = np.arange(-8.0, 8.001, 0.01)
_BELOW = np.array([erfc(-z / sqrt(2)) / 2 for z in _GRID])


class SmoothNull:
    """The columns of a table as features of a model in which nothing is ruled out."""

    def __init__(self, columns: TableColumns) -> None:
        """Take the columns.

        Args:
            columns: of the table.
        """
        self._columns = columns
        self._rows = columns.spread(_ROWS)

    def foreseen(
        self,
        lacks_N: Mask,
        levels_N: Ints,
        among: Sequence[int],
        by: str,
        without: Collection[str] = (),
    ) -> list[float]:
        """Return how many exceptions are foreseen at each of some levels, at the least.

        Args:
            lacks_N: the rows without the value; none of them is at those levels.
            levels_N: of the condition's column.
            among: those levels.
            by: the condition's column.
            without: columns that are computed from the value's column, or it from them.
        """
        lacks_S, levels_S = lacks_N[self._rows], levels_N[self._rows]
        rest_S = ~np.isin(levels_S, among)
        rows = [int((levels_N == level).sum()) for level in among]
        if lacks_S[rest_S].all():
            return [float(count) for count in rows]
        skipped = {by, *without, *self._alike(lacks_S)}
        parts = [part_SF for name, part_SF in self._features.items() if name not in skipped]
        own_SF = self._order_of(by, lacks_S, rest_S)
        features_SF = np.column_stack([own_SF, *parts])[:, :_MOST_FEATURES]
        centre_F, spread_F = features_SF[rest_S].mean(axis=0), features_SF[rest_S].std(axis=0)
        varies_F = spread_F > _CLOSE
        inputs_SF = (features_SF[:, varies_F] - centre_F[varies_F]) / spread_F[varies_F]
        inputs_SF = np.column_stack([np.ones(len(inputs_SF)), inputs_SF])
        weights_F, error_FF = _probit(inputs_SF[rest_S], lacks_S[rest_S].astype(float))
        errors_S = np.sqrt(((inputs_SF @ error_FF) * inputs_SF).sum(axis=1))
        shares_S = _below(inputs_SF @ weights_F - _SURE * errors_S)
        at_levels = [shares_S[levels_S == level] for level in among]
        return [
            float(shares.mean() * count) if len(shares) else 0.0
            for shares, count in zip(at_levels, rows, strict=True)
        ]

    @cached_property
    def _features(self) -> dict[str, Floats]:
        """Every column's features: the score of a number, common levels, whether it is missing."""
        return {name: self._read(name) for name in self._columns.names}

    def _read(self, name: str) -> Floats:
        columns, rows = self._columns, self._rows
        levels = columns.levels(name)
        codes_S, found = levels.codes_N[rows], list[Floats]()
        numbers = columns.quantities.get(name)
        values_N = columns.moments.get(name) if numbers is None else numbers.values_N
        if values_N is not None:
            found.append(normal_scores(values_N[rows]))
        elif len(levels.values) <= _MOST_LEVELS:
            common = np.argsort(-levels.counts_L, kind="stable")[1:].tolist()
            found += [(codes_S == code).astype(float) for code in common if code != levels.null]
        if levels.null is not None:
            found.append((codes_S == levels.null).astype(float))
        told = [one_S for one_S in found if _tells(one_S)]
        return np.stack(told, axis=1) if told else np.empty((len(rows), 0))

    def _alike(self, lacks_S: Mask) -> list[str]:
        """Return the columns that have one value, or none, in exactly the rows that have it."""
        first = int(np.argmin(lacks_S))
        every = {n: self._columns.levels(n).codes_N[self._rows] for n in self._columns.names}
        return [
            name
            for name, codes_S in every.items()
            if ((codes_S == codes_S[first]) != lacks_S).all()
        ]

    def _order_of(self, name: str, lacks_S: Mask, rest_S: Mask) -> Floats:
        """Return a column's own score: numbers as they rise, levels by their exceptions."""
        columns, rows = self._columns, self._rows
        levels = columns.levels(name)
        codes_S = levels.codes_N[rows]
        if len(np.unique(codes_S[rest_S])) < 2:
            return np.empty((len(rows), 0))
        if name in columns.quantities:
            return normal_scores(columns.quantities[name].values_N[rows])[:, None]
        count = len(levels.values)
        lacking_L = np.bincount(codes_S[lacks_S], minlength=count) + 0.5
        share_L = lacking_L / (np.bincount(codes_S, minlength=count) + 1)
        place_L = np.empty(count)
        place_L[np.argsort(share_L, kind="stable")] = np.arange(count)
        return normal_scores(place_L[codes_S])[:, None]


def _tells(one_S: Floats) -> bool:
    """Whether a feature is not the same in nearly all rows."""
    return int((one_S != 0).sum()) >= _FEWEST_ROWS


def normal_scores(values_S: Floats) -> Floats:
    """Return for each value the mean of a normal distribution between its ranks; 0 for none."""
    scores_S = np.zeros(len(values_S))
    known_S = ~np.isnan(values_S)
    if known_S.any():
        _, places, counts_L = np.unique(values_S[known_S], return_inverse=True, return_counts=True)
        ends = np.append(0, np.cumsum(counts_L)) / counts_L.sum()
        heights = _density(np.interp(ends, _BELOW, _GRID))
        heights[[0, -1]] = 0
        scores_S[known_S] = ((heights[:-1] - heights[1:]) / np.diff(ends))[places]
    return scores_S


def _below(scores: Floats) -> Floats:
    return np.asarray(np.interp(scores, _GRID, _BELOW))


def _density(scores: Floats) -> Floats:
    heights: Floats = np.exp(-(scores**2) / 2) / sqrt(2 * np.pi)
    return heights


def _probit(inputs_SF: Floats, happens_S: Floats) -> tuple[Floats, Floats]:
    """Return the weights of a probit model and their covariance, by Fisher scoring.

    All but the first, which is that of the constant, have a standard normal prior.
    """
    prior_FF = np.eye(inputs_SF.shape[1])
    prior_FF[0, 0] = _CLOSE
    weights_F = np.zeros(len(prior_FF))
    for _ in range(_ROUNDS):
        scores_S = np.clip(inputs_SF @ weights_F, -6, 6)
        share_S = np.clip(_below(scores_S), 1e-7, 1 - 1e-7)
        slope_S = _density(scores_S) / (share_S * (1 - share_S))
        gain_F = inputs_SF.T @ (slope_S * (happens_S - share_S)) - prior_FF @ weights_F
        scale_S = slope_S * _density(scores_S)
        bend_FF = (inputs_SF * scale_S[:, None]).T @ inputs_SF + prior_FF
        step_F = np.linalg.solve(bend_FF, gain_F)
        weights_F = weights_F + step_F
        if np.abs(step_F).max() < _CLOSE:
            break
    return weights_F, np.asarray(np.linalg.inv(bend_FF), dtype=np.float64)
