"""Synthetic entities as small lines."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gan.report import Figure
from gan.series.evaluation.context import Side
from gan.series.evaluation.signals import SignalVariable
from gan.tables.figures.columns import NULL, as_text

Array = np.ndarray[Any, Any]

ENTITIES = 10
SHOWN = 6
"""Of them in view; the others are behind a click."""
MOST_VARIABLES = 6
WIDTH = 28
"""Signs of a small line; of a longer entity neighbouring steps are one sign, their mean."""
BLOCKS = "▁▂▃▄▅▆▇█"
GAP = "·"
"""Where a value is missing."""


def ten_entities(side: Side, variables: Sequence[SignalVariable]) -> Figure:
    """Return some synthetic entities with each variable as a line of small blocks.

    Args:
        side: the synthetic entities, none of them real.
        variables: in the order of the table; beyond `MOST_VARIABLES` the first ones.
    """
    observed = side.observed
    count = min(ENTITIES, side.entities)
    chosen = np.unique(np.linspace(0, side.entities - 1, count).astype(np.int64))
    shown = [(v, one) for v, one in enumerate(variables) if not one.is_gap][:MOST_VARIABLES]
    statics = [one.name for one in side.metadata.statics][:3]
    rows = []
    for row in chosen.tolist():
        cells = [as_text(side.records[side.metadata.entity.name][row].as_py())]
        for name in statics:
            value = side.records[name][row].as_py()
            cells.append(NULL if value is None else as_text(value))
        steps = slice(observed.first[row], observed.first[row] + observed.lengths_N[row])
        cells.append(str(int(observed.lengths_N[row])))
        for v, one in shown:
            values_L = observed.values_TV[steps, v]
            top = float(len(one.levels)) if one.ranks is None else None
            cells.append(small_line(values_L, top))
        rows.append(cells)
    names = [one.name for _, one in shown]
    more = f" The first {len(names)} variables." if len(variables) > len(names) else ""
    return Figure(
        id="samples",
        section="samples",
        caption=f"{len(chosen)} synthetic entities. Each variable is a small line over the steps, "
        "of a number from its own smallest to its own largest value, of levels by their order from "
        f"the commonest on, with a dot where a value is missing.{more}",
        alt=f"{len(chosen)} synthetic entities, {len(names)} variables each as a small line",
        kind="table",
        data={
            "columns": [side.metadata.entity.name, *statics, "steps", *names],
            "rows": rows,
            "right": [1 + len(statics)],
            "dense": True,
            "shown": SHOWN,
        },
    )


def small_line(values_L: Array, top: float | None = None) -> str:
    """Return values as blocks between their own extremes, or from 0 to `top`."""
    values_L = shortened(values_L, WIDTH)
    known = values_L[~np.isnan(values_L)]
    if not len(known):
        return GAP * len(values_L)
    low, high = (float(known.min()), float(known.max())) if top is None else (0.0, top)
    size = high - low if high > low else 1.0
    places = np.nan_to_num((values_L - low) / size * (len(BLOCKS) - 1))
    heights = np.clip(np.rint(places), 0, len(BLOCKS) - 1).astype(np.int64)
    return "".join(
        GAP if missing else BLOCKS[height]
        for missing, height in zip(np.isnan(values_L), heights.tolist(), strict=True)
    )


def shortened(values_L: Array, most: int) -> Array:
    """Return at most so many values, means of neighbouring ones; NaN where all are missing."""
    if len(values_L) <= most:
        return values_L
    cell_L = np.arange(len(values_L)) * most // len(values_L)
    known = ~np.isnan(values_L)
    counts = np.bincount(cell_L[known], minlength=most)
    sums = np.bincount(cell_L[known], weights=values_L[known], minlength=most)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
