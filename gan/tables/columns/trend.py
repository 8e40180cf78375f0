"""How one number follows another: its mean, by straight lines between groups of rows.

Rows in the order of the other column form groups of at least `g`; equal values of it are never
parted. A knot is the mean of both columns in a group, what lies outside of what a column shows
counting as its end. So no knot is of fewer than `g` rows, and no extreme is in it.

Shapes: N rows, V knots.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from gan.tables.columns.values import find_decimals, is_number, to_units

Array = np.ndarray[Any, Any]

MOST_KNOTS = 1024
EXACT_PART, EXACT_SHARE = 1 / 8, 0.99
"""A column that lies within so much of its bin's width of the trend, in so many of the rows that
lie beside it, is the trend itself: a logarithm, a unit of measure, a day as a number."""

SMOOTH, FEWEST_ANSWERS = 0.3, 20
"""Numbers follow another smoothly where those of neighbours differ by so much of what those in a
random order do; there are at least so many different ones."""


class Trend(NamedTuple):
    """The mean of a column at values of another, both in units."""

    there_V: Array
    """Values of the other column, rising."""
    here_V: Array
    decimals: int | None
    """Of the other column, see `Numeric`."""
    exact: bool = False
    """Whether small differences from it are none."""

    def at(self, there: Any) -> tuple[Array, Array]:
        """Return the mean at values of the other column, and where these are no null."""
        there_N, known_N = to_units(there, self.decimals)
        return self.of_units(there_N), known_N

    def of_units(self, there_N: Array) -> Array:
        """Return the mean at values of the other column, in units."""
        found: Array = np.interp(there_N.astype(np.float64), self.there_V, self.here_V)
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the knots as JSON."""
        ends = {"there": self.there_V.tolist(), "here": self.here_V.tolist()}
        return {**ends, "decimals": self.decimals, "exact": self.exact}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild the trend."""
        there_V, here_V = (np.array(data[end], dtype=np.float64) for end in ("there", "here"))
        return cls(there_V, here_V, data["decimals"], data["exact"])


def on_trend(apart_N: Array, widths_N: Array) -> Array:
    """Return which differences from a trend are small in widths of bins."""
    found: Array = np.abs(apart_N) <= EXACT_PART * widths_N
    return found


def learn_trend(there_N: Array, here_N: Array, decimals: int | None, g: int) -> Trend:
    """Return the trend of one column in another.

    Args:
        there_N: units of the other column, none of them null, within what it shows.
        here_N: units of the column, within what it shows.
        decimals: of the other column.
        g: rows of a knot, at least.
    """
    order = np.argsort(there_N, kind="stable")
    _, first = np.unique(there_N[order], return_index=True)
    least = max(g, -(-len(order) // MOST_KNOTS))
    starts, end = [0], len(order)
    for start in first.tolist():
        if start - starts[-1] >= least and end - start >= least:
            starts.append(start)
    rows_V = np.diff([*starts, end])
    there_V, here_V = (
        np.add.reduceat(values_N[order].astype(np.float64), starts) / rows_V
        for values_N in (there_N, here_N)
    )
    return Trend(there_V, here_V, decimals)


def is_smooth(there: Any, here: Any) -> bool:
    """Return whether both are numbers, and one follows the other without jumps.

    Args:
        there: different values, Arrow.
        here: what goes with each.
    """
    numbers = is_number(there.type) and is_number(here.type)
    if not numbers or there.null_count or here.null_count:
        return False
    order = np.argsort(to_units(there, None)[0], kind="stable")
    here_G = to_units(here, None)[0][order].astype(np.float64)
    if len(np.unique(here_G)) < FEWEST_ANSWERS:
        return False
    mixed_G = np.random.default_rng(0).permutation(here_G)
    near, by_chance = (np.abs(np.diff(each)).mean() for each in (here_G, mixed_G))
    return bool(near <= SMOOTH * by_chance)


def trend_between(there: Any, here: Any, g: int) -> Trend:
    """Return the mean of one column of records by another; both end where g rows lie beyond."""
    (there_N, there_valid_N), (here_N, here_valid_N) = (
        to_units(there, None),
        to_units(here, find_decimals(here)),
    )
    both_N = there_valid_N & here_valid_N
    ends = []
    for values_N in (there_N[both_N], here_N[both_N]):
        low, high = np.sort(values_N)[[g, -1 - g]]
        ends.append(np.clip(values_N, low, high))
    return learn_trend(ends[0], ends[1], None, g)
