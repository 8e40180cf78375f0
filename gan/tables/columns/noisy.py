"""Counts of one column with noise: its levels, where its numbers lie, how they are rounded.

Every question is one histogram in which a row counts once, so that a row more or less changes one
number by one: Gaussian noise makes it differentially private (Dwork & Roth, "The algorithmic
foundations of differential privacy", 2014, appendix A). What is read off noisy counts takes no more
privacy, however it is read.

Levels are not known beforehand, so only those are told whose noisy count is above a threshold that
a level of one row passes with a probability of at most δ (Korolova et al., "Releasing search
queries and clicks privately", 2009; Wilson et al., "Differentially private SQL with bounded user
contribution", 2020, section 3.3). Numbers are sought in cells that are fixed without the data:
powers of two, or sixteenths of the range that a constraint declares; cells that hold much more than
noise are cut in sixteen again, to the precision that the counts afford.

Shapes: N values, M cells, E edges.
"""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.tables.columns.values import EXACT, MOST_DECIMALS, per_second

Array = np.ndarray[Any, Any]

PARTS: Final = 16
OPEN_LEVELS, BOUNDED_LEVELS = 4, 3
"""How often a column of numbers is counted; without declared bounds, powers of two come first."""
KEPT: Final = 4.0
"""A cell counts where it holds so many standard deviations of the noise: what lies where no row is
would block at the gate, which knows the real range."""
CUT: Final = 8.0
"""One that holds so many is cut."""
LARGEST_POWER, SMALLEST_POWER = 62, -20
"""Of two: what lies beyond counts as the outermost; floats below the smallest count as zero."""
UNROUNDED: Final = 0.005
"""Share of the rows that may be written finer than the rounding that is found."""
STEPS_S: Final = (86_400, 3_600, 60, 1)
"""Steps of moments that are looked for, in seconds."""


@dataclass(frozen=True, kw_only=True)
class Noise:
    """What is added to counts."""

    sigma: float
    """Standard deviation."""
    delta: float
    """Most that one column's threshold adds to δ."""
    numbers: np.random.Generator

    def on(self, counts_M: Array) -> Array:
        """Return counts with noise."""
        noisy_M: Array = counts_M + self.sigma * self.numbers.standard_normal(len(counts_M))
        return noisy_M

    @property
    def threshold(self) -> float:
        """What the noisy count of a level must exceed: one row shows it with probability δ."""
        return 1.0 + self.sigma * NormalDist().inv_cdf(1.0 - self.delta)


class Masses(NamedTuple):
    """What of a column stands out of the noise: parts and their noisy counts, and the nulls'."""

    parts: Any
    """Levels, an Arrow array; or cells, (M, 2), low and high."""
    counts_M: Array
    nulls: float
    """0 where they do not stand out."""


def noisy_levels(values: Any, noise: Noise) -> Masses:
    """Return the levels that enough rows hold; one question."""
    found = pc.value_counts(values.drop_null())
    counts_M = noise.on(found.field("counts").to_numpy(zero_copy_only=False).astype(np.float64))
    nulls = float(noise.on(np.array([values.null_count]))[0])
    limit = max(noise.threshold, KEPT * noise.sigma)
    kept_M = counts_M > limit
    return Masses(
        found.field("values").filter(pa.array(kept_M)),
        counts_M[kept_M],
        nulls if nulls > KEPT * noise.sigma else 0.0,
    )


def noisy_nulls(values: Any, noise: Noise) -> tuple[float, float]:
    """Return the noisy counts of nulls and of all others, none below zero; one question."""
    nulls, others = noise.on(np.array([values.null_count, len(values) - values.null_count]))
    return (nulls if nulls > KEPT * noise.sigma else 0.0), max(others, 0.0)


def noisy_cells(
    values_N: Array, nulls: int, noise: Noise, bounds: tuple[float, float] | None, *, whole: bool
) -> Masses:
    """Return cells of numbers that stand out of the noise, as fine as the counts afford.

    It takes `OPEN_LEVELS` questions, and `BOUNDED_LEVELS` with bounds.

    Args:
        values_N: without nulls.
        nulls: how many there are.
        noise: that is added to every count.
        bounds: smallest and largest value, declared; what lies beyond counts as these.
        whole: whether they are integers.
    """
    edges_E = _powers(whole=whole) if bounds is None else _cut(*_ends(bounds, whole), whole=whole)
    last = edges_E[-1] - 1 if whole else np.nextafter(edges_E[-1], -np.inf)
    sorted_N = np.sort(np.clip(values_N.astype(np.float64), edges_E[0], last))
    cells_M2 = np.stack([edges_E[:-1], edges_E[1:]], axis=1)
    counts_M = noise.on(np.append(_count(sorted_N, cells_M2), nulls))
    counts_M, noisy = counts_M[:-1], float(counts_M[-1])
    kept_M = counts_M > KEPT * noise.sigma
    cells_M2, counts_M = cells_M2[kept_M], counts_M[kept_M]
    for _ in range((OPEN_LEVELS if bounds is None else BOUNDED_LEVELS) - 1):
        cells_M2, counts_M = _finer(sorted_N, cells_M2, counts_M, noise, whole=whole)
    return Masses(cells_M2, counts_M, noisy if noisy > KEPT * noise.sigma else 0.0)


def noisy_decimals(column: Any, noise: Noise) -> int | None:
    """Return the fewest decimals that write nearly all floats; None where none do; one question."""
    values_N = column.drop_null().to_numpy(zero_copy_only=False).astype(np.float64)
    kind = column.type.to_pandas_dtype()
    needed_N = np.full(len(values_N), MOST_DECIMALS + 1)
    for decimals in reversed(range(MOST_DECIMALS + 1)):
        scaled_N = np.rint(values_N * 10.0**decimals)
        written_N = (scaled_N / 10.0**decimals).astype(kind).astype(np.float64) == values_N
        written_N &= np.abs(scaled_N) < EXACT[np.dtype(kind).itemsize]
        needed_N[written_N] = decimals
    found = _coarsest(needed_N, MOST_DECIMALS + 2, noise)
    return None if found > MOST_DECIMALS else found


def noisy_step(units_N: Array, kind: Any, noise: Noise) -> int:
    """Return the coarsest step of nearly all moments, in units of their type; one question."""
    steps = [step * per_second(kind) for step in STEPS_S]
    needed_N = np.full(len(units_N), len(steps))
    for place, step in reversed(list(enumerate(steps))):
        needed_N[units_N % step == 0] = place
    return (*steps, 1)[_coarsest(needed_N, len(steps) + 1, noise)]


def _coarsest(needed_N: Array, places: int, noise: Noise) -> int:
    """Return the first place beyond which almost no value lies."""
    counts = noise.on(np.bincount(needed_N, minlength=places).astype(np.float64))
    finer = counts[::-1].cumsum()[::-1] - counts
    room = UNROUNDED * max(counts.sum(), 0.0) + KEPT * noise.sigma * np.sqrt(places)
    return int(np.argmax(finer <= room))


def _ends(bounds: tuple[float, float], whole: bool) -> tuple[float, float]:  # noqa: FBT001
    """Return the first value and the one behind the last."""
    low, high = bounds
    if whole:
        return float(np.ceil(low)), max(float(np.floor(high)), float(np.ceil(low))) + 1.0
    return low, float(np.nextafter(high, np.inf))


def _powers(*, whole: bool) -> Array:
    """Return the edges of zero and of the powers of two, on both sides."""
    if whole:
        powers = 2.0 ** np.arange(LARGEST_POWER + 1)
        return np.unique(np.concatenate([1.0 - powers, powers]))
    powers = 2.0 ** np.arange(SMALLEST_POWER, LARGEST_POWER + 1)
    return np.concatenate([-powers[::-1], powers])


def _cut(low: float, high: float, *, whole: bool) -> Array:
    """Return the edges of the parts of a cell."""
    if not whole:
        return np.unique(np.linspace(low, high, PARTS + 1))
    parts = min(PARTS, int(high - low))
    return low + np.floor((high - low) * np.arange(parts + 1) / parts)


def _count(sorted_N: Array, cells_M2: Array) -> Array:
    """Return how many values each cell holds."""
    ends_M2 = np.searchsorted(sorted_N, cells_M2, side="left")
    counts_M: Array = (ends_M2[:, 1] - ends_M2[:, 0]).astype(np.float64)
    return counts_M


def _finer(
    sorted_N: Array, cells_M2: Array, counts_M: Array, noise: Noise, *, whole: bool
) -> tuple[Array, Array]:
    """Return cells with those cut that hold enough; one question, whose cells are disjoint.

    Parts together count what the whole did. A cell none of whose parts stands out stays whole.
    """
    cells, counts = list[Array](), list[Array]()
    for cell, mass in zip(cells_M2, counts_M, strict=True):
        edges_E = _cut(*cell, whole=whole)
        if mass <= CUT * noise.sigma or len(edges_E) <= 2:
            cells.append(cell[None])
            counts.append(np.array([mass]))
            continue
        parts_M2 = np.stack([edges_E[:-1], edges_E[1:]], axis=1)
        parts_M = noise.on(_count(sorted_N, parts_M2))
        kept_M = parts_M > KEPT * noise.sigma
        if not kept_M.any():
            cells.append(cell[None])
            counts.append(np.array([mass]))
            continue
        cells.append(parts_M2[kept_M])
        counts.append(parts_M[kept_M] * mass / parts_M[kept_M].sum())
    if not cells:
        return cells_M2, counts_M
    return np.concatenate(cells), np.concatenate(counts)


def bounds_of(limits: tuple[float | None, float | None], scale: int) -> tuple[float, float] | None:
    """Return declared bounds in units of 10^-scale; None where one is missing."""
    low, high = limits
    if low is None or high is None:
        return None
    return float(low) * 10.0**scale, float(high) * 10.0**scale
