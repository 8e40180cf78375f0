"""Figures over time: fans of quantiles, autocorrelations, how variables go with the calendar.

A real quantile is the mean of `group` entities' values around it, with at least as many beyond it:
no real extreme is shown, and none of one entity.

Shapes: N entities, L steps or means of steps, S signals, C phases, G lags.
"""

import base64
import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from gan.report import Figure
from gan.series.evaluation.aggregates import Autocorrelations, Profiles
from gan.series.evaluation.calendar import PeriodName
from gan.series.evaluation.context import SeriesContext, Side
from gan.series.figures.samples import shortened

Array = np.ndarray[Any, Any]

FANS = 4
"""Most variables with a fan."""
POINTS = 60
"""Most places of a fan."""
SHARES = (0.1, 0.5, 0.9)
CURVES = 3
"""Most variables whose autocorrelations are drawn."""
MOST_LAGS = 30
MAPPED = 6
"""Most variables on a calendar map."""
PHASES: dict[PeriodName, tuple[str, ...]] = {
    "hour": tuple(str(hour) for hour in range(24)),
    "weekday": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    "month": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
}
NAMES = ("real (train)", "synthetic")


def fans(context: SeriesContext, fakes: Side, group: int) -> Iterator[Figure]:
    """Yield, for the first numbers, quantiles over the steps of real and synthetic entities."""
    numbers = [
        (v, one.name)
        for v, one in enumerate(context.variables)
        if one.ranks is not None and not one.is_gap
    ][:FANS]
    held = f"Each point of the real side is the mean of {group} entities." if group > 1 else ""
    for place, (v, name) in enumerate(numbers):
        series = []
        ends: list[int] = []
        for title, side in zip(NAMES, (context.train, fakes), strict=True):
            lines = fan(side, v, group if side is context.train else 1)
            ends += [len(line) for line in lines.values()]
            width = _steps_of_a_point(side)
            for share, values in lines.items():
                x = [float((point + 0.5) * width - 0.5) for point in range(len(values))]
                series.append(
                    {"name": f"{share:.0%} below, {title}", "x": x, "y": [float(y) for y in values]}
                )
        if min(ends, default=0) < 2:
            continue
        yield Figure(
            id=f"fan-{place}",
            section="time",
            caption=f"{name} over the steps of an entity: where 10 %, half and 90 % of entities "
            f"lie below, as far as there are enough of them. {held}",
            alt=f"Quantiles of {name} over the steps of real and of synthetic entities",
            kind="lines",
            data={
                "x_label": "steps since the first",
                "y_label": name,
                "log_y": False,
                "series": series,
                "marks": [],
            },
        )


def _steps_of_a_point(side: Side) -> int:
    longest = int(np.quantile(side.observed.lengths_N, 0.9))
    return max(1, -(-longest // POINTS))


def fan(side: Side, variable: int, group: int) -> dict[float, list[float]]:
    """Return, for every share, the quantile at each place, until too few entities are left."""
    observed, width = side.observed, _steps_of_a_point(side)
    points = int(observed.lengths_N.max()) // width
    values_NL = np.full((side.entities, points), np.nan)
    for row in range(side.entities):
        first, length = int(observed.first[row]), int(observed.lengths_N[row])
        whole = length // width
        own_L = observed.values_TV[first : first + whole * width, variable]
        values_NL[row, :whole] = shortened(own_L, whole) if width > 1 else own_L
    found: dict[float, list[float]] = {share: [] for share in SHARES}
    for place in range(points):
        known = np.sort(values_NL[:, place][~np.isnan(values_NL[:, place])])
        values = [quantile_of_group(known, share, group) for share in SHARES]
        present = [value for value in values if value is not None]
        if len(present) < len(SHARES):
            break
        for share, value in zip(SHARES, present, strict=True):
            found[share].append(value)
    return found


def quantile_of_group(sorted_values: Array, share: float, group: int) -> float | None:
    """Return the mean of so many values around a quantile; None where fewer lie beyond it."""
    count = len(sorted_values)
    middle = share * count
    start = round(middle - group / 2)
    if start < group or start + group > count - group:
        return None
    return float(sorted_values[start : start + group].mean())


def autocorrelation_figure(context: SeriesContext, fakes: Side) -> Figure | None:
    """Return autocorrelations of the first variables, real and synthetic; None of short ones."""
    middle = int(np.median(context.train.observed.lengths_N))
    most = min(MOST_LAGS, middle // 2, max(14, 2 * context.calendar.season))
    if most < 2:
        return None
    measure = Autocorrelations(context)
    measure.lags = tuple(range(1, most + 1))
    sides = [
        measure.correlations(measure.sums(side).sum(axis=0)) for side in (context.train, fakes)
    ]
    names = [context.signals.names[s] for s in measure.signals.tolist()]
    series = [
        {
            "name": f"{names[s]}, {title}",
            "x": [float(lag) for lag in measure.lags],
            "y": [float(value) for value in found_GS[:, s]],
        }
        for s in range(min(CURVES, len(names)))
        for title, found_GS in zip(NAMES, sides, strict=True)
    ]
    return Figure(
        id="autocorrelation",
        section="time",
        caption="Correlation of a variable's rank with its own some steps before, about the mean "
        "of its entity, over all entities.",
        alt=f"Autocorrelations at {most} lags of {', '.join(names[:CURVES])}, real and synthetic",
        kind="lines",
        data={
            "x_label": "steps between",
            "y_label": "correlation",
            "log_y": False,
            "series": series,
            "marks": [],
        },
    )


def calendar_maps(context: SeriesContext, fakes: Side, group: int) -> Iterator[Figure]:
    """Yield a map of every period: rows are variables, real above synthetic, columns phases.

    A phase that fewer than `group` real entities have stays empty.
    """
    profiles = Profiles(context)
    if not profiles.periods:
        return
    sides = [profiles.profiles(profiles.sums(side).sum(axis=0)) for side in (context.train, fakes)]
    names = [context.signals.names[s] for s in profiles.signals.tolist()]
    for place, (name, count) in enumerate(zip(profiles.periods, profiles.counts, strict=True)):
        held_C = _entities_in(context.train, name, count) >= group
        real_SC, fake_SC = (side[place][0] for side in sides)
        size_S = np.abs(np.where(held_C, real_SC, 0.0)).max(axis=1)
        order = np.argsort(-size_S, kind="stable")[:MAPPED]
        rows_RC = np.stack([one[s] for s in order for one in (real_SC, fake_SC)])
        rows_RC[:, ~held_C] = np.nan
        labels = [f"{names[s]}, {title}" for s in order for title in ("real", "synthetic")]
        largest = float(np.nanmax(np.abs(rows_RC))) if held_C.any() else 0.0
        if largest <= 0:
            continue
        best = names[int(order[0])]
        yield Figure(
            id=f"calendar-{name}",
            section="time",
            caption=f"How variables go with the {name}: mean rank about that of the entity, blue "
            f"below it, red above; the deepest colour is {largest:.3f} of all ranks. Those that "
            "go with it most come first.",
            alt=f"Map of {len(order)} variables over {count} phases of the {name}, real above "
            f"synthetic; {best} goes with it most",
            kind="image",
            data={
                "png": base64.b64encode(_map_png(rows_RC / largest)).decode(),
                "width": count,
                "height": len(rows_RC),
                "columns": list(PHASES[name][:count]),
                "rows": labels,
            },
        )


def _entities_in(side: Side, name: PeriodName, count: int) -> Array:
    """Return how many entities have a step in each phase."""
    phases_T = side.observed.moments.phases(name)
    pairs = np.unique(side.observed.entity * count + phases_T)
    return np.bincount(pairs % count, minlength=count)


def _map_png(values_RC: Array) -> bytes:
    """Return values from -1 to 1 as pixels from blue over white to red; grey where none is."""
    from PIL import Image

    strength = np.clip(np.nan_to_num(np.abs(values_RC)), 0.0, 1.0)[:, :, None]
    ends = np.where(values_RC[:, :, None] < 0, (33.0, 102.0, 172.0), (178.0, 24.0, 43.0))
    pixels = 255.0 + (ends - 255.0) * strength
    pixels[np.isnan(values_RC)] = 200.0
    buffer = io.BytesIO()
    Image.fromarray(np.rint(pixels).astype(np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()
