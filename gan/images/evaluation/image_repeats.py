"""Repeats among a candidate's images: equal ones, and such as a person would call the same picture.

Images are seen on the coarse grid of `gan.images.evaluation.near_copies`, and two are alike where
they are nearer than all but a few real images are to any other one (`near_copies.NEAR`). Real
images are so, too, now and then: they are counted as well (`gan.metrics.repeats`).

Shapes: N images, F cells.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gan.evaluation.repeats import measured_repeats
from gan.images.evaluation.near_copies import Grid, grey
from gan.metrics.repeats import candidate_repeats, real_repeats, share_of_pairs
from gan.report import Measured

Array = np.ndarray[Any, Any]

EQUAL = 1e-5
"""Squared distance, between images of length 1, up to which two are equal but for rounding."""
ROWS = 512
"""Rows at once."""


class ImageRepeats:
    """How many real images repeat another one, measured once for every candidate."""

    def __init__(
        self, splits: Sequence[Array], limit: float, *, draws: int, replicates: int, seed: int
    ) -> None:
        """Look at the real images.

        Args:
            splits: images that no net and no generator saw, of each split as many.
            limit: squared distance below which two images are alike.
            draws: how often real images are drawn anew.
            replicates: resamples of a candidate.
            seed: of what is drawn.
        """
        self.limit, self.replicates, self.seed = max(limit, EQUAL), replicates, seed
        self.n = len(splits[0])
        self.grid = Grid(*splits[0].shape[1:3])
        counts = np.cumsum([len(split) for split in splits])
        rows = np.split(np.arange(counts[-1]), counts[:-1])
        share = share_of_pairs(self._alike(np.concatenate(splits)))
        self.real = real_repeats(share, rows, self.n, draws, seed)

    def measure(self, fakes_NHWC: Array, sets: Sequence[Array]) -> Measured:
        """Return `repeats` of a candidate's sets, each as large as the holdout."""
        alike = [self._alike(fakes_NHWC[rows]) for rows in sets]
        shares = [share_of_pairs(near_NN) for near_NN in alike]
        found = candidate_repeats(shares, self.n, self.replicates, self.seed)
        count, most = int(alike[0].any(axis=1).sum()), int(alike[0].sum(axis=1).max()) + 1
        because = (
            f"{count:,} of {self.n:,} synthetic images look like another one of them, one picture "
            f"is there {most:,} times"
        )
        return measured_repeats(self.real, found, self.n, "pixels", because)

    def _alike(self, images_NHWC: Array) -> Array:
        """Return which images are alike; bool (N, N), none with itself."""
        points_NF = self.grid.points(grey(images_NHWC)).astype(np.float32)
        squared_N = np.square(points_NF).sum(axis=1)
        near_NN = np.empty((len(points_NF),) * 2, dtype=bool)
        for start in range(0, len(points_NF), ROWS):
            part = slice(start, start + ROWS)
            products = points_NF[part] @ points_NF.T
            near_NN[part] = squared_N[part, None] + squared_N - 2.0 * products < self.limit
        np.fill_diagonal(near_NN, False)
        return near_NN
