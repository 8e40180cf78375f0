"""What a classifier loses that learns from synthetic instead of real images (TSTR against TRTR).

Classification accuracy score: Ravuri & Vinyals 2019 (arXiv:1905.10887), section 3, here of a small
net. Two nets learn from two disjoint halves of train's images, one from as many synthetic ones, all
in as many steps; all are tested on the same holdout images, and the interval is a paired bootstrap
of these. How far the two real halves lie apart is what real data as the candidate may lose.

Shapes: N holdout images, B resamples.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from gan.codecs import Encoded
from gan.evaluation.resampling import summarise
from gan.images.evaluation.learner import LearnerInputs, learn, logits
from gan.images.pixels import floats
from gan.metrics.intervals import LEVELS, wilson
from gan.randomness import numpy_stream
from gan.report import Ceiling, Measured, Metric

Array = np.ndarray[Any, Any]

ROWS = 2500
"""Most images that a net learns from."""
BOOTSTRAPS = 200
SCOPE = "classes"


class ImageUsefulness:
    """What real images teach, measured once for every candidate."""

    def __init__(
        self, train: Encoded, holdout: Encoded, *, classes: int, rows: int, seed: int
    ) -> None:
        """Learn from two parts of train of as many images as a candidate has, `rows`."""
        self.classes, self.seed, self.holdout = classes, seed, holdout
        self.n = min(ROWS, len(train.labels_N) // 2, rows)
        """Images that each net learns from."""
        rng = numpy_stream(seed, "tstr-halves")
        order = rng.permutation(len(train.labels_N))
        one, two = order[: self.n], order[self.n : 2 * self.n]
        self.correct_N = [
            self._correct(train.values[half], train.labels_N[half]) for half in (one, two)
        ]
        """Which holdout images each of the two nets names rightly."""
        count = len(holdout.labels_N)
        draws = numpy_stream(seed, "tstr-bootstrap").integers(count, size=(BOOTSTRAPS, count))
        self.draws_BN = draws
        difference_N = self.correct_N[0] - self.correct_N[1]
        difference_B = difference_N[draws].mean(axis=1)
        self.noise = (*difference_B.tolist(), *(-difference_B).tolist())
        """How far apart nets lie that learned from different real images, either way."""

    def measure(self, candidate: Encoded) -> Iterator[Measured]:
        """Yield `tstr_gap` and both accuracies; nothing of a candidate with fewer images."""
        if len(candidate.labels_N) < self.n:
            return
        order = numpy_stream(self.seed, "tstr-rows").permutation(len(candidate.labels_N))
        rows = np.sort(order[: self.n])
        learned_N = self._correct(candidate.values[rows], candidate.labels_N[rows])
        real_N = (self.correct_N[0] + self.correct_N[1]) / 2
        yield self._accuracy("trtr", real_N)
        yield self._accuracy("tstr", learned_N)
        loss_N = real_N - learned_N
        gap, gaps_B = float(loss_N.mean()), loss_N[self.draws_BN].mean(axis=1)
        low, high = np.quantile(gaps_B - gaps_B.mean(), LEVELS)
        real = summarise(self.noise, value=0.0)
        metric = Metric(
            name="tstr_gap",
            scope=SCOPE,
            value=gap,
            low=min(gap, gap + float(low)),
            high=max(gap, gap + float(high)),
            n=len(rows),
            ceiling=Ceiling(value=0.0, low=real.ceiling.low, high=real.ceiling.high),
            direction="lower",
        )
        upper = float(np.quantile(self.noise, LEVELS[1]))
        yield Measured(
            metric=metric,
            reals=tuple(value + upper for value in self.noise),
            replicates=tuple(gaps_B.tolist()),
        )

    def _correct(self, images_NHWC: Array, classes_N: Array) -> Array:
        """Return 1 where a net that learned from these images names the holdout's class, else 0."""
        inputs = LearnerInputs(
            pixels_PCHW=floats(images_NHWC),
            targets_P=torch.from_numpy(np.ascontiguousarray(classes_N)),
            classes=self.classes,
            seed=self.seed,
            purpose="tstr",
            stops_early=False,
        )
        found_N = logits(learn(inputs), floats(self.holdout.values)).argmax(1).numpy()
        correct_N: Array = (found_N == self.holdout.labels_N).astype(np.float64)
        return correct_N

    def _accuracy(self, name: str, correct_N: Array) -> Measured:
        value, n = float(correct_N.mean()), len(correct_N)
        low, high = wilson(value, n)
        metric = Metric(
            name=name, scope=SCOPE, value=value, low=low, high=high, n=n, direction="higher"
        )
        return Measured(metric=metric)
