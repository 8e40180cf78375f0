"""Which plain statistic alone tells synthetic records from real ones, in a person's words.

Shapes: N reals, M fakes, S statistics.
"""

from collections.abc import Collection, Mapping, Sequence
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from gan.metrics.auc import auc, null_spread
from gan.metrics.intervals import CHANCE

Array = np.ndarray[Any, Any]

TELLING = 0.55
"""Area of a single statistic from which it is named as what gives a candidate away."""
MOST_NAMED = 3


class Clue(NamedTuple):
    """What one kind of statistic says on its own; larger tells more."""

    area: float
    is_clear: bool
    apart: float
    """Difference of the means, in the spread of both sides."""
    is_more: bool


def told_by(
    names: Sequence[str],
    reals_NS: Array,
    fakes_MS: Array,
    *,
    meanings: Mapping[str, str],
    vague: Collection[str],
    sideless: Collection[str] = (),
) -> str:
    """Return which statistics alone tell the two sides apart best, half a sentence; "" if none.

    Args:
        names: of the statistics; several may share one.
        reals_NS: of real records, without NaN.
        fakes_MS: of synthetic ones.
        meanings: some names in other words.
        vague: names that say less than others do which tell as well.
        sideless: further names of which there is no more and no less.
    """
    best: dict[str, Clue] = {}
    for index, name in enumerate(names):
        reals_N, fakes_M = reals_NS[:, index], fakes_MS[:, index]
        area = auc(fakes_M, reals_N)
        spread = float(reals_N.std() + fakes_M.std()) + 1e-6
        shift = float(fakes_M.mean() - reals_N.mean())
        area, is_more = round(max(area, 1 - area), 2), area > 0.5
        clue = Clue(area, name not in vague, abs(shift) / spread, is_more)
        best[name] = max(best.get(name, clue), clue)
    chance = NormalDist().inv_cdf(1 - CHANCE / len(names))
    least = max(TELLING, 0.5 + chance * null_spread(len(reals_NS), len(fakes_MS)))
    telling = [name for name in best if best[name].area >= least]
    telling.sort(key=lambda name: best[name], reverse=True)
    if not telling:
        return ""
    found = []
    for name in telling[:MOST_NAMED]:
        clue = best[name]
        side = "more" if clue.is_more else "less"
        side = "another" if name in vague or name in sideless else side
        meaning = f" ({meanings[name]})" if name in meanings else ""
        found.append(f"{side} {name}{meaning}, {clue.area:.2f} alone")
    return f"given away by {'; '.join(found)}"
