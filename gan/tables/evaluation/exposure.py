"""Whom rows expose: singling out, linkability and inference, beside rows never trained on.

The three ways in which data fails to be anonymous (Article 29 Working Party, Opinion 05/2014), as
attacks of somebody who has the synthetic rows and nothing else of ours (Giomi et al. 2023, see
`gan.metrics.residual_risk`):

- singling out: a predicate on a few columns that one synthetic row meets alone, "there is exactly
  one row of an age of at least 93 from the north". It succeeds where one real row meets it;
- linkability: of a person some columns are known from here and others from there. The nearest
  synthetic rows of both halves are one and the same, so that the halves are of one person;
- inference: all columns but one are known, and the nearest synthetic row says that one.

Each is tried on training rows and on as many of the holdout. `privacy.quasi_identifiers` says what
an attacker knows; without it every column may be known.

Shapes: T attacked rows, M fakes, P predicates, F coordinates.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from gan.metrics.neighbours import nearest
from gan.metrics.residual_risk import Attacked, clustered, residual_risk, thinned
from gan.randomness import numpy_stream
from gan.report import Ceiling, Measured, Metric
from gan.tables.evaluation.closeness import Space
from gan.tables.evaluation.columns import (
    EvaluationContext,
    JudgedColumn,
    as_levels,
    as_numbers,
    is_null,
    levels_by_count,
)
from gan.tables.evaluation.rows import some

Array = np.ndarray[Any, Any]

TARGETS: Final = 1000
"""Most rows of train, and of the holdout, that are attacked."""
KNOWN_FAKES: Final = 5000
"""Most synthetic rows that the attacker uses."""
MOST_SECRETS: Final = 12
"""Most columns that are inferred, the label first."""
PREDICATE_COLUMNS: Final = 6
"""Most columns of a predicate; each is of two to so many."""
PREDICATES: Final = 5000
"""So many are tried on synthetic rows; those that one of them meets alone are guesses."""
SINGLED: Final = 5000
"""Most rows of train, and of the holdout, among which one alone may meet a predicate."""
TOLERANCE: Final = 0.05
"""A number is inferred where the guess is as near to it as this share of it."""


@dataclass(frozen=True, kw_only=True)
class Targets:
    """Rows that are attacked: as many trained on as not."""

    train: pa.Table
    control: pa.Table

    @property
    def both(self) -> tuple[pa.Table, pa.Table]:
        """Train first."""
        return self.train, self.control


class Exposure:
    """Attacks on the people behind the rows, with the synthetic rows alone."""

    def __init__(self, context: EvaluationContext) -> None:
        """Choose the rows to attack and learn coordinates."""
        self.context = context
        self.targets = _targets(context, TARGETS)
        self.singled = _targets(context, SINGLED)
        asked = set(context.options.quasi_identifiers)
        self.columns = [one for one in context.columns if not _is_constant(one, context)]
        self.known = [one for one in self.columns if one.name in asked] or self.columns
        self.spaces = {one.name: Space(context.splits.train, [one]) for one in self.columns}
        self.points = [
            {one.name: self.spaces[one.name].points(part) for one in self.columns}
            for part in self.targets.both
        ]

    def measure(self, candidate: pa.Table) -> Iterator[Measured]:
        """Yield the three risks, inference also by column; nothing of fewer than two columns."""
        if len(self.columns) < 2:
            return
        fakes = some(candidate, KNOWN_FAKES, self.context.seed, "attacker")
        points = {one.name: self.spaces[one.name].points(fakes) for one in self.columns}
        yield _measured("singling_out", "all", *self._singled_out(fakes))
        yield _measured("linkability", "all", *self._linked(points))
        inferred = dict(self._inferred(fakes, points))
        if not inferred:
            return
        pairs = list(inferred.values())
        train = Attacked(*(sum(part) for part in zip(*(a for a, _ in pairs), strict=True)))
        control = Attacked(*(sum(part) for part in zip(*(b for _, b in pairs), strict=True)))
        yield _measured("inference", "all", train, control)
        for name, (own, other) in inferred.items():
            yield _measured("inference", f"all/{name}", own, other)

    def _linked(self, points: dict[str, Array]) -> tuple[Attacked, Attacked]:
        """Return how often both halves of a row lead to the same synthetic row."""
        first, second = self._halves()
        found = []
        for part in self.points:
            ends = [
                nearest(_joined(part, names), _joined(points, names)).index_N
                for names in (first, second)
            ]
            found.append(Attacked(int((ends[0] == ends[1]).sum()), len(ends[0])))
        return found[0], found[1]

    def _halves(self) -> tuple[list[str], list[str]]:
        """Return what is known here and there: quasi-identifiers, and the rest; or two halves.

        Of halves each has as many columns that tell rows apart.
        """
        known = [one.name for one in self.known]
        rest = [one.name for one in self.columns if one.name not in known]
        if rest:
            return known, rest
        train = self.context.splits.train
        known.sort(key=lambda name: -len(train[name].unique()))
        return known[::2], known[1::2]

    def _inferred(
        self, fakes: pa.Table, points: dict[str, Array]
    ) -> Iterator[tuple[str, tuple[Attacked, Attacked]]]:
        """Yield how often the nearest synthetic row by known columns says another one."""
        for secret in self._secrets():
            names = [one.name for one in self.known if one.name != secret.name]
            if not names:
                continue
            found = []
            for part, rows in zip(self.points, self.targets.both, strict=True):
                at_T = nearest(_joined(part, names), _joined(points, names)).index_N
                guesses = fakes[secret.name].take(pa.array(at_T))
                hits_T = _says(secret, rows[secret.name], guesses)
                found.append(Attacked(int(hits_T.sum()), len(hits_T)))
            yield secret.name, (found[0], found[1])

    def _secrets(self) -> list[JudgedColumn]:
        """Return the columns that are inferred, the label first."""
        known = {one.name for one in self.known} if len(self.known) < len(self.columns) else set()
        secrets = [one for one in self.columns if one.name not in known]
        secrets.sort(key=lambda one: one.name != self.context.splits.label)
        return secrets[:MOST_SECRETS]

    def _singled_out(self, fakes: pa.Table) -> tuple[Attacked, Attacked]:
        """Return how often a predicate that one fake meets alone is met by one real row alone."""
        rng = numpy_stream(self.context.seed, "singling-out")
        codes = [_codes(one, [fakes, *self.singled.both]) for one in self.known]
        rows_P = rng.integers(fakes.num_rows, size=PREDICATES)
        used_P = rng.integers(2, PREDICATE_COLUMNS + 1, size=PREDICATES)
        guesses, hits = 0, (list[int](), list[int]())
        for row, used in zip(rows_P, used_P, strict=True):
            chosen = [codes[index] for index in rng.permutation(len(codes))[:used]]
            values = [one.parts[0][row] for one in chosen]
            if len(_meeting(chosen, values, 0)) != 1:
                continue  # not singled out among synthetic rows: no guess
            guesses += 1
            for part, found in enumerate(hits, start=1):
                at = _meeting(chosen, values, part)
                if len(at) == 1:
                    found.append(int(at[0]))
        (train, own), (control, other) = (clustered(found, guesses) for found in hits)
        effect = max(own, other)
        return thinned(train, effect), thinned(control, effect)


@dataclass(frozen=True, kw_only=True)
class PredicateColumn:
    """One column of fakes, train and control, as predicates see it."""

    parts: tuple[Array, Array, Array]
    ordered: bool
    middle: float
    """The median: above it a predicate says at least, below it at most."""

    def meets(self, part: int, value: float) -> Array:
        """Return which rows of a part meet the predicate made of a value."""
        values_N = self.parts[part]
        if not self.ordered or np.isnan(value):
            equal: Array = np.isnan(values_N) if np.isnan(value) else values_N == value
            return equal
        beyond: Array = values_N >= value if value >= self.middle else values_N <= value
        return beyond


def _meeting(columns: Sequence[PredicateColumn], values: Sequence[float], part: int) -> Array:
    """Return the rows of a part that meet a predicate."""
    met = columns[0].meets(part, values[0])
    for column, value in zip(columns[1:], values[1:], strict=True):
        met = met & column.meets(part, value)
    return np.flatnonzero(met)


def _codes(column: JudgedColumn, tables: Sequence[pa.Table]) -> PredicateColumn:
    """Return the values of a column of fakes, train and control as numbers; null is NaN."""
    parts = [table[column.name] for table in tables]
    if column.form == "number":
        values = [as_numbers(part) for part in parts]
        valid = values[1][~np.isnan(values[1])]
        middle = float(np.median(valid)) if len(valid) else 0.0
        return PredicateColumn(parts=(values[0], values[1], values[2]), ordered=True, middle=middle)
    levels = levels_by_count(pa.chunked_array([c for part in parts for c in part.chunks]))[0]
    codes = []
    for part in parts:
        found = as_levels(part, levels).astype(np.float64)
        codes.append(np.where(is_null(part), np.nan, found))
    return PredicateColumn(parts=(codes[0], codes[1], codes[2]), ordered=False, middle=0.0)


def _says(column: JudgedColumn, truth: Any, guesses: Any) -> Array:
    """Return where guesses are right; numbers within the tolerance."""
    both_null: Array = is_null(truth) & is_null(guesses)
    if column.form == "levels":
        levels = levels_by_count(pa.chunked_array([*truth.chunks, *guesses.chunks]))[0]
        true_T, guess_T = as_levels(truth, levels), as_levels(guesses, levels)
        right: Array = (true_T == guess_T) & (true_T >= 0)
    else:
        true_T, guess_T = as_numbers(truth), as_numbers(guesses)
        with np.errstate(invalid="ignore"):
            right = np.abs(guess_T - true_T) <= TOLERANCE * np.abs(true_T)
    return np.asarray(right | both_null)


def _joined(points: dict[str, Array], names: Sequence[str]) -> Array:
    return np.concatenate([points[name] for name in names], axis=1)


def _targets(context: EvaluationContext, most: int) -> Targets:
    """Return equally many rows of train and of the holdout."""
    splits, seed = context.splits, context.seed
    rows = min(most, splits.holdout.num_rows, splits.train.num_rows)
    return Targets(
        train=some(splits.train, rows, seed, "attacked-train"),
        control=some(splits.holdout, rows, seed, "attacked-control"),
    )


def _is_constant(column: JudgedColumn, context: EvaluationContext) -> bool:
    values = context.splits.train[column.name]
    return len(values.unique()) < 2


def _measured(name: str, scope: str, train: Attacked, control: Attacked) -> Measured:
    risk = residual_risk(train, control)
    metric = Metric(
        name=name,
        scope=scope,
        value=risk.value,
        low=risk.low,
        high=risk.high,
        n=round(train.attacks),
        ceiling=Ceiling(value=0.0, low=-risk.chance, high=risk.chance),
        direction="lower",
    )
    because = (
        f"{train.rate:.1%} of the attacks succeed on rows that were trained on, {control.rate:.1%} "
        "on rows that were not"
    )
    return Measured(metric=metric, because=because)
