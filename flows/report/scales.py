"""Axes of charts: a range, its ticks, and where a value stands between them (0 to 1)."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flows.report.html import Html, compact, element

BOX = 1000
"""Side of the square that curves are drawn in; it is stretched to its place."""
AT_END = 0.02
"""Texts of ticks nearer to an end of an axis are aligned with it."""
_LOG_FACTORS = ((1.0, 1.5, 2.0, 3.0, 5.0, 7.0), (1.0, 2.0, 5.0), (1.0,))
"""Ticks within a decade, the densest first."""
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """One axis from `low` to `high`."""

    low: float
    high: float
    ticks: Sequence[float]
    log: bool = False

    def at(self, value: float) -> float:
        """Return the value's place on the axis, 0 (low end) to 1 (high end), clipped."""
        if self.log:
            if value <= 0:
                return 0.0
            place = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            place = (value - self.low) / (self.high - self.low)
        return min(max(place, 0.0), 1.0)

    def percent(self, value: float) -> str:
        """Return the place as a CSS percentage."""
        return f"{100 * self.at(value):.2f}%"


def finite(values: Iterable[float | None]) -> list[float]:
    """Return the values that are numbers."""
    return [float(value) for value in values if value is not None and math.isfinite(value)]


def linear_scale(values: Iterable[float | None], *, count: int = 5, zero: bool = False) -> Scale:
    """Return an axis over the values with about `count` round ticks, from zero on if `zero`."""
    known = finite(values) or [0.0, 1.0]
    low, high = min(known), max(known)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low <= 1e-12 * max(abs(low), abs(high), 1.0):
        pad = abs(low) * 0.1
        low, high = (low - pad, high + pad) if pad > 1e-300 else (0.0, 1.0)
    step = _round_step((high - low) / max(count - 1, 1))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = [float(f"{index * step:.12g}") for index in range(first, last + 1)]
    return Scale(low=ticks[0], high=ticks[-1], ticks=ticks)


def log_scale(values: Iterable[float | None], *, count: int = 8) -> Scale:
    """Return a logarithmic axis over the positive values, ticks as dense as `count` allows."""
    known = [value for value in finite(values) if value > 0] or [1.0]
    low, high = min(known) / 1.05, max(known) * 1.05
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for factors in _LOG_FACTORS:
        ticks = [
            float(f"{factor}e{power}")
            for power in range(first, last + 1)
            for factor in factors
            if low <= factor * 10.0**power <= high
        ]
        if len(ticks) <= count:
            break
    if len(ticks) > count:
        ticks = ticks[:: math.ceil(len(ticks) / count)]
    return Scale(low=low, high=high, ticks=ticks or [math.sqrt(low * high)], log=True)


def thin(x: Sequence[float], y: Sequence[float], most: int = 400) -> list[tuple[float, float]]:
    """Return the points, or, when there are more than `most`, each bucket's lowest and highest.

    A bucket with a gap (a value that is not finite) is kept whole.
    """
    points = list(zip(x, y, strict=True))
    if len(points) <= most:
        return points
    size = math.ceil(2 * len(points) / most)
    kept: list[tuple[float, float]] = []
    for start in range(0, len(points), size):
        bucket = points[start : start + size]
        if len(finite(value for point in bucket for value in point)) < 2 * len(bucket):
            kept.extend(bucket)
            continue
        ends = {min(bucket, key=lambda point: point[1]), max(bucket, key=lambda point: point[1])}
        kept.extend(sorted(ends))
    return kept


def _round_step(step: float) -> float:
    power: float = 10.0 ** math.floor(math.log10(step))
    return power * next(factor for factor in _STEPS if factor * power >= step * (1 - 1e-9))


def end_of(place: float, margin: float = AT_END) -> str | None:
    """Return the class that keeps the texts at both ends of an axis inside the chart."""
    if place < margin:
        return "first"
    return "last" if place > 1 - margin else None


def x_ticks(scale: Scale) -> list[Html]:
    """Return the texts below an axis."""
    places = {tick: scale.at(tick) for tick in scale.ticks}
    return [
        element("span", compact(tick), style=f"left:{scale.percent(tick)}", class_=end_of(place))
        for tick, place in places.items()
    ]
