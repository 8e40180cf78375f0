"""Near copies of training images: shifted, mirrored, brighter, noisy, a little turned or cropped.

An image is seen as its brightness on a coarse grid, smoothed, with mean 0 and length 1; so noise,
brightness and contrast hardly move it. It is compared as it is, mirrored, and shifted by up
to a cell each way: the smallest distance counts.

The nearest real image of a fake is one of train or an unseen one (validation and holdout). Which
real images were trained on was chance, so a generator that copies nothing finds either as often,
per image held, whatever it makes and however well: the share of train is held against that, as
distances to the closest record are (`gan.metrics.distances`, with the variance found there). It is
given as what it would be with equally many images on both sides: of real images one half. Two
looks: at all fakes, where many copies show that have been changed much, and at those nearer to a
real image than all but 5 % of real images are to one another, where few copies show.

Shapes: N images, H height, W width, C channels, K close ones, P real images, F cells.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from gan.images.evaluation.facts import thin
from gan.metrics.copies import record_digests
from gan.metrics.distances import Nearest, closest_share
from gan.metrics.intervals import random_half
from gan.metrics.neighbours import smallest
from gan.randomness import numpy_stream
from gan.report import Ceiling, Measured, Metric

Array = np.ndarray[Any, Any]

SIDE = 16
"""Most cells along the shorter side."""
TRAIN_ROWS = 20_000
"""Most training images that are looked at."""
FAKES = 2000
"""Most synthetic images that are looked at."""
REALS = 500
"""Real images whose distances to the others say what is near."""
CLOSE = 2
"""Real images per variant that are compared again in finer steps."""
NEAR = 0.05
"""Share of real images that are nearer than this to another one."""
Z_NEAR = 2.807033768343811
"""Normal quantile of a two-sided interval at the level 1 - .005: there are two looks."""


class Grid:
    """The coarse grid of images of one size."""

    def __init__(self, height: int, width: int) -> None:
        """Choose the size of a cell, so that the shorter side has at most `SIDE`."""
        self.cell = max(1, -(-min(height, width) // SIDE))
        self.rows, self.columns = height // self.cell, width // self.cell

    def points(self, grey_NHW: Array) -> Array:
        """Return smoothed cells with mean 0 and length 1; a picture of one colour is 0; (N, F)."""
        rows, columns, cell = self.rows, self.columns, self.cell
        grid = grey_NHW[:, : rows * cell, : columns * cell]
        cells = grid.reshape(-1, rows, cell, columns, cell).mean(axis=(2, 4))
        padded = np.pad(cells, ((0, 0), (1, 1), (1, 1)), mode="edge")
        smooth = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
        smooth = smooth[:, :, :-2] + 2 * smooth[:, :, 1:-1] + smooth[:, :, 2:]
        flat_NF = smooth.reshape(len(smooth), -1)
        flat_NF -= flat_NF.mean(axis=1, keepdims=True)
        length_N = np.sqrt(np.square(flat_NF).sum(axis=1, keepdims=True))
        found: Array = flat_NF / np.where(length_N > 1e-3, length_N, np.inf)
        return found

    def variants(self, grey_NHW: Array, step: int) -> Iterator[Array]:
        """Yield the points of the images, mirrored or not, shifted by up to a cell in steps."""
        _, height, width = grey_NHW.shape
        for seen in (grey_NHW, grey_NHW[:, :, ::-1]):
            padded = np.pad(seen, ((0, 0), (self.cell,) * 2, (self.cell,) * 2), mode="edge")
            offsets = sorted({*range(0, 2 * self.cell + 1, step), self.cell})
            for down in offsets:
                for right in offsets:
                    yield self.points(padded[:, down : down + height, right : right + width])

    def nearest(self, grey_NHW: Array, reals_PF: Array) -> Nearest:
        """Return the nearest real image of any variant of every image.

        First the nearest of every variant by whole cells are found, then the nearest of these by
        variants of half a cell.
        """
        k = min(CLOSE, len(reals_PF))
        coarse = self.variants(grey_NHW, self.cell)
        found_NK = np.hstack([smallest(one, reals_PF, k).index_NK for one in coarse])
        close_NKF = reals_PF[found_NK]
        product_NK = np.full(found_NK.shape, -np.inf, dtype=np.float32)
        for variant_NF in self.variants(grey_NHW, max(1, self.cell // 2)):
            products = (close_NKF @ variant_NF[:, :, None])[:, :, 0]
            np.maximum(product_NK, products, out=product_NK)
        best_N = product_NK.argmax(axis=1)[:, None]
        index_N = np.take_along_axis(found_NK, best_N, axis=1)[:, 0]
        return Nearest(2.0 - 2.0 * np.take_along_axis(product_NK, best_N, axis=1)[:, 0], index_N)


def grey(images_NHWC: Array) -> Array:
    """Return the mean over the channels; float32 (N, H, W)."""
    found: Array = images_NHWC.mean(axis=3, dtype=np.float32)
    return found


class PixelReference:
    """The real images on the coarse grid, and how near they are to one another."""

    def __init__(
        self, train: Array, unseen: Array, seed: int, replicates: int, *, by_chance: bool = True
    ) -> None:
        """Place the distinct real images, in random order, so that ties favour no side.

        Args:
            train: the training images.
            unseen: those of validation and holdout.
            seed: of order and resamples.
            replicates: resamples of a share.
            by_chance: whether chance alone decided on the side of each image; else a share is
                given without what real images reach, because nobody knows it.
        """
        self.ceiling = Ceiling(value=0.5, low=0.5, high=0.5) if by_chance else None
        seen = thin(train, TRAIN_ROWS)
        digests = np.array([*record_digests(seen), *record_digests(unseen)])
        first = np.unique(digests, return_index=True)[1]
        order = numpy_stream(seed, "near-copies").permutation(first)
        self.grid = Grid(*train.shape[1:3])
        placed = [self.grid.points(grey(part)) for part in (seen, unseen)]
        self.reals_PF, self.trained_P = np.concatenate(placed)[order], order < len(seen)
        self.seed, self.replicates = seed, replicates
        self.limit = 0.0
        """Squared distance below which `NEAR` of real images have another real one."""
        among = min(REALS, len(order) // 4)
        if not self._both_sides or among == 0:
            return
        chosen = [seen[i] if i < len(seen) else unseen[i - len(seen)] for i in order[:among]]
        found = self.grid.nearest(grey(np.stack(chosen)), self.reals_PF[among:])
        self.limit = float(np.quantile(found.squared_N, NEAR))

    @property
    def _both_sides(self) -> bool:
        """Whether there are images of train, and others."""
        return bool(self.trained_P.any() and not self.trained_P.all())

    def measure(self, fakes_NHWC: Array) -> Iterator[Measured]:
        """Yield `near_copies` of all fakes, and of those that are near a real image.

        Nothing where all distinct real images are on one side.
        """
        if not self._both_sides:
            return
        found = self.grid.nearest(grey(thin(fakes_NHWC, FAKES)), self.reals_PF)
        yield self._share(found.index_N, "pixels")
        yield self._share(found.index_N[found.squared_N < self.limit], "pixels/near")

    def _share(self, owners_M: Array, scope: str) -> Measured:
        """Return the share of train among the nearest real images, as if both sides were equal."""
        reals, trained_P = len(self.trained_P), self.trained_P
        if not len(owners_M):
            return self._measured(scope, (0.5, 0.0, 1.0), 0, ())
        hits_M = trained_P[owners_M].astype(np.float64)
        found = closest_share(hits_M, owners_M, reals, Z_NEAR)
        ends = tuple(self._of_equal_sides(one) for one in (found.share, found.low, found.high))
        counts_P = np.bincount(owners_M, minlength=reals)
        again = []
        for r in range(self.replicates):
            half = random_half(reals, numpy_stream(self.seed, "near-copies-half", r))
            rows = counts_P[half].sum()
            share = counts_P[half] @ trained_P[half] / rows if rows else found.share
            again.append(self._of_equal_sides(float(share)))
        return self._measured(scope, ends, len(owners_M), tuple(again))

    def _of_equal_sides(self, share: float) -> float:
        """Return what a share would be, were as many real images unseen as trained on."""
        trained = float(self.trained_P.mean())
        seen, unseen = share / trained, (1.0 - share) / (1.0 - trained)
        return seen / (seen + unseen)

    def _measured(
        self,
        scope: str,
        ends: tuple[float, ...],
        n: int,
        replicates: tuple[float, ...],
    ) -> Measured:
        value, low, high = ends
        metric = Metric(
            name="near_copies",
            scope=scope,
            value=value,
            low=low,
            high=high,
            n=n,
            ceiling=self.ceiling,
            direction="lower",
        )
        return Measured(metric=metric, replicates=replicates)
