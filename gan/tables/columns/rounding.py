"""How a computed column is rounded: learnt from the real rows, so that every one is met exactly.

Two programs round the same product differently: 1.005 * 100 is 100.49999999999999 in floats, which
`numpy.round` makes 100, and a database that counts in decimals makes 101. So the ways are tried one
after another, and the first that gives every real value is the column's. Ways that go to the
nearest value differ in ties only: where none of them explains every tie, any value within half a
step is accepted.

Shapes: N rows.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa

from gan.tables.columns.values import LARGEST, find_decimals, from_units, to_units

Array = np.ndarray[Any, Any]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

NOISE = 1e-12
"""Relative error of a few operations on doubles, with room to spare."""
SINGLE_NOISE = 1e-6
"""The same where one of the columns holds single or half precision."""
LOOSE = 1e-6
"""Relative difference up to which an unrounded number is met."""
COARSEST = -3
"""Whole numbers are also tried as rounded to tens, hundreds and thousands."""


def _snapped(scaled_N: Array) -> Array:
    """Return numbers, those that are a half or a whole up to the noise of floats being it."""
    near_N = np.rint(2 * scaled_N) / 2
    close_N = np.abs(scaled_N - near_N) <= 1e-9 + NOISE * np.abs(scaled_N)
    return np.where(close_N, near_N, scaled_N)


def _half_up(scaled_N: Array) -> Array:
    snapped_N = _snapped(scaled_N)
    return np.copysign(np.floor(np.abs(snapped_N) + 0.5), snapped_N)


def _half_even(scaled_N: Array) -> Array:
    return np.rint(_snapped(scaled_N))


WAYS: Mapping[str, Callable[[Array], Array]] = {
    "half even of floats": np.rint,
    "half up": _half_up,
    "half even": _half_even,
    "floor": lambda scaled_N: np.floor(_snapped(scaled_N)),
    "truncation": lambda scaled_N: np.trunc(_snapped(scaled_N)),
    "ceiling": lambda scaled_N: np.ceil(_snapped(scaled_N)),
}
"""Name → whole numbers of scaled ones, in the order in which they are tried: as numpy does it, then
as exact decimals."""
NEAREST = frozenset({"half even of floats", "half up", "half even"})
"""Ways that differ in ties only."""
UNROUNDED = "none"


@dataclass(frozen=True, kw_only=True)
class Rounding:
    """From computed numbers to the values of a column."""

    way: str
    """In `WAYS`, or `UNROUNDED`."""
    decimals: int
    """That are kept; below 0 tens, hundreds and thousands are rounded to."""
    noise: float = NOISE
    """Relative error of the computed numbers."""

    @classmethod
    def learn(cls, computed_N: Array, column: Any, noise: float = NOISE) -> Self:
        """Return the way that meets most values of a column.

        Args:
            computed_N: float64; what is not finite is not compared.
            column: Arrow numbers of the same rows, without dictionary; nulls are not compared.
            noise: relative error of the computed numbers.
        """
        best, fewest = None, (0, 0)
        for way in cls._ways(column, noise):
            missed = int(way.missed(computed_N, column).sum())
            inexact = int((~way.met(computed_N, column)).sum()) if way.way in NEAREST else missed
            if best is None or (missed, inexact) < fewest:
                best, fewest = way, (missed, inexact)
            if fewest == (0, 0):
                break
        assert best is not None  # noqa: S101 - there is always a way
        return best

    @classmethod
    def _ways(cls, column: Any, noise: float) -> Iterator[Self]:
        decimals = _decimals(column)
        if decimals is None:
            yield cls(way=UNROUNDED, decimals=0, noise=noise)
            return
        units, _ = to_units(column, decimals)
        coarser = range(-1, COARSEST - 1, -1) if decimals == 0 and len(units) else ()
        fitting = [d for d in coarser if not np.any(_units_at(column, 0)[0] % 10**-d)]
        for kept in (decimals, *fitting):
            for way in WAYS:
                yield cls(way=way, decimals=kept, noise=noise)

    def missed(self, computed_N: Array, column: Any, size_N: Array | None = None) -> Mask:
        """Return which values of a column are not those that were computed; bool (N,).

        A value to the nearest may lie half a step away, whichever way ties go.

        Args:
            computed_N: float64; what is not finite is not compared.
            column: Arrow numbers of the same rows, without dictionary; nulls are not compared.
            size_N: of the terms that were added, where they may cancel out.
        """
        if self.way not in NEAREST:
            return ~self.met(computed_N, column, size_N)
        values_N, compared_N = _known(computed_N, column)
        size_N = np.abs(computed_N) if size_N is None else size_N
        with np.errstate(invalid="ignore"):
            steps_N = np.abs(values_N - computed_N) * 10.0**self.decimals
            far_N: Mask = steps_N > 0.5 + 1e-6 + self.noise * size_N * 10.0**self.decimals
        return far_N & compared_N

    def met(self, computed_N: Array, column: Any, size_N: Array | None = None) -> Mask:
        """Return which values are exactly those that are made of the computed numbers."""
        values_N, compared_N = _known(computed_N, column)
        step = LOOSE * 10.0**-self.decimals
        if self.way == UNROUNDED:
            size_N = np.abs(computed_N) if size_N is None else size_N
            step_N, expected_N = LOOSE * size_N, computed_N
        else:
            expected_N = self.whole(computed_N) / 10.0**self.decimals
            step_N = step + SINGLE_NOISE * np.abs(expected_N) * (self.noise == SINGLE_NOISE)
        with np.errstate(invalid="ignore"):
            equal_N: Mask = np.abs(values_N - expected_N) <= step_N + 4e-16 * np.abs(expected_N)
        return equal_N | ~compared_N

    def whole(self, computed_N: Array) -> Array:
        """Return computed numbers as whole ones, in units of 10^-decimals; 0 where not finite."""
        scaled_N = np.where(np.isfinite(computed_N), computed_N, 0.0) * 10.0**self.decimals
        return np.clip(WAYS[self.way](scaled_N), -float(LARGEST), float(LARGEST))

    def fits(self, computed_N: Array, kind: Any) -> Mask:
        """Return which computed numbers a type is wide enough for; bool (N,)."""
        if pa.types.is_integer(kind):
            limits = np.iinfo(kind.to_pandas_dtype())
            low, high = float(limits.min), float(limits.max)
        elif pa.types.is_decimal(kind):
            high = 10.0 ** (kind.precision - kind.scale) - 10.0**-kind.scale
            low = -high
        else:
            high = float(np.finfo(kind.to_pandas_dtype()).max)
            low = -high
        rounded_N = np.where(np.isfinite(computed_N), computed_N, 0.0)
        if self.way != UNROUNDED:
            rounded_N = WAYS[self.way](rounded_N * 10.0**self.decimals) / 10.0**self.decimals
            high = min(high, LARGEST / 10.0 ** max(self.decimals, 0))
            low = max(low, -high - 1)
        inside_N: Mask = (rounded_N >= low) & (rounded_N <= high) & np.isfinite(computed_N)
        return inside_N

    def typed(self, computed_N: Array, kind: Any) -> Any:
        """Return computed numbers, for which the type is wide enough, as an Arrow array of it."""
        if self.way == UNROUNDED:
            finite_N = np.where(np.isfinite(computed_N), computed_N, 0.0)
            return from_units(finite_N, None, kind)
        units_N = self.whole(computed_N)
        if pa.types.is_floating(kind) and self.decimals > 0:
            return from_units(units_N + 0.0, self.decimals, kind)
        scale = kind.scale if pa.types.is_decimal(kind) else 0
        units_N = np.clip(units_N * 10.0 ** (scale - self.decimals), -LARGEST, LARGEST)
        if pa.types.is_floating(kind):
            return from_units(units_N + 0.0, None, kind)
        return from_units(units_N.astype(np.int64), None, kind)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"way": self.way, "decimals": self.decimals, "noise": self.noise}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild it.

        Raises:
            ValueError: no such way.
        """
        if data["way"] not in (*WAYS, UNROUNDED):
            msg = f"there is no way of rounding {data['way']!r}"
            raise ValueError(msg)
        return cls(way=data["way"], decimals=int(data["decimals"]), noise=float(data["noise"]))


def noise_of(columns: Mapping[str, Any]) -> float:
    """Return the relative error of what is computed of Arrow columns."""
    single = any(
        pa.types.is_float16(c.type) or pa.types.is_float32(c.type) for c in columns.values()
    )
    return SINGLE_NOISE if single else NOISE


def as_floats(column: Any) -> Array:
    """Return an Arrow column of numbers as float64, NaN where null.

    Single precision is read as the shortest decimal it may stand for, 0.1 instead of
    0.10000000149.
    """
    kind = column.type
    values_N: Array = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    digits = {16: 3, 32: 7}.get(kind.bit_width if pa.types.is_floating(kind) else 64)
    if digits is None:
        return values_N
    with np.errstate(divide="ignore", invalid="ignore"):
        places_N = digits - 1 - np.floor(np.log10(np.abs(values_N)))
        scale_N = 10.0 ** np.where(np.isfinite(places_N), places_N, 0)
        return np.where(scale_N >= 1, np.rint(values_N * scale_N) / scale_N, values_N)


def _known(computed_N: Array, column: Any) -> tuple[Array, Mask]:
    values_N = as_floats(column)
    compared_N: Mask = np.isfinite(computed_N) & ~np.isnan(values_N)
    return values_N, compared_N


def _decimals(column: Any) -> int | None:
    """Return the fewest decimals that write every value; None for floats without a step."""
    if not pa.types.is_decimal(column.type):
        return find_decimals(column)
    units_N, valid_N = to_units(column, 0)
    scale: int = column.type.scale
    for decimals in range(scale):
        if not np.any(units_N[valid_N] % 10 ** (scale - decimals)):
            return decimals
    return scale


def _units_at(column: Any, decimals: int) -> tuple[Array, Array]:
    """Return the whole numbers of a column that has no decimals."""
    units_N, valid_N = to_units(column, decimals)
    if pa.types.is_decimal(column.type):
        units_N = units_N // 10**column.type.scale
    return units_N[valid_N], valid_N
