"""How the values of a column are rounded: whole thousands, prices that end in 99, first of a month.

A habit is a lattice of values, every `step` from `rest`, with a share of the rows. A coarse lattice
holds points of finer ones by chance, so the shares are those that, mixed, give each lattice as many
rows as are seen on it: a least squares problem with shares of zero or more (Lawson and Hanson 1974,
"Solving least squares problems", chapter 23). Shares are learnt apart for ranges of a column, from
the values that few rows hold; a lattice with fewer than `g` of them is none.

Shapes: N values, H habits, coarse ones first.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from scipy.optimize import nnls

from gan.tables.columns.values import per_second

Array = np.ndarray[Any, Any]

ROUND = (1, 5)
"""Steps of amounts: these times powers of ten, each a divisor of the next."""
_ROUND_STEPS = tuple(digit * 10**power for power in range(18) for digit in ROUND)
_LARGEST_STEP = 2**62
SECONDS = (1, 5, 10, 60, 300, 900, 1800, 3600, 43_200, 86_400)
MOST_STEPS = 12
"""Lattices of round values in one range."""
MONTH, DAYS_OF_MONTH = 0, 30.436875
"""The step that stands for the first day of each month, and how many days lie between two."""
FEWEST_MULTIPLES = 12
"""So many different values are multiples of one step by design."""
ENDINGS = (10, 100, 1000)
"""An ending, such as 99, is a remainder of one of these."""
MOST_ENDINGS = 8
OFTEN, SIGMAS = 2.5, 6.0
"""An ending has so many times the rows that chance gives it, and so many standard deviations more;
days of the week differ by as many."""
LEAST_SHARE = 0.005
"""Rarer habits are left out."""


class Habit(NamedTuple):
    """A lattice of values."""

    step: int
    rest: int
    share: float
    """Of the rows."""

    def holds(self, units_N: Array, day: int) -> Array:
        """Return which values lie on the lattice."""
        if self.step == MONTH:
            found: Array = units_N == _month_starts(units_N, day)[0]
            return found
        on_N: Array = units_N % self.step == self.rest
        return on_N

    def nearest(self, units_N: Array, low_N: Array, high_N: Array, day: int) -> Array:
        """Return the point that is nearest to each value, moved inside the bounds by one step.

        Args:
            units_N: whole numbers, as floats.
            low_N: smallest value.
            high_N: largest value.
            day: units of a day.
        """
        if self.step == MONTH:
            below_N, above_N = _month_starts(np.rint(units_N).astype(np.int64), day)
            near_N = np.where(units_N - below_N <= above_N - units_N, below_N, above_N)
            near_N = np.where(near_N < low_N, above_N, near_N)
            return np.where(near_N > high_N, below_N, near_N)
        whole_N = np.rint((units_N - self.rest) / self.step).astype(np.int64)
        near_N = whole_N * self.step + self.rest
        near_N = np.where(near_N < low_N, near_N + self.step, near_N)
        return np.where(near_N > high_N, near_N - self.step, near_N)


def _month_starts(units_N: Array, day: int) -> tuple[Array, Array]:
    """Return the first days of the month that each value lies in, and of the next one."""
    months_N = (units_N // day).astype("datetime64[D]").astype("datetime64[M]")
    both = (months_N + shift for shift in (0, 1))
    below_N, above_N = (m.astype("datetime64[D]").astype(np.int64) * day for m in both)
    return below_N, above_N


def day_units(kind: Any) -> int:
    """Return how many units of a type make a day; 0 when it is no date or timestamp."""
    if pa.types.is_date(kind):
        return 86_400_000 if kind.bit_width == 64 else 1
    if pa.types.is_timestamp(kind):
        return 86_400 * per_second(kind)
    return 0


def learn_habits(units_N: Array, g: int, kind: Any) -> tuple[Habit, ...]:
    """Return the habits of whole values, coarse ones first; the last is every value.

    Args:
        units_N: int64.
        g: a lattice that holds fewer of them is none.
        kind: the column's type.
    """
    day = day_units(kind)
    found = [Habit(step, 0, 0.0) for step in _steps(units_N, kind)]
    found += _days(units_N, kind, g) if day else _endings(units_N, found, g)
    counts = np.array([np.count_nonzero(each.holds(units_N, day)) for each in found])
    found = [each for each, count in zip(found, counts, strict=True) if count >= g]
    if not found:
        return (Habit(_steps(units_N, kind)[0], 0, 1.0),)
    seen_H = counts[counts >= g] / len(units_N)
    chances_HH = np.array([[_chance(drawn, on, day) for drawn in found] for on in found])
    shares_H = nnls(chances_HH, seen_H)[0]
    shares_H[shares_H * len(units_N) < max(g, LEAST_SHARE * len(units_N))] = 0
    shares_H = np.round(shares_H / shares_H.sum(), 4) if shares_H.any() else np.eye(len(found))[0]
    kept = [
        Habit(each.step, each.rest, float(share))
        for each, share in zip(found, shares_H, strict=True)
        if share > 0 or each is found[0]
    ]
    return tuple(sorted(kept, key=lambda each: (-_length(each, day), each.rest)))


def _length(habit: Habit, day: int) -> float:
    """Return the distance of two points of a lattice."""
    return DAYS_OF_MONTH * day if habit.step == MONTH else habit.step


def _steps(units_N: Array, kind: Any) -> list[int]:
    """Return the steps of round values that are not wider than the values' range, 1 first."""
    types = pa.types
    width = int(units_N.max() - units_N.min()) if len(units_N) else 0
    if types.is_timestamp(kind) or types.is_time(kind) or types.is_duration(kind):
        unit = per_second(kind)
        steps = [10**power for power in range(len(str(unit)) - 1)] + [s * unit for s in SECONDS]
    elif types.is_date(kind):
        steps = [day_units(kind)]
    else:
        base = _common_step(units_N, width)
        steps = [step for one in _ROUND_STEPS if (step := base * one) < _LARGEST_STEP]
    first = 0
    while first + 1 < len(steps) and not np.any(units_N % steps[first + 1]):
        first += 1
    return [step for step in steps[first:][:MOST_STEPS] if step <= max(width, steps[first])]


def _common_step(units_N: Array, width: int) -> int:
    """Return the step that all values are multiples of where no round one is, such as 60; else 1.

    Few different values have one by chance.
    """
    values = np.unique(units_N)
    if len(values) < FEWEST_MULTIPLES:
        return 1
    common = int(np.gcd.reduce(values))
    return 1 if common > width or common in _ROUND_STEPS else max(common, 1)


def _days(units_N: Array, kind: Any, g: int) -> list[Habit]:
    """Return days of the week, where they differ, and the first of the month."""
    day = day_units(kind)
    if np.any(units_N % day):
        return []
    found = [Habit(MONTH, 0, 0.0)]
    counts = np.bincount((units_N // day) % 7, minlength=7)
    mean = len(units_N) / 7
    if mean >= g and np.abs(counts - mean).max() > SIGMAS * np.sqrt(mean):
        found += [Habit(7 * day, rest * day, 0.0) for rest in range(7)]
    return found


def _endings(units_N: Array, steps: Sequence[Habit], g: int) -> list[Habit]:
    """Return remainders that are much commoner than chance makes them, among different values."""
    found: list[Habit] = []
    units_N = np.unique(units_N)
    for modulus in (modulus for modulus in ENDINGS if modulus % steps[0].step == 0):
        rests_N = units_N % modulus
        counts = np.bincount(rests_N, minlength=modulus)
        expected = _expected(rests_N, modulus, steps, found)
        excess = counts - np.maximum(OFTEN * expected, expected + SIGMAS * np.sqrt(expected))
        rests = np.flatnonzero((excess > 0) & (counts >= 2 * g))
        rests = rests[np.argsort(-excess[rests], kind="stable")][:MOST_ENDINGS]
        found += [Habit(modulus, int(rest), 0.0) for rest in rests if rest]
    return found


def _expected(
    rests_N: Array, modulus: int, steps: Sequence[Habit], endings: Sequence[Habit]
) -> Array:
    """Return the rows of each remainder, were those of one level of roundness equally common."""
    rests = np.arange(modulus)
    level = np.zeros(modulus, dtype=np.int64)
    for number, habit in enumerate(steps):
        if habit.step <= modulus:
            level[rests % habit.step == 0] = number + 1
    for number, habit in enumerate(endings):
        level[rests % habit.step == habit.rest] = -1 - number
    _, level = np.unique(level, return_inverse=True)
    rows = np.bincount(level[rests_N], minlength=level.max() + 1)
    share: Array = (rows / np.bincount(level))[level]
    return share


def _chance(drawn: Habit, on: Habit, day: int) -> float:
    """Return the share of a lattice's points that lie on another one."""
    if drawn.step == on.step == MONTH:
        return 1.0
    if on.step == MONTH:
        return 1 / DAYS_OF_MONTH
    if drawn.step == MONTH:
        return min(1.0, day / on.step) if on.step > day else 1.0
    common = int(np.gcd(drawn.step, on.step))
    return common / on.step if (drawn.rest - on.rest) % common == 0 else 0.0


def round_to_habits(
    values_N: Array,
    low_N: Array,
    high_N: Array,
    turns_N: Array,
    habits: Sequence[Habit],
    day: int,
) -> Array:
    """Return values rounded to the habits, each as often as its share says; int64.

    A lattice without a point between the bounds gives way to the next finer one, and in the end to
    any whole value.

    Args:
        values_N: floats.
        low_N: smallest whole number of each.
        high_N: largest.
        turns_N: in [0, 1), evenly: which habit each follows.
        habits: coarse ones first.
        day: units of a day.
    """
    ends = np.cumsum([habit.share for habit in habits])
    wanted_N = np.searchsorted(ends / ends[-1], turns_N, side="right")
    found_N = np.clip(np.rint(values_N).astype(np.int64), low_N, high_N)
    open_N = np.ones(len(values_N), dtype=bool)
    for number, habit in enumerate(habits):
        rows = np.flatnonzero(open_N & (wanted_N <= number))
        near = habit.nearest(values_N[rows], low_N[rows], high_N[rows], day)
        fits = (near >= low_N[rows]) & (near <= high_N[rows])
        found_N[rows[fits]] = near[fits]
        open_N[rows[fits]] = False
    return found_N
