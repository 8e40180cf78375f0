"""Series that are few and long, cut into windows: each is an entity of its own. Pure.

No window is on two sides of a split. Where there are entities enough, all windows of one are on one
side. Else the time that all live in is divided into blocks of `BLOCK` windows' length, and these go
to the sides in turn: block i by the fraction of i / phi, phi the golden ratio, whose values are
spread evenly however many there are (van der Corput's idea; Niederreiter, "Random Number Generation
and Quasi-Monte Carlo Methods", 1992, section 3.1). Blocks and windows are counted from one
beginning of time, so that series that grow keep their sides. A window that reaches into a block of
another side is left out.

Shape legend: N windows, T steps of all entities, U those of all windows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.records.moments import counted, unit_of
from storage.records.proposal import Proposal
from storage.records.series import Step
from storage.sources.checks import MIN_RECORDS
from storage.sources.config import WindowConfig
from storage.sources.series.panel import Panel
from storage.sources.series.regular import Rhythm
from storage.sources.split import HOLDOUT, SPLITS, TRAIN, VALIDATION

BLOCK: Final = 4
"""A block of time is so many windows long."""
_GOLDEN: Final = (5**0.5 - 1) / 2
WINDOW: Final = "source.window"
"""The setting that cuts."""
_WISHED: Final = 2 * MIN_RECORDS
"""So many windows are better than the fewest that do."""
_LENGTHS: Final = {"days": (56, 28, 14), "months": (24, 12), "ones": (64, 32, 16)}
"""Unit of steps of one → lengths of windows that are proposed, the longest that does."""
_IN_DAY: Final = (7.0, 2.0, 1.0)
"""The same for shorter steps, in days."""
_DAY_US: Final = 86_400_000_000


@dataclass(frozen=True, kw_only=True)
class Windows:
    """N windows, as entities, and where they come from."""

    panel: Panel
    owner_N: NDArray[np.int64]
    """The number of the entity that each was cut from."""
    first_N: NDArray[np.int64]
    """Number of the block of time that its first step is in."""
    last_N: NDArray[np.int64]
    """The same of its last step."""


def cut(
    panel: Panel, window: WindowConfig, time: str, rhythm: Rhythm, *, aligned: bool, uri: str
) -> Windows:
    """Cut entities into windows; entities shorter than one are left out.

    Args:
        panel: the entities.
        window: length and stride.
        time: the column of the moments.
        rhythm: of the moments.
        aligned: whether windows begin where blocks can, so that fewer reach over their ends.
        uri: for messages.

    Raises:
        SourceError: none is as long as a window.
    """
    length, stride = window.length or 0, window.step
    at_T, width = _positions(panel, window, time, rhythm)
    skipped_N = np.zeros(len(panel.lengths_N), np.int64)
    if aligned and rhythm.step is not None:
        skipped_N = -at_T[panel.starts_N] % stride
    counts_N = np.maximum(0, (panel.lengths_N - skipped_N - length) // stride + 1)
    if not counts_N.any():
        msg = (
            f"No series of the source {uri!r} has the {length:,} steps of source.window, the "
            f"longest has {panel.lengths_N.max():,}; lower source.window.length."
        )
        raise SourceError(msg)
    owner_N = np.repeat(np.arange(len(counts_N)), counts_N)
    number_N = np.arange(len(owner_N)) - np.repeat(np.cumsum(counts_N) - counts_N, counts_N)
    begin_N = panel.starts_N[owner_N] + skipped_N[owner_N] + number_N * stride
    row_U = (begin_N[:, None] + np.arange(length)).reshape(-1)
    notes = [*panel.notes, _note(len(owner_N), window)]
    short = int((counts_N == 0).sum())
    if short:
        notes.append(f"Left out, as shorter than a window: {short:,} of {len(counts_N):,} series.")
    return Windows(
        panel=replace(
            panel,
            steps=panel.steps.take(pa.array(row_U)),
            lengths_N=np.full(len(owner_N), length, np.int64),
            row_T=panel.row_T[row_U],
            notes=tuple(notes),
        ),
        owner_N=owner_N,
        first_N=at_T[begin_N] // width,
        last_N=at_T[begin_N + length - 1] // width,
    )


def _note(count: int, window: WindowConfig) -> str:
    length, stride = window.length or 0, window.step
    text = f"{count:,} windows of {length:,} steps, one every {stride:,}, are the entities"
    shared = length - stride
    return f"{text}; neighbours share {shared:,} steps." if shared > 0 else f"{text}."


def _positions(
    panel: Panel, window: WindowConfig, time: str, rhythm: Rhythm
) -> tuple[NDArray[np.int64], int]:
    """Return when every step is, (T,), and how long a block is, in the same unit."""
    moments = panel.steps.column(time).combine_chunks()
    length, stride = window.length or 0, window.step
    if rhythm.step is not None:
        at_T = counted(moments, rhythm.step.unit, rhythm.zone) // rhythm.step.count
        return at_T, BLOCK * -(-length // stride) * stride
    at_T = counted(moments, unit_of(moments.type))
    gaps_T = np.diff(at_T)[np.diff(panel.entity_T) == 0]
    return at_T, max(1, int(np.median(gaps_T) * BLOCK * max(length, stride)))


def sides(blocks: Sequence[int], *, validation: float, holdout: float) -> list[str]:
    """Return the side of every block."""
    found = []
    for block in blocks:
        u = block * _GOLDEN % 1.0
        found.append(HOLDOUT if u < holdout else VALIDATION if u < holdout + validation else TRAIN)
    return found


def crossing(windows: Windows, *, validation: float, holdout: float) -> NDArray[np.bool_]:
    """Mark the windows that reach into a block of another side."""
    crosses = np.zeros(len(windows.first_N), np.bool_)
    own = sides(windows.first_N.tolist(), validation=validation, holdout=holdout)
    for place in np.flatnonzero(windows.last_N != windows.first_N):
        reached = range(int(windows.first_N[place]) + 1, int(windows.last_N[place]) + 1)
        others = sides(reached, validation=validation, holdout=holdout)
        crosses[place] = any(other != own[place] for other in others)
    return crosses


def check_sides(found: Sequence[str], uri: str) -> None:
    """Check that every side has a window.

    Raises:
        SourceError: one has none.
    """
    lacking = [name for name in SPLITS if name not in found]
    if lacking:
        msg = (
            f"The windows of the source {uri!r} are in too few blocks of time, so that none is in "
            f"{' or '.join(lacking)}; lower source.window.length, or bring longer series."
        )
        raise SourceError(msg)


def propose_window(lengths_N: NDArray[np.int64], step: Step | None) -> Proposal | None:
    """Return windows that are enough entities, the longest of some; None where none are."""
    for least in (_WISHED, MIN_RECORDS):
        for length in _window_lengths(step):
            count = int((lengths_N // length).sum())
            if count >= least:
                why = (
                    f"{len(lengths_N):,} series of up to {lengths_N.max():,} steps are too few to "
                    f"learn from, and {count:,} windows of {length:,} steps are enough"
                )
                value = {"length": length, "stride": length}
                return Proposal(setting=WINDOW, value=value, why=why)
    return None


def _window_lengths(step: Step | None) -> tuple[int, ...]:
    if step is not None and step.unit == "microseconds" and _DAY_US % step.count == 0:
        per_day = _DAY_US // step.count
        lengths = [int(days * per_day) for days in _IN_DAY if 8 <= days * per_day <= 1024]
        if per_day > 1 and lengths:
            return tuple(lengths)
    if step is not None and step.unit in _LENGTHS and step.count == 1:
        return _LENGTHS[step.unit]
    return _LENGTHS["ones"]
