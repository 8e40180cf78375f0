"""Variables whose mean and spread, or range, was taken out of each entity by itself.

Archives of time series keep them so: every series has mean 0 and spread 1, or lies between 0 and 1.
No network that draws step after step meets such a sum over all steps exactly, and anyone tells
whose sum is not. So what is drawn is scaled as the records are.

What was measured in whole units, a count or the steps of an instrument, still lies on a grid after
that, one of its own width in each entity. The width is then one more static column, which is drawn
with the others, and values are moved to the grid.

Shapes: N entities, T steps of all, U distinct values of one entity.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal, Self

import numpy as np
import pyarrow as pa

from gan.tables.columns.values import plain
from storage.records.schema import Column

Array = np.ndarray[Any, Any]

NEAR: Final = 2e-3
"""Means and spreads differ by so much at most from those that are meant."""
SHARE: Final = 0.95
"""Of the entities that are scaled, or have a grid."""
FEWEST_STEPS, FEWEST_ENTITIES = 4, 20
"""An entity of fewer steps shows nothing; so many must show the same."""
MOST_ENTITIES: Final = 2_000
"""About so many entities are looked at."""
FEWEST_DISTINCT: Final = 8
"""Values that an entity must have for its grid to be seen."""
MOST_PARTS: Final = 12
"""The smallest distance of two values is up to so many widths of the grid."""
OFF: Final = 0.03
"""Of a width that a distance may be off the grid."""
MOST_DIGITS: Final = 10
"""Values of more significant digits are taken to have all."""


@dataclass(frozen=True, kw_only=True)
class EntityScale:
    """How each entity's values of one variable are scaled."""

    name: str
    """Of the variable."""
    kind: Literal["standard", "range"]
    """To mean 0 and spread 1, or to lie between `low` and `high`."""
    ddof: int = 0
    """Of the spread: 1 where the number of steps less one divides the sum of squares."""
    low: float = 0.0
    high: float = 1.0
    digits: int | None = None
    """Significant digits that values are written with; None: all."""
    width: str | None = None
    """Name of the static column of the grid's width; None where there is no grid."""

    def to_json(self) -> dict[str, Any]:
        """Return the scale as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild the scale."""
        return cls(**data)

    @property
    def column(self) -> Column:
        """The static column of the grid's width."""
        return Column(name=str(self.width), kind="float", why=f"width of the grid of {self.name}")

    def scaled(
        self, values: Any, lengths_N: Array, widths: Any | None, decimals: int | None
    ) -> Any:
        """Return Arrow values of all steps, those of each entity scaled as this says.

        Args:
            values: floats, of all steps.
            lengths_N: steps of each entity.
            widths: Arrow, of the grid of each entity, null where it has none; None without grids.
            decimals: that values have; None: all.
        """
        values_T = np.array(values.to_numpy(zero_copy_only=False), dtype=np.float64)
        widths_N = np.full(len(lengths_N), np.nan) if widths is None else _floats(widths)
        ends_N = np.cumsum(lengths_N)
        for first, end, width in zip(ends_N - lengths_N, ends_N, widths_N, strict=True):
            inside = self._of_one(values_T[first:end])
            if np.isfinite(width) and width > 0:
                inside = self._of_one(np.round(inside / width))
            values_T[first:end] = inside
        if decimals is not None:
            values_T = values_T.round(decimals)
        elif self.digits is not None:
            values_T = _of_digits(values_T, self.digits)
        missing_T = np.isnan(values_T) & values.is_null().to_numpy(zero_copy_only=False)
        return pa.array(values_T, type=values.type, mask=missing_T)

    def _of_one(self, values_L: Array) -> Array:
        """Return one entity's values scaled; those that are all alike stay."""
        there = values_L[np.isfinite(values_L)]
        if len(there) < FEWEST_STEPS or there.min() == there.max():
            return values_L
        if self.kind == "range":
            share_L = (values_L - there.min()) / (there.max() - there.min())
            return np.asarray(self.low + share_L * (self.high - self.low))
        return np.asarray((values_L - there.mean()) / there.std(ddof=self.ddof))


def find_scales(
    columns: Mapping[str, Any], lengths_N: Array, taken: Sequence[str]
) -> tuple[EntityScale, ...]:
    """Return the scales of the variables that have one.

    Args:
        columns: Arrow values of all steps, of each variable.
        lengths_N: steps of each entity.
        taken: names that no new column may have.
    """
    found, names = [], set(taken)
    for name, values in columns.items():
        if not pa.types.is_floating(values.type):
            continue
        entities = _entities(values, lengths_N)[:: max(len(lengths_N) // MOST_ENTITIES, 1)]
        entities = [each for each in entities if len(each) >= FEWEST_STEPS]
        scale = _scale_of(name, entities) if len(entities) >= FEWEST_ENTITIES else None
        if scale is None:
            continue
        widths = [grid_width(each) for each in entities if len(np.unique(each)) >= FEWEST_DISTINCT]
        on_grid = sum(each is not None for each in widths)
        if len(widths) >= FEWEST_ENTITIES and on_grid >= SHARE * len(widths):
            width = f"grid of {name}"
            while width in names:
                width += "_"
            names.add(width)
            scale = replace(scale, width=width)
        found.append(replace(scale, digits=_digits(np.concatenate(entities))))
    return tuple(found)


def grid_columns(
    scales: Sequence[EntityScale], columns: Mapping[str, Any], lengths_N: Array
) -> dict[Column, Any]:
    """Return the static columns of the widths of grids, as Arrow arrays of the entities."""
    found = {}
    for scale in scales:
        if scale.width is not None:
            widths = [grid_width(each) for each in _entities(columns[scale.name], lengths_N)]
            found[scale.column] = pa.array(widths, pa.float64())
    return found


def grid_width(values_L: Array) -> float | None:
    """Return the width of the grid that one entity's values lie on; None where there is none."""
    distinct_U = np.unique(values_L)
    if len(distinct_U) < FEWEST_DISTINCT:
        return None
    apart_U = np.diff(distinct_U)
    for parts in range(1, MOST_PARTS + 1):
        steps_U = apart_U * parts / apart_U.min()
        if np.abs(steps_U - steps_U.round()).max() <= OFF:
            total = steps_U.round().sum()
            return float((distinct_U[-1] - distinct_U[0]) / total)
    return None


def _digits(values_T: Array) -> int | None:
    """Return how many significant digits values have; None where they have all."""
    for digits in range(1, MOST_DIGITS + 1):
        if float((_of_digits(values_T, digits) == values_T).mean()) >= SHARE:
            return digits
    return None


def _of_digits(values_T: Array, digits: int) -> Array:
    """Return values rounded to so many significant digits."""
    size_T = np.abs(values_T)
    usable_T = np.isfinite(size_T) & (size_T > 0)
    places_T = digits - 1 - np.floor(np.log10(np.where(usable_T, size_T, 1.0)))
    up_T, down_T = 10.0 ** np.maximum(places_T, 0), 10.0 ** np.maximum(-places_T, 0)
    return np.asarray(np.round(values_T * up_T / down_T) * down_T / up_T)


def _floats(widths: Any) -> Array:
    return np.asarray(widths.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def _entities(values: Any, lengths_N: Array) -> list[Array]:
    """Return the values of each entity that are not missing."""
    values_T = np.asarray(plain(values).to_numpy(zero_copy_only=False), dtype=np.float64)
    parts = np.split(values_T, np.cumsum(lengths_N)[:-1])
    return [each[np.isfinite(each)] for each in parts]


def _scale_of(name: str, entities: Sequence[Array]) -> EntityScale | None:
    """Return how the values of entities are scaled; None where they are not."""
    moving = [each for each in entities if each.min() < each.max()]
    if len(moving) < max(SHARE * len(entities), FEWEST_ENTITIES):
        return None
    for ddof in (0, 1):
        spreads = np.array([(each.mean(), each.std(ddof=ddof) - 1) for each in moving])
        if float((np.abs(spreads) <= NEAR).all(1).mean()) >= SHARE:
            return EntityScale(name=name, kind="standard", ddof=ddof)
    ends = np.array([(each.min(), each.max()) for each in moving])
    low, high = np.median(ends, axis=0)
    distinct = np.median([len(np.unique(each)) for each in moving])
    near = np.abs(ends - (low, high)) <= NEAR * (high - low)
    if distinct >= FEWEST_DISTINCT and float(near.all(1).mean()) >= SHARE:
        return EntityScale(name=name, kind="range", low=float(low), high=float(high))
    return None
