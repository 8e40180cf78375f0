"""The strip of a training as pictures: the same latents and classes, tick after tick.

Shapes: R rows, F frames, H height, W width, C channels.
"""

from collections.abc import Sequence

import numpy as np

from gan.images.figures.sheets import (
    cells_of,
    enlarge,
    evenly,
    sheet_figure,
    tile,
    to_png,
)
from gan.protocols import Frame
from gan.report import Figure
from gan.training.strip import Filmstrip

FEWEST_ROWS = 4


def strip(film: Filmstrip, titles: Sequence[str]) -> Figure | None:
    """Return a row per latent and class, a column per tick that is kept, the start first.

    None where nothing changed: a generator that is fitted at once.

    Args:
        film: of the training.
        titles: names of the classes, by their indexes; empty where there are none.
    """
    if all(np.array_equal(one.values, film.frames[0].values) for one in film.frames):
        return None
    R, F = len(film.labels_R), len(film.frames)
    cells = cells_of(film.frames[0].values.shape[1:])
    rows = evenly(R, max(min(R, cells // F), FEWEST_ROWS))
    frames = [film.frames[place] for place in evenly(F, max(cells // len(rows), 2))]
    grid = np.stack([one.values[rows] for one in frames], axis=1)
    return sheet_figure(
        "training-strip",
        "training",
        grid,
        (
            f"The same {len(rows)} latents{' and classes' if titles else ''} while training, by "
            "samples seen: what the averaged generator made of them at the start and at ticks "
            "until the end. Rows that become alike show a collapse.",
            f"{len(rows)} rows of synthetic images at {len(frames)} moments of the training",
        ),
        columns=[short(one.samples_seen) for one in frames],
        rows=[titles[film.labels_R[row]] for row in rows] if titles else [],
    )


def short(samples: int) -> str:
    """Return a number of samples in few letters: 0, 900, 12k, 1.5M."""
    for factor, suffix in ((1_000_000, "M"), (1_000, "k")):
        if samples >= factor:
            value = samples / factor
            return f"{value:.1f}{suffix}" if value < 10 else f"{value:.0f}{suffix}"
    return str(samples)


def frame(one: Frame) -> bytes:
    """Return one frame as a PNG, its rows side by side."""
    return to_png(tile(enlarge(one.values[None])))
