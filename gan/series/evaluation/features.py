"""Entities as points: shares of steps at which random convolutional kernels are positive.

Shapes: N entities, F features, S signals, L steps of the longest.
"""

from typing import Any

import numpy as np

from gan.metrics.kernels import TRIPLES, dilations_of, fit_kernels
from gan.randomness import numpy_stream
from gan.series.evaluation.aggregates import spread_over
from gan.series.evaluation.context import SeriesContext, Side
from gan.series.evaluation.signals import Observed

Array = np.ndarray[Any, Any]

FEATURES = 750
"""About so many kernel features."""
FIT_ENTITIES = 200
"""Training entities whose outputs give the biases."""
CHANNELS = 24
"""Most signals that kernels see; of more, evenly spread ones."""
WINDOW = 1000
"""Most steps of an entity that kernels see, from a random one on."""
CHUNK_VALUES = 2**22
"""Padded values at once: memory, not results."""
LEAST_SPREAD = 0.01
"""Of a feature whose share hardly differs over train."""


class KernelSpace:
    """Kernels fixed on train, and the scale in which distances between entities mean something."""

    def __init__(self, context: SeriesContext, features: int = FEATURES) -> None:
        """Draw the kernels and learn the spread of every feature.

        Args:
            context: the real entities.
            features: about so many.
        """
        observed, seed = context.train.observed, context.seed
        self.channels = spread_over(len(context.signals.names), CHANNELS)
        rng = numpy_stream(seed, "kernels")
        rows = rng.permutation(context.train.entities)
        dilations = dilations_of(min(WINDOW, int(np.median(observed.lengths_N))))
        biases = max(1, round(features / (len(TRIPLES) * len(dilations))))
        some = self._sequences(observed, np.sort(rows[:FIT_ENTITIES]))
        self.kernels = fit_kernels(some, biases, rng)
        fitted_NF = self.raw(context.train, np.sort(rows[: 5 * FIT_ENTITIES]))
        self.mean_F = fitted_NF.mean(axis=0)
        spread_F = np.maximum(fitted_NF.std(axis=0), LEAST_SPREAD)
        convolved = int(self.kernels.biases_DKB.size)
        width_F = np.full(self.kernels.width, convolved)
        width_F[convolved:] = self.kernels.width - convolved
        self.scale_F = 1.0 / (spread_F * np.sqrt(2.0 * width_F))
        """Shapes and levels weigh the same; two random entities are about 1 apart (squared)."""

    def _sequences(self, observed: Observed, rows: Array) -> Any:
        found = observed.sequences(rows, WINDOW)
        return found._replace(values_NCL=np.ascontiguousarray(found.values_NCL[:, self.channels]))

    def raw(self, side: Side, rows: Array) -> Array:
        """Return the features of some entities; float32 (N, F)."""
        observed = side.observed
        longest = min(WINDOW, int(observed.lengths_N[rows].max())) if len(rows) else 1
        size = max(1, CHUNK_VALUES // (longest * len(self.channels)))
        parts = [
            self.kernels.of(self._sequences(observed, rows[start : start + size]))
            for start in range(0, len(rows), size)
        ]
        if not parts:
            return np.zeros((0, self.kernels.width), dtype=np.float32)
        return np.concatenate(parts)

    def points(self, side: Side, rows: Array) -> Array:
        """Return the features of some entities, scaled; float64 (N, F)."""
        found: Array = (self.raw(side, rows) - self.mean_F) * self.scale_F
        return found
