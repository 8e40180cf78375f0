"""Series that are few and long, cut into windows: each is an entity of its own. Pure.

No window is on two sides of a split. Where there are entities enough, all windows of one are on one
side. Else the time that all live in is divided into blocks of `BLOCK` windows' length, each on one
side by the content of its first window, so that series that grow at their end keep their sides; a
window that reaches into a block of another side is left out.

Shape legend: N windows, B blocks, T steps of all entities, U those of all windows.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.records.moments import counted, unit_of
from storage.sources.config import WindowConfig
from storage.sources.series.panel import Panel
from storage.sources.series.regular import Rhythm

BLOCK: Final = 4
"""A block of time is so many windows long."""


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


def cut(panel: Panel, window: WindowConfig, time: str, rhythm: Rhythm, uri: str) -> Windows:
    """Cut entities into windows; entities shorter than one are left out.

    Raises:
        SourceError: none is as long as a window.
    """
    length, stride = window.length or 0, window.step
    counts_N = np.maximum(0, (panel.lengths_N - length) // stride + 1)
    if not counts_N.any():
        msg = (
            f"No series of the source {uri!r} has the {length:,} steps of source.window, the "
            f"longest has {panel.lengths_N.max():,}; lower source.window.length."
        )
        raise SourceError(msg)
    owner_N = np.repeat(np.arange(len(counts_N)), counts_N)
    number_N = np.arange(len(owner_N)) - np.repeat(np.cumsum(counts_N) - counts_N, counts_N)
    begin_N = panel.starts_N[owner_N] + number_N * stride
    row_U = (begin_N[:, None] + np.arange(length)).reshape(-1)
    block_T = _blocks(panel, window, time, rhythm)
    notes = [*panel.notes, _note(len(owner_N), window)]
    short = int((counts_N == 0).sum())
    if short:
        notes.append(f"Left out, as shorter than a window: {short:,} of {len(counts_N):,} series.")
    cut_panel = replace(
        panel,
        steps=panel.steps.take(pa.array(row_U)),
        lengths_N=np.full(len(owner_N), length, np.int64),
        row_T=panel.row_T[row_U],
        notes=tuple(notes),
    )
    last_N = block_T[begin_N + length - 1]
    return Windows(panel=cut_panel, owner_N=owner_N, first_N=block_T[begin_N], last_N=last_N)


def _note(count: int, window: WindowConfig) -> str:
    length, stride = window.length or 0, window.step
    text = f"{count:,} windows of {length:,} steps, one every {stride:,}, are the entities"
    shared = length - stride
    return f"{text}; neighbours share {shared:,} steps." if shared > 0 else f"{text}."


def _blocks(panel: Panel, window: WindowConfig, time: str, rhythm: Rhythm) -> NDArray[np.int64]:
    """Return the number of the block of time of every step, (T,)."""
    moments = panel.steps.column(time).combine_chunks()
    steps = BLOCK * max(window.length or 0, window.step)
    if rhythm.step is None:
        at_T = counted(moments, unit_of(moments.type))
        gaps_T = np.diff(at_T)[np.diff(panel.entity_T) == 0]
        width = max(1, int(np.median(gaps_T) * steps))
    else:
        at_T = counted(moments, rhythm.step.unit, rhythm.zone)
        width = rhythm.step.count * -(-steps // window.step) * window.step
    return np.asarray((at_T - at_T.min()) // width)


def first_of_block(windows: Windows, digests_N: NDArray[np.uint8]) -> list[str]:
    """Return for every window what decides the side of its block: its first window's content."""
    keys = [digest.tobytes().hex() for digest in digests_N]
    begin_N = windows.panel.starts_N
    chosen: dict[int, tuple[int, str]] = {}
    for block, owner, start, key in zip(
        windows.first_N.tolist(), windows.owner_N.tolist(), begin_N.tolist(), keys, strict=True
    ):
        mine = (start - int(begin_N[np.searchsorted(windows.owner_N, owner)]), key)
        chosen[block] = min(chosen.get(block, mine), mine)
    return [chosen[block][1] for block in windows.first_N.tolist()]


def crossing(windows: Windows, splits_N: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Mark the windows that reach into a block of another side, or of none."""
    side = dict(zip(windows.first_N.tolist(), splits_N.tolist(), strict=True))
    crosses = [
        any(side.get(block, own) != own for block in range(first, last + 1))
        for first, last, own in zip(
            windows.first_N.tolist(), windows.last_N.tolist(), splits_N.tolist(), strict=True
        )
    ]
    return np.array(crosses, np.bool_)
