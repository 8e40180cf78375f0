"""The scores of papers on series, for comparison with them; the gate does not judge by them.

Discriminative score, Yoon et al. 2019 (TimeGAN, NeurIPS 32), section 5: how far the accuracy of a
recurrent network that tells real from synthetic sequences lies from one half, on sequences it was
not trained on. Predictive score, the same: the mean absolute error of a recurrent network that
learned from synthetic sequences to predict the next value of the last variable from the others and
was tested on real ones. As there, on windows of 24 steps, every variable from 0 to 1 between its
extremes in train; a smaller network and fewer,
larger steps of training than there, so that both take seconds.

Shapes: N sequences, L steps, S signals, H hidden units.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from gan.randomness import numpy_stream, stream
from gan.report import Measured, Metric
from gan.series.evaluation.context import SeriesContext, Side

Array = np.ndarray[Any, Any]

WINDOW = 24
"""Steps of a sequence, as in the paper."""
MOST_SEQUENCES = 1000
"""Most sequences of each side."""
MOST_SIGNALS = 12
HIDDEN, BATCH, RATE = 12, 128, 0.01
STEPS = {"discriminative": 500, "predictive": 250}
"""Of training, at ten times the rate of the paper, which takes 2,000 and 5,000."""


class Reader(torch.nn.Module):
    """A recurrent network with one number per step."""

    def __init__(self, width: int, seed: int, purpose: str) -> None:
        """Draw the weights from the seed alone."""
        super().__init__()
        self.gru = torch.nn.GRU(width, HIDDEN, batch_first=True)
        self.out = torch.nn.Linear(HIDDEN, 1)
        numbers = stream(seed, purpose)
        with torch.no_grad():
            for part in self.parameters():
                part.uniform_(-(HIDDEN**-0.5), HIDDEN**-0.5, generator=numbers)

    def forward(self, values_NLS: torch.Tensor) -> torch.Tensor:
        """Return a number for every step; (N, L)."""
        found: torch.Tensor = self.out(self.gru(values_NLS)[0])[:, :, 0]
        return found


class PaperScores:
    """The real sequences, and both scores of a candidate against them."""

    def __init__(self, context: SeriesContext) -> None:
        """Keep the holdout's windows."""
        self.context = context
        self.window = int(min(WINDOW, np.quantile(context.train.observed.lengths_N, 0.1)))
        train_TS = context.train.observed.filled
        self.low_S, high_S = train_TS.min(axis=0), train_TS.max(axis=0)
        self.size_S = np.maximum(high_S - self.low_S, 1e-6)
        self.holdout_NLS = self._windows(context.holdout)

    def measure(self, candidate: Side) -> Iterator[Measured]:
        """Yield `discriminative_score` and `predictive_score`; nothing of very short entities."""
        if self.window < 4 or len(self.holdout_NLS) < 4:
            return
        fakes_NLS = self._windows(candidate)
        if len(fakes_NLS) < 4:
            return
        found = {
            "discriminative_score": discriminative_score(
                self.holdout_NLS, fakes_NLS, self.context.seed
            ),
            "predictive_score": predictive_score(self.holdout_NLS, fakes_NLS, self.context.seed),
        }
        for name, value in found.items():
            metric = Metric(
                name=name,
                scope="all",
                value=value,
                low=value,
                high=value,
                n=min(len(self.holdout_NLS), len(fakes_NLS)),
                direction="lower",
            )
            yield Measured(metric=metric)

    def _windows(self, side: Side) -> Array:
        """Return one random window of every entity that is long enough; float32 (N, L, S)."""
        observed, window = side.observed, self.window
        long_N = np.flatnonzero(observed.lengths_N >= window)
        rng = numpy_stream(self.context.seed, "paper-windows")
        long_N = np.sort(rng.permutation(long_N)[:MOST_SEQUENCES])
        room_N = observed.lengths_N[long_N] - window + 1
        start_N = observed.first[long_N] + (rng.random(len(long_N)) * room_N).astype(np.int64)
        values_NLS = observed.filled[start_N[:, None] + np.arange(window)]
        scaled = (values_NLS - self.low_S) / self.size_S
        found: Array = np.clip(scaled, -1.0, 2.0)[:, :, :MOST_SIGNALS].astype(np.float32)
        return found


def discriminative_score(reals_NLS: Array, fakes_NLS: Array, seed: int) -> float:
    """Return how far the accuracy lies from one half: 0 is best, one half is worst."""
    count = min(len(reals_NLS), len(fakes_NLS))
    rng = numpy_stream(seed, "discriminative")
    sides = [side[rng.permutation(len(side))[:count]] for side in (reals_NLS, fakes_NLS)]
    learned = max(2, int(0.8 * count))
    train_NLS = torch.from_numpy(np.concatenate([side[:learned] for side in sides]))
    targets_N = (torch.arange(len(train_NLS)) >= learned).float()
    net = Reader(train_NLS.shape[2], seed, "discriminative-net")

    def loss(rows: torch.Tensor) -> torch.Tensor:
        logits_N = net(train_NLS[rows])[:, -1]
        value: torch.Tensor = torch.nn.functional.binary_cross_entropy_with_logits(
            logits_N, targets_N[rows]
        )
        return value

    _learn(net, loss, len(train_NLS), rng, STEPS["discriminative"])
    with torch.inference_mode():
        test = [net(torch.from_numpy(side[learned:]))[:, -1].numpy() for side in sides]
    right = np.concatenate([test[0] < 0, test[1] >= 0])
    return float(abs(right.mean() - 0.5)) if len(right) else 0.0


def predictive_score(reals_NLS: Array, fakes_NLS: Array, seed: int) -> float:
    """Return the mean absolute error on real sequences of what learned from synthetic ones.

    The next value of the last signal is predicted from the others, of a single one from itself.
    """
    rng = numpy_stream(seed, "predictive")
    known = slice(None) if fakes_NLS.shape[2] == 1 else slice(0, fakes_NLS.shape[2] - 1)
    train_NLS, test_NLS = torch.from_numpy(fakes_NLS), torch.from_numpy(reals_NLS)
    net = Reader(train_NLS[:, :, known].shape[2], seed, "predictive-net")

    def loss(rows: torch.Tensor) -> torch.Tensor:
        found = net(train_NLS[rows][:, :-1, known])
        value: torch.Tensor = (found.sigmoid() - train_NLS[rows][:, 1:, -1]).abs().mean()
        return value

    _learn(net, loss, len(train_NLS), rng, STEPS["predictive"])
    with torch.inference_mode():
        found = net(test_NLS[:, :-1, known]).sigmoid()
        return float((found - test_NLS[:, 1:, -1]).abs().mean())


def _learn(net: Reader, loss: Any, rows: int, rng: np.random.Generator, steps: int) -> None:
    """Take a fixed number of steps."""
    optimiser = torch.optim.Adam(net.parameters(), lr=RATE)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = RATE * (1 - step / steps)
        value = loss(torch.from_numpy(rng.integers(0, rows, BATCH)))
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        optimiser.step()
